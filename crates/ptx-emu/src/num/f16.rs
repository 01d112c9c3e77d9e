//! f16 arithmetic on bit patterns (PTX ISA 9.7.4), each result rounded once.
//!
//! f32 holds 24 bits, two more than twice the 11 of f16: sums, differences and products that are
//! rounded to f32 and then to f16 equal those rounded once (Figueroa 1995); sums in the subnormal
//! range of f16, and all products, are exact in f32.

use super::approx;
use super::halves::arithmetic;
use super::narrow::{F16, from_f16, to_f16};
use super::round::{odd_single, two_sum_single};

arithmetic!(F16, from_f16, to_f16);

/// `.sat`: clamps to `[+0, 1]`, NaN to +0.
#[inline(always)]
pub(crate) fn sat(h: u16) -> u16 {
    // Positive values order like their bits.
    let clamped = if h < 0x3c00 { h } else { 0x3c00 };
    if h > 0x7c00 { 0 } else { clamped }
}

/// `fma.rn.f16`: the product is exact in f32, the sum is rounded to odd there.
#[inline(always)]
pub(crate) fn fma(a: u16, b: u16, c: u16) -> u16 {
    let (s, e) = two_sum_single(from_f16(a) * from_f16(b), from_f16(c));
    near(odd_single(s, e))
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
