//! Matrix products on the CPU: safe views over the `gemm` crate, and weights packed for it.
//!
//! The only folder with `unsafe`: the views check every extent when they are made, and tiles of one
//! output are handed out once each.
//!
//! **Bit-equality.** One output element is always the same chain of fused multiply-adds over the
//! inner dimension, whatever the rows around it, the tiling or the number of threads. The `gemm`
//! crate splits that chain only by the inner length as long as a call has at most 64 columns and
//! at least two rows of at most 64; [`product`] keeps to such calls.
//!
//! **Speed.** A weight matrix is packed once into panels of [`PANEL`] columns, which the crate then
//! reads in place. With more than 48 rows it would copy the panel again on every call.
#![allow(unsafe_code)] // checked views and disjoint tiles, explained at each block

use std::marker::PhantomData;

use super::Real;

mod panels;
mod tiles;

pub(crate) use panels::{Panels, pack};
pub(crate) use tiles::{Tile, par_tiles, par_tiles_of_two};

/// Columns of a packed weight panel: four 512-bit registers, the widest block of the AVX-512 kernel.
pub(crate) const PANEL: usize = 64;

/// Rows that the AVX-512 kernel takes at a time.
const KERNEL_ROWS: usize = 6;

/// Rows of one call: above 8 times the kernel's rows the crate would copy the panel first.
const ROWS: usize = 8 * KERNEL_ROWS;

/// A read-only row-major matrix; rows are `stride` elements apart, elements of a row adjacent.
#[derive(Clone, Copy)]
pub(crate) struct Mat<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    stride: usize,
}

/// Whether the last element of a `rows` × `cols` matrix lies within `len` elements.
fn fits(rows: usize, cols: usize, stride: usize, len: usize) -> bool {
    rows == 0 || (rows - 1).saturating_mul(stride).saturating_add(cols) <= len
}

impl<'a, T: Real> Mat<'a, T> {
    pub(crate) fn new(data: &'a [T], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(
            fits(rows, cols, stride, data.len()),
            "matrix exceeds its buffer"
        );
        Self {
            data,
            rows,
            cols,
            stride,
        }
    }

    fn rows(self, first: usize, count: usize) -> Self {
        Self::new(
            &self.data[first * self.stride..],
            count,
            self.cols,
            self.stride,
        )
    }
}

/// A writable row-major matrix that nothing else can reach while it lives.
pub(crate) struct MatMut<'a, T> {
    first: *mut T,
    rows: usize,
    cols: usize,
    stride: usize,
    owner: PhantomData<&'a mut [T]>,
}

impl<'a, T: Real> MatMut<'a, T> {
    pub(crate) fn new(data: &'a mut [T], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(
            cols <= stride && fits(rows, cols, stride, data.len()),
            "matrix exceeds its buffer"
        );
        Self {
            first: data.as_mut_ptr(),
            rows,
            cols,
            stride,
            owner: PhantomData,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    pub(crate) fn row(&mut self, r: usize) -> &mut [T] {
        assert!(r < self.rows);
        // SAFETY: r < rows, and `new` or `block` proved that all rows lie within the buffer.
        let row = unsafe { self.first.add(r * self.stride) };
        // SAFETY: `cols` elements from there are in the buffer, initialised, and reachable only
        // through `self`, which the returned borrow keeps locked.
        unsafe { std::slice::from_raw_parts_mut(row, self.cols) }
    }

    /// The rectangle from (`row`, `col`), as a matrix of its own.
    pub(crate) fn block(
        &mut self,
        row: usize,
        rows: usize,
        col: usize,
        cols: usize,
    ) -> MatMut<'_, T> {
        assert!(row + rows <= self.rows && col + cols <= self.cols);
        // SAFETY: the offset is that of an element of this matrix, or one past its last row.
        let first = unsafe { self.first.add(row * self.stride + col) };
        MatMut {
            first,
            rows,
            cols,
            stride: self.stride,
            owner: PhantomData,
        }
    }
}

/// What a product does with what stands in its output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// y = x·w
    Overwrite,
    /// y = y + x·w
    Add,
}

/// y = x·w, or y + x·w. Shapes: x [rows, inner], w [inner, cols ≤ 64], y [rows, cols].
pub(crate) fn product<T: Real>(x: Mat<'_, T>, w: Mat<'_, T>, mut y: MatMut<'_, T>, write: Write) {
    assert!(x.cols == w.rows && x.rows == y.rows && w.cols == y.cols && w.cols <= PANEL);
    if y.cols == 1 {
        return column(x, w, &mut y, write); // the crate has another order of additions for vectors
    }
    let mut first = 0;
    while first < y.rows {
        let left = y.rows - first;
        // never leave a single row for the last call: it would take the crate's vector path
        let rows = if left == ROWS + 1 {
            ROWS - KERNEL_ROWS
        } else {
            left.min(ROWS)
        };
        let x = x.rows(first, rows);
        let mut y = y.block(first, rows, 0, w.cols);
        if rows == 1 {
            // two equal rows instead of one, for the same reason
            let mut pair = [T::ZERO; 2 * PANEL];
            pair[..y.cols].copy_from_slice(y.row(0));
            pair[PANEL..PANEL + y.cols].copy_from_slice(y.row(0));
            call_rows(
                Mat {
                    rows: 2,
                    stride: 0,
                    ..x
                },
                w,
                &MatMut::new(&mut pair, 2, w.cols, PANEL),
                write,
            );
            y.row(0).copy_from_slice(&pair[..w.cols]);
        } else {
            call_rows(x, w, &y, write);
        }
        first += rows;
    }
}

