//! `cvt` between integers and floating-point types.

use std::marker::PhantomData;

use super::integer::{Widths, integers, put_integers};
use super::registers::{
    Bf16, Ends, F16, FROM_BF16, FROM_F16, FTZ_A, SAT, WIDE_A, WIDE_D, lanewise, put_double,
    put_half, put_single, singles,
};
use super::{Modifiers, Number};
use crate::ast::Type;
use crate::decode::Decoder;
use crate::exec::{Cx, Flow};
use crate::isa::lanes;
use crate::lanes::Lane;
use crate::num::{Round, convert};
use crate::program::Op;
use crate::simd::{Handler, Level};

/// A rounding mode as a type.
pub(super) trait Mode {
    const MODE: Round;
}

pub(super) struct Near;
pub(super) struct Zero;
pub(super) struct Down;
pub(super) struct Up;

impl Mode for Near {
    const MODE: Round = Round::Near;
}

impl Mode for Zero {
    const MODE: Round = Round::Zero;
}

impl Mode for Down {
    const MODE: Round = Round::Down;
}

impl Mode for Up {
    const MODE: Round = Round::Up;
}

/// `by_mode!(d, mode, Handler<A, B>)`: the op of `Handler<A, B, _>` with this rounding mode.
macro_rules! by_mode {
    ($d:expr, $mode:expr, $handler:ident $(<$($parameter:ty),+>)?) => {{
        use $crate::isa::convert::number::{Down, Near, Up, Zero};
        match $mode {
            $crate::num::Round::Near => $d.op::<$handler<$($($parameter,)+)? Near>>(),
            $crate::num::Round::Zero => $d.op::<$handler<$($($parameter,)+)? Zero>>(),
            $crate::num::Round::Down => $d.op::<$handler<$($($parameter,)+)? Down>>(),
            $crate::num::Round::Up => $d.op::<$handler<$($($parameter,)+)? Up>>(),
        }
    }};
}
pub(super) use by_mode;

/// The flags of `Op::aux` for a source of this type.
pub(super) fn source_flags(modifiers: Modifiers, from: Number) -> u32 {
    match from.ty {
        Type::F16 => FROM_F16,
        Type::Bf16 => FROM_BF16,
        Type::F32 if modifiers.ftz => FTZ_A,
        _ => 0,
    }
}

fn widths(ends: Ends, to: Number, from: Number) -> i64 {
    Widths::new(from, to, ends.register).pack()
}

/// `cvt.irnd{.ftz}{.sat}.itype.ftype`: clamps with or without `.sat`.
pub(super) fn to_integer(
    d: &mut Decoder<'_, '_>,
    ends: Ends,
    modifiers: Modifiers,
    mode: Round,
    to: Number,
    from: Number,
) {
    let mut op = match (to.bits == 64, from.bits == 64, to.signed) {
        (false, false, true) => by_mode!(d, mode, ToWord<Single, i32>),
        (false, false, false) => by_mode!(d, mode, ToWord<Single, u32>),
        (false, true, true) => by_mode!(d, mode, ToWord<Double, i32>),
        (false, true, false) => by_mode!(d, mode, ToWord<Double, u32>),
        (true, false, true) => by_mode!(d, mode, ToWide<Single, i64>),
        (true, false, false) => by_mode!(d, mode, ToWide<Single, u64>),
        (true, true, true) => by_mode!(d, mode, ToWide<Double, i64>),
        (true, true, false) => by_mode!(d, mode, ToWide<Double, u64>),
    };
    ends.fill(&mut op);
    op.aux |= source_flags(modifiers, from);
    op.x = widths(ends, to, from);
    d.push(op);
}

