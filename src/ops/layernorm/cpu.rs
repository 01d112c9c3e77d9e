//! LayerNorm on the CPU.

use rayon::prelude::*;

use super::LayerNorm;
use crate::cpu::math;

/// Rows of one task.
const ROWS: usize = 64;

/// Normalises one row of C elements.
#[inline(always)]
pub(crate) fn norm_row(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, y: &mut [f32]) {
    let c = x.len() as f32;
    let mean = math::sum(x) / c;
    let rstd = 1.0 / (math::sum_of_squares_about(x, mean) / c + eps).sqrt();
    for ((y, &x), (&gamma, &beta)) in y.iter_mut().zip(x).zip(gamma.iter().zip(beta)) {
        *y = ((x - mean) * rstd).mul_add(gamma, beta);
    }
}

pub(super) fn forward(op: &LayerNorm, x: &[f32], gamma: &[f32], beta: &[f32], y: &mut [f32]) {
    let c = op.channels;
    y.par_chunks_mut(ROWS * c)
        .enumerate()
        .for_each(|(task, y)| {
            math::simd(
                #[inline(always)]
                || {
                    for (r, y) in y.chunks_exact_mut(c).enumerate() {
                        let x = &x[(task * ROWS + r) * op.x_stride..][..c];
                        norm_row(x, gamma, beta, op.eps, y);
                    }
                },
            );
        });
}
