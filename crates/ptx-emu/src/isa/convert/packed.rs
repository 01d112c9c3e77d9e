//! `cvt` to and from pairs of halves and of 8-bit numbers, and to tf32.

use std::marker::PhantomData;

use super::Modifiers;
use super::number::{Mode, Near, Zero};
use super::registers::{
    self, Bf16, Ends, F16, FINITE, Half, RELU, WIDE_A, WIDE_B, WIDE_D, lanewise, put, result_of,
    source, word_of,
};
use crate::ast::{Instruction, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::{Cx, Flow};
use crate::isa::lanes;
use crate::lanes::Lane;
use crate::num::fp8::{self, Fp8};
use crate::num::{Round, narrow, packed};
use crate::program::Op;
use crate::simd::{Handler, Level};

/// `cvt.{rn,rz}{.relu}{.satfinite}.{f16x2,bf16x2}.f32 d, a, b`
pub(super) fn pair<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    instruction: &Instruction<'a>,
    modifiers: Modifiers,
    to: &str,
) -> Result<(), LoadError> {
    unscaled(form, modifiers)?;
    let Some(mode) = modifiers.near_or_zero() else {
        return Err(form.unsupported("it needs `.rn` or `.rz`"));
    };
    let [result, a, b] = form.operands(instruction)?;
    let brain = to == "bf16x2";
    let ty = if brain { Type::Bf16x2 } else { Type::F16x2 };
    let (a, wide_a) = source(d, form, a, Type::F32)?;
    let (b, wide_b) = source(d, form, b, Type::F32)?;
    let (result, register) = result_of(d, form, result, ty)?;
    let bare = !(modifiers.relu || modifiers.finite || wide_a || wide_b || register == 64);
    let mut op = match (brain, mode) {
        (true, Round::Near) if bare => {
            lanes!(d, wide |a: f32, b: f32| -> u32 {
                packed::to_bf16x2(a, b, Round::Near, false)
            })
        }
        (false, Round::Near) if bare => {
            lanes!(d, wide |a: f32, b: f32| -> u32 {
                packed::to_f16x2(a, b, Round::Near, false)
            })
        }
        (true, Round::Near) => d.op::<Pair<Bf16, Near>>(),
        (true, _) => d.op::<Pair<Bf16, Zero>>(),
        (false, Round::Near) => d.op::<Pair<F16, Near>>(),
        (false, _) => d.op::<Pair<F16, Zero>>(),
    };
    (op.d, op.a, op.b) = (result, a, b);
    for (holds, flag) in [
        (wide_a, WIDE_A),
        (wide_b, WIDE_B),
        (register == 64, WIDE_D),
        (modifiers.relu, RELU),
        (modifiers.finite, FINITE),
    ] {
        op.aux |= if holds { flag } else { 0 };
    }
    d.push(op);
    Ok(())
}

/// An error for `.ftz` and `.sat`, which these conversions do not have.
fn unscaled(form: &Form<'_>, modifiers: Modifiers) -> Result<(), LoadError> {
    if modifiers.ftz || modifiers.sat {
        return Err(form.unsupported("it takes neither `.ftz` nor `.sat`"));
    }
    Ok(())
}

struct Pair<H, M>(PhantomData<(H, M)>);

impl<H: Half, M: Mode> Handler for Pair<H, M> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let finite = op.aux & FINITE != 0;
        let upper = word_of(cx, op.a, op.aux & WIDE_A != 0);
        let lower = word_of(cx, op.b, op.aux & WIDE_B != 0);
        let mut value = lanewise!(|a in upper, b in lower| -> u32 {
            let (a, b) = (f32::from_bits(a), f32::from_bits(b));
            packed::pack(H::of(a, M::MODE, finite), H::of(b, M::MODE, finite))
        });
        if op.aux & RELU != 0 {
            value = lanewise!(|x in value| -> u32 {
                packed::pack(H::relu(packed::upper(x)), H::relu(packed::lower(x)))
            });
        }
        put(cx, op, &value);
        Flow::Next
    }
}

/// `cvt.rna{.satfinite}.tf32.f32`, `cvt.{rn,rz}{.relu}.tf32.f32`
pub(super) fn tf32<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    instruction: &Instruction<'a>,
    modifiers: Modifiers,
) -> Result<(), LoadError> {
    unscaled(form, modifiers)?;
    let Ends { d: to, a, aux, .. } = registers::ends(d, form, instruction, Type::Tf32, Type::F32)?;
    let away = modifiers.rounding == Some("rna");
    if away && modifiers.relu {
        return Err(form.unsupported("`.relu` goes with `.rn` and `.rz`"));
    }
    if !away && modifiers.finite {
        return Err(form.unsupported("`.satfinite` with `.rn` or `.rz`, which starts with sm_100"));
    }
    let mut op = match modifiers.near_or_zero() {
        _ if away && !modifiers.finite && aux == 0 => {
            lanes!(d, |a: f32| -> u32 { narrow::to_tf32_away(a, false) })
        }
        _ if away => d.op::<Away>(),
        Some(Round::Near) => d.op::<Tf32<Near>>(),
        Some(_) => d.op::<Tf32<Zero>>(),
        None => return Err(form.unsupported("it needs `.rna`, `.rn` or `.rz`")),
    };
    (op.d, op.a, op.aux) = (to, a, aux);
    op.aux |= if modifiers.relu { RELU } else { 0 };
    op.aux |= if modifiers.finite { FINITE } else { 0 };
    d.push(op);
    Ok(())
}

struct Away;

impl Handler for Away {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let finite = op.aux & FINITE != 0;
        let value = registers::words(cx, op);
        let value = lanewise!(|x in value| -> u32 {
            narrow::to_tf32_away(f32::from_bits(x), finite)
        });
        put(cx, op, &value);
        Flow::Next
    }
}

