//! Handlers of `setp` and `set`: 32 comparisons become one mask, and the rest is done on masks.

use std::marker::PhantomData;

use crate::ast::Type;
use crate::decode::Decoder;
use crate::exec::{Cx, Flow};
use crate::lanes::{Lane, Registers, choose, each, mask_of};
use crate::num::compare::{Compare, compare};
use crate::num::narrow::{from_bf16, from_f16};
use crate::num::{f16, single};
use crate::program::Op;
use crate::simd::{Handler, Level, signs};

/// Values to compare: how they lie in a slot.
trait Source {
    type Value: PartialOrd + Copy;
    /// Two values in a slot; the first is the lower half.
    const PAIR: bool;
    fn load(regs: &Registers, slot: u32, upper: bool) -> [Self::Value; 32];
}

macro_rules! sources {
    ($($name:ident: $word:ident -> $value:ident, $pair:literal
       |$x:ident, $upper:ident| $result:expr;)*) => { $(
        struct $name;

        impl Source for $name {
            type Value = $value;
            const PAIR: bool = $pair;
            #[inline(always)]
            #[allow(clippy::cast_possible_truncation, reason = "half of a pair")]
            fn load(regs: &Registers, slot: u32, $upper: bool) -> [$value; 32] {
                let words = $word::load(regs, slot);
                each(|lane| {
                    let $x = words[lane];
                    $result
                })
            }
        }
    )* };
}

sources! {
    U16: u16 -> u16, false |x, _upper| x;
    S16: i16 -> i16, false |x, _upper| x;
    U32: u32 -> u32, false |x, _upper| x;
    S32: i32 -> i32, false |x, _upper| x;
    U64: u64 -> u64, false |x, _upper| x;
    S64: i64 -> i64, false |x, _upper| x;
    F32: f32 -> f32, false |x, _upper| x;
    F32Flushed: f32 -> f32, false |x, _upper| single::ftz(x);
    F64: f64 -> f64, false |x, _upper| x;
    F16: u16 -> f32, false |x, _upper| from_f16(x);
    F16Flushed: u16 -> f32, false |x, _upper| from_f16(f16::ftz(x));
    Bf16: u16 -> f32, false |x, _upper| from_bf16(x);
    F16x2: u32 -> f32, true |x, upper| from_f16(half(x, upper));
    F16x2Flushed: u32 -> f32, true |x, upper| from_f16(f16::ftz(half(x, upper)));
    Bf16x2: u32 -> f32, true |x, upper| from_bf16(half(x, upper));
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "half of a pair")]
fn half(pair: u32, upper: bool) -> u16 {
    (if upper { pair >> 16 } else { pair }) as u16
}

/// The result `t` of a comparison, combined with the third source.
#[inline(always)]
fn combined(cx: &Cx<'_>, list: &[u32; 5], t: u32) -> u32 {
    let [_, c, flip, both, odd] = list;
    let c = cx.warp.regs.preds[*c as usize] ^ flip;
    t & c & both | (t ^ c) & odd
}

#[inline(always)]
fn list<'p>(cx: &Cx<'p>, op: &Op) -> &'p [u32; 5] {
    let list = cx.grid.program.list(op, 5);
    list.first_chunk().expect("five were put there")
}

/// `p = t`, `q = !t`, each combined with the third source; for a pair `q` is of the upper half.
#[inline(always)]
fn set_both(cx: &mut Cx<'_>, op: &Op, t: u32, other: u32) {
    let list = list(cx, op);
    let (p, q) = (combined(cx, list, t), combined(cx, list, other));
    let mask = cx.mask;
    cx.warp.regs.set_pred(op.d, mask, p);
    cx.warp.regs.set_pred(list[0], mask, q);
}

/// `setp` with one operator, for the types that programs compare all the time.
struct Setp<S, const OP: u8>(PhantomData<S>);

impl<S: Source, const OP: u8> Handler for Setp<S, OP> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let regs = &cx.warp.regs;
        let (a, b) = (S::load(regs, op.a, false), S::load(regs, op.b, false));
        let t = signs::<L>(&each(|lane| {
            let holds = compare(OPERATORS[OP as usize], a[lane], b[lane]);
            if holds { u32::MAX } else { 0 }
        }));
        set_both(cx, op, t, !t);
        Flow::Next
    }
}

const OPERATORS: [Compare; 14] = [
    Compare::Eq,
    Compare::Ne,
    Compare::Lt,
    Compare::Le,
    Compare::Gt,
    Compare::Ge,
    Compare::Equ,
    Compare::Neu,
    Compare::Ltu,
    Compare::Leu,
    Compare::Gtu,
    Compare::Geu,
    Compare::Num,
    Compare::Nan,
];

/// What two values are to each other: bits of `Op::aux`.
const LESS: u32 = 1;
const EQUAL: u32 = 2;
const GREATER: u32 = 4;
const UNORDERED: u32 = 8;

/// For which of these a comparison is true.
pub(super) fn outcomes(compare: Compare) -> u32 {
    match compare {
        Compare::Eq => EQUAL,
        Compare::Ne => LESS | GREATER,
        Compare::Lt => LESS,
        Compare::Le => LESS | EQUAL,
        Compare::Gt => GREATER,
        Compare::Ge => GREATER | EQUAL,
        Compare::Equ => EQUAL | UNORDERED,
        Compare::Neu => LESS | GREATER | UNORDERED,
        Compare::Ltu => LESS | UNORDERED,
        Compare::Leu => LESS | EQUAL | UNORDERED,
        Compare::Gtu => GREATER | UNORDERED,
        Compare::Geu => GREATER | EQUAL | UNORDERED,
        Compare::Num => LESS | EQUAL | GREATER,
        Compare::Nan => UNORDERED,
    }
}

