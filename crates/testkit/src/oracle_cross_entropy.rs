//! Cross-entropy with label smoothing in f64.

/// Mean loss of logits [B, K] and its gradient, for a class of each image.
pub fn cross_entropy(logits: &[f64], labels: &[usize], smoothing: f64) -> (f64, Vec<f64>) {
    let (b, k) = (labels.len(), logits.len() / labels.len());
    let (mut loss, mut gradient) = (0.0, Vec::new());
    for (z, &label) in logits.chunks_exact(k).zip(labels) {
        let most = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = z.iter().map(|v| (v - most).exp()).sum();
        for (class, v) in z.iter().enumerate() {
            let one = if class == label { 1.0 } else { 0.0 };
            let target = smoothing / k as f64 + (1.0 - smoothing) * one;
            let log_p = v - most - total.ln();
            loss -= target * log_p / b as f64;
            gradient.push((log_p.exp() - target) / b as f64);
        }
    }
    (loss, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slope::{assert_slope, wave};

    #[test]
    fn the_gradient_is_the_slope() {
        for (labels, k) in [(vec![2, 0, 6], 7), (vec![0], 1)] {
            let logits = wave(3, labels.len() * k);
            for smoothing in [0.0, 0.1] {
                let (_, gradient) = cross_entropy(&logits, &labels, smoothing);
                let loss = |z: &[f64]| vec![cross_entropy(z, &labels, smoothing).0];
                assert_slope(&logits, &gradient, &[1.0], loss);
            }
        }
    }
}
