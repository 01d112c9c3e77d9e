//! LayerNorm on the CPU.

use crate::cpu::Real;
use rayon::prelude::*;

use super::LayerNorm;
use crate::cpu::math;

/// Rows of one task.
const ROWS: usize = 64;

/// Normalises one row of C elements.
#[inline(always)]
pub(crate) fn norm_row<T: Real>(x: &[T], gamma: &[T], beta: &[T], eps: T, y: &mut [T]) {
    let c = T::from_f64(x.len() as f64);
    let mean = math::sum(x) / c;
    let rstd = T::ONE / (math::sum_of_squares_about(x, mean) / c + eps).sqrt();
    for ((y, &x), (&gamma, &beta)) in y.iter_mut().zip(x).zip(gamma.iter().zip(beta)) {
        *y = ((x - mean) * rstd).mul_add(gamma, beta);
    }
}

pub(super) fn forward<T: Real>(op: &LayerNorm, x: &[T], gamma: &[T], beta: &[T], y: &mut [T]) {
    let c = op.channels;
    y.par_chunks_mut(ROWS * c)
        .enumerate()
        .for_each(|(task, y)| {
            math::simd(
                #[inline(always)]
                || {
                    for (r, y) in y.chunks_exact_mut(c).enumerate() {
                        let x = &x[(task * ROWS + r) * op.x_stride..][..c];
                        norm_row(x, gamma, beta, T::from(op.eps), y);
                    }
                },
            );
        });
}
