//! Patch convolution on the CPU: one task is one line of patches and a range of output channels.

use super::{PatchConv, Pixels};
use crate::cpu::Real;
use crate::cpu::matmul::{Mat, PANEL, Panels, Tile, par_tiles};
use crate::target::cpu::Lanes;

/// Tasks below which output channels are split as well.
const TASKS: usize = 16;

pub(super) fn forward<T: Real>(
    op: &PatchConv,
    x: &[T],
    weight: &[T],
    bias: &[T],
    y: &mut [T],
    lanes: &Lanes<T>,
) {
    let (out_h, out_w) = op.out_grid();
    let (c, p, (h, w)) = (op.in_chans, op.patch, op.grid);
    let panels = Panels::new(weight, op.inner(), op.out_chans);
    let lines = op.batch * out_h;
    let cols = if lines < TASKS {
        PANEL
    } else {
        op.out_chans.next_multiple_of(PANEL)
    };
    par_tiles(
        y,
        op.out_chans,
        Tile { rows: out_w, cols },
        |row0, col0, mut block| {
            for r in 0..block.rows() {
                let cols = block.cols();
                block.row(r).copy_from_slice(&bias[col0..col0 + cols]);
            }
            let (b, v) = (row0 / out_w / out_h, row0 / out_w % out_h);
            match op.pixels {
                Pixels::Nhwc => {
                    for dy in 0..p {
                        // P tokens of a line are adjacent: patch u starts at token u·P
                        let line = &x[((b * h + v * p + dy) * w) * c..];
                        let line = Mat::new(line, out_w, p * c, p * c);
                        panels.add_product(dy * p * c, col0, line, &mut block);
                    }
                }
                Pixels::Nchw => lanes.with(out_w * op.inner(), |patches| {
                    let line = |channel: usize, dy: usize| {
                        &x[((b * c + channel) * h + v * p + dy) * w..][..w]
                    };
                    match p {
                        4 => gather::<T, 4>(patches, line), // the published models: copies of known length
                        _ => gather_any(patches, p, line),
                    }
                    let patches = Mat::new(patches, out_w, op.inner(), op.inner());
                    panels.add_product(0, col0, patches, &mut block);
                }),
            }
        },
    );
}

/// One line of patches from planar pixels: patch u gets, for each run (channel, dy), the P values of
/// `line(channel, dy)` from u·P on.
fn gather<'a, T: Real, const P: usize>(patches: &mut [T], line: impl Fn(usize, usize) -> &'a [T]) {
    let (patches, _) = patches.as_chunks_mut::<P>();
    let runs = patches.len() / (line(0, 0).len() / P);
    for run in 0..runs {
        let (pixels, _) = line(run / P, run % P).as_chunks::<P>();
        for (to, from) in patches[run..].iter_mut().step_by(runs).zip(pixels) {
            *to = *from;
        }
    }
}

/// [`gather`] for any P.
fn gather_any<'a, T: Real>(patches: &mut [T], p: usize, line: impl Fn(usize, usize) -> &'a [T]) {
    let runs = patches.len() / (line(0, 0).len() / p * p);
    for (i, to) in patches.chunks_exact_mut(p).enumerate() {
        let (u, run) = (i / runs, i % runs);
        to.copy_from_slice(&line(run / p, run % p)[u * p..][..p]);
    }
}
