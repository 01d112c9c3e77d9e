//! The classifier on the CPU: one image after the other.

use super::Head;
use crate::ops::layernorm::norm_row;
use crate::target::cpu::Lanes;

pub(super) fn forward(
    op: &Head,
    [x, gamma, beta, weight, bias]: [&[f32]; 5],
    logits: &mut [f32],
    lanes: &Lanes,
) {
    let c = op.channels;
    for (b, logits) in logits.chunks_exact_mut(op.classes).enumerate() {
        lanes.with(c, |normed| {
            norm_row(&x[b * op.x_stride..][..c], gamma, beta, op.norm.eps, normed);
            for ((logit, row), &bias) in logits.iter_mut().zip(weight.chunks_exact(c)).zip(bias) {
                let products = normed.iter().zip(row);
                *logit = products.fold(bias, |sum, (&n, &w)| n.mul_add(w, sum));
            }
        });
    }
}
