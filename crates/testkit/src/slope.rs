//! Gradients against central differences of what they are gradients of.

/// Values in -1..1 that no two neighbours share, always the same for a seed.
pub fn wave(seed: usize, count: usize) -> Vec<f64> {
    (0..count)
        .map(|i| ((i * 7 + seed * 13) as f64).mul_add(1.7, seed as f64).sin())
        .collect()
}

/// Demands that `gradient` is that of the sum of `forward(x)` times `dy` by x, to 1e-7 of the largest.
///
/// # Panics
/// Where it is not.
pub fn assert_slope(x: &[f64], gradient: &[f64], dy: &[f64], forward: impl Fn(&[f64]) -> Vec<f64>) {
    const STEP: f64 = 1e-5;
    assert_eq!(x.len(), gradient.len(), "lengths differ");
    let value = |x: &[f64]| -> f64 {
        let y = forward(x);
        assert_eq!(y.len(), dy.len(), "lengths differ");
        y.iter().zip(dy).map(|(a, b)| a * b).sum()
    };
    let most = gradient.iter().fold(1.0_f64, |m, g| m.max(g.abs()));
    let mut moved = x.to_vec();
    for (i, &exact) in gradient.iter().enumerate() {
        moved[i] = x[i] + STEP;
        let above = value(&moved);
        moved[i] = x[i] - STEP;
        let slope = (above - value(&moved)) / (2.0 * STEP);
        moved[i] = x[i];
        let off = (slope - exact).abs();
        assert!(off < 1e-7 * most, "{i}: {exact}, but the slope is {slope}");
    }
}
