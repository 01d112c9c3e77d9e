//! Patch convolution on a GPU.

use super::{PatchConv, Pixels};
use crate::dtype::DType;
use crate::kernels::tiles::conv_tile;
use crate::launch::{Launch, LaunchError};
use crate::ops::InParts;

/// One launch: blocks of patches, and groups of output channels; in parts, blocks that share them as well.
pub(super) fn forward(op: &PatchConv, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    let (h, w) = op.out_grid();
    let rows = op.batch * h * w;
    let norm = op.norm.map(|(norm, _)| norm);
    let positions = op.norm.and_then(|(_, positions)| positions);
    let launch = if let Some(InParts { tile, .. }) = op.parts {
        let (x, y) = tile.grid(rows, op.out_chans);
        Launch::of("patch_conv", tile.conv_entry, dtype.name())
            .grid(x, y)
            .deep(tile.blocks)
            .block(tile.threads, 1)
            .shared(tile.shared[1])
    } else {
        let tile = conv_tile(dtype, rows, op.out_chans, norm.is_some());
        let entry = match op.pixels {
            Pixels::Nhwc => tile.entry,
            Pixels::Nchw => tile.pixels_entry,
        };
        Launch::of("patch_conv", entry, dtype.name())
            .grid(
                rows.div_ceil(tile.rows as usize),
                op.out_chans.div_ceil(tile.cols as usize),
            )
            .block(tile.threads, 1)
            .shared(tile.shared)
    };
    let launch = launch.multiple("output channels", op.out_chans, 8);
    let launch = match op.pixels {
        Pixels::Nhwc => launch.multiple("input channels", op.in_chans, 8),
        Pixels::Nchw => launch,
    };
    let launch = launch
        .input(op.x)
        .input(op.weight)
        .input(op.bias)
        .input_or_null(norm.map(|n| n.gamma))
        .input_or_null(norm.map(|n| n.beta))
        .input_or_null(positions.map(|p| p.table))
        .input_or_null(positions.and_then(|p| p.class_token))
        .output(op.y);
    let launch = match op.parts {
        Some(InParts { shared, .. }) => launch
            .output_or_null(shared.map(|(partials, _)| partials))
            .in_out_or_null(shared.map(|(_, arrived)| arrived)),
        None => launch,
    };
    let launch = launch
        .size("batch", op.batch)
        .size("height", op.grid.0)
        .size("width", op.grid.1)
        .size("input channels", op.in_chans)
        .size("patch", op.patch)
        .size("output channels", op.out_chans);
    let launch = match op.parts {
        Some(InParts { tile, .. }) => launch.size("units of a part", tile.units as usize),
        None => launch,
    };
    let launch = launch.f32(norm.map_or(0.0, |n| n.eps));
    Ok(vec![launch.build()?])
}
