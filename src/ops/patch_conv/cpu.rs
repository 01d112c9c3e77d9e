//! Patch convolution on the CPU: one task is one line of patches and a range of output channels.

use super::{PatchConv, Pixels};
use crate::cpu::matmul::{Mat, PANEL, Panels, Tile, par_tiles};
use crate::target::cpu::Lanes;

/// Tasks below which output channels are split as well.
const TASKS: usize = 16;

pub(super) fn forward(
    op: &PatchConv,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    y: &mut [f32],
    lanes: &Lanes,
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
                    for (u, patch) in patches.chunks_exact_mut(op.inner()).enumerate() {
                        for (run, to) in patch.chunks_exact_mut(p).enumerate() {
                            let (channel, dy) = (run / p, run % p);
                            let from = ((b * c + channel) * h + v * p + dy) * w + u * p;
                            to.copy_from_slice(&x[from..from + p]);
                        }
                    }
                    let patches = Mat::new(patches, out_w, op.inner(), op.inner());
                    panels.add_product(0, col0, patches, &mut block);
                }),
            }
        },
    );
}
