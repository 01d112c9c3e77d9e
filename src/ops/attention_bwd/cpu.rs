//! Gradient of attention on the CPU: a task is an image.

use rayon::prelude::*;

use super::AttentionBwd;
use crate::cpu::matmul::{Mat, MatMut, PANEL, Write, add_transposed, product};
use crate::cpu::{Real, math};
use crate::ops::attention::{pack_transposed, padded, softmax};
use crate::target::cpu::Lanes;

/// Query rows at a time: one call of the matrix kernel.
const ROWS: usize = 48;

/// Scratch of an image: a head's keys and values, transposed, then P and dP of some queries.
pub(super) fn lane_len(op: &AttentionBwd) -> usize {
    2 * padded(op.keys) * (op.head_dim + ROWS)
}

pub(super) fn backward<T: Real>(
    op: &AttentionBwd,
    [q, kv, dy]: [&[T]; 3],
    dq: &mut [T],
    dkv: &mut [T],
    lanes: &Lanes<T>,
) {
    let (c, m) = (op.channels(), op.keys);
    let (rows, keys) = (op.queries * c, m * 2 * c);
    dq[..op.batch * rows]
        .par_chunks_exact_mut(rows)
        .zip(dkv[..op.batch * keys].par_chunks_exact_mut(keys))
        .enumerate()
        .for_each(|(b, (dq, dkv))| {
            dkv.fill(T::ZERO);
            lanes.with(lane_len(op), |scratch| {
                for head in 0..op.heads {
                    let inputs = [
                        &q[b * rows..][..rows],
                        &kv[b * keys..][..keys],
                        &dy[b * rows..][..rows],
                    ];
                    one_head(op, head, inputs, dq, dkv, scratch);
                }
            });
        });
}

/// y [rows, Mp] = x [rows, d] · w, where `w` is packed by `pack_transposed`.
fn scores<T: Real>(x: Mat<'_, T>, w: &[T], d: usize, y: &mut MatMut<'_, T>) {
    let (rows, mp) = (y.rows(), y.cols());
    for key in (0..mp).step_by(PANEL) {
        let width = PANEL.min(mp - key);
        let panel = Mat::new(&w[key * d..], d, width, width);
        product(x, panel, y.block(0, rows, key, width), Write::Overwrite);
    }
}

fn one_head<T: Real>(
    op: &AttentionBwd,
    head: usize,
    [q, kv, dy]: [&[T]; 3],
    dq: &mut [T],
    dkv: &mut [T],
    scratch: &mut [T],
) {
    let (n, m, d, c) = (op.queries, op.keys, op.head_dim, op.channels());
    let (mp, col) = (padded(m), head * d);
    let scale = T::ONE / T::from_f64(d as f64).sqrt();
    let (packed, work) = scratch.split_at_mut(2 * mp * d);
    let (keys, values) = packed.split_at_mut(mp * d);
    let (p, dp) = work.split_at_mut(ROWS * mp);
    pack_transposed(kv, col, d, 2 * c, keys);
    pack_transposed(kv, c + col, d, 2 * c, values);
    for first in (0..n).step_by(ROWS) {
        let rows = ROWS.min(n - first);
        let at = first * c + col;
        let (q, dy) = (
            Mat::new(&q[at..], rows, d, c),
            Mat::new(&dy[at..], rows, d, c),
        );
        scores(q, keys, d, &mut MatMut::new(p, rows, mp, mp));
        scores(dy, values, d, &mut MatMut::new(dp, rows, mp, mp));
        math::simd(
            #[inline(always)]
            || {
                for r in 0..rows {
                    let (p, dp) = (&mut p[r * mp..][..mp], &mut dp[r * mp..][..mp]);
                    softmax(p, m, scale * T::LOG2_E);
                    // dP of one key is its own sum: the difference is then exactly zero
                    let delta = math::dot(&p[..m], &dp[..m]);
                    math::zip(
                        dp,
                        p,
                        #[inline(always)]
                        |dp, p| p * (dp - delta) * scale,
                    );
                }
            },
        );
        let (p, ds) = (Mat::new(p, rows, m, mp), Mat::new(dp, rows, m, mp));
        let mut dq = MatMut::new(&mut dq[at..], rows, d, c);
        for part in (0..d).step_by(PANEL) {
            let width = PANEL.min(d - part);
            let keys = Mat::new(&kv[col + part..], m, width, 2 * c);
            product(ds, keys, dq.block(0, rows, part, width), Write::Overwrite);
        }
        let mut dkv = MatMut::new(dkv, m, 2 * c, 2 * c);
        add_transposed(ds, q, &dkv.block(0, m, col, d));
        add_transposed(p, dy, &dkv.block(0, m, c + col, d));
    }
}
