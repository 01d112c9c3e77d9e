//! One output, divided among tasks.

use std::marker::PhantomData;

use rayon::prelude::*;

use super::{KERNEL_ROWS, MatMut, PANEL, ROWS};
use crate::cpu::Real;

/// Rows and columns that one task computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

impl Tile {
    /// Tiling of a [rows, inner] × [inner, cols] product: at least sixteen tasks where the shape
    /// has them, rows shared out evenly in sixes, and the weights of one task within half a
    /// megabyte, so that they stay in a core's L2 cache while its rows pass. Depends on the shape
    /// alone.
    pub(crate) fn of(rows: usize, inner: usize, cols: usize) -> Self {
        const TASKS: usize = 16;
        const WEIGHTS: usize = 128 * 1024;
        let most = (WEIGHTS / inner / PANEL * PANEL).clamp(PANEL, cols.next_multiple_of(PANEL));
        let (mut row_tiles, mut tile) = (rows.div_ceil(4 * ROWS), Self { rows, cols: most });
        loop {
            tile.rows = rows.div_ceil(row_tiles).next_multiple_of(KERNEL_ROWS);
            let tasks = rows.div_ceil(tile.rows) * cols.div_ceil(tile.cols);
            if tasks >= TASKS || (tile.cols <= PANEL && tile.rows <= 2 * ROWS) {
                return tile;
            }
            if tile.cols > PANEL && (tile.cols > tile.rows || tile.rows <= 2 * ROWS) {
                tile.cols = (tile.cols / 2).next_multiple_of(PANEL);
            } else {
                row_tiles *= 2;
            }
        }
    }
}

/// Runs `f(row0, col0, block)` for every tile of `y` [rows, cols] (contiguous) on the current
/// rayon pool; tiles of one column range follow each other.
pub(crate) fn par_tiles<T: Real>(
    y: &mut [T],
    cols: usize,
    tile: Tile,
    f: impl Fn(usize, usize, MatMut<'_, T>) + Sync,
) {
    tiles_of([y], cols, tile, |row0, col0, [block]| f(row0, col0, block));
}

/// As [`par_tiles`], for two matrices of the same size at once.
pub(crate) fn par_tiles_of_two<T: Real>(
    both: [&mut [T]; 2],
    cols: usize,
    tile: Tile,
    f: impl Fn(usize, usize, [MatMut<'_, T>; 2]) + Sync,
) {
    tiles_of(both, cols, tile, f);
}

fn tiles_of<T: Real, const N: usize>(
    all: [&mut [T]; N],
    cols: usize,
    tile: Tile,
    f: impl Fn(usize, usize, [MatMut<'_, T>; N]) + Sync,
) {
    struct Shared<T, const N: usize>([*mut T; N]);
    // SAFETY: the pointers are only used to make disjoint blocks, one per matrix and task (below).
    unsafe impl<T, const N: usize> Sync for Shared<T, N> {}

    let rows = all.iter().map(|y| y.len() / cols).min().unwrap_or(0);
    let row_tiles = rows.div_ceil(tile.rows);
    let shared = Shared(all.map(<[T]>::as_mut_ptr));
    let shared = &shared;
    (0..row_tiles * cols.div_ceil(tile.cols))
        .into_par_iter()
        .with_max_len(1)
        .for_each(|i| {
            let (row0, col0) = (i % row_tiles * tile.rows, i / row_tiles * tile.cols);
            let whole: &Shared<T, N> = shared;
            let blocks = whole.0.map(|first| {
                // SAFETY: (row0, col0) is an element of the matrix.
                let first = unsafe { first.add(row0 * cols + col0) };
                MatMut {
                    first,
                    rows: tile.rows.min(rows - row0),
                    cols: tile.cols.min(cols - col0),
                    stride: cols,
                    owner: PhantomData, // all stay borrowed until all tasks are done
                }
            });
            f(row0, col0, blocks);
        });
}

#[cfg(test)]
mod tests {
    use super::Tile;

    #[test]
    fn tiles_cover_the_real_shapes_evenly() {
        for (rows, inner, cols, want) in [
            (
                3136,
                64,
                64,
                Tile {
                    rows: 186,
                    cols: 64,
                },
            ),
            (784, 128, 128, Tile { rows: 84, cols: 64 }),
            (
                196,
                320,
                1280,
                Tile {
                    rows: 102,
                    cols: 128,
                },
            ),
            (
                50,
                512,
                2048,
                Tile {
                    rows: 54,
                    cols: 128,
                },
            ),
            (50, 2048, 512, Tile { rows: 54, cols: 64 }),
        ] {
            assert_eq!(Tile::of(rows, inner, cols), want, "{rows} {inner} {cols}");
        }
    }
}
