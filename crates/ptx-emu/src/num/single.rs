//! f32 arithmetic (PTX ISA 9.7.3).

use super::Round;
use super::round::{directed, to_single, two_sum};

/// The NaN that f32 arithmetic returns.
pub(crate) const NAN: f32 = f32::from_bits(0x7fff_ffff);

/// Replaces any NaN by the canonical one.
#[inline(always)]
pub(crate) fn canon(x: f32) -> f32 {
    if x.is_nan() { NAN } else { x }
}

/// `canon` of a square root, by an integer comparison: to LLVM, a selection by whether a root is
/// NaN changes nothing, since it does not tell NaN from NaN.
#[inline(always)]
pub(crate) fn canon_root(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits(if bits & 0x7fff_ffff > 0x7f80_0000 {
        0x7fff_ffff
    } else {
        bits
    })
}

/// `.ftz` of one operand or result: subnormal values become zeros of the same sign.
#[inline(always)]
pub(crate) fn ftz(x: f32) -> f32 {
    let bits = x.to_bits();
    let kept = if bits & 0x7f80_0000 == 0 {
        0x8000_0000
    } else {
        u32::MAX
    };
    f32::from_bits(bits & kept)
}

/// `.sat`: clamps to `[+0, 1]`, NaN to +0.
#[inline(always)]
pub(crate) fn sat(x: f32) -> f32 {
    let x = if x > 0.0 { x } else { 0.0 };
    if x < 1.0 { x } else { 1.0 }
}

/// `add.rnd.f32`
#[inline(always)]
pub(crate) fn add(a: f32, b: f32, mode: Round) -> f32 {
    if mode == Round::Near {
        return canon(a + b);
    }
    let (s, e) = two_sum(f64::from(a), f64::from(b));
    let sign = (a.to_bits() | b.to_bits()) & 0x8000_0000;
    canon(zero_sign(to_single(s, e, mode), s, sign, mode))
}

/// `sub.rnd.f32`
#[inline(always)]
pub(crate) fn sub(a: f32, b: f32, mode: Round) -> f32 {
    add(a, -b, mode)
}

/// `mul.rnd.f32`
#[inline(always)]
pub(crate) fn mul(a: f32, b: f32, mode: Round) -> f32 {
    if mode == Round::Near {
        return canon(a * b);
    }
    canon(to_single(f64::from(a) * f64::from(b), 0.0, mode))
}

/// `fma.rnd.f32`, rounded once.
#[inline(always)]
pub(crate) fn fma(a: f32, b: f32, c: f32, mode: Round) -> f32 {
    if mode == Round::Near {
        return canon(a.mul_add(b, c));
    }
    // The product of two f32 values is exact in f64.
    let product = f64::from(a) * f64::from(b);
    let (s, e) = two_sum(product, f64::from(c));
    let sign = (a.to_bits() ^ b.to_bits() | c.to_bits()) & 0x8000_0000;
    canon(zero_sign(to_single(s, e, mode), s, sign, mode))
}

/// A sum that is exactly zero is +0 unless both terms are -0; in `.rm` it is -0 unless both are
/// +0. `sum`: the sum before it was rounded to `r`; `sign`: the sign bit if one of the terms has it.
#[inline(always)]
fn zero_sign(r: f32, sum: f64, sign: u32, mode: Round) -> f32 {
    let negative = if (mode == Round::Down) & (sum == 0.0) {
        sign
    } else {
        0
    };
    f32::from_bits(r.to_bits() | negative)
}

/// `div.rnd.f32`
#[inline(always)]
pub(crate) fn div(a: f32, b: f32, mode: Round) -> f32 {
    let r = a / b;
    if mode == Round::Near {
        return canon(r);
    }
    // r * b against a, exact in f64; NaN, which compares as neither, where the quotient is exact
    // because the divisor is zero or infinite.
    let back = f64::from(r) * f64::from(b);
    let a = f64::from(a);
    let (less, more) = (back < a, back > a);
    let flip = b.is_sign_negative();
    let above = (less & !flip) | (more & flip);
    let below = (more & !flip) | (less & flip);
    canon(directed(r, above, below, mode))
}

/// `rcp.rnd.f32`
#[inline(always)]
pub(crate) fn rcp(a: f32, mode: Round) -> f32 {
    div(1.0, a, mode)
}

/// `sqrt.rnd.f32`
#[inline(always)]
pub(crate) fn sqrt(a: f32, mode: Round) -> f32 {
    let r = a.sqrt();
    if mode == Round::Near {
        return canon_root(r);
    }
    let square = f64::from(r) * f64::from(r);
    let a = f64::from(a);
    canon_root(directed(r, square < a, square > a, mode))
}

/// `abs.f32`: clears the sign, of a NaN too.
#[inline(always)]
pub(crate) fn abs(a: f32) -> f32 {
    f32::from_bits(a.to_bits() & 0x7fff_ffff)
}

/// `neg.f32`: flips the sign, of a NaN too.
#[inline(always)]
pub(crate) fn neg(a: f32) -> f32 {
    f32::from_bits(a.to_bits() ^ 0x8000_0000)
}

/// `copysign.f32 d, a, b`: `b` with the sign of `a`.
#[inline(always)]
pub(crate) fn copysign(a: f32, b: f32) -> f32 {
    f32::from_bits(a.to_bits() & 0x8000_0000 | b.to_bits() & 0x7fff_ffff)
}

/// `slct.dtype.f32`: whether `a` is taken, which is where `c >= 0` (false for NaN).
#[inline(always)]
pub(crate) fn slct(c: f32) -> bool {
    c >= 0.0
}

/// `testp` properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    /// Neither infinite nor NaN.
    Finite,
    /// Infinite.
    Infinite,
    /// Not NaN.
    Number,
    /// NaN.
    NotANumber,
    /// Normal or zero.
    Normal,
    /// Subnormal.
    Subnormal,
}

impl Property {
    /// The property of a modifier written without its dot.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "finite" => Self::Finite,
            "infinite" => Self::Infinite,
            "number" => Self::Number,
            "notanumber" => Self::NotANumber,
            "normal" => Self::Normal,
            "subnormal" => Self::Subnormal,
            _ => return None,
        })
    }
}

/// `testp.op.f32`
#[inline(always)]
pub(crate) fn testp(a: f32, property: Property) -> bool {
    let size = a.to_bits() & 0x7fff_ffff;
    match property {
        Property::Finite => size < 0x7f80_0000,
        Property::Infinite => size == 0x7f80_0000,
        Property::Number => size <= 0x7f80_0000,
        Property::NotANumber => size > 0x7f80_0000,
        Property::Normal => size == 0 || (0x0080_0000..0x7f80_0000).contains(&size),
        Property::Subnormal => size.wrapping_sub(1) < 0x007f_ffff,
    }
}
