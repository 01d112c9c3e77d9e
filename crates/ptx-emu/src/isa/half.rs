//! Arithmetic of f16, bf16 and their pairs (PTX ISA 9.7.4).

use std::marker::PhantomData;

use crate::ast::{Instruction, Operand, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::{Cx, Flow};
use crate::lanes::Lane;
use crate::num::{bf16, f16, packed};
use crate::program::Op;
use crate::simd::{Handler, Level};

/// Bits of `Op::aux`.
const FTZ: u32 = 1;
const SAT: u32 = 1 << 1;
const RELU: u32 = 1 << 2;

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let name = form.name;
    let ty = form.ty()?;
    if ty == Type::F32 {
        return Err(form.unsupported("mixed precision, which starts with sm_100"));
    }
    let mut aux = 0;
    if matches!(ty, Type::F16 | Type::F16x2) {
        aux |= if form.flag("ftz") { FTZ } else { 0 };
        let scales = matches!(name, "add" | "sub" | "mul" | "fma");
        aux |= if scales && form.flag("sat") { SAT } else { 0 };
    }
    if name == "fma" && form.flag("relu") {
        aux |= RELU;
    }
    if aux & SAT != 0 && aux & RELU != 0 {
        return Err(form.unsupported("both `.sat` and `.relu`"));
    }
    let rounded = matches!(name, "add" | "sub" | "mul" | "fma") && form.flag("rn");
    if name == "fma" && !rounded {
        return Err(form.unsupported("it needs `.rn`"));
    }
    let extremum = matches!(name, "min" | "max");
    let nan = extremum && form.flag("NaN");
    let signs = [extremum && form.flag("xorsign"), extremum && form.flag("abs")];
    if signs[0] != signs[1] {
        return Err(form.unsupported("`.xorsign` and `.abs` go together"));
    }
    form.done()?;
    let mut op = match ty {
        Type::F16 => op_of::<F16, One>(d, name, nan, signs[0]),
        Type::F16x2 => op_of::<F16, Two>(d, name, nan, signs[0]),
        Type::Bf16 => op_of::<Bf16, One>(d, name, nan, signs[0]),
        Type::Bf16x2 => op_of::<Bf16, Two>(d, name, nan, signs[0]),
        _ => None,
    }
    .ok_or_else(|| form.unsupported("it does not exist for this type"))?;
    op.aux = aux;
    let sources = match name {
        "fma" => 3,
        "abs" | "neg" => 1,
        _ => 2,
    };
    let [result, operands @ ..] = instruction.operands.as_slice() else {
        return Err(form.operand("no operands", "a result"));
    };
    if operands.len() != sources {
        let found = format!("{} operands", operands.len() + 1);
        return Err(form.operand(found, &format!("{}", sources + 1)));
    }
    for (slot, operand) in [&mut op.a, &mut op.b, &mut op.c].into_iter().zip(operands) {
        register(d, &form, operand, ty)?;
        *slot = d.src(&form, operand, ty)?;
    }
    op.d = d.dst(&form, result, ty)?;
    register(d, &form, result, ty)?;
    d.push(op);
    Ok(())
}

/// An error unless the operand is a register of the type, or of its width without a type: these
/// instructions take no others, and no constants.
fn register<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    operand: &Operand<'a>,
    ty: Type,
) -> Result<(), LoadError> {
    let plain = if ty.bytes() == 2 { Type::B16 } else { Type::B32 };
    let has = d.register_type(operand);
    if has == Some(ty) || has == Some(plain) || has.is_none() && matches!(operand, Operand::Name(_))
    {
        return Ok(());
    }
    let found = match has {
        Some(has) => format!("a register of type {has:?}"),
        None => format!("{operand:?}"),
    };
    Err(form.operand(found, &format!("a register of type {ty:?} or {plain:?}")))
}

