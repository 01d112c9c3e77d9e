//! Linear on the CPU.

use super::{Epilogue, Linear};
use crate::cpu::math;
use crate::cpu::matmul::{Mat, MatMut, Panels, Tile, Write, par_tiles};

/// One panel of a linear layer: `product` into `block`, whose first column is `col`, with bias and
/// epilogue. The block is small enough to stay in the L1 cache meanwhile.
pub(crate) fn panel(
    block: &mut MatMut<'_>,
    col: usize,
    bias: Option<&[f32]>,
    epilogue: Epilogue,
    product: impl FnOnce(&mut MatMut<'_>, Write),
) {
    let bias = bias.map(|bias| &bias[col..col + block.cols()]);
    if epilogue == Epilogue::Accumulate {
        add_bias(block, bias);
        return product(block, Write::Add);
    }
    product(block, Write::Overwrite);
    add_bias(block, bias);
    if epilogue == Epilogue::Gelu {
        math::simd(
            #[inline(always)]
            || {
                for r in 0..block.rows() {
                    math::gelu_all(block.row(r));
                }
            },
        );
    }
}

fn add_bias(block: &mut MatMut<'_>, bias: Option<&[f32]>) {
    let Some(bias) = bias else { return };
    for r in 0..block.rows() {
        for (y, b) in block.row(r).iter_mut().zip(bias) {
            *y += b;
        }
    }
}

pub(super) fn forward(op: &Linear, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let panels = Panels::new(weight, op.inner, op.cols);
    let tile = Tile::of(op.rows, op.inner, op.cols);
    par_tiles(y, op.cols, tile, |row0, col0, mut block| {
        let x = Mat::new(&x[row0 * op.inner..], block.rows(), op.inner, op.inner);
        panels.each_panel(col0, x, &mut block, |block, col, product| {
            panel(block, col, bias, op.epilogue, product);
        });
    });
}
