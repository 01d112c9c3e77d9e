//! `cvt` between floating-point types, one value at a time.

use std::marker::PhantomData;

use super::number::{Mode, by_mode, source_flags};
use super::registers::{
    Bf16, Ends, F16, FINITE, FTZ_D, Half, RELU, SAT, lanewise, put_double, put_half, put_single,
    singles,
};
use super::{Modifiers, Number};
use crate::ast::Type;
use crate::decode::Decoder;
use crate::exec::{Cx, Flow};
use crate::isa::lanes;
use crate::lanes::Lane;
use crate::num::{Round, convert as num, narrow, round, single};
use crate::program::Op;
use crate::simd::{Handler, Level};

/// `cvt` from one type to another, or to integral values of the same type. `mode` is none where
/// nothing is rounded.
pub(super) fn convert(
    d: &mut Decoder<'_, '_>,
    ends: Ends,
    modifiers: Modifiers,
    mode: Option<Round>,
    to: Number,
    from: Number,
) {
    let bare = !(modifiers.ftz || modifiers.sat || modifiers.relu || modifiers.finite);
    let near = mode == Some(Round::Near);
    let mut op = if bare && ends.plain(to.ty, from.ty) {
        match (to.ty, from.ty) {
            (Type::F32, Type::F16) => lanes!(d, wide |a: u16| -> f32 { narrow::from_f16(a) }),
            (Type::F32, Type::Bf16) => lanes!(d, |a: u16| -> f32 { narrow::from_bf16(a) }),
            (Type::F16, Type::F32) if near => {
                lanes!(d, wide |a: f32| -> u16 { narrow::to_f16(a, Round::Near, false) })
            }
            (Type::Bf16, Type::F32) if near => {
                lanes!(d, |a: f32| -> u16 {
                    narrow::to_bf16(a, Round::Near, false)
                })
            }
            _ => general(d, mode, to, from),
        }
    } else {
        general(d, mode, to, from)
    };
    ends.fill(&mut op);
    op.aux |= source_flags(modifiers, from);
    let flags = [
        (modifiers.ftz && to.ty == Type::F32, FTZ_D),
        (modifiers.sat, SAT),
        (modifiers.relu, RELU),
        (modifiers.finite, FINITE),
    ];
    for (holds, flag) in flags {
        op.aux |= if holds { flag } else { 0 };
    }
    d.push(op);
}

/// The op for any registers and modifiers.
fn general(d: &Decoder<'_, '_>, mode: Option<Round>, to: Number, from: Number) -> Op {
    let Some(mode) = mode else {
        return match (to.ty, from.ty) {
            (Type::F64, Type::F64) => d.op::<DoubleAsItIs>(),
            (Type::F64, _) => d.op::<Widen>(),
            (Type::F32, _) => d.op::<SingleAsItIs>(),
            (Type::F16, _) => d.op::<HalfAsItIs<F16>>(),
            _ => d.op::<HalfAsItIs<Bf16>>(),
        };
    };
    if to == from {
        return match to.ty {
            Type::F64 => by_mode!(d, mode, DoubleIntegral),
            Type::F32 => by_mode!(d, mode, SingleIntegral),
            Type::F16 => by_mode!(d, mode, HalfIntegral<F16>),
            _ => by_mode!(d, mode, HalfIntegral<Bf16>),
        };
    }
    match (to.ty, from.ty) {
        (Type::F32, _) => by_mode!(d, mode, DoubleToSingle),
        (Type::F16, Type::F64) => by_mode!(d, mode, DoubleToHalf<F16>),
        (_, Type::F64) => by_mode!(d, mode, DoubleToHalf<Bf16>),
        (Type::F16, _) => by_mode!(d, mode, SingleToHalf<F16>),
        _ => by_mode!(d, mode, SingleToHalf<Bf16>),
    }
}

/// To f32 from f32 or narrower; NaN becomes the canonical one.
struct SingleAsItIs;

impl Handler for SingleAsItIs {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let value = singles(cx, op);
        let value = lanewise!(|x in value| -> f32 { single::canon(x) });
        put_single(cx, op, value);
        Flow::Next
    }
}

struct DoubleAsItIs;

impl Handler for DoubleAsItIs {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let value = f64::load(&cx.warp.regs, op.a);
        put_double(cx, op, value);
        Flow::Next
    }
}

/// f16 to f16, bf16 to bf16.
struct HalfAsItIs<H>(PhantomData<H>);

impl<H: Half> Handler for HalfAsItIs<H> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let value = singles(cx, op);
        let value = lanewise!(|x in value| -> u16 { H::of(x, Round::Near, false) });
        put_half::<H>(cx, op, value);
        Flow::Next
    }
}

/// To f64 from f32 or narrower.
struct Widen;

impl Handler for Widen {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let value = singles(cx, op);
        let value = lanewise!(|x in value| -> f64 { num::single_to_double(x) });
        put_double(cx, op, value);
        Flow::Next
    }
}

struct DoubleIntegral<M>(PhantomData<M>);

impl<M: Mode> Handler for DoubleIntegral<M> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let value = f64::load(&cx.warp.regs, op.a);
        let value = lanewise!(|x in value| -> f64 { num::double_integral(x, M::MODE) });
        put_double(cx, op, value);
        Flow::Next
    }
}

struct SingleIntegral<M>(PhantomData<M>);

impl<M: Mode> Handler for SingleIntegral<M> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let value = singles(cx, op);
        let value = lanewise!(|x in value| -> f32 { num::single_integral(x, M::MODE) });
        put_single(cx, op, value);
        Flow::Next
    }
}

struct HalfIntegral<H, M>(PhantomData<(H, M)>);

impl<H: Half, M: Mode> Handler for HalfIntegral<H, M> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        // An integral value next to one of the type is one of it too.
        let value = singles(cx, op);
        let value = lanewise!(|x in value| -> u16 {
            H::of(round::integral(x, M::MODE), Round::Near, false)
        });
        put_half::<H>(cx, op, value);
        Flow::Next
    }
}

struct DoubleToSingle<M>(PhantomData<M>);

impl<M: Mode> Handler for DoubleToSingle<M> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let value = f64::load(&cx.warp.regs, op.a);
        let value = lanewise!(|x in value| -> f32 { num::double_to_single(x, M::MODE) });
        put_single(cx, op, value);
        Flow::Next
    }
}

struct DoubleToHalf<H, M>(PhantomData<(H, M)>);

impl<H: Half, M: Mode> Handler for DoubleToHalf<H, M> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let value = f64::load(&cx.warp.regs, op.a);
        let value = lanewise!(|x in value| -> u16 { H::of(round::odd(x), M::MODE, false) });
        put_half::<H>(cx, op, value);
        Flow::Next
    }
}

/// To f16 or bf16 from f32 or the other one of the two.
struct SingleToHalf<H, M>(PhantomData<(H, M)>);

impl<H: Half, M: Mode> Handler for SingleToHalf<H, M> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let finite = op.aux & FINITE != 0;
        let value = singles(cx, op);
        let value = lanewise!(|x in value| -> u16 { H::of(x, M::MODE, finite) });
        put_half::<H>(cx, op, value);
        Flow::Next
    }
}
