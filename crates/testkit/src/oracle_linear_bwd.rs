//! Gradients of linear layers and patch convolutions in f64, straight from their equations: plain loops.

/// Gradients of y = x·Wᵀ + b from that of y: dy [R, cols], x [R, inner], w [cols, inner] → dx, dw, db.
pub fn linear(dy: &[f64], x: &[f64], w: &[f64], inner: usize) -> [Vec<f64>; 3] {
    let cols = w.len() / inner;
    let (mut dx, mut dw, mut db) = (vec![0.0; x.len()], vec![0.0; w.len()], vec![0.0; cols]);
    for ((dy, x), dx) in dy
        .chunks_exact(cols)
        .zip(x.chunks_exact(inner))
        .zip(dx.chunks_exact_mut(inner))
    {
        for (o, g) in dy.iter().enumerate() {
            db[o] += g;
            for k in 0..inner {
                dx[k] += g * w[o * inner + k];
                dw[o * inner + k] += g * x[k];
            }
        }
    }
    [dx, dw, db]
}

/// Slope of GELU in its erf form.
pub fn gelu_slope(x: f64) -> f64 {
    let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    0.5 * (1.0 + libm::erf(x / std::f64::consts::SQRT_2)) + x * density
}

/// Gradients of a convolution with kernel = stride = p and no padding from that of its result: dy [B, ⌊H/p⌋·⌊W/p⌋, O],
/// x [B, C, H, W], w [O, C, p, p] → dx, dw, db.
pub fn patch_conv(
    dy: &[f64],
    x: &[f64],
    [n, c, h, w]: [usize; 4],
    weight: &[f64],
    p: usize,
) -> [Vec<f64>; 3] {
    let out = weight.len() / (c * p * p);
    let (mut dx, mut dw, mut db) = (vec![0.0; x.len()], vec![0.0; weight.len()], vec![0.0; out]);
    let mut grads = dy.iter();
    for image in 0..n {
        for v in 0..h / p {
            for u in 0..w / p {
                for (o, g) in grads.by_ref().take(out).enumerate() {
                    db[o] += g;
                    for ch in 0..c {
                        for i in 0..p {
                            for j in 0..p {
                                let pixel = ((image * c + ch) * h + v * p + i) * w + u * p + j;
                                let of = ((o * c + ch) * p + i) * p + j;
                                dx[pixel] += g * weight[of];
                                dw[of] += g * x[pixel];
                            }
                        }
                    }
                }
            }
        }
    }
    [dx, dw, db]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle;

    /// Numbers without a pattern, around zero.
    fn some(count: usize, seed: f64) -> Vec<f64> {
        (0..count)
            .map(|i| ((i as f64 + seed) * 12.9898).sin())
            .collect()
    }

    /// Holds a gradient to central differences of Σ dy ∘ y.
    fn held(gradient: &[f64], at: &[f64], dy: &[f64], y: impl Fn(&[f64]) -> Vec<f64>) {
        const STEP: f64 = 1e-5;
        for (i, &found) in gradient.iter().enumerate() {
            let loss = |step: f64| {
                let mut moved = at.to_vec();
                moved[i] += step;
                let y = y(&moved);
                y.iter().zip(dy).map(|(y, g)| y * g).sum::<f64>()
            };
            let slope = (loss(STEP) - loss(-STEP)) / (2.0 * STEP);
            assert!((slope - found).abs() < 1e-7, "{i}: {found}, {slope}");
        }
    }

    #[test]
    fn linear_matches_finite_differences() {
        let (rows, inner, cols) = (4, 3, 5);
        let (x, w, b) = (
            some(rows * inner, 1.0),
            some(cols * inner, 50.0),
            some(cols, 90.0),
        );
        let dy = some(rows * cols, 200.0);
        let [dx, dw, db] = linear(&dy, &x, &w, inner);
        held(&dx, &x, &dy, |x| oracle::linear(x, inner, &w, &b));
        held(&dw, &w, &dy, |w| oracle::linear(&x, inner, w, &b));
        held(&db, &b, &dy, |b| oracle::linear(&x, inner, &w, b));
    }

    #[test]
    fn gelu_slope_matches_finite_differences() {
        for x in some(40, 3.0) {
            let x = 4.0 * x;
            held(&[gelu_slope(x)], &[x], &[1.0], |x| vec![oracle::gelu(x[0])]);
        }
    }

    #[test]
    fn patch_conv_matches_finite_differences() {
        // a line and a column that no patch has
        let (sizes, p, out) = ([2, 2, 5, 7], 2, 3);
        let x = some(sizes.iter().product(), 1.0);
        let (w, b) = (some(out * 2 * p * p, 50.0), some(out, 90.0));
        let dy = some(2 * 2 * 3 * out, 200.0);
        let [dx, dw, db] = patch_conv(&dy, &x, sizes, &w, p);
        held(&dx, &x, &dy, |x| oracle::patch_conv(x, sizes, &w, &b, p));
        held(&dw, &w, &dy, |w| oracle::patch_conv(&x, sizes, w, &b, p));
        held(&db, &b, &dy, |b| oracle::patch_conv(&x, sizes, &w, b, p));
    }
}