/// Where the comparison of the lower or upper values is true, for any operator.
#[inline(always)]
fn any<S: Source>(cx: &Cx<'_>, op: &Op, upper: bool) -> u32 {
    let regs = &cx.warp.regs;
    let (a, b) = (S::load(regs, op.a, upper), S::load(regs, op.b, upper));
    let wanted = |outcome| op.aux & outcome != 0;
    let [less, equal, greater, unordered] = [LESS, EQUAL, GREATER, UNORDERED].map(wanted);
    let mut holds = [false; 32];
    for lane in 0..32 {
        let (a, b) = (a[lane], b[lane]);
        holds[lane] = compare(Compare::Lt, a, b) & less
            | compare(Compare::Eq, a, b) & equal
            | compare(Compare::Gt, a, b) & greater
            | compare(Compare::Nan, a, b) & unordered;
    }
    mask_of(&holds)
}

/// `setp` with any operator.
struct SetpAny<S>(PhantomData<S>);

impl<S: Source> Handler for SetpAny<S> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let t = any::<S>(cx, op, false);
        let other = if S::PAIR { any::<S>(cx, op, true) } else { !t };
        set_both(cx, op, t, other);
        Flow::Next
    }
}

/// `set` with any operator: `x` where it is true, for a pair in each half.
struct Set<S>(PhantomData<S>);

impl<S: Source> Handler for Set<S> {
    #[inline(always)]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was made from 32 bits"
    )]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let truth = op.x as u32;
        let list = list(cx, op);
        let low = combined(cx, list, any::<S>(cx, op, false));
        let mut value = choose(low, &[truth; 32], &[0; 32]);
        if S::PAIR {
            let high = combined(cx, list, any::<S>(cx, op, true));
            let high = choose(high, &[truth << 16; 32], &[0; 32]);
            value = each(|lane| value[lane] | high[lane]);
        }
        u32::store(&mut cx.warp.regs, op.d, cx.mask, &value);
        Flow::Next
    }
}

/// The op of `setp`, for a comparison that exists for the type.
pub(super) fn setp(d: &Decoder<'_, '_>, operator: Compare, ftz: bool, ty: Type) -> Option<Op> {
    macro_rules! integer {
        ($source:ident) => {
            match operator {
                Compare::Eq => d.op::<Setp<$source, 0>>(),
                Compare::Ne => d.op::<Setp<$source, 1>>(),
                Compare::Lt => d.op::<Setp<$source, 2>>(),
                Compare::Le => d.op::<Setp<$source, 3>>(),
                Compare::Gt => d.op::<Setp<$source, 4>>(),
                Compare::Ge => d.op::<Setp<$source, 5>>(),
                _ => return None,
            }
        };
    }
    macro_rules! float {
        ($source:ident) => {
            match operator {
                Compare::Equ => d.op::<Setp<$source, 6>>(),
                Compare::Neu => d.op::<Setp<$source, 7>>(),
                Compare::Ltu => d.op::<Setp<$source, 8>>(),
                Compare::Leu => d.op::<Setp<$source, 9>>(),
                Compare::Gtu => d.op::<Setp<$source, 10>>(),
                Compare::Geu => d.op::<Setp<$source, 11>>(),
                Compare::Num => d.op::<Setp<$source, 12>>(),
                Compare::Nan => d.op::<Setp<$source, 13>>(),
                _ => integer!($source),
            }
        };
    }
    let mut op = match ty {
        Type::B32 | Type::U32 => integer!(U32),
        Type::S32 => integer!(S32),
        Type::B64 | Type::U64 => integer!(U64),
        Type::S64 => integer!(S64),
        Type::F32 if ftz => float!(F32Flushed),
        Type::F32 => float!(F32),
        Type::F64 => float!(F64),
        Type::B16 | Type::U16 => d.op::<SetpAny<U16>>(),
        Type::S16 => d.op::<SetpAny<S16>>(),
        Type::F16 if ftz => d.op::<SetpAny<F16Flushed>>(),
        Type::F16 => d.op::<SetpAny<F16>>(),
        Type::Bf16 => d.op::<SetpAny<Bf16>>(),
        Type::F16x2 if ftz => d.op::<SetpAny<F16x2Flushed>>(),
        Type::F16x2 => d.op::<SetpAny<F16x2>>(),
        Type::Bf16x2 => d.op::<SetpAny<Bf16x2>>(),
        _ => return None,
    };
    op.aux = outcomes(operator);
    Some(op)
}

/// The op of `set` for values of type `ty`.
pub(super) fn set(d: &Decoder<'_, '_>, ftz: bool, ty: Type) -> Option<Op> {
    Some(match ty {
        Type::B16 | Type::U16 => d.op::<Set<U16>>(),
        Type::S16 => d.op::<Set<S16>>(),
        Type::B32 | Type::U32 => d.op::<Set<U32>>(),
        Type::S32 => d.op::<Set<S32>>(),
        Type::B64 | Type::U64 => d.op::<Set<U64>>(),
        Type::S64 => d.op::<Set<S64>>(),
        Type::F32 if ftz => d.op::<Set<F32Flushed>>(),
        Type::F32 => d.op::<Set<F32>>(),
        Type::F64 => d.op::<Set<F64>>(),
        Type::F16 if ftz => d.op::<Set<F16Flushed>>(),
        Type::F16 => d.op::<Set<F16>>(),
        Type::Bf16 => d.op::<Set<Bf16>>(),
        Type::F16x2 if ftz => d.op::<Set<F16x2Flushed>>(),
        Type::F16x2 => d.op::<Set<F16x2>>(),
        Type::Bf16x2 => d.op::<Set<Bf16x2>>(),
        _ => return None,
    })
}
