//! `sin.approx.f32` and `cos.approx.f32` (PTX ISA 9.7.3), `.ftz` left to the caller.
//!
//! Documented absolute error: 2^-20.5 on [-2 pi, 2 pi], 2^-14.7 on [-100 pi, 100 pi], beyond that
//! best effort. Here within 2^-24 while `|a| < 2^20`; beyond 2^20 the error grows, and beyond
//! 2^50 the result is some value of [-1, 1], the same on every machine.

use super::single::NAN;

/// `sin.approx.f32`
#[inline(always)]
pub(crate) fn sin(a: f32) -> f32 {
    quadrant(a, 0)
}

/// `cos.approx.f32`
#[inline(always)]
pub(crate) fn cos(a: f32) -> f32 {
    quadrant(a, 1)
}

/// `sin(a + turn * pi / 2)`
#[inline(always)]
fn quadrant(a: f32, turn: u64) -> f32 {
    const SHIFT: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
    const HIGH: f64 = 1.570_796_326_734_125_6; // pi / 2, upper 33 bits
    const LOW: f64 = 6.077_100_506_506_192e-11; // and the rest
    const LIMIT: f64 = 0.8; // a little over pi / 4
    let x = f64::from(a);
    let shifted = x * std::f64::consts::FRAC_2_PI + SHIFT;
    let k = shifted.to_bits().wrapping_add(turn);
    let turns = shifted - SHIFT;
    let r = x - turns * HIGH - turns * LOW;
    // Only an argument too large to be reduced leaves this range.
    let r = if r < LIMIT { r } else { LIMIT };
    let r = if r > -LIMIT { r } else { -LIMIT };
    let z = r * r;
    // Taylor series: 2^-35 absolute for the sine to r^11, 2^-33 for the cosine to r^10.
    let s = -1.0 / 39_916_800.0;
    let s = s * z + 1.0 / 362_880.0;
    let s = s * z - 1.0 / 5_040.0;
    let s = s * z + 1.0 / 120.0;
    let s = s * z - 1.0 / 6.0;
    let s = (s * z + 1.0) * r; // keeps the sign of zero
    let c = -1.0 / 3_628_800.0;
    let c = c * z + 1.0 / 40_320.0;
    let c = c * z - 1.0 / 720.0;
    let c = c * z + 1.0 / 24.0;
    let c = c * z - 0.5;
    let c = c * z + 1.0;
    let v = if k & 1 == 0 { s } else { c } as f32;
    let v = f32::from_bits(v.to_bits() ^ (((k >> 1 & 1) as u32) << 31));
    if a.is_finite() { v } else { NAN }
}
