//! f16 arithmetic on bit patterns (PTX ISA 9.7.4), each result rounded once.
//!
//! f32 holds 24 bits, two more than twice the 11 of f16: sums, differences and products that are
//! rounded to f32 and then to f16 equal those rounded once (Figueroa 1995); sums in the subnormal
//! range of f16, and all products, are exact in f32.

use super::Round;
use super::approx;
use super::minmax;
use super::narrow::{F16, from_f16, relu as relu_bits, to_f16};
use super::round::{odd_single, two_sum_single};

/// The NaN that f16 arithmetic returns.
pub(crate) const NAN: u16 = 0x7fff;

/// To f16, nearest.
#[inline(always)]
fn near(x: f32) -> u16 {
    to_f16(x, Round::Near, false)
}

/// `.ftz` of one operand or result.
#[inline(always)]
pub(crate) fn ftz(h: u16) -> u16 {
    if h & 0x7c00 == 0 { h & 0x8000 } else { h }
}

/// `.sat`: clamps to `[+0, 1]`, NaN to +0.
#[inline(always)]
pub(crate) fn sat(h: u16) -> u16 {
    // Positive values order like their bits.
    let clamped = if h < 0x3c00 { h } else { 0x3c00 };
    if h > 0x7c00 { 0 } else { clamped }
}

/// `.relu`: negative values and -0 become +0, NaN the canonical one.
#[inline(always)]
pub(crate) fn relu(h: u16) -> u16 {
    relu_bits(h, F16)
}

/// `add.rn.f16`
#[inline(always)]
pub(crate) fn add(a: u16, b: u16) -> u16 {
    near(from_f16(a) + from_f16(b))
}

/// `sub.rn.f16`
#[inline(always)]
pub(crate) fn sub(a: u16, b: u16) -> u16 {
    near(from_f16(a) - from_f16(b))
}

/// `mul.rn.f16`
#[inline(always)]
pub(crate) fn mul(a: u16, b: u16) -> u16 {
    near(from_f16(a) * from_f16(b))
}

/// `fma.rn.f16`: the product is exact in f32, the sum is rounded to odd there.
#[inline(always)]
pub(crate) fn fma(a: u16, b: u16, c: u16) -> u16 {
    let (s, e) = two_sum_single(from_f16(a) * from_f16(b), from_f16(c));
    near(odd_single(s, e))
}

/// `abs.f16`: clears the sign, of a NaN too.
#[inline(always)]
pub(crate) fn abs(h: u16) -> u16 {
    h & 0x7fff
}

/// `neg.f16`: flips the sign, of a NaN too.
#[inline(always)]
pub(crate) fn neg(h: u16) -> u16 {
    h ^ 0x8000
}

/// `min.f16`
#[inline(always)]
pub(crate) fn min(a: u16, b: u16) -> u16 {
    near(minmax::min(from_f16(a), from_f16(b)))
}

/// `max.f16`
#[inline(always)]
pub(crate) fn max(a: u16, b: u16) -> u16 {
    near(minmax::max(from_f16(a), from_f16(b)))
}

/// `min.NaN.f16`
#[inline(always)]
pub(crate) fn min_nan(a: u16, b: u16) -> u16 {
    near(minmax::min_nan(from_f16(a), from_f16(b)))
}

/// `max.NaN.f16`
#[inline(always)]
pub(crate) fn max_nan(a: u16, b: u16) -> u16 {
    near(minmax::max_nan(from_f16(a), from_f16(b)))
}

/// `.xorsign.abs`: gives `r`, a minimum or maximum of the magnitudes of `a` and `b`, the product
/// of their signs.
#[inline(always)]
pub(crate) fn xorsign(r: u16, a: u16, b: u16) -> u16 {
    if r > 0x7c00 {
        NAN
    } else {
        r | (a ^ b) & 0x8000
    }
}

/// `ex2.approx.f16`: documented relative error 2^-9.9; here the f32 result rounded, so 2^-10.9
/// where the result is normal.
#[inline(always)]
pub(crate) fn ex2(h: u16) -> u16 {
    near(approx::ex2(from_f16(h)))
}

/// `tanh.approx.f16`: documented absolute error 2^-10.987; here the f32 result rounded, so
/// 2^-11.9.
#[inline(always)]
pub(crate) fn tanh(h: u16) -> u16 {
    near(approx::tanh(from_f16(h)))
}
