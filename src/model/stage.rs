//! One stage: patch embedding, its blocks, and the feature map at its end.

use super::{Net, Stage, block, patch_embed};
use crate::config::Mode;
use crate::error::Result;
use crate::plan::{BufferId, View};

/// What a forward pass has computed and a backward pass needs.
pub(super) struct Saved {
    embed: patch_embed::Saved,
    blocks: Vec<block::Saved>,
}

/// The tokens after the stage's last block, [B, T, C].
pub(super) fn forward(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    x: BufferId,
) -> Result<(BufferId, Saved)> {
    let (mut x, embed) = patch_embed::forward(net, stage, x)?;
    let mut blocks = Vec::new();
    for j in 0..stage.config.depth {
        let (y, saved) = block::forward(net, stage, j, x)?;
        blocks.push(saved);
        x = y;
    }
    if net.spec.trace && !net.trains() || net.spec.mode == Mode::Backbone {
        let (t, c, (h, w)) = (stage.shape.tokens, stage.shape.channels, stage.shape.grid);
        let class_rows = usize::from(stage.has_class_token(net.spec.mode));
        // tokens are an NHWC map already; NCHW is the same elements with other strides
        let view = View {
            buffer: x,
            offset: class_rows * c,
            shape: vec![net.spec.batch, c, h, w],
            strides: vec![t * c, 1, w * c, c],
        };
        net.builder
            .output(format!("feature{}", stage.number()), view)?;
    }
    Ok((x, Saved { embed, blocks }))
}

/// From the gradient `d` of the tokens after the last block, which is overwritten, to that of the previous stage's tokens (or
/// of the pixels), if `wanted`; added to `into`, or a new buffer.
pub(super) fn backward(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    saved: Saved,
    d: BufferId,
    wanted: (bool, Option<BufferId>),
) -> Result<Option<BufferId>> {
    for (j, block) in saved.blocks.into_iter().enumerate().rev() {
        block::backward(net, stage, j, &block, d)?;
    }
    patch_embed::backward(net, stage, &saved.embed, d, wanted)
}