/// One column: a plain dot product per row, in order.
fn column<T: Real>(x: Mat<'_, T>, w: Mat<'_, T>, y: &mut MatMut<'_, T>, write: Write) {
    for r in 0..y.rows {
        let row = &x.data[r * x.stride..][..x.cols];
        let start = if write == Write::Add {
            y.row(r)[0]
        } else {
            T::ZERO
        };
        y.row(r)[0] = row
            .iter()
            .zip(w.data.iter().step_by(w.stride))
            .fold(start, |s, (&a, &b)| s + a * b);
    }
}

/// y += xᵀ·w, the sum over the rows that both have. Shapes: x [rows, outer], w [rows, cols], y [outer, cols].
/// The same call, and so the same bits, whoever computes it.
pub(crate) fn add_transposed<T: Real>(x: Mat<'_, T>, w: Mat<'_, T>, y: &MatMut<'_, T>) {
    assert!(x.rows == w.rows && x.cols == y.rows && w.cols == y.cols);
    call((x, (1, x.stride), x.cols), w, y, Write::Add);
}

/// y = x·w with row-major views, where `x` may have stride 0 (all rows equal).
fn call_rows<T: Real>(x: Mat<'_, T>, w: Mat<'_, T>, y: &MatMut<'_, T>, write: Write) {
    call((x, (x.stride, 1), x.rows), w, y, write);
}

/// The one call into the crate: `rows` rows of x, whose elements are (from row to row, within a row) apart.
fn call<T: Real>(
    (x, (row, col), rows): (Mat<'_, T>, (usize, usize), usize),
    w: Mat<'_, T>,
    y: &MatMut<'_, T>,
    write: Write,
) {
    let stride = |s: usize| s.cast_signed();
    debug_assert!(rows == y.rows);
    // SAFETY: x, w and y were checked to lie within their buffers for exactly these rows, columns
    // and strides; y is exclusive, so it overlaps neither x nor w.
    unsafe {
        gemm::gemm(
            rows,
            y.cols,
            w.rows,
            y.first,
            1,
            stride(y.stride),
            write == Write::Add,
            x.data.as_ptr(),
            stride(col),
            stride(row),
            w.data.as_ptr(),
            1,
            stride(w.stride),
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{Mat, MatMut, PANEL, Panels, Write, pack, product};

    fn ramp(n: usize, seed: usize) -> Vec<f32> {
        (0..n)
            .map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0)
            .collect()
    }

    #[test]
    fn packed_product_matches_float64_at_awkward_sizes() {
        for (rows, inner, cols) in [
            (1, 5, 3),
            (2, 48, 64),
            (49, 64, 65),
            (97, 513, 130),
            (50, 1030, 10),
            (7, 3, 1),
        ] {
            let (x, w) = (ramp(rows * inner, 1), ramp(cols * inner, 2));
            let mut packed = vec![0.0; w.len()];
            pack(&w, inner, |c, k| c * inner + k, &mut packed);
            let mut y = vec![0.5; rows * cols];
            let mut block = MatMut::new(&mut y, rows, cols, cols);
            Panels::new(&packed, inner, cols).add_product(
                0,
                0,
                Mat::new(&x, rows, inner, inner),
                &mut block,
            );
            for r in 0..rows {
                for c in 0..cols {
                    let exact = 0.5
                        + (0..inner)
                            .map(|k| f64::from(x[r * inner + k]) * f64::from(w[c * inner + k]))
                            .sum::<f64>();
                    let found = f64::from(y[r * cols + c]);
                    assert!(
                        (found - exact).abs() < 2e-4,
                        "{rows}x{inner}x{cols} at {r},{c}: {found} {exact}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_row_has_the_same_bits_in_any_company() {
        for (inner, cols) in [(5, 3), (64, 64), (1500, 10), (700, 33), (4, 1)] {
            let (rows, x, w) = (99, ramp(99 * inner, 3), ramp(inner * cols.min(PANEL), 4));
            let w = Mat::new(&w, inner, cols, cols);
            let run = |first: usize, count: usize, write| {
                let mut y = vec![0.25; count * cols];
                let x = Mat::new(&x[first * inner..], count, inner, inner);
                product(x, w, MatMut::new(&mut y, count, cols, cols), write);
                y
            };
            for write in [Write::Overwrite, Write::Add] {
                let all = run(0, rows, write);
                for (first, count) in [(0, 1), (98, 1), (50, 49), (3, 2), (1, 97)] {
                    let part = run(first, count, write);
                    assert_eq!(
                        part,
                        all[first * cols..(first + count) * cols],
                        "{inner} {cols} {first} {count}"
                    );
                }
            }
        }
    }
}