struct Tf32<M>(PhantomData<M>);

impl<M: Mode> Handler for Tf32<M> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let value = registers::words(cx, op);
        let mut value = lanewise!(|x in value| -> u32 {
            narrow::to_tf32(f32::from_bits(x), M::MODE, false)
        });
        if op.aux & RELU != 0 {
            value = lanewise!(|x in value| -> u32 { narrow::relu_tf32(x) });
        }
        put(cx, op, &value);
        Flow::Next
    }
}

/// A format of 8 bits as a type.
trait Byte {
    const FORMAT: Fp8;
}

struct E4m3;
struct E5m2;

impl Byte for E4m3 {
    const FORMAT: Fp8 = Fp8::E4m3;
}

impl Byte for E5m2 {
    const FORMAT: Fp8 = Fp8::E5m2;
}

/// `cvt.rn.satfinite{.relu}.{e4m3x2,e5m2x2}.f32 d, a, b` and `….f16x2 d, a`
pub(super) fn to_bytes<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    instruction: &Instruction<'a>,
    modifiers: Modifiers,
    to: &str,
    from: &str,
) -> Result<(), LoadError> {
    unscaled(form, modifiers)?;
    if modifiers.rounding != Some("rn") || !modifiers.finite {
        return Err(form.unsupported("it needs `.rn` and `.satfinite`"));
    }
    let mut op = match (to, from) {
        ("e4m3x2", "f32") => d.op::<SinglesToBytes<E4m3>>(),
        ("e4m3x2", "f16x2") => d.op::<HalvesToBytes<E4m3>>(),
        (_, "f32") => d.op::<SinglesToBytes<E5m2>>(),
        (_, "f16x2") => d.op::<HalvesToBytes<E5m2>>(),
        (_, "bf16x2") => return Err(form.unsupported("from `.bf16x2`, which starts with sm_100")),
        _ => return Err(form.unsupported("it converts from `.f32` or `.f16x2`")),
    };
    op.aux |= if modifiers.relu { RELU } else { 0 };
    let result = if from == "f32" {
        let [result, a, b] = form.operands(instruction)?;
        let (a, wide_a) = source(d, form, a, Type::F32)?;
        let (b, wide_b) = source(d, form, b, Type::F32)?;
        (op.a, op.b) = (a, b);
        op.aux |= if wide_a { WIDE_A } else { 0 } | if wide_b { WIDE_B } else { 0 };
        result
    } else {
        let [result, a] = form.operands(instruction)?;
        op.a = source(d, form, a, Type::F16x2)?.0;
        result
    };
    op.d = exactly(d, form, result)?;
    d.push(op);
    Ok(())
}

/// The slot of a result in a register of 16 bits.
fn exactly<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    operand: &crate::ast::Operand<'a>,
) -> Result<u32, LoadError> {
    let (slot, register) = result_of(d, form, operand, Type::B16)?;
    if register == 16 {
        Ok(slot)
    } else {
        Err(form.operand(format!("a register of {register} bits"), "one of 16"))
    }
}

struct SinglesToBytes<B>(PhantomData<B>);

impl<B: Byte> Handler for SinglesToBytes<B> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let relu = op.aux & RELU != 0;
        let upper = word_of(cx, op.a, op.aux & WIDE_A != 0);
        let lower = word_of(cx, op.b, op.aux & WIDE_B != 0);
        let value = lanewise!(|a in upper, b in lower| -> u16 {
            fp8::to_fp8x2(f32::from_bits(a), f32::from_bits(b), relu, B::FORMAT)
        });
        u16::store(&mut cx.warp.regs, op.d, cx.mask, &value);
        Flow::Next
    }
}

struct HalvesToBytes<B>(PhantomData<B>);

impl<B: Byte> Handler for HalvesToBytes<B> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let relu = op.aux & RELU != 0;
        let value = u32::load(&cx.warp.regs, op.a);
        let value = lanewise!(|x in value| -> u16 { fp8::from_f16x2(x, relu, B::FORMAT) });
        u16::store(&mut cx.warp.regs, op.d, cx.mask, &value);
        Flow::Next
    }
}

/// `cvt.rn{.relu}.f16x2.{e4m3x2,e5m2x2} d, a`
pub(super) fn from_bytes<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    instruction: &Instruction<'a>,
    modifiers: Modifiers,
    from: &str,
) -> Result<(), LoadError> {
    unscaled(form, modifiers)?;
    if modifiers.rounding != Some("rn") || modifiers.finite {
        return Err(form.unsupported("it needs `.rn`, and takes no `.satfinite`"));
    }
    let [result, a] = form.operands(instruction)?;
    let (to, register) = result_of(d, form, result, Type::F16x2)?;
    if register != 32 {
        return Err(form.operand(format!("a register of {register} bits"), "one of 32"));
    }
    let mut op = if from == "e4m3x2" {
        d.op::<Halves<E4m3>>()
    } else {
        d.op::<Halves<E5m2>>()
    };
    op.a = exactly(d, form, a)?;
    op.d = to;
    op.aux |= if modifiers.relu { RELU } else { 0 };
    d.push(op);
    Ok(())
}

struct Halves<B>(PhantomData<B>);

impl<B: Byte> Handler for Halves<B> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let relu = op.aux & RELU != 0;
        let value = u16::load(&cx.warp.regs, op.a);
        let value = lanewise!(|x in value| -> u32 { fp8::to_f16x2(x, relu, B::FORMAT) });
        u32::store(&mut cx.warp.regs, op.d, cx.mask, &value);
        Flow::Next
    }
}
