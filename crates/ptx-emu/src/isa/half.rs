//! Arithmetic of f16, bf16 and their pairs (PTX ISA 9.7.4).

use std::marker::PhantomData;

use crate::ast::{Instruction, Operand, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::{Cx, Flow};
use crate::lanes::Lane;
use crate::num::{self, packed};
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
    let signs = [
        extremum && form.flag("xorsign"),
        extremum && form.flag("abs"),
    ];
    if signs[0] != signs[1] {
        return Err(form.unsupported("`.xorsign` and `.abs` go together"));
    }
    form.done()?;
    let mut op = match ty {
        Type::F16 => op_of::<F16>(d, name, nan, signs[0]),
        Type::F16x2 => op_of::<F16x2>(d, name, nan, signs[0]),
        Type::Bf16 => op_of::<Bf16>(d, name, nan, signs[0]),
        Type::Bf16x2 => op_of::<Bf16x2>(d, name, nan, signs[0]),
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
    register(d, &form, result, ty)?;
    op.d = d.dst(&form, result, ty)?;
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
    let plain = if ty.bytes() == 2 {
        Type::B16
    } else {
        Type::B32
    };
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
fn op_of<H: Half>(d: &Decoder<'_, '_>, name: &str, nan: bool, signs: bool) -> Option<Op> {
    Some(match (name, nan, signs) {
        ("add", ..) => d.op::<Binary<H, Add>>(),
        ("sub", ..) => d.op::<Binary<H, Sub>>(),
        ("mul", ..) => d.op::<Binary<H, Mul>>(),
        ("fma", ..) => d.op::<Fma<H>>(),
        ("abs", ..) => d.op::<Unary<H, Abs>>(),
        ("neg", ..) => d.op::<Unary<H, Neg>>(),
        ("min", false, false) => d.op::<Binary<H, Min>>(),
        ("min", true, false) => d.op::<Binary<H, MinNan>>(),
        ("min", false, true) => d.op::<Binary<H, Signs<Min>>>(),
        ("min", true, true) => d.op::<Binary<H, Signs<MinNan>>>(),
        ("max", false, false) => d.op::<Binary<H, Max>>(),
        ("max", true, false) => d.op::<Binary<H, MaxNan>>(),
        ("max", false, true) => d.op::<Binary<H, Signs<Max>>>(),
        ("max", true, true) => d.op::<Binary<H, Signs<MaxNan>>>(),
        _ => return None,
    })
}

/// A format: one value, or a pair.
trait Half {
    type Word: Lane;
    fn add(a: Self::Word, b: Self::Word) -> Self::Word;
    fn sub(a: Self::Word, b: Self::Word) -> Self::Word;
    fn mul(a: Self::Word, b: Self::Word) -> Self::Word;
    fn fma(a: Self::Word, b: Self::Word, c: Self::Word) -> Self::Word;
    fn abs(a: Self::Word) -> Self::Word;
    fn neg(a: Self::Word) -> Self::Word;
    fn min(a: Self::Word, b: Self::Word) -> Self::Word;
    fn max(a: Self::Word, b: Self::Word) -> Self::Word;
    fn min_nan(a: Self::Word, b: Self::Word) -> Self::Word;
    fn max_nan(a: Self::Word, b: Self::Word) -> Self::Word;
    fn xorsign(r: Self::Word, a: Self::Word, b: Self::Word) -> Self::Word;
    fn relu(a: Self::Word) -> Self::Word;
    /// `.ftz` and `.sat`, which only f16 has.
    fn ftz(a: Self::Word) -> Self::Word;
    fn sat(a: Self::Word) -> Self::Word;
}

macro_rules! half {
    ($name:ident: $word:ty, $($module:ident)::+, |$x:ident| $sat:expr) => {
        half! { @impl $name, $word, ($($module)::+),
            add(a, b) sub(a, b) mul(a, b) fma(a, b, c) abs(a) neg(a) min(a, b) max(a, b)
            min_nan(a, b) max_nan(a, b) xorsign(r, a, b) relu(a) ftz(a);
            |$x| $sat
        }
    };
    (@impl $name:ident, $word:ty, $module:tt, $($f:ident($($a:ident),*))*; |$x:ident| $sat:expr) => {
        struct $name;

        impl Half for $name {
            type Word = $word;
            $(half! { @function $word, $module, $f($($a),*) })*
            #[inline(always)]
            fn sat($x: $word) -> $word {
                $sat
            }
        }
    };
    (@function $word:ty, ($($module:ident)::+), $f:ident($($a:ident),*)) => {
        #[inline(always)]
        fn $f($($a: $word),*) -> $word {
            $($module)::+::$f($($a),*)
        }
    };
}

half!(F16: u16, num::f16, |a| num::f16::sat(a));
half!(Bf16: u16, num::bf16, |a| a);
half!(F16x2: u32, packed::f16x2, |a| packed::f16x2::sat(a));
half!(Bf16x2: u32, packed::bf16x2, |a| a);

/// An operation on two values.
trait Operation {
    fn apply<H: Half>(a: H::Word, b: H::Word) -> H::Word;
}

macro_rules! operations {
    ($($name:ident $f:ident)*) => { $(
        struct $name;

        impl Operation for $name {
            #[inline(always)]
            fn apply<H: Half>(a: H::Word, b: H::Word) -> H::Word {
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
    fn apply<H: Half>(a: H::Word, b: H::Word) -> H::Word {
        H::xorsign(O::apply::<H>(H::abs(a), H::abs(b)), a, b)
    }
}

/// An operation on one value.
trait Change {
    fn apply<H: Half>(a: H::Word) -> H::Word;
}

struct Abs;
struct Neg;

impl Change for Abs {
    #[inline(always)]
    fn apply<H: Half>(a: H::Word) -> H::Word {
        H::abs(a)
    }
}

impl Change for Neg {
    #[inline(always)]
    fn apply<H: Half>(a: H::Word) -> H::Word {
        H::neg(a)
    }
}

/// A source, flushed if `.ftz` says so.
#[inline(always)]
fn load<H: Half>(cx: &Cx<'_>, op: &Op, slot: u32) -> [H::Word; 32] {
    let mut value = H::Word::load(&cx.warp.regs, slot);
    if op.aux & FTZ != 0 {
        for x in &mut value {
            *x = H::ftz(*x);
        }
    }
    value
}

/// Writes the result after what the modifiers ask for.
#[inline(always)]
fn store<H: Half>(cx: &mut Cx<'_>, op: &Op, mut value: [H::Word; 32]) {
    if op.aux & FTZ != 0 {
        for x in &mut value {
            *x = H::ftz(*x);
        }
    }
    if op.aux & SAT != 0 {
        for x in &mut value {
            *x = H::sat(*x);
        }
    }
    if op.aux & RELU != 0 {
        for x in &mut value {
            *x = H::relu(*x);
        }
    }
    H::Word::store(&mut cx.warp.regs, op.d, cx.mask, &value);
}

struct Unary<H, C>(PhantomData<(H, C)>);

impl<H: Half, C: Change> Handler for Unary<H, C> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let mut value = load::<H>(cx, op, op.a);
        for x in &mut value {
            *x = C::apply::<H>(*x);
        }
        store::<H>(cx, op, value);
        Flow::Next
    }
}

struct Binary<H, O>(PhantomData<(H, O)>);

impl<H: Half, O: Operation> Handler for Binary<H, O> {
    const WIDE: bool = true;

    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let mut value = load::<H>(cx, op, op.a);
        let b = load::<H>(cx, op, op.b);
        for (x, b) in value.iter_mut().zip(b) {
            *x = O::apply::<H>(*x, b);
        }
        store::<H>(cx, op, value);
        Flow::Next
    }
}

struct Fma<H>(PhantomData<H>);

impl<H: Half> Handler for Fma<H> {
    const WIDE: bool = true;

    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let mut value = load::<H>(cx, op, op.a);
        let b = load::<H>(cx, op, op.b);
        let c = load::<H>(cx, op, op.c);
        for lane in 0..32 {
            value[lane] = H::fma(value[lane], b[lane], c[lane]);
        }
        store::<H>(cx, op, value);
        Flow::Next
    }
}
