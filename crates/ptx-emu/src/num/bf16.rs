//! bf16 arithmetic on bit patterns (PTX ISA 9.7.4), each result rounded once.
//!
//! Sums go through f32 like those of f16 (24 bits against 8). Products have at most 16 bits: where
//! f32 does not hold one, it is below 2^-134, half of the least bf16 value, and gives zero either
//! way. Fused sums may need the bits that f32 lacks there: they are rounded to odd in f64.

use super::approx;
use super::halves::arithmetic;
use super::narrow::{BF16, from_bf16, to_bf16};
use super::round::{odd, odd_double, two_sum};

arithmetic!(BF16, from_bf16, to_bf16);

/// `fma.rn.bf16`
#[inline(always)]
pub(crate) fn fma(a: u16, b: u16, c: u16) -> u16 {
    let product = f64::from(from_bf16(a)) * f64::from(from_bf16(b));
    let (s, e) = two_sum(product, f64::from(from_bf16(c)));
    near(odd(odd_double(s, e)))
}

/// `ex2.approx.ftz.bf16`: documented relative error 2^-7; here the f32 result rounded, so 2^-7.9
/// where it is normal.
#[inline(always)]
pub(crate) fn ex2_ftz(h: u16) -> u16 {
    ftz(near(approx::ex2(from_bf16(ftz(h)))))
}

/// `tanh.approx.bf16`: documented absolute error 2^-8; here the f32 result rounded, so 2^-8.9.
#[inline(always)]
pub(crate) fn tanh(h: u16) -> u16 {
    near(approx::tanh(from_bf16(h)))
}