/// A floating-point source: of up to 32 bits, or an f64.
trait Source {
    type Value: Copy;
    fn load(cx: &Cx<'_>, op: &Op) -> [Self::Value; 32];
    fn convert<D: convert::Integer>(x: Self::Value, mode: Round) -> D;
    /// Whether it is a NaN that does not become zero in a type of up to 32 bits.
    fn tops(x: Self::Value) -> bool;
}

struct Single;
struct Double;

impl Source for Single {
    type Value = f32;
    #[inline(always)]
    fn load(cx: &Cx<'_>, op: &Op) -> [f32; 32] {
        singles(cx, op)
    }
    #[inline(always)]
    fn convert<D: convert::Integer>(x: f32, mode: Round) -> D {
        convert::single_to_integer(x, mode)
    }
    #[inline(always)]
    fn tops(_: f32) -> bool {
        false
    }
}

impl Source for Double {
    type Value = f64;
    #[inline(always)]
    fn load(cx: &Cx<'_>, op: &Op) -> [f64; 32] {
        f64::load(&cx.warp.regs, op.a)
    }
    #[inline(always)]
    fn convert<D: convert::Integer>(x: f64, mode: Round) -> D {
        convert::double_to_integer(x, mode)
    }
    #[inline(always)]
    fn tops(x: f64) -> bool {
        x.is_nan()
    }
}

/// The type of 32 bits in which the results of narrower ones are computed.
trait Word: convert::Integer + Ord {
    fn of(value: i64) -> Self;
    fn bits(self) -> u32;
}

impl Word for i32 {
    #[inline(always)]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a value of a signed type of up to 32 bits"
    )]
    fn of(value: i64) -> Self {
        value as Self
    }
    #[inline(always)]
    fn bits(self) -> u32 {
        self.cast_unsigned()
    }
}

impl Word for u32 {
    #[inline(always)]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a value of an unsigned type of up to 32 bits"
    )]
    fn of(value: i64) -> Self {
        value as Self
    }
    #[inline(always)]
    fn bits(self) -> u32 {
        self
    }
}

/// To a type of up to 32 bits.
struct ToWord<S, W, M>(PhantomData<(S, W, M)>);

impl<S: Source, W: Word, M: Mode> Handler for ToWord<S, W, M> {
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "a type of up to 32 bits")]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let widths = Widths::of(op);
        let least = W::of(widths.to.least());
        let most = W::of(widths.to.most().cast_signed()).max(least);
        let top = widths.to.extend().apply(widths.to.top()) as u32;
        let register = widths.register() as u32;
        let source = S::load(cx, op);
        let value = lanewise!(|x in source| -> u32 {
            let clamped = S::convert::<W>(x, M::MODE).max(least).min(most).bits();
            (if S::tops(x) { top } else { clamped }) & register
        });
        if op.aux & WIDE_D == 0 {
            u32::store(&mut cx.warp.regs, op.d, cx.mask, &value);
        } else {
            let value = lanewise!(|x in value| -> u64 { u64::from(x) });
            put_integers(cx, op, widths, value);
        }
        Flow::Next
    }
}

/// To a type of 64 bits.
struct ToWide<S, D, M>(PhantomData<(S, D, M)>);

impl<S: Source, D: convert::Integer, M: Mode> Handler for ToWide<S, D, M> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let source = S::load(cx, op);
        let value = lanewise!(|x in source| -> u64 { S::convert::<D>(x, M::MODE).to_bits64() });
        u64::store(&mut cx.warp.regs, op.d, cx.mask, &value);
        Flow::Next
    }
}

