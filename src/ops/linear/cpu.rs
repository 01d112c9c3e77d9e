//! Linear on the CPU.

use super::{Epilogue, Linear};
use crate::cpu::math;
use crate::cpu::matmul::{Mat, Panels, Tile, par_tiles};

/// Puts the bias under a row that products are then added to.
pub(crate) fn start_row(row: &mut [f32], bias: Option<&[f32]>, accumulate: bool) {
    match bias {
        Some(bias) if accumulate => row.iter_mut().zip(bias).for_each(|(y, b)| *y += b),
        Some(bias) => row.copy_from_slice(bias),
        None if accumulate => {}
        None => row.fill(0.0),
    }
}

pub(super) fn forward(op: &Linear, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let panels = Panels::new(weight, op.inner, op.cols);
    let tile = Tile::of(op.rows, op.inner, op.cols);
    par_tiles(y, op.cols, tile, |row0, col0, mut block| {
        let (rows, cols) = (block.rows(), block.cols());
        let bias = bias.map(|b| &b[col0..col0 + cols]);
        for r in 0..rows {
            start_row(block.row(r), bias, op.epilogue == Epilogue::Accumulate);
        }
        let x = Mat::new(&x[row0 * op.inner..], rows, op.inner, op.inner);
        panels.add_product(0, col0, x, &mut block);
        if op.epilogue == Epilogue::Gelu {
            math::simd(
                #[inline(always)]
                || {
                    for r in 0..rows {
                        math::gelu_all(block.row(r));
                    }
                },
            );
        }
    });
}
