//! Position tables on the CPU.

use rayon::prelude::*;

use super::PosEmbed;
use crate::cpu::Real;

pub(super) fn add<T: Real>(op: &PosEmbed, x: &[T], class: Option<&[T]>, table: &[T], y: &mut [T]) {
    let c = op.channels;
    let first = usize::from(class.is_some());
    y.par_chunks_mut((op.tokens + first) * c)
        .zip(x.par_chunks(op.tokens * c))
        .for_each(|(y, x)| {
            let (class_row, rows) = y.split_at_mut(first * c);
            if let Some(class) = class {
                add_rows(class, &table[..c], class_row);
            }
            add_rows(x, &table[first * c..], rows);
        });
}

fn add_rows<T: Real>(a: &[T], b: &[T], y: &mut [T]) {
    for (y, (a, b)) in y.iter_mut().zip(a.iter().zip(b)) {
        *y = *a + *b;
    }
}

/// The two source indices of output index `o` and the weight of the second. In f64, as the
/// positions of a large grid need more than f32 gives; the table itself is f32.
pub(crate) fn taps<T: Real>(o: usize, from: usize, to: usize) -> (usize, usize, T) {
    let source = (from as f64 / to as f64 * (o as f64 + 0.5) - 0.5).max(0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 <= source < from"
    )]
    let low = (source as usize).min(from - 1);
    let weight = T::from_f64(source - low as f64);
    (low, (low + 1).min(from - 1), weight)
}

/// A table of `c` channels on the grid `to`; the first `class_rows` rows are copied.
pub(crate) fn resize<T: Real>(
    class_rows: usize,
    from: (usize, usize),
    to: (usize, usize),
    c: usize,
    table: &[T],
    y: &mut [T],
) {
    let width = from.1;
    let (class, grid) = table.split_at(class_rows * c);
    let (class_out, grid_out) = y.split_at_mut(class_rows * c);
    class_out.copy_from_slice(class);
    let row = |v: usize, u: usize| &grid[(v * width + u) * c..][..c];
    grid_out
        .par_chunks_mut(to.1 * c)
        .enumerate()
        .for_each(|(v, line)| {
            let (v0, v1, wv) = taps::<T>(v, from.0, to.0);
            for (u, y) in line.chunks_exact_mut(c).enumerate() {
                let (u0, u1, wu) = taps::<T>(u, width, to.1);
                let corners = [row(v0, u0), row(v0, u1), row(v1, u0), row(v1, u1)];
                for (k, y) in y.iter_mut().enumerate() {
                    let [a, b, c, d] = corners.map(|corner| corner[k]);
                    let (top, bottom) = (a * (T::ONE - wu) + b * wu, c * (T::ONE - wu) + d * wu);
                    *y = top * (T::ONE - wv) + bottom * wv;
                }
            }
        });
}
