//! `min` and `max` of f32 and f64: -0 is less than +0, a NaN operand gives way to a number.
//! The three-operand forms are two calls.

use super::{double, single};

/// `min.f32`
#[inline(always)]
pub(crate) fn min(a: f32, b: f32) -> f32 {
    // Equal operands are the same bits or two zeros, of which the negative one is the lesser.
    let zeros = f32::from_bits(a.to_bits() | b.to_bits());
    let least = if a < b { a } else { b };
    let least = if a == b { zeros } else { least };
    single::canon(if b.is_nan() { a } else { least })
}

/// `max.f32`
#[inline(always)]
pub(crate) fn max(a: f32, b: f32) -> f32 {
    let zeros = f32::from_bits(a.to_bits() & b.to_bits());
    let most = if a > b { a } else { b };
    let most = if a == b { zeros } else { most };
    single::canon(if b.is_nan() { a } else { most })
}

/// `min.NaN.f32`
#[inline(always)]
pub(crate) fn min_nan(a: f32, b: f32) -> f32 {
    if a.is_nan() | b.is_nan() {
        single::NAN
    } else {
        min(a, b)
    }
}

/// `max.NaN.f32`
#[inline(always)]
pub(crate) fn max_nan(a: f32, b: f32) -> f32 {
    if a.is_nan() | b.is_nan() {
        single::NAN
    } else {
        max(a, b)
    }
}

/// `.xorsign.abs`: gives `r`, a minimum or maximum of the magnitudes of `a` and `b`, the product
/// of their signs. A NaN stays canonical.
#[inline(always)]
pub(crate) fn xorsign(r: f32, a: f32, b: f32) -> f32 {
    let sign = (a.to_bits() ^ b.to_bits()) & 0x8000_0000;
    if r.is_nan() {
        single::NAN
    } else {
        f32::from_bits(r.to_bits() | sign)
    }
}

/// `min.f64`
#[inline(always)]
pub(crate) fn min_double(a: f64, b: f64) -> f64 {
    let zeros = f64::from_bits(a.to_bits() | b.to_bits());
    let least = if a < b { a } else { b };
    let least = if a == b { zeros } else { least };
    double::canon(if b.is_nan() { a } else { least })
}

/// `max.f64`
#[inline(always)]
pub(crate) fn max_double(a: f64, b: f64) -> f64 {
    let zeros = f64::from_bits(a.to_bits() & b.to_bits());
    let most = if a > b { a } else { b };
    let most = if a == b { zeros } else { most };
    double::canon(if b.is_nan() { a } else { most })
}