/// `cvt.frnd{.ftz}{.sat}.ftype.itype`; `.ftz` says nothing, for no result is subnormal.
pub(super) fn to_float(
    d: &mut Decoder<'_, '_>,
    ends: Ends,
    modifiers: Modifiers,
    mode: Round,
    to: Number,
    from: Number,
) {
    let plain = ends.plain(to.ty, from.ty) && !modifiers.sat;
    let small = from.bits <= 16 && ends.aux & WIDE_A == 0 && !modifiers.sat;
    let large = from.bits == 64 && !from.signed;
    let mut op = match (to.ty, from.ty) {
        #[allow(clippy::cast_precision_loss, reason = "rounds to nearest")]
        (Type::F32, Type::S32) if plain && mode == Round::Near => {
            lanes!(d, |a: i32| -> f32 { a as f32 })
        }
        #[allow(clippy::cast_precision_loss, reason = "rounds to nearest")]
        (Type::F32, Type::U32) if plain && mode == Round::Near => {
            lanes!(d, |a: u32| -> f32 { a as f32 })
        }
        (Type::F64, Type::S32) if plain => lanes!(d, |a: i32| -> f64 { f64::from(a) }),
        (Type::F64, Type::U32) if plain => lanes!(d, |a: u32| -> f64 { f64::from(a) }),
        (Type::F32, _) if small => d.op::<Small<f32>>(),
        (Type::F64, _) if small => d.op::<Small<f64>>(),
        (Type::F32, _) if large => by_mode!(d, mode, ToFloat<u64, Single>),
        (Type::F32, _) => by_mode!(d, mode, ToFloat<i64, Single>),
        (Type::F64, _) if large => by_mode!(d, mode, ToFloat<u64, Double>),
        (Type::F64, _) => by_mode!(d, mode, ToFloat<i64, Double>),
        (Type::F16, _) if large => by_mode!(d, mode, ToFloat<u64, F16>),
        (Type::F16, _) => by_mode!(d, mode, ToFloat<i64, F16>),
        _ if large => by_mode!(d, mode, ToFloat<u64, Bf16>),
        _ => by_mode!(d, mode, ToFloat<i64, Bf16>),
    };
    ends.fill(&mut op);
    op.aux |= if modifiers.sat { SAT } else { 0 };
    op.x = widths(ends, to, from);
    d.push(op);
}

/// A floating-point result of an integer, which every type but u64 is an i64.
trait Target {
    fn put<A: convert::Integer>(cx: &mut Cx<'_>, op: &Op, bits: [u64; 32], mode: Round);
}

macro_rules! targets {
    ($($to:ty: $value:ty, $convert:ident, $put:expr;)*) => { $(
        impl Target for $to {
            #[inline(always)]
            fn put<A: convert::Integer>(cx: &mut Cx<'_>, op: &Op, bits: [u64; 32], mode: Round) {
                let value =
                    lanewise!(|x in bits| -> $value { convert::$convert(A::from_bits64(x), mode) });
                $put(cx, op, value);
            }
        }
    )* };
}

targets! {
    Single: f32, integer_to_single, put_single;
    Double: f64, integer_to_double, put_double;
    F16: u16, integer_to_f16, put_half::<F16>;
    Bf16: u16, integer_to_bf16, put_half::<Bf16>;
}

/// From any integer, as `A`.
struct ToFloat<A, T, M>(PhantomData<(A, T, M)>);

impl<A: convert::Integer, T: Target, M: Mode> Handler for ToFloat<A, T, M> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let widths = Widths::of(op);
        let bits = integers(cx, op, widths.from);
        T::put::<A>(cx, op, bits, M::MODE);
        Flow::Next
    }
}

/// From up to 16 bits: exact.
struct Small<T>(PhantomData<T>);

/// An f32 or f64 of a 16-bit integer.
trait OfSmall {
    fn put(cx: &mut Cx<'_>, op: &Op, value: [i32; 32]);
}

impl OfSmall for f32 {
    #[inline(always)]
    #[allow(clippy::cast_precision_loss, reason = "values of up to 16 bits")]
    fn put(cx: &mut Cx<'_>, op: &Op, value: [i32; 32]) {
        put_single(cx, op, lanewise!(|x in value| -> f32 { x as Self }));
    }
}

impl OfSmall for f64 {
    #[inline(always)]
    fn put(cx: &mut Cx<'_>, op: &Op, value: [i32; 32]) {
        put_double(cx, op, lanewise!(|x in value| -> f64 { Self::from(x) }));
    }
}

impl<T: OfSmall> Handler for Small<T> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let extend = Widths::of(op).from.extend_word();
        let value = u32::load(&cx.warp.regs, op.a);
        T::put(
            cx,
            op,
            lanewise!(|x in value| -> i32 { extend.apply(x).cast_signed() }),
        );
        Flow::Next
    }
}