/// The op of an instruction, if there is one of this name.
fn op_of<H: Half, W: Width>(
    d: &Decoder<'_, '_>,
    name: &str,
    nan: bool,
    signs: bool,
) -> Option<Op> {
    Some(match (name, nan, signs) {
        ("add", ..) => d.op::<Binary<H, W, Add>>(),
        ("sub", ..) => d.op::<Binary<H, W, Sub>>(),
        ("mul", ..) => d.op::<Binary<H, W, Mul>>(),
        ("fma", ..) => d.op::<Fma<H, W>>(),
        ("abs", ..) => d.op::<Unary<H, W, Abs>>(),
        ("neg", ..) => d.op::<Unary<H, W, Neg>>(),
        ("min", false, false) => d.op::<Binary<H, W, Min>>(),
        ("min", true, false) => d.op::<Binary<H, W, MinNan>>(),
        ("min", false, true) => d.op::<Binary<H, W, Signs<Min>>>(),
        ("min", true, true) => d.op::<Binary<H, W, Signs<MinNan>>>(),
        ("max", false, false) => d.op::<Binary<H, W, Max>>(),
        ("max", true, false) => d.op::<Binary<H, W, MaxNan>>(),
        ("max", false, true) => d.op::<Binary<H, W, Signs<Max>>>(),
        ("max", true, true) => d.op::<Binary<H, W, Signs<MaxNan>>>(),
        _ => return None,
    })
}

/// A format of 16 bits.
trait Half {
    fn add(a: u16, b: u16) -> u16;
    fn sub(a: u16, b: u16) -> u16;
    fn mul(a: u16, b: u16) -> u16;
    fn fma(a: u16, b: u16, c: u16) -> u16;
    fn abs(a: u16) -> u16;
    fn neg(a: u16) -> u16;
    fn min(a: u16, b: u16) -> u16;
    fn max(a: u16, b: u16) -> u16;
    fn min_nan(a: u16, b: u16) -> u16;
    fn max_nan(a: u16, b: u16) -> u16;
    fn xorsign_abs(a: u16, b: u16, f: impl Fn(u16, u16) -> u16) -> u16;
    fn relu(a: u16) -> u16;
    /// `.ftz` and `.sat`, which only f16 has.
    fn ftz(a: u16) -> u16;
    fn sat(a: u16) -> u16;
}

macro_rules! half {
    ($name:ident, $module:ident, $sat:expr) => {
        struct $name;

        half! { @impl $name, $module, $sat,
            add(a, b) sub(a, b) mul(a, b) fma(a, b, c) abs(a) neg(a) min(a, b) max(a, b)
            min_nan(a, b) max_nan(a, b) relu(a) ftz(a)
        }
    };
    (@impl $name:ident, $module:ident, $sat:expr, $($f:ident($($x:ident),*))*) => {
        impl Half for $name {
            $(
                #[inline(always)]
                fn $f($($x: u16),*) -> u16 {
                    $module::$f($($x),*)
                }
            )*
            #[inline(always)]
            fn xorsign_abs(a: u16, b: u16, f: impl Fn(u16, u16) -> u16) -> u16 {
                $module::xorsign_abs(a, b, f)
            }
            #[inline(always)]
            fn sat(a: u16) -> u16 {
                $sat(a)
            }
        }
    };
}

half!(F16, f16, f16::sat);
half!(Bf16, bf16, |a| a);

/// One value in a register, or two.
trait Width {
    type Word: Lane;
    fn one(a: Self::Word, f: impl Fn(u16) -> u16) -> Self::Word;
    fn two(a: Self::Word, b: Self::Word, f: impl Fn(u16, u16) -> u16) -> Self::Word;
    fn three(
        a: Self::Word,
        b: Self::Word,
        c: Self::Word,
        f: impl Fn(u16, u16, u16) -> u16,
    ) -> Self::Word;
}

struct One;
struct Two;

impl Width for One {
    type Word = u16;
    #[inline(always)]
    fn one(a: u16, f: impl Fn(u16) -> u16) -> u16 {
        f(a)
    }
    #[inline(always)]
    fn two(a: u16, b: u16, f: impl Fn(u16, u16) -> u16) -> u16 {
        f(a, b)
    }
    #[inline(always)]
    fn three(a: u16, b: u16, c: u16, f: impl Fn(u16, u16, u16) -> u16) -> u16 {
        f(a, b, c)
    }
}

