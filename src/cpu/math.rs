//! Scalar functions and row reductions that the compiler turns into vector code.
//!
//! Everything is written with a fixed number of lanes and a fixed order of additions, so a result
//! does not depend on the instruction set chosen at run time beyond fused multiply-add.

use pulp::Arch;

use super::Real;

/// Lanes of every row reduction: one 512-bit register of f32.
const LANES: usize = 16;

/// Runs `f` with the widest vector instructions of this machine.
///
/// Only what is inlined gets the wide instructions: mark the closure and everything it calls
/// `#[inline(always)]`, and use plain loops instead of `for_each`.
#[inline(always)]
pub(crate) fn simd<R>(f: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(f)
}

/// 2^x for x < 128, relative error below 2e-7 beyond the rounding of x; x below -126 gives 2^-126.
///
/// 2^n by exponent bits for the nearest integer n, times a degree-6 polynomial for the rest,
/// coefficients of Cephes' `exp2f`.
#[inline(always)]
pub(crate) fn exp2(x: f32) -> f32 {
    // 1.5 · 2^23: adding it rounds to an integer, which then stands in the low mantissa bits
    const ROUND: f32 = 12_582_912.0;
    const MANTISSA_BITS: u32 = 23;
    let x = x.max(-126.0);
    let shifted = x + ROUND;
    let f = x - (shifted - ROUND);
    let p = f.mul_add(1.535_336_2e-4, 1.339_887_4e-3);
    let p = p.mul_add(f, 9.618_437e-3);
    let p = p.mul_add(f, 5.550_332_5e-2);
    let p = p.mul_add(f, 2.402_264_8e-1);
    let p = p.mul_add(f, 6.931_472e-1);
    let p = p.mul_add(f, 1.0);
    p * f32::from_bits(
        1f32.to_bits()
            .wrapping_add(shifted.to_bits() << MANTISSA_BITS),
    )
}

/// 1/x for normal x > 0, relative error below 2e-7: a first guess from the exponent bits, then three
/// Newton steps r ← r + r·(1 − x·r), each squaring the error (at most 13 % at first). A vector division
/// takes as long as the whole rest of [`gelu`].
#[inline(always)]
fn reciprocal(x: f32) -> f32 {
    const GUESS: u32 = 0x7EF3_11C7;
    let mut r = f32::from_bits(GUESS.wrapping_sub(x.to_bits()));
    for _ in 0..3 {
        r = r.mul_add((-x).mul_add(r, 1.0), r);
    }
    r
}

/// GELU(x) = x·Φ(x) with the exact (erf) Φ; relative error below
/// 6e-7 for x > 0 and 6e-7 + 6e-8·x² for x > -12.
///
/// Φ(-a) = e^(-a²/2)·g(a) for a ≥ 0, where g(a) = erfcx(a/√2)/2 is a degree-9 polynomial without
/// constant term in t = 1/(1 + 0.21·a), fitted for relative error (1.6e-8) on 0 ≤ a ≤ 14. Working
/// from the tail keeps the relative precision that ½(1 + erf) loses for negative x.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    let a = x.abs();
    let (g, power) = tail(a);
    // x·(1 − tail) for x > 0, x·tail below: in both cases max(x, 0) − |x|·tail
    (-a).mul_add(g * power, x.max(0.0))
}

/// g(a) and e^(-a²/2) of [`gelu`].
#[inline(always)]
fn tail(a: f32) -> (f32, f32) {
    let t = reciprocal(a.mul_add(0.21, 1.0));
    let p = t.mul_add(-7.165_633e-2, 2.835_886_8e-1);
    let p = p.mul_add(t, -3.302_536e-1);
    let p = p.mul_add(t, 3.494_012_7e-1);
    let p = p.mul_add(t, -9.392_537e-2);
    let p = p.mul_add(t, 1.248_728e-1);
    let p = p.mul_add(t, 6.919_215e-2);
    let p = p.mul_add(t, 8.506_886e-2);
    let p = p.mul_add(t, 8.371_157e-2);
    (p * t, exp2(a * a * (-0.5 * std::f32::consts::LOG2_E)))
}

