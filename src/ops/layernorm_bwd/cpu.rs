//! Gradient of LayerNorm on the CPU: tasks are pieces of the rows, whose sums are then added in order.

use rayon::prelude::*;

use super::LayerNormBwd;
use crate::cpu::{Real, math};
use crate::target::cpu::Lanes;

/// Rows of a piece: at most as many pieces as there are rows in one.
pub(super) fn piece(rows: usize) -> usize {
    const FEWEST: usize = 64;
    rows.isqrt().max(FEWEST)
}

pub(super) fn backward<T: Real>(
    op: &LayerNormBwd,
    [x, gamma, dy]: [&[T]; 3],
    [dx, dgamma, dbeta, scratch]: [&mut [T]; 4],
    lanes: &Lanes<T>,
) {
    let (c, stride) = (op.channels, op.x_stride);
    let piece = piece(op.rows);
    let sums = scratch.par_chunks_exact_mut(2 * c);
    dx.par_chunks_mut(piece * stride)
        .zip(sums)
        .enumerate()
        .for_each(|(at, (dx, sums))| {
            lanes.with(2 * c, |row| {
                sums.fill(T::ZERO);
                math::simd(
                    #[inline(always)]
                    || {
                        let rows = piece.min(op.rows - at * piece);
                        for i in 0..rows {
                            let r = at * piece + i;
                            let x = &x[r * stride..][..c];
                            let dy = &dy[op.dy_row(r) * c..][..c];
                            let end = dx.len().min((i + 1) * stride);
                            let dx = &mut dx[i * stride..end];
                            one_row(op, [x, gamma, dy], dx, sums, row);
                        }
                    },
                );
            });
        });
    math::simd(
        #[inline(always)]
        || {
            for sums in scratch.chunks_exact(2 * c) {
                for (to, from) in [(&mut *dgamma, &sums[..c]), (&mut *dbeta, &sums[c..])] {
                    math::zip(
                        to,
                        from,
                        #[inline(always)]
                        |all, one| all + one,
                    );
                }
            }
        },
    );
}

/// One row of dx, and what it adds to the sums of dgamma and dbeta.
#[inline(always)]
fn one_row<T: Real>(
    op: &LayerNormBwd,
    [x, gamma, dy]: [&[T]; 3],
    dx: &mut [T],
    sums: &mut [T],
    scratch: &mut [T],
) {
    let c = op.channels;
    let count = T::from_f64(c as f64);
    let (normed, g) = scratch.split_at_mut(c);
    let (dgamma, dbeta) = sums.split_at_mut(c);
    let mean = math::sum(x) / count;
    let rstd = T::ONE / (math::sum_of_squares_about(x, mean) / count + T::from(op.eps)).sqrt();
    for i in 0..c {
        normed[i] = (x[i] - mean) * rstd;
        g[i] = gamma[i] * dy[i];
        dgamma[i] = dy[i].mul_add(normed[i], dgamma[i]);
        dbeta[i] += dy[i];
    }
    let (mean_g, mean_gx) = (math::sum(g) / count, math::dot(g, normed) / count);
    if !op.accumulate {
        dx.fill(T::ZERO);
    }
    for i in 0..c {
        dx[i] += rstd * ((-normed[i]).mul_add(mean_gx, g[i] - mean_g));
    }
}
