//! The MLP branch: LayerNorm, expansion, GELU, contraction, added to the residual stream.

use super::{Net, Stage, block::add_branch};
use crate::error::Result;
use crate::ops::mlp::Mlp;
use crate::plan::{BufferId, Target};

/// The residual stream after the branch, [B, N, C].
pub(super) fn forward(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    label: &str,
    x: BufferId,
) -> Result<BufferId> {
    let (n, c, e) = (
        stage.shape.tokens,
        stage.shape.channels,
        stage.config.hidden_dim(),
    );
    let (rows, eps) = (net.spec.batch * n, net.config.ln_eps.block);
    if !net.spec.trace && Mlp::pays(rows, c, e) {
        net.builder.mlp(label, x, (rows, c, e), eps)?;
        return Ok(x);
    }
    let normed = net
        .builder
        .layernorm(&format!("{label}.norm2"), x, (rows, c, c), eps)?;
    net.trace(format!("{label}.norm2"), normed, &[n, c])?;
    let fc1 = format!("{label}.mlp.fc1");
    let hidden = net
        .builder
        .linear(&fc1, normed, (rows, c, e), true, Target::NewGelu)?;
    add_branch(
        net,
        (&format!("{label}.mlp.fc2"), &format!("{label}.mlp.out")),
        hidden,
        (n, e, c),
        x,
    )
}