/// Derivative of [`gelu`]: Φ(x) + x·φ(x); absolute error below 3e-7.
///
/// φ and Φ share the power: Φ(-a) = e^(-a²/2)·g(a) as in [`gelu`].
#[inline(always)]
pub(crate) fn gelu_slope(x: f32) -> f32 {
    const INVERSE_SQRT_TWO_PI: f32 = 0.398_942_28;
    let a = x.abs();
    let (g, power) = tail(a);
    let low = g * power; // Φ(-a)
    let cumulative = if x > 0.0 { 1.0 - low } else { low };
    (x * INVERSE_SQRT_TWO_PI).mul_add(power, cumulative)
}

/// Replaces every element v by f(v).
#[inline(always)]
pub(crate) fn map<T: Real>(row: &mut [T], f: impl Fn(T) -> T) {
    for v in row {
        *v = f(*v);
    }
}

/// Replaces every element v by f(v, b), b the element of `other` at its place.
#[inline(always)]
pub(crate) fn zip<T: Real>(row: &mut [T], other: &[T], f: impl Fn(T, T) -> T) {
    for (v, &b) in row.iter_mut().zip(other) {
        *v = f(*v, b);
    }
}

/// Folds `f` over a row in [`LANES`] interleaved accumulators, then joins those pairwise.
#[inline(always)]
fn reduce<T: Real>(row: &[T], start: T, f: impl Fn(T, T) -> T, join: impl Fn(T, T) -> T) -> T {
    let mut lanes = [start; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane = f(*lane, v);
        }
    }
    for (lane, &v) in lanes.iter_mut().zip(rest) {
        *lane = f(*lane, v);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = join(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// Σ row
#[inline(always)]
pub(crate) fn sum<T: Real>(row: &[T]) -> T {
    reduce(row, T::ZERO, |a, v| a + v, |a, b| a + b)
}

/// Σ (row - mean)²
#[inline(always)]
pub(crate) fn sum_of_squares_about<T: Real>(row: &[T], mean: T) -> T {
    reduce(
        row,
        T::ZERO,
        |a, v| (v - mean).mul_add(v - mean, a),
        |a, b| a + b,
    )
}

/// Σ a·b over two rows of the same length.
#[inline(always)]
pub(crate) fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    let mut lanes = [T::ZERO; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for (lane, (&a, &b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane = a.mul_add(b, *lane);
        }
    }
    for (lane, (&a, &b)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *lane = a.mul_add(b, *lane);
    }
    sum(&lanes)
}

/// max row, which has at least one element
#[inline(always)]
pub(crate) fn max<T: Real>(row: &[T]) -> T {
    let larger = |a: T, b: T| if b > a { b } else { a };
    reduce(row, row[0], larger, larger)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::{exp2, gelu};

    #[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
    fn narrow(x: f64) -> f32 {
        x as f32
    }

    /// Relative error against the float64 libm value, over a dense sweep.
    fn worst(
        range: std::ops::Range<f64>,
        ours: impl Fn(f32) -> f32,
        exact: impl Fn(f64) -> f64,
    ) -> f64 {
        let steps = 20_000;
        (0..steps)
            .map(|i| range.start + (range.end - range.start) * f64::from(i) / f64::from(steps))
            .map(narrow)
            .map(|x| (f64::from(ours(x)) / exact(f64::from(x)) - 1.0).abs())
            .fold(0.0, f64::max)
    }

    #[test]
    fn exp2_is_within_two_units_in_the_last_place() {
        assert!(worst(-125.9..127.4, exp2, f64::exp2) < 2e-7);
        assert!(exp2(-1e30) > 0.0 && exp2(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn gelu_keeps_its_relative_precision_in_the_tail() {
        let exact = |x: f64| 0.5 * x * libm::erfc(-x / std::f64::consts::SQRT_2);
        // roundings of t, the polynomial, the power and the products: about ten of 6e-8
        assert!(worst(0.001..20.0, gelu, exact) < 6e-7);
        // and below zero those of a² and of its multiple, which the power multiplies by a²/2
        for i in 1..1200 {
            let low = f64::from(i) / -100.0;
            let bound = 6e-7 + 2.0 * 6e-8 * low * low / 2.0;
            let error = worst(low..low + 0.0099, gelu, exact);
            assert!(error < bound, "{error:e} near {low}");
        }
        assert!(gelu(0.0) == 0.0 && gelu(40.0) == 40.0);
        assert!(gelu(f32::NAN).is_nan());
        assert!(gelu(-40.0).abs() < 1e-36);
    }
}
