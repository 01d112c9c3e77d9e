//! Linear on the CPU.

use super::{Epilogue, Linear};
use crate::cpu::matmul::{Mat, MatMut, Panels, Tile, Write, par_tiles, par_tiles_of_two};
use crate::cpu::{Real, math};

/// What a linear layer reads or writes beside y; empty where its epilogue needs neither.
pub(super) enum Second<'a, T> {
    Residual(&'a [T]),
    Hidden(&'a mut [T]),
}

/// One panel of a linear layer: `product` into `block`, whose first column is `col`, with bias and
/// what follows in place. The block is small enough to stay in the L1 cache meanwhile.
pub(crate) fn panel<T: Real>(
    block: &mut MatMut<'_, T>,
    col: usize,
    bias: Option<&[T]>,
    epilogue: Epilogue,
    product: impl FnOnce(&mut MatMut<'_, T>, Write),
) {
    let bias = bias.map(|bias| &bias[col..col + block.cols()]);
    match epilogue {
        // what stands in the block is the residual
        Epilogue::Accumulate | Epilogue::Sum(_) => {
            finish(block, bias, |v| v);
            product(block, Write::Add);
        }
        Epilogue::Store | Epilogue::GeluSlope(_) => {
            product(block, Write::Overwrite);
            finish(block, bias, |v| v);
        }
        Epilogue::Gelu(_) => {
            product(block, Write::Overwrite);
            finish(block, bias, T::gelu);
        }
    }
}

/// Every element v of the block becomes f(v + bias).
#[inline(always)]
fn finish<T: Real>(block: &mut MatMut<'_, T>, bias: Option<&[T]>, f: impl Fn(T) -> T) {
    math::simd(
        #[inline(always)]
        || {
            for r in 0..block.rows() {
                match bias {
                    Some(bias) => math::zip(
                        block.row(r),
                        bias,
                        #[inline(always)]
                        |v, b| f(v + b),
                    ),
                    None => math::map(block.row(r), &f),
                }
            }
        },
    );
}

/// Every pair (v, h) of elements of two blocks becomes f(v, h).
#[inline(always)]
fn finish_both<T: Real>(
    block: &mut MatMut<'_, T>,
    hidden: &mut MatMut<'_, T>,
    f: impl Fn(T, T) -> (T, T),
) {
    math::simd(
        #[inline(always)]
        || {
            for r in 0..block.rows() {
                for (v, h) in block.row(r).iter_mut().zip(hidden.row(r)) {
                    (*v, *h) = f(*v, *h);
                }
            }
        },
    );
}

pub(super) fn forward<T: Real>(
    op: &Linear,
    [x, weight]: [&[T]; 2],
    bias: Option<&[T]>,
    second: Second<'_, T>,
    y: &mut [T],
) {
    let panels = Panels::new(weight, op.inner, op.cols);
    let tile = Tile::of(op.rows, op.inner, op.cols);
    let rows_of = |row0: usize, rows| Mat::new(&x[row0 * op.inner..], rows, op.inner, op.inner);
    match second {
        Second::Residual(residual) => par_tiles(y, op.cols, tile, |row0, col0, mut block| {
            if let Epilogue::Sum(_) = op.epilogue {
                for r in 0..block.rows() {
                    let (at, cols) = ((row0 + r) * op.cols + col0, block.cols());
                    block.row(r).copy_from_slice(&residual[at..at + cols]);
                }
            }
            let x = rows_of(row0, block.rows());
            panels.each_panel(col0, x, &mut block, |block, col, product| {
                panel(block, col, bias, op.epilogue, product);
            });
        }),
        Second::Hidden(hidden) => {
            par_tiles_of_two(
                [y, hidden],
                op.cols,
                tile,
                |row0, col0, [mut block, mut hidden]| {
                    let rows = block.rows();
                    let x = rows_of(row0, rows);
                    panels.each_panel(col0, x, &mut block, |block, col, product| {
                        panel(block, col, bias, Epilogue::Store, product);
                        let mut hidden = hidden.block(0, rows, col - col0, block.cols());
                        match op.epilogue {
                            Epilogue::GeluSlope(_) => finish_both(
                                block,
                                &mut hidden,
                                #[inline(always)]
                                |v, h| (v * h.gelu_slope(), h.gelu()),
                            ),
                            _ => finish_both(
                                block,
                                &mut hidden,
                                #[inline(always)]
                                |v, _| (v.gelu(), v),
                            ),
                        }
                    });
                },
            );
        }
    }
}
