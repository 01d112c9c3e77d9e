//! The MLP branch on the CPU.

use rayon::prelude::*;

use super::Mlp;
use crate::cpu::math;
use crate::cpu::matmul::{Mat, MatMut, Panels};
use crate::ops::layernorm::norm_row;
use crate::target::cpu::Lanes;

/// Rows of one task: two calls of the matrix kernel, hidden rows within the L2 cache.
pub(super) const ROWS: usize = 48;

pub(super) fn forward(op: &Mlp, weights: [&[f32]; 6], x: &mut [f32], lanes: &Lanes) {
    let [gamma, beta, w1, b1, w2, b2] = weights;
    let (c, e) = (op.channels, op.hidden);
    let (w1, w2) = (Panels::new(w1, c, e), Panels::new(w2, e, c));
    x.par_chunks_mut(ROWS * c).with_max_len(1).for_each(|x| {
        let rows = x.len() / c;
        lanes.with(rows * (c + e), |scratch| {
            let (normed, hidden) = scratch.split_at_mut(rows * c);
            math::simd(
                #[inline(always)]
                || {
                    for (x, y) in x.chunks_exact(c).zip(normed.chunks_exact_mut(c)) {
                        norm_row(x, gamma, beta, op.eps, y);
                    }
                },
            );
            for row in hidden.chunks_exact_mut(e) {
                row.copy_from_slice(b1);
            }
            let normed = Mat::new(normed, rows, c, c);
            w1.add_product(0, 0, normed, &mut MatMut::new(hidden, rows, e, e));
            math::simd(
                #[inline(always)]
                || math::gelu_all(hidden),
            );
            for row in x.chunks_exact_mut(c) {
                row.iter_mut().zip(b2).for_each(|(x, b)| *x += b);
            }
            let hidden = Mat::new(hidden, rows, e, e);
            w2.add_product(0, 0, hidden, &mut MatMut::new(x, rows, c, c));
        });
    });
}