impl Width for Two {
    type Word = u32;
    #[inline(always)]
    fn one(a: u32, f: impl Fn(u16) -> u16) -> u32 {
        packed::map(a, f)
    }
    #[inline(always)]
    fn two(a: u32, b: u32, f: impl Fn(u16, u16) -> u16) -> u32 {
        packed::map2(a, b, f)
    }
    #[inline(always)]
    fn three(a: u32, b: u32, c: u32, f: impl Fn(u16, u16, u16) -> u16) -> u32 {
        packed::map3(a, b, c, f)
    }
}

/// An operation on two values.
trait Operation {
    fn apply<H: Half>(a: u16, b: u16) -> u16;
}

macro_rules! operations {
    ($($name:ident $f:ident)*) => { $(
        struct $name;

        impl Operation for $name {
            #[inline(always)]
            fn apply<H: Half>(a: u16, b: u16) -> u16 {
                H::$f(a, b)
            }
        }
    )* };
}

operations! { Add add Sub sub Mul mul Min min Max max MinNan min_nan MaxNan max_nan }

/// `.xorsign.abs` of `min` or `max`.
struct Signs<O>(PhantomData<O>);

impl<O: Operation> Operation for Signs<O> {
    #[inline(always)]
    fn apply<H: Half>(a: u16, b: u16) -> u16 {
        H::xorsign_abs(a, b, O::apply::<H>)
    }
}

/// An operation on one value.
trait Change {
    fn apply<H: Half>(a: u16) -> u16;
}

struct Abs;
struct Neg;

impl Change for Abs {
    #[inline(always)]
    fn apply<H: Half>(a: u16) -> u16 {
        H::abs(a)
    }
}

impl Change for Neg {
    #[inline(always)]
    fn apply<H: Half>(a: u16) -> u16 {
        H::neg(a)
    }
}

/// A source, flushed if `.ftz` says so.
#[inline(always)]
fn load<H: Half, W: Width>(cx: &Cx<'_>, op: &Op, slot: u32) -> [W::Word; 32] {
    let value = W::Word::load(&cx.warp.regs, slot);
    if op.aux & FTZ != 0 {
        value.map(|x| W::one(x, H::ftz))
    } else {
        value
    }
}

/// Writes the result after what the modifiers ask for.
#[inline(always)]
fn store<H: Half, W: Width>(cx: &mut Cx<'_>, op: &Op, mut value: [W::Word; 32]) {
    if op.aux & FTZ != 0 {
        value = value.map(|x| W::one(x, H::ftz));
    }
    if op.aux & SAT != 0 {
        value = value.map(|x| W::one(x, H::sat));
    }
    if op.aux & RELU != 0 {
        value = value.map(|x| W::one(x, H::relu));
    }
    W::Word::store(&mut cx.warp.regs, op.d, cx.mask, &value);
}

struct Unary<H, W, C>(PhantomData<(H, W, C)>);

impl<H: Half, W: Width, C: Change> Handler for Unary<H, W, C> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let a = load::<H, W>(cx, op, op.a);
        let value = a.map(|x| W::one(x, C::apply::<H>));
        store::<H, W>(cx, op, value);
        Flow::Next
    }
}

struct Binary<H, W, O>(PhantomData<(H, W, O)>);

impl<H: Half, W: Width, O: Operation> Handler for Binary<H, W, O> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let a = load::<H, W>(cx, op, op.a);
        let b = load::<H, W>(cx, op, op.b);
        let value = std::array::from_fn(|lane| W::two(a[lane], b[lane], O::apply::<H>));
        store::<H, W>(cx, op, value);
        Flow::Next
    }
}

struct Fma<H, W>(PhantomData<(H, W)>);

impl<H: Half, W: Width> Handler for Fma<H, W> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let a = load::<H, W>(cx, op, op.a);
        let b = load::<H, W>(cx, op, op.b);
        let c = load::<H, W>(cx, op, op.c);
        let value = std::array::from_fn(|lane| W::three(a[lane], b[lane], c[lane], H::fma));
        store::<H, W>(cx, op, value);
        Flow::Next
    }
}
