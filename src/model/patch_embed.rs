//! Start of a stage: patch convolution, LayerNorm, class token (stage 4), positions.

use super::{Net, Stage};
use crate::error::Result;
use crate::ops::patch_conv::Pixels;
use crate::plan::{BufferId, View};

/// From the previous stage's tokens (or the pixels) to the input of the first block [B, T, C].
pub(super) fn forward(net: &mut Net<'_>, stage: &Stage<'_>, x: BufferId) -> Result<BufferId> {
    let (s, batch, c) = (stage.number(), net.spec.batch, stage.shape.channels);
    let grid = stage.shape.grid;
    let tokens = grid.0 * grid.1;
    let (in_chans, pixels) = match stage.index {
        0 => (net.config.in_chans, Pixels::Nchw),
        i => (net.config.stages[i - 1].embed_dim, Pixels::Nhwc),
    };
    let conv = net.builder.patch_conv(
        &format!("patch_embed{s}.proj"),
        x,
        (batch, stage.in_grid, in_chans),
        (stage.config.patch_size, c),
        pixels,
    )?;
    let label = format!("patch_embed{s}.norm");
    let eps = net.config.ln_eps.patch_embed;
    let normed = net
        .builder
        .layernorm(&label, conv, (batch * tokens, c, c), eps)?;
    net.trace(format!("patch_embed{s}.tokens"), normed, &[tokens, c])?;

    let class_token = stage.has_class_token(net.spec.mode).then_some("cls_token");
    let label = format!("pos_embed{s}");
    let native = net.config.native_grid(stage.index);
    let y = net
        .builder
        .pos_embed(&label, normed, (batch, c), (native, grid), class_token)?;
    let tokens = stage.shape.tokens;
    if let (true, Some(table)) = (net.spec.trace, net.builder.resized(&label)) {
        net.builder.output(
            format!("{label}.resized"),
            View::contiguous(table, &[1, tokens, c]),
        )?;
    }
    net.trace(format!("stage{s}.input"), y, &[tokens, c])?;
    Ok(y)
}
