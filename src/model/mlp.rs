//! The MLP branch: LayerNorm, expansion, GELU, contraction, added to the residual stream.

use super::{Net, Stage, block::add_branch};
use crate::error::Result;
use crate::ops::mlp::Mlp;
use crate::plan::{BufferId, NormSpec, Target};

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
    let whole = match net.spec.kernels {
        None => Mlp::pays(rows, c, e),
        Some(_) => Mlp::has_kernel(c, e),
    };
    if whole && !net.spec.trace {
        net.builder.mlp(label, x, (rows, c, e), eps)?;
        return Ok(x);
    }
    let (norm2, fc1) = (format!("{label}.norm2"), format!("{label}.mlp.fc1"));
    let norm = NormSpec {
        label: &norm2,
        eps,
        keep: false,
    };
    let named = (norm, norm2.clone());
    let (hidden, _) = net.normed_linear(named, &fc1, x, (n, c, e), true, Target::NewGelu)?;
    add_branch(
        net,
        (&format!("{label}.mlp.fc2"), &format!("{label}.mlp.out")),
        hidden,
        (n, e, c),
        x,
    )
}
