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
    match epilogue {
        Epilogue::Accumulate => {
            finish(block, bias, |v| v);
            product(block, Write::Add);
        }
        Epilogue::Store => {
            product(block, Write::Overwrite);
            finish(block, bias, |v| v);
        }
        Epilogue::Gelu(None) => {
            product(block, Write::Overwrite);
            finish(block, bias, math::gelu);
        }
        Epilogue::Gelu(Some(_)) | Epilogue::Sum(_) | Epilogue::GeluSlope(_) => {
            unreachable!("a plan of kernels")
        }
    }
}

/// Every element v of the block becomes f(v + bias).
#[inline(always)]
fn finish(block: &mut MatMut<'_>, bias: Option<&[f32]>, f: impl Fn(f32) -> f32) {
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
