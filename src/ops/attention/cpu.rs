//! Attention on the CPU: keys and values are packed per head, then tasks take rows of queries.

use crate::cpu::Real;
use rayon::prelude::*;

use super::Attention;
use crate::cpu::math;
use crate::cpu::matmul::Tile;
use crate::cpu::matmul::{Mat, MatMut, PANEL, Write, par_tiles, product};
use crate::target::cpu::Lanes;

/// Keys rounded up to whole 512-bit registers; the matrix kernel would copy anything else.
pub(crate) fn padded(keys: usize) -> usize {
    keys.next_multiple_of(16)
}

/// Query rows of one task: multiples of the matrix kernel's six, fewer where the image is small.
pub(super) fn rows(op: &Attention) -> usize {
    match op.batch * op.queries {
        0..192 => 12,
        192..768 => 24,
        _ => 48,
    }
}

pub(super) fn forward<T: Real>(
    op: &Attention,
    q: &[T],
    kv: &[T],
    scratch: &mut [T],
    y: &mut [T],
    lanes: &Lanes<T>,
) {
    let (d, c, m) = (op.head_dim, op.channels(), op.keys);
    let mp = padded(m);
    let per_head = d * (mp + m);
    scratch
        .par_chunks_mut(per_head)
        .enumerate()
        .for_each(|(i, packed)| {
            let (b, head) = (i / op.heads, i % op.heads);
            pack_head(&kv[b * m * 2 * c..][..m * 2 * c], head * d, d, c, packed);
        });
    let scratch = &*scratch;
    let scale = T::LOG2_E / T::from_f64(d as f64).sqrt();
    y.par_chunks_mut(op.queries * c)
        .enumerate()
        .for_each(|(b, y)| {
            let tile = Tile {
                rows: rows(op),
                cols: c,
            };
            par_tiles(y, c, tile, |row0, _, mut y| {
                let rows = y.rows();
                lanes.with(rows * mp, |scores| {
                    for head in 0..op.heads {
                        let (keys, values) = scratch[(b * op.heads + head) * per_head..]
                            [..per_head]
                            .split_at(d * mp);
                        let q = Mat::new(&q[(b * op.queries + row0) * c + head * d..], rows, d, c);
                        let mut s = MatMut::new(scores, rows, mp, mp);
                        for key in (0..mp).step_by(PANEL) {
                            let width = PANEL.min(mp - key);
                            let panel = Mat::new(&keys[key * d..], d, width, width);
                            product(q, panel, s.block(0, rows, key, width), Write::Overwrite);
                        }
                        math::simd(
                            #[inline(always)]
                            || {
                                for r in 0..rows {
                                    softmax(s.row(r), m, scale);
                                }
                            },
                        );
                        let p = Mat::new(scores, rows, m, mp);
                        for col in (0..d).step_by(PANEL) {
                            let width = PANEL.min(d - col);
                            let v = Mat::new(&values[col * m..], m, width, width);
                            product(
                                p,
                                v,
                                y.block(0, rows, head * d + col, width),
                                Write::Overwrite,
                            );
                        }
                    }
                });
            });
        });
}

/// Keys of one head, transposed, in panels [d, 64] (padded keys are zero), then its values in
/// panels [M, 64].
fn pack_head<T: Real>(kv: &[T], col: usize, d: usize, c: usize, packed: &mut [T]) {
    let m = kv.len() / (2 * c);
    let (keys, values) = packed.split_at_mut(d * padded(m));
    pack_transposed(kv, col, d, 2 * c, keys);
    for (p, panel) in values.chunks_mut(PANEL * m).enumerate() {
        let width = panel.len() / m;
        for (j, row) in panel.chunks_exact_mut(width).enumerate() {
            row.copy_from_slice(&kv[j * 2 * c + c + col + p * PANEL..][..width]);
        }
    }
}

/// `d` columns from `col` on of rows `stride` apart, transposed, in panels of 64 rows; those of the padding are zero.
pub(crate) fn pack_transposed<T: Real>(
    x: &[T],
    col: usize,
    d: usize,
    stride: usize,
    packed: &mut [T],
) {
    let m = x.len() / stride;
    for (p, panel) in packed.chunks_mut(PANEL * d).enumerate() {
        let width = panel.len() / d;
        for j in 0..width {
            let row = p * PANEL + j;
            for i in 0..d {
                panel[i * width + j] = if row < m {
                    x[row * stride + col + i]
                } else {
                    T::ZERO
                };
            }
        }
    }
}

/// In place: the first `keys` elements of the row become softmax(row · scale), where `scale` includes
/// log2 e, as powers are of two. The padding behind them becomes 2^-126, which no sum notices.
#[inline(always)]
pub(crate) fn softmax<T: Real>(row: &mut [T], keys: usize, scale: T) {
    row[keys..].fill(T::NEG_INFINITY);
    let top = math::max(row);
    math::map(
        row,
        #[inline(always)]
        |v| ((v - top) * scale).exp2(),
    );
    let share = T::ONE / math::sum(row);
    math::map(
        row,
        #[inline(always)]
        |v| v * share,
    );
}
