//! Inputs and formats.

use half::{bf16, f16};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// `len` values, even over [-1, 1), the same for the same seed.
pub(crate) fn uniform(seed: u64, len: usize) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// `len` integers below `end`, the same for the same seed.
pub(crate) fn integers(seed: u64, len: usize, end: u32) -> Vec<u32> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..len).map(|_| rng.random_range(0..end)).collect()
}

/// `len` bytes, the same for the same seed.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..len).map(|_| rng.random()).collect()
}

/// The nearest bf16, ties to even.
pub(crate) fn to_bf16(values: &[f32]) -> Vec<bf16> {
    values.iter().map(|&v| bf16::from_f32(v)).collect()
}

/// The nearest f16, ties to even.
pub(crate) fn to_f16(values: &[f32]) -> Vec<f16> {
    values.iter().map(|&v| f16::from_f32(v)).collect()
}

/// The nearest tf32 (10 bits after the point), ties away from zero, as `cvt.rna.tf32.f32` rounds.
pub(crate) fn to_tf32(values: &[f32]) -> Vec<f32> {
    const DROPPED: u32 = 13;
    let round = |v: f32| ((v.to_bits() + (1 << (DROPPED - 1))) >> DROPPED) << DROPPED;
    values.iter().map(|&v| f32::from_bits(round(v))).collect()
}

/// Any format in f64, exactly.
pub(crate) fn widen<T: Copy + Into<f64>>(values: &[T]) -> Vec<f64> {
    values.iter().map(|&v| v.into()).collect()
}

/// Checks |found - exact| <= bound for every element, and that no element is NaN.
///
/// # Panics
/// With index and values of the element that is worst in units of its bound.
#[track_caller]
pub(crate) fn assert_within(found: &[f32], exact: &[f64], bound: impl Fn(usize) -> f64) {
    assert_eq!(found.len(), exact.len(), "lengths differ");
    let mut worst = (0.0, 0);
    for (i, (&f, &e)) in found.iter().zip(exact).enumerate() {
        let excess = (f64::from(f) - e).abs() / bound(i);
        if excess.is_nan() || excess > worst.0 {
            worst = (excess, i);
        }
        if excess.is_nan() {
            break;
        }
    }
    let (excess, i) = worst;
    assert!(
        excess <= 1.0,
        "element {i}: found {}, exact {}, {excess:.3} times the bound {:e}",
        found[i],
        exact[i],
        bound(i)
    );
}
