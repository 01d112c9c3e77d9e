//! Cross-entropy on the CPU: one image after the other, in f64.

use super::CrossEntropy;
use crate::cpu::Real;

/// The loss; `dlogits` gets the gradient.
pub(super) fn forward<T: Real>(
    op: &CrossEntropy,
    logits: &[T],
    labels: &[T],
    scale: T,
    dlogits: &mut [T],
) -> T {
    let k = op.classes;
    let smoothing = f64::from(op.smoothing);
    let factor = scale.into() / op.batch as f64;
    let mut loss = 0.0;
    for ((logits, gradient), &label) in logits
        .chunks_exact(k)
        .zip(dlogits.chunks_exact_mut(k))
        .zip(labels)
    {
        let label: f64 = label.into();
        let Some(own) = (0..k).find(|&class| (class as f64).total_cmp(&label).is_eq()) else {
            gradient.fill(T::ZERO);
            loss = f64::NAN;
            continue;
        };
        let wide = |v: &T| -> f64 { (*v).into() };
        let top = logits.iter().map(wide).fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = logits.iter().map(|v| (wide(v) - top).exp()).sum();
        let log_total = total.ln() + top;
        for (class, (logit, gradient)) in logits.iter().zip(gradient).enumerate() {
            let mut target = smoothing / k as f64;
            if class == own {
                target += 1.0 - smoothing;
            }
            let log_p = wide(logit) - log_total;
            loss -= target * log_p;
            *gradient = T::from_f64((log_p.exp() - target) * factor);
        }
    }
    T::from_f64(loss / op.batch as f64)
}
