//! The classifier on the CPU: one image after the other.

use super::Head;
use crate::cpu::Real;
use crate::ops::layernorm::norm_row;
use crate::target::cpu::Lanes;

pub(super) fn forward<T: Real>(
    op: &Head,
    [x, gamma, beta, weight, bias]: [&[T]; 5],
    logits: &mut [T],
    lanes: &Lanes<T>,
) {
    let c = op.channels;
    for (b, logits) in logits.chunks_exact_mut(op.classes).enumerate() {
        lanes.with(c, |normed| {
            norm_row(
                &x[b * op.x_stride..][..c],
                gamma,
                beta,
                T::from(op.norm.eps),
                normed,
            );
            for ((logit, row), &bias) in logits.iter_mut().zip(weight.chunks_exact(c)).zip(bias) {
                let products = normed.iter().zip(row);
                *logit = products.fold(bias, |sum, (&n, &w)| n.mul_add(w, sum));
            }
        });
    }
}
