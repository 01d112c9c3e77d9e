//! Distances between what was found and what is right.

/// ‖found − exact‖ / ‖exact‖ in f64; the absolute norm where `exact` is all zero.
///
/// # Panics
/// Where the lengths differ.
pub fn rel_l2(found: &[f32], exact: &[f64]) -> f64 {
    assert_eq!(found.len(), exact.len(), "lengths differ");
    let (mut error, mut norm) = (0.0, 0.0);
    for (&f, &e) in found.iter().zip(exact) {
        error += (f64::from(f) - e).powi(2);
        norm += e * e;
    }
    (error / if norm > 0.0 { norm } else { 1.0 }).sqrt()
}

/// `values` in f64.
pub fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

/// ‖values‖ in f64.
pub fn norm(values: &[f32]) -> f64 {
    values
        .iter()
        .map(|&v| f64::from(v).powi(2))
        .sum::<f64>()
        .sqrt()
}
