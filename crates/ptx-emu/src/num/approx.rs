//! The approximate f32 functions (PTX ISA 9.7.3), `.ftz` left to the caller: `ex2.approx.ftz` is
//! `ftz(ex2(ftz(a)))`. Sine and cosine are in `trig`.

use super::single::{NAN, canon, canon_root};

/// `rcp.approx.f32`: documented 1 ulp; here correctly rounded.
#[inline(always)]
pub(crate) fn rcp(a: f32) -> f32 {
    canon(1.0 / a)
}

/// `sqrt.approx.f32`: documented relative error 2^-23; here correctly rounded.
#[inline(always)]
pub(crate) fn sqrt(a: f32) -> f32 {
    canon_root(a.sqrt())
}

/// `rsqrt.approx.f32`: documented relative error 2^-22.9; here two roundings, 2^-23.4.
#[inline(always)]
pub(crate) fn rsqrt(a: f32) -> f32 {
    canon_root(1.0 / a.sqrt())
}

/// `div.full.f32`: documented 2 ulp; here correctly rounded.
#[inline(always)]
pub(crate) fn div_full(a: f32, b: f32) -> f32 {
    canon(a / b)
}

/// `div.approx.f32`: `a * (1 / b)`, documented 2 ulp for `|b|` in `[2^-126, 2^126]`. For finite
/// `|b|` above 2^126 a signed zero, or NaN where `a` is infinite.
#[inline(always)]
pub(crate) fn div_approx(a: f32, b: f32) -> f32 {
    let size = b.to_bits() & 0x7fff_ffff;
    let huge = size > 0x7e80_0000;
    let sign = b.to_bits() & 0x8000_0000;
    let inverse = if huge { f32::from_bits(sign) } else { 1.0 / b };
    // A NaN divisor is no huge one.
    canon(if size > 0x7f80_0000 { NAN } else { a * inverse })
}

/// `ex2.approx.f32`: documented 2 ulp of the correctly rounded result (2^-22.5 relative in older
/// editions); here at most 1.3 ulp, 2^-23.1 relative. Subnormal results are rounded, not flushed.
#[inline(always)]
pub(crate) fn ex2(a: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0; // 1.5 * 2^23: the sum has the nearest integer in its low bits
    // Below this the result is zero anyhow.
    let x = if a > -152.0 { a } else { -152.0 };
    let shifted = x + SHIFT;
    let k = shifted.to_bits().wrapping_sub(SHIFT.to_bits()) as i32;
    let f = x - (shifted - SHIFT);
    // 2^f on [-1/2, 1/2]: minimax in relative error, 2^-28.5, exact at zero.
    let p = 1.559_467_8e-4;
    let p = p * f + 1.340_664_3e-3;
    let p = p * f + 9.617_693e-3;
    let p = p * f + 5.550_310_4e-2;
    let p = p * f + 0.240_226_52;
    let p = p * f + 0.693_147_24;
    let p = p * f + 1.0;
    // A normal result is 2^f with another exponent. A subnormal one, as bits, is an integer, to
    // which the addition of 2^23 rounds: arithmetic on subnormal values can be slow.
    let normal = p.to_bits().wrapping_add((k << 23) as u32);
    let units = p * f32::from_bits(((k + (149 + 127)) as u32) << 23);
    let small = (units + 8_388_608.0).to_bits().wrapping_sub(0x4b00_0000);
    let bits = if x < -126.0 { small } else { normal };
    let bits = if x >= 128.0 { 0x7f80_0000 } else { bits };
    let r = f32::from_bits(bits);
    if a.is_nan() { NAN } else { r }
}

/// `lg2.approx.f32`: documented absolute error 2^-22 on (0.5, 2), relative 2^-22 elsewhere; here
/// within 0.51 ulp everywhere.
#[inline(always)]
pub(crate) fn lg2(a: f32) -> f32 {
    const ROOT: u64 = 0x3fe6_a09e_667f_3bcd; // sqrt(1/2)
    const SHIFT: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
    const SCALE: f64 = 2.885_390_081_777_926_8; // 2 / ln 2
    let bits = f64::from(a).to_bits();
    let e = (bits.wrapping_sub(ROOT) as i64) >> 52;
    let m = f64::from_bits(bits.wrapping_sub((e << 52) as u64));
    let e = f64::from_bits(SHIFT.to_bits().wrapping_add(e as u64)) - SHIFT;
    // log m = 2 atanh((m - 1) / (m + 1)), m in [sqrt(1/2), sqrt(2)): the series to s^11 leaves
    // 2^-34 relative.
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let p = 1.0 / 11.0;
    let p = p * z + 1.0 / 9.0;
    let p = p * z + 1.0 / 7.0;
    let p = p * z + 1.0 / 5.0;
    let p = p * z + 1.0 / 3.0;
    let p = p * z + 1.0;
    let r = (e + SCALE * s * p) as f32;
    let r = if a == f32::INFINITY { a } else { r };
    let r = if a == 0.0 { f32::NEG_INFINITY } else { r };
    if a >= 0.0 { r } else { NAN }
}

/// `tanh.approx.f32`: documented relative error 2^-11; here within 0.6 ulp. Subnormal values pass
/// through.
#[inline(always)]
pub(crate) fn tanh(a: f32) -> f32 {
    const SHIFT: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
    const SCALE: f64 = 2.885_390_081_777_926_8; // 2 / ln 2
    let size = a.abs();
    // tanh 16 rounds to 1.
    let x = if size < 16.0 { size } else { 16.0 };
    // t = e^(2x) = 2^(k + f), and tanh x = (t - 1) / (t + 1).
    let y = f64::from(x) * SCALE;
    let shifted = y + SHIFT;
    let k = shifted.to_bits().wrapping_sub(SHIFT.to_bits());
    let f = y - (shifted - SHIFT);
    // Taylor series of 2^f to f^9, 2^-32 relative on [-1/2, 1/2].
    let p = 1.017_808_600_923_97e-7;
    let p = p * f + 1.321_548_679_014_431e-6;
    let p = p * f + 1.525_273_380_405_984e-5;
    let p = p * f + 1.540_353_039_338_161e-4;
    let p = p * f + 1.333_355_814_642_844_3e-3;
    let p = p * f + 9.618_129_107_628_477e-3;
    let p = p * f + 5.550_410_866_482_158e-2;
    let p = p * f + 0.240_226_506_959_100_7;
    let p = p * f + std::f64::consts::LN_2;
    let t = (p * f + 1.0) * f64::from_bits(k.wrapping_add(1023) << 52);
    let r = ((t - 1.0) / (t + 1.0)) as f32;
    // Where x^2 / 3 is below 2^-25, tanh x is x to within half an ulp.
    let r = if size < 2.0e-4 { size } else { r };
    let signed = f32::from_bits(r.to_bits() | a.to_bits() & 0x8000_0000);
    if a.is_nan() { NAN } else { signed }
}
