//! Gradients of a patch convolution on the CPU.

use rayon::prelude::*;

use super::{PatchConvBwdData, PatchConvBwdWeight};
use crate::cpu::Real;
use crate::cpu::matmul::{Mat, MatMut, PANEL, Write, product};
use crate::ops::linear_bwd::backward;
use crate::ops::patch_conv::Pixels;
use crate::target::cpu::Lanes;

/// Patches become rows over (c, dy, dx), the order of the checkpoint; then the layer is a linear one.
pub(super) fn weight<T: Real>(
    op: &PatchConvBwdWeight,
    dy: &[T],
    x: &[T],
    [dweight, dbias, scratch]: [&mut [T]; 3],
) {
    let sizes = op.sizes();
    let (c, p, (h, w)) = (op.in_chans, op.patch, op.grid);
    let (out_h, out_w) = (h / p, w / p);
    let (patches, sums) = scratch.split_at_mut(sizes.rows * sizes.inner);
    let lines = patches.par_chunks_exact_mut(out_w * sizes.inner);
    lines.enumerate().for_each(|(line, patches)| {
        let (b, v) = (line / out_h, line % out_h);
        for (u, patch) in patches.chunks_exact_mut(sizes.inner).enumerate() {
            match op.pixels {
                Pixels::Nchw => {
                    for (run, to) in patch.chunks_exact_mut(p).enumerate() {
                        let (channel, dy) = (run / p, run % p);
                        let from = ((b * c + channel) * h + v * p + dy) * w + u * p;
                        to.copy_from_slice(&x[from..from + p]);
                    }
                }
                Pixels::Nhwc => {
                    for at in 0..p * p {
                        let token = (b * h + v * p + at / p) * w + u * p + at % p;
                        let to = patch[at..].iter_mut().step_by(p * p);
                        for (to, &from) in to.zip(&x[token * c..][..c]) {
                            *to = from;
                        }
                    }
                }
            }
        }
    });
    backward(sizes, dy, patches, dweight, Some(dbias), sums);
}

/// y (+)= x·w for any number of columns of w.
fn wide_product<T: Real>(
    x: Mat<'_, T>,
    w: (&[T], usize, usize),
    y: &mut MatMut<'_, T>,
    write: Write,
) {
    let (w, inner, stride) = w;
    let (rows, cols) = (y.rows(), y.cols());
    for col in (0..cols).step_by(PANEL) {
        let width = PANEL.min(cols - col);
        let panel = Mat::new(&w[col..], inner, width, stride);
        product(x, panel, y.block(0, rows, col, width), write);
    }
}

/// `weight` is [O, P·P·C], over (dy, dx, c) for tokens and over (c, dy, dx) for pixels.
pub(super) fn data<T: Real>(
    op: &PatchConvBwdData,
    dy: &[T],
    weight: &[T],
    dx: &mut [T],
    lanes: &Lanes<T>,
) {
    let (o, c, p, (h, w)) = (op.out_chans, op.in_chans, op.patch, op.grid);
    let (out_h, out_w) = (h / p, w / p);
    let inner = c * p * p;
    let write = if op.accumulate {
        Write::Add
    } else {
        Write::Overwrite
    };
    match op.pixels {
        Pixels::Nhwc => dx[..op.batch * h * w * c]
            .par_chunks_exact_mut(w * c)
            .enumerate()
            .for_each(|(line, dx)| {
                let (b, y) = (line / h, line % h);
                // a line of out_w patches is out_w rows of P·C neighbours; what is left fills no patch
                let whole = if y < out_h * p { out_w * p * c } else { 0 };
                if !op.accumulate {
                    dx[whole..].fill(T::ZERO);
                }
                if whole > 0 {
                    let dy = &dy[(b * out_h + y / p) * out_w * o..];
                    let dy = Mat::new(dy, out_w, o, o);
                    let columns = &weight[y % p * p * c..];
                    let mut dx = MatMut::new(dx, out_w, p * c, p * c);
                    wide_product(dy, (columns, o, inner), &mut dx, write);
                }
            }),
        Pixels::Nchw => dx[..op.batch * c * h * w]
            .par_chunks_exact_mut(c * h * w)
            .enumerate()
            .for_each(|(b, dx)| {
                if !op.accumulate {
                    dx.fill(T::ZERO);
                }
                lanes.with(out_w * inner, |patches| {
                    for v in 0..out_h {
                        let dy = Mat::new(&dy[(b * out_h + v) * out_w * o..], out_w, o, o);
                        let mut block = MatMut::new(patches, out_w, inner, inner);
                        wide_product(dy, (weight, o, inner), &mut block, Write::Overwrite);
                        for (i, from) in patches.chunks_exact(p).enumerate() {
                            let (u, run) = (i / (c * p), i % (c * p));
                            let to = (run / p * h + v * p + run % p) * w + u * p;
                            for (to, &from) in dx[to..to + p].iter_mut().zip(from) {
                                *to += from;
                            }
                        }
                    }
                });
            }),
    }
}
