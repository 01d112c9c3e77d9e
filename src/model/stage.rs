//! One stage: patch embedding, its blocks, and the feature map at its end.

use super::{Net, Stage, block, patch_embed};
use crate::config::Mode;
use crate::error::Result;
use crate::plan::{BufferId, View};

/// The tokens after the stage's last block, [B, T, C].
pub(super) fn forward(net: &mut Net<'_>, stage: &Stage<'_>, x: BufferId) -> Result<BufferId> {
    let mut x = patch_embed::forward(net, stage, x)?;
    for j in 0..stage.config.depth {
        x = block::forward(net, stage, j, x)?;
    }
    if net.spec.trace || net.spec.mode == Mode::Backbone {
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
    Ok(x)
}
