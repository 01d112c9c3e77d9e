//! The MLP branch on the CPU.

use rayon::prelude::*;

use super::Mlp;
use crate::cpu::math;
use crate::cpu::matmul::{Mat, MatMut, Panels};
use crate::ops::layernorm::norm_row;
use crate::ops::linear::{Epilogue, panel};
use crate::target::cpu::Lanes;

/// Rows of one task: one call of the matrix kernel per panel, hidden rows within the L2 cache.
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
            let layer = |panels: Panels<'_>, bias, x: &[f32], y: &mut [f32], cols, epilogue| {
                let x = Mat::new(x, rows, x.len() / rows, x.len() / rows);
                let mut y = MatMut::new(y, rows, cols, cols);
                panels.each_panel(0, x, &mut y, |block, col, product| {
                    panel(block, col, Some(bias), epilogue, product);
                });
            };
            layer(w1, b1, normed, hidden, e, Epilogue::Gelu(None));
            layer(w2, b2, hidden, x, c, Epilogue::Accumulate);
        });
    });
}
