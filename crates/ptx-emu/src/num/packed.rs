//! Pairs of halves in 32 bits: `.f16x2 .bf16x2 .s16x2 .u16x2`, and pairs made by `cvt`.

use super::Round;
use super::narrow::{to_bf16, to_f16};

/// Two halves as 32 bits, the first in the upper half.
#[inline(always)]
pub(crate) fn pack(upper: u16, lower: u16) -> u32 {
    u32::from(upper) << 16 | u32::from(lower)
}

/// Upper and lower half.
#[inline(always)]
pub(crate) fn unpack(pair: u32) -> (u16, u16) {
    ((pair >> 16) as u16, pair as u16)
}

/// Applies `f` to both halves.
#[inline(always)]
pub(crate) fn map(a: u32, f: impl Fn(u16) -> u16) -> u32 {
    let (au, al) = unpack(a);
    pack(f(au), f(al))
}

/// Applies `f` to both halves of two operands.
#[inline(always)]
pub(crate) fn map2(a: u32, b: u32, f: impl Fn(u16, u16) -> u16) -> u32 {
    let ((au, al), (bu, bl)) = (unpack(a), unpack(b));
    pack(f(au, bu), f(al, bl))
}

/// Applies `f` to both halves of three operands.
#[inline(always)]
pub(crate) fn map3(a: u32, b: u32, c: u32, f: impl Fn(u16, u16, u16) -> u16) -> u32 {
    let ((au, al), (bu, bl), (cu, cl)) = (unpack(a), unpack(b), unpack(c));
    pack(f(au, bu, cu), f(al, bl, cl))
}

/// `cvt.frnd{.satfinite}.f16x2.f32 d, a, b`: `a` goes to the upper half.
#[inline(always)]
pub(crate) fn to_f16x2(a: f32, b: f32, mode: Round, finite: bool) -> u32 {
    pack(to_f16(a, mode, finite), to_f16(b, mode, finite))
}

/// `cvt.frnd{.satfinite}.bf16x2.f32 d, a, b`: `a` goes to the upper half.
#[inline(always)]
pub(crate) fn to_bf16x2(a: f32, b: f32, mode: Round, finite: bool) -> u32 {
    pack(to_bf16(a, mode, finite), to_bf16(b, mode, finite))
}
