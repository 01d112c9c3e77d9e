//! Weights packed for the matrix kernel.

use super::{Mat, MatMut, PANEL, Write, product};
use crate::cpu::Real;

/// A weight matrix [inner, cols] in panels: columns 0..64 as [inner, 64], then 64..128, …; the last
/// panel is as narrow as it must be, so the packed size is inner·cols.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a, T> {
    data: &'a [T],
    inner: usize,
    cols: usize,
}

impl<'a, T: Real> Panels<'a, T> {
    pub(crate) fn new(data: &'a [T], inner: usize, cols: usize) -> Self {
        assert!(
            data.len() == inner * cols,
            "packed weights have the wrong size"
        );
        Self { data, inner, cols }
    }

    /// Rows `first..first + count` of the panel that starts at column `col`.
    fn panel(self, col: usize, first: usize, count: usize) -> Mat<'a, T> {
        let width = PANEL.min(self.cols - col);
        Mat::new(
            &self.data[col * self.inner + first * width..],
            count,
            width,
            width,
        )
    }

    /// y += x·w[k0.., col0..]: x [rows, inner'] against `inner'` rows of w from `k0`, for the
    /// columns from `col0` (a multiple of 64) that y has. A panel stays in cache over all rows of y.
    pub(crate) fn add_product(self, k0: usize, col0: usize, x: Mat<'_, T>, y: &mut MatMut<'_, T>) {
        let (rows, cols) = (y.rows(), y.cols());
        for col in (0..cols).step_by(PANEL) {
            let w = self.panel(col0 + col, k0, x.cols);
            product(x, w, y.block(0, rows, col, w.cols), Write::Add);
        }
    }

    /// The product x·w[.., col0..] panel by panel: `f(block, column in w, product)` gets each block of
    /// y in turn and what computes it.
    pub(crate) fn each_panel(
        self,
        col0: usize,
        x: Mat<'_, T>,
        y: &mut MatMut<'_, T>,
        mut f: impl FnMut(&mut MatMut<'_, T>, usize, &dyn Fn(&mut MatMut<'_, T>, Write)),
    ) {
        let (rows, cols) = (y.rows(), y.cols());
        for col in (0..cols).step_by(PANEL) {
            let w = self.panel(col0 + col, 0, self.inner);
            let compute = |block: &mut MatMut<'_, T>, write| {
                product(x, w, block.block(0, rows, 0, w.cols), write);
            };
            f(&mut y.block(0, rows, col, w.cols), col0 + col, &compute);
        }
    }
}

/// Packs a matrix [cols, inner] into [`Panels`]; `element(c, k)` is where element k of column c comes from in `w`.
pub(crate) fn pack<T: Real>(
    w: &[T],
    inner: usize,
    element: impl Fn(usize, usize) -> usize,
    packed: &mut [T],
) {
    let cols = w.len() / inner;
    for (p, panel) in packed.chunks_mut(PANEL * inner).enumerate() {
        let width = PANEL.min(cols - p * PANEL);
        for (k, line) in panel.chunks_exact_mut(width).enumerate() {
            for (c, v) in line.iter_mut().enumerate() {
                *v = w[element(p * PANEL + c, k)];
            }
        }
    }
}
