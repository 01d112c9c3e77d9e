//! Start of a stage: patch convolution, LayerNorm, class token (stage 4), positions.

use super::{Net, Stage};
use crate::error::Result;
use crate::ops::patch_conv::Pixels;
use crate::plan::{BufferId, NormSpec, View};

/// From the previous stage's tokens (or the pixels) to the input of the first block [B, T, C].
pub(super) fn forward(net: &mut Net<'_>, stage: &Stage<'_>, x: BufferId) -> Result<BufferId> {
    let (s, batch, c) = (stage.number(), net.spec.batch, stage.shape.channels);
    let grid = stage.shape.grid;
    let tokens = grid.0 * grid.1;
    let (in_chans, pixels) = match stage.index {
        0 => (net.config.in_chans, Pixels::Nchw),
        i => (net.config.stages[i - 1].embed_dim, Pixels::Nhwc),
    };
    let class_token = stage.has_class_token(net.spec.mode).then_some("cls_token");
    let (conv, label) = (
        format!("patch_embed{s}.proj"),
        format!("patch_embed{s}.norm"),
    );
    let (eps, native) = (
        net.config.ln_eps.patch_embed,
        net.config.native_grid(stage.index),
    );
    let input = (batch, stage.in_grid, in_chans);
    let patch = (stage.config.patch_size, c);
    if net.fused() {
        let norm = NormSpec {
            label: &label,
            eps,
            keep: false,
        };
        let names = (conv.as_str(), norm, &*format!("pos_embed{s}"));
        let positions = (native, class_token);
        return net
            .builder
            .patch_embedding(names, x, input, patch, pixels, positions);
    }
    let conv = net.builder.patch_conv(&conv, x, input, patch, pixels)?;
    let normed = net
        .builder
        .layernorm(&label, conv, (batch * tokens, c, c), eps)?;
    net.trace(format!("patch_embed{s}.tokens"), normed, &[tokens, c])?;

    let label = format!("pos_embed{s}");
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
