//! Gradients of a linear layer's parameters on the CPU: tasks are pieces of the rows and ranges of output channels.

use rayon::prelude::*;

use crate::cpu::Real;
use crate::cpu::math;
use crate::cpu::matmul::{Mat, MatMut, add_transposed};

/// Fewest rows of a piece, and most pieces.
const PIECE: usize = 256;
const PIECES: usize = 16;

/// Output channels of a task.
const CHANNELS: usize = 64;

/// Rows and columns of x, columns of dy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) rows: usize,
    pub(crate) inner: usize,
    pub(crate) cols: usize,
}

impl Sizes {
    /// Rows of a piece.
    fn piece(self) -> usize {
        self.rows.div_ceil(PIECES).max(PIECE)
    }

    /// Elements of a piece's sums: of the weight, then of the bias.
    fn sums(self) -> usize {
        self.cols * (self.inner + 1)
    }

    pub(crate) fn scratch_len(self) -> usize {
        self.rows.div_ceil(self.piece()) * self.sums()
    }
}

pub(crate) fn backward<T: Real>(
    sizes: Sizes,
    dy: &[T],
    x: &[T],
    dweight: &mut [T],
    dbias: Option<&mut [T]>,
    scratch: &mut [T],
) {
    let Sizes { inner, cols, .. } = sizes;
    let piece = sizes.piece();
    let sums = scratch.par_chunks_exact_mut(sizes.sums());
    sums.zip(dy.par_chunks(piece * cols).zip(x.par_chunks(piece * inner)))
        .for_each(|(sums, (dy, x))| piece_sums(sizes, dy, x, sums));
    let pieces = &*scratch;
    let total = |first: usize, to: &mut [T]| {
        math::simd(
            #[inline(always)]
            || {
                for sums in pieces.chunks_exact(sizes.sums()) {
                    math::zip(
                        to,
                        &sums[first..first + to.len()],
                        #[inline(always)]
                        |all, one| all + one,
                    );
                }
            },
        );
    };
    let task = CHANNELS * inner;
    let tasks = dweight[..cols * inner].par_chunks_mut(task).enumerate();
    tasks.for_each(|(at, to)| total(at * task, to));
    if let Some(dbias) = dbias {
        total(cols * inner, &mut dbias[..cols]);
    }
}

/// The sums over the rows of one piece.
fn piece_sums<T: Real>(sizes: Sizes, dy: &[T], x: &[T], sums: &mut [T]) {
    let Sizes { inner, cols, .. } = sizes;
    let rows = dy.len() / cols;
    sums.fill(T::ZERO);
    let (weight, bias) = sums.split_at_mut(cols * inner);
    let x = Mat::new(x, rows, inner, inner);
    let tasks = weight.par_chunks_mut(CHANNELS * inner).enumerate();
    tasks.for_each(|(at, to)| {
        let width = to.len() / inner;
        let dy = Mat::new(&dy[at * CHANNELS..], rows, width, cols);
        add_transposed(dy, x, &MatMut::new(to, width, inner, inner));
    });
    math::simd(
        #[inline(always)]
        || {
            for row in dy.chunks_exact(cols) {
                math::zip(
                    bias,
                    row,
                    #[inline(always)]
                    |all, one| all + one,
                );
            }
        },
    );
}
