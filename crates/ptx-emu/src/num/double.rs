//! f64 arithmetic (PTX ISA 9.7.3). Nearest results are the host's; directed ones, which only
//! intrinsics ask for, go through integers (`soft`).

use super::Round;
use super::round::directed_double;
use super::single::Property;
use super::soft;

/// The NaN that f64 arithmetic returns.
pub(crate) const NAN: f64 = f64::from_bits(0x7fff_ffff_ffff_ffff);
/// The NaN of `rcp.approx.ftz.f64` and `rsqrt.approx.ftz.f64`.
const APPROX_NAN: f64 = f64::from_bits(0x7fff_ffff_0000_0000);
const SIGN: u64 = 0x8000_0000_0000_0000;

/// Replaces any NaN by the canonical one.
#[inline(always)]
pub(crate) fn canon(x: f64) -> f64 {
    if x.is_nan() { NAN } else { x }
}

/// `canon` of a square root, see `single::canon_root`.
#[inline(always)]
fn canon_root(x: f64) -> f64 {
    let bits = x.to_bits();
    f64::from_bits(if bits & !SIGN > 0x7ff0_0000_0000_0000 {
        NAN.to_bits()
    } else {
        bits
    })
}

/// `.sat` of conversions to f64: clamps to `[+0, 1]`, NaN to +0.
#[inline(always)]
pub(crate) fn sat(x: f64) -> f64 {
    let x = if x > 0.0 { x } else { 0.0 };
    if x < 1.0 { x } else { 1.0 }
}

/// `add.rnd.f64`
#[inline(always)]
pub(crate) fn add(a: f64, b: f64, mode: Round) -> f64 {
    canon(match mode {
        Round::Near => a + b,
        _ => soft::add(a, b, mode),
    })
}

/// `sub.rnd.f64`
#[inline(always)]
pub(crate) fn sub(a: f64, b: f64, mode: Round) -> f64 {
    add(a, -b, mode)
}

/// `mul.rnd.f64`
#[inline(always)]
pub(crate) fn mul(a: f64, b: f64, mode: Round) -> f64 {
    canon(match mode {
        Round::Near => a * b,
        _ => soft::mul(a, b, mode),
    })
}

/// `fma.rnd.f64`, rounded once.
#[inline(always)]
pub(crate) fn fma(a: f64, b: f64, c: f64, mode: Round) -> f64 {
    canon(match mode {
        Round::Near => a.mul_add(b, c),
        _ => soft::fma(a, b, c, mode),
    })
}

/// `div.rnd.f64`
#[inline(always)]
pub(crate) fn div(a: f64, b: f64, mode: Round) -> f64 {
    canon(match mode {
        Round::Near => a / b,
        _ => soft::div(a, b, mode),
    })
}

/// `rcp.rnd.f64`
#[inline(always)]
pub(crate) fn rcp(a: f64, mode: Round) -> f64 {
    div(1.0, a, mode)
}

/// `sqrt.rnd.f64`
#[inline(always)]
pub(crate) fn sqrt(a: f64, mode: Round) -> f64 {
    let r = a.sqrt();
    if mode == Round::Near {
        return canon_root(r);
    }
    let (above, below) = soft::against_square(a, r);
    canon_root(directed_double(r, above, below, mode))
}

/// `abs.f64`: clears the sign; a NaN passes unchanged.
#[inline(always)]
pub(crate) fn abs(a: f64) -> f64 {
    let cleared = f64::from_bits(a.to_bits() & !SIGN);
    if a.is_nan() { a } else { cleared }
}

/// `neg.f64`: flips the sign, of a NaN too.
#[inline(always)]
pub(crate) fn neg(a: f64) -> f64 {
    f64::from_bits(a.to_bits() ^ SIGN)
}

/// `copysign.f64 d, a, b`: `b` with the sign of `a`.
#[inline(always)]
pub(crate) fn copysign(a: f64, b: f64) -> f64 {
    f64::from_bits(a.to_bits() & SIGN | b.to_bits() & !SIGN)
}

/// `testp.op.f64`
#[inline(always)]
pub(crate) fn testp(a: f64, property: Property) -> bool {
    let size = a.to_bits() & !SIGN;
    let infinite = 0x7ff0_0000_0000_0000;
    let least = 0x0010_0000_0000_0000;
    match property {
        Property::Finite => size < infinite,
        Property::Infinite => size == infinite,
        Property::Number => size <= infinite,
        Property::NotANumber => size > infinite,
        Property::Normal => size == 0 || (least..infinite).contains(&size),
        Property::Subnormal => size.wrapping_sub(1) < least - 1,
    }
}

/// The operand of the two gross approximations: its upper word, subnormal values flushed.
#[inline(always)]
fn upper_word(a: f64) -> f64 {
    let bits = a.to_bits() & 0xffff_ffff_0000_0000;
    let kept = if bits & 0x7ff0_0000_0000_0000 == 0 {
        SIGN
    } else {
        u64::MAX
    };
    f64::from_bits(bits & kept)
}

/// The result of the two gross approximations: nearest value of 20 mantissa bits, subnormal
/// results flushed.
#[inline(always)]
fn to_upper_word(r: f64) -> f64 {
    let bits = r.to_bits().wrapping_add(0x8000_0000);
    let rounded = upper_word(f64::from_bits(bits));
    if r.is_nan() { APPROX_NAN } else { rounded }
}

/// `rcp.approx.ftz.f64`: documented only as gross; here the nearest 20-bit mantissa of the
/// reciprocal of the upper word, so within 2^-21 of it.
#[inline(always)]
pub(crate) fn rcp_approx_ftz(a: f64) -> f64 {
    to_upper_word(1.0 / upper_word(a))
}

/// `rsqrt.approx.ftz.f64`: no documented bound; here within 2^-21 + 2^-52 of the reciprocal
/// square root of the upper word.
#[inline(always)]
pub(crate) fn rsqrt_approx_ftz(a: f64) -> f64 {
    to_upper_word(1.0 / upper_word(a).sqrt())
}

/// `rsqrt.approx.f64`: no documented bound; here two roundings, within 2^-52.
#[inline(always)]
pub(crate) fn rsqrt_approx(a: f64) -> f64 {
    canon_root(1.0 / a.sqrt())
}
