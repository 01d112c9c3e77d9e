//! Start of a stage: patch convolution, LayerNorm, class token (stage 4), positions.

use super::{Net, Stage};
use crate::error::Result;
use crate::ops::patch_conv::Pixels;
use crate::plan::{BufferId, NormSpec, View};

/// What a backward pass needs: the input, and what the convolution gave.
pub(super) struct Saved {
    x: BufferId,
    convolved: Option<BufferId>,
}

/// Names and sizes of a patch embedding.
struct Parts {
    conv: String,
    norm: String,
    positions: String,
    /// Images, their grid, its channels.
    input: (usize, (usize, usize), usize),
    /// Side of a patch, channels of a token.
    patch: (usize, usize),
    pixels: Pixels,
    /// The position table's own grid, and that of the tokens.
    grids: ((usize, usize), (usize, usize)),
    class_token: Option<&'static str>,
}

impl Parts {
    fn of(net: &Net<'_>, stage: &Stage<'_>) -> Self {
        let (s, c) = (stage.number(), stage.shape.channels);
        let (in_chans, pixels) = match stage.index {
            0 => (net.config.in_chans, Pixels::Nchw),
            i => (net.config.stages[i - 1].embed_dim, Pixels::Nhwc),
        };
        Self {
            conv: format!("patch_embed{s}.proj"),
            norm: format!("patch_embed{s}.norm"),
            positions: format!("pos_embed{s}"),
            input: (net.spec.batch, stage.in_grid, in_chans),
            patch: (stage.config.patch_size, c),
            pixels,
            grids: (net.config.native_grid(stage.index), stage.shape.grid),
            class_token: stage.has_class_token(net.spec.mode).then_some("cls_token"),
        }
    }
}

/// From the previous stage's tokens (or the pixels) to the input of the first block [B, T, C].
pub(super) fn forward(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    x: BufferId,
) -> Result<(BufferId, Saved)> {
    let (s, batch, c) = (stage.number(), net.spec.batch, stage.shape.channels);
    let grid = stage.shape.grid;
    let tokens = grid.0 * grid.1;
    let parts = Parts::of(net, stage);
    let eps = net.config.ln_eps.patch_embed;
    if net.fused() {
        let norm = NormSpec {
            label: &parts.norm,
            eps,
            keep: net.trains(),
        };
        let names = (parts.conv.as_str(), norm, &*parts.positions);
        let positions = (parts.grids.0, parts.class_token);
        let (y, convolved) = net.builder.patch_embedding(
            names,
            x,
            parts.input,
            parts.patch,
            parts.pixels,
            positions,
        )?;
        return Ok((y, Saved { x, convolved }));
    }
    let conv = net
        .builder
        .patch_conv(&parts.conv, x, parts.input, parts.patch, parts.pixels)?;
    let normed = net
        .builder
        .layernorm(&parts.norm, conv, (batch * tokens, c, c), eps)?;
    net.trace(format!("patch_embed{s}.tokens"), normed, &[tokens, c])?;

    let label = parts.positions;
    let y = net
        .builder
        .pos_embed(&label, normed, (batch, c), parts.grids, parts.class_token)?;
    let tokens = stage.shape.tokens;
    if let (true, Some(table)) = (net.spec.trace, net.builder.resized(&label)) {
        net.builder.output(
            format!("{label}.resized"),
            View::contiguous(table, &[1, tokens, c]),
        )?;
    }
    net.trace(format!("stage{s}.input"), y, &[tokens, c])?;
    let convolved = Some(conv);
    Ok((y, Saved { x, convolved }))
}

/// From the gradient `d` of the first block's input to that of the previous stage's tokens [B, N, C] (or the pixels), if
/// `wanted`; added to `into`, or a new buffer.
pub(super) fn backward(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    saved: &Saved,
    d: BufferId,
    (wanted, into): (bool, Option<BufferId>),
) -> Result<Option<BufferId>> {
    let (batch, c) = (net.spec.batch, stage.shape.channels);
    let tokens = stage.shape.grid.0 * stage.shape.grid.1;
    let parts = Parts::of(net, stage);
    let eps = net.config.ln_eps.patch_embed;
    let input = format!("stage{}.input", stage.number());
    net.trace_gradient(&input, d, &[stage.shape.tokens, c])?;
    let builder = &mut net.builder;
    let (label, class) = (&parts.positions, parts.class_token);
    builder.pos_embed_bwd(label, d, (batch, c), parts.grids, class)?;
    let skip = class.map(|_| (tokens, 1));
    let convolved = saved.convolved.unwrap_or(saved.x);
    let dims = (batch * tokens, c, c);
    let dconv = builder.layernorm_bwd(&parts.norm, (convolved, d), dims, skip, eps, None)?;
    let (conv, patch, pixels) = (&parts.conv, parts.patch, parts.pixels);
    builder.patch_conv_bwd(conv, (dconv, saved.x), parts.input, patch, pixels)?;
    if !wanted {
        return Ok(None);
    }
    let dx = builder.patch_conv_bwd_data(conv, dconv, parts.input, patch, pixels, into)?;
    Ok(Some(dx))
}
