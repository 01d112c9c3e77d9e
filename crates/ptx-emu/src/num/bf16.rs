//! bf16 arithmetic on bit patterns (PTX ISA 9.7.4), each result rounded once.
//!
//! Sums go through f32 like those of f16 (24 bits against 8). Products have at most 16 bits: where
//! f32 does not hold one, it is below 2^-134, half of the least bf16 value, and gives zero either
//! way. Fused sums may need the bits that f32 lacks there: they are rounded to odd in f64.

use super::Round;
use super::approx;
use super::minmax;
use super::narrow::{BF16, from_bf16, relu as relu_bits, to_bf16};
use super::round::{odd, odd_double, two_sum};

/// The NaN that bf16 arithmetic returns.
pub(crate) const NAN: u16 = 0x7fff;

/// To bf16, nearest.
#[inline(always)]
fn near(x: f32) -> u16 {
    to_bf16(x, Round::Near, false)
}

/// Flushes a subnormal operand or result (`ex2.approx.ftz`).
#[inline(always)]
pub(crate) fn ftz(h: u16) -> u16 {
    if h & 0x7f80 == 0 { h & 0x8000 } else { h }
}

/// `.relu`: negative values and -0 become +0, NaN the canonical one.
#[inline(always)]
pub(crate) fn relu(h: u16) -> u16 {
    relu_bits(h, BF16)
}

/// `add.rn.bf16`
#[inline(always)]
pub(crate) fn add(a: u16, b: u16) -> u16 {
    near(from_bf16(a) + from_bf16(b))
}

/// `sub.rn.bf16`
#[inline(always)]
pub(crate) fn sub(a: u16, b: u16) -> u16 {
    near(from_bf16(a) - from_bf16(b))
}

/// `mul.rn.bf16`
#[inline(always)]
pub(crate) fn mul(a: u16, b: u16) -> u16 {
    near(from_bf16(a) * from_bf16(b))
}

/// `fma.rn.bf16`
#[inline(always)]
pub(crate) fn fma(a: u16, b: u16, c: u16) -> u16 {
    let product = f64::from(from_bf16(a)) * f64::from(from_bf16(b));
    let (s, e) = two_sum(product, f64::from(from_bf16(c)));
    near(odd(odd_double(s, e)))
}

/// `abs.bf16`: clears the sign, of a NaN too.
#[inline(always)]
pub(crate) fn abs(h: u16) -> u16 {
    h & 0x7fff
}

/// `neg.bf16`: flips the sign, of a NaN too.
#[inline(always)]
pub(crate) fn neg(h: u16) -> u16 {
    h ^ 0x8000
}

/// `min.bf16`
#[inline(always)]
pub(crate) fn min(a: u16, b: u16) -> u16 {
    near(minmax::min(from_bf16(a), from_bf16(b)))
}

/// `max.bf16`
#[inline(always)]
pub(crate) fn max(a: u16, b: u16) -> u16 {
    near(minmax::max(from_bf16(a), from_bf16(b)))
}

/// `min.NaN.bf16`
#[inline(always)]
pub(crate) fn min_nan(a: u16, b: u16) -> u16 {
    near(minmax::min_nan(from_bf16(a), from_bf16(b)))
}

/// `max.NaN.bf16`
#[inline(always)]
pub(crate) fn max_nan(a: u16, b: u16) -> u16 {
    near(minmax::max_nan(from_bf16(a), from_bf16(b)))
}

/// `.xorsign.abs`: gives `r`, a minimum or maximum of the magnitudes of `a` and `b`, the product
/// of their signs.
#[inline(always)]
pub(crate) fn xorsign(r: u16, a: u16, b: u16) -> u16 {
    if r > 0x7f80 {
        NAN
    } else {
        r | (a ^ b) & 0x8000
    }
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
