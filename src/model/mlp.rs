//! The MLP branch: LayerNorm, expansion, GELU, contraction, added to the residual stream.

use super::{Branch, Net, Stage, block::add_branch};
use crate::error::Result;
use crate::ops::mlp::Mlp;
use crate::plan::{BufferId, NormSpec, Target};

/// What a forward pass has computed and a backward pass needs; what is not there is computed once more.
#[derive(Clone, Copy, Default)]
pub(super) struct Saved {
    /// norm2 of the branch's input, [B, N, C].
    normed: Option<BufferId>,
    /// What GELU is applied to, [B, N, E].
    hidden: Option<BufferId>,
}

impl Saved {
    /// What is left where the rest is to be computed once more.
    pub(super) fn keep(self) -> Self {
        Self {
            normed: None,
            ..self
        }
    }
}

/// The residual stream after the branch, [B, N, C].
pub(super) fn forward(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    label: &str,
    x: BufferId,
    branch: Branch,
) -> Result<(BufferId, Saved)> {
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
    if whole && !net.spec.trace && !net.trains() {
        net.builder.mlp(label, x, (rows, c, e), eps)?;
        return Ok((x, Saved::default()));
    }
    let (norm2, fc1) = (format!("{label}.norm2"), format!("{label}.mlp.fc1"));
    let keeps = net.keeps_hidden(stage);
    let norm = NormSpec {
        label: &norm2,
        eps,
        keep: keeps && net.keeps_all(),
    };
    let named = (norm, norm2.clone());
    let mut saved = Saved::default();
    let target = if keeps {
        let hidden = net.builder.activation(&[rows, e])?;
        saved.hidden = Some(hidden);
        Target::NewGeluOf(hidden)
    } else {
        Target::NewGelu
    };
    let (hidden, normed) = net.normed_linear(named, &fc1, x, (n, c, e), true, target)?;
    saved.normed = normed;
    let y = add_branch(
        net,
        (&format!("{label}.mlp.fc2"), &format!("{label}.mlp.out")),
        hidden,
        (n, e, c),
        x,
        branch,
    )?;
    Ok((y, saved))
}

/// From the gradient of the branch's result to that of its input `x`; `stream`, the gradient of the residual stream,
/// becomes that in front of the branch.
pub(super) fn backward(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    label: &str,
    (x, saved): (BufferId, Saved),
    branch: Branch,
    stream: BufferId,
) -> Result<()> {
    let (n, c, e) = (
        stage.shape.tokens,
        stage.shape.channels,
        stage.config.hidden_dim(),
    );
    let (rows, eps) = (net.spec.batch * n, net.config.ln_eps.block);
    let (norm2, fc1) = (format!("{label}.norm2"), format!("{label}.mlp.fc1"));
    let fc2 = format!("{label}.mlp.fc2");
    let d = net.through_branch(&fc2, branch, stream, rows * c)?;
    let norm = NormSpec {
        label: &norm2,
        eps,
        keep: true,
    };
    let (hidden, normed) = match (saved.hidden, saved.normed) {
        (Some(hidden), Some(normed)) => (hidden, normed),
        (Some(hidden), None) => {
            let normed = net.builder.layernorm(&norm2, x, (rows, c, c), eps)?;
            (hidden, normed)
        }
        (None, _) => {
            let named = (norm, String::new());
            let (hidden, normed) =
                net.normed_linear(named, &fc1, x, (n, c, e), true, Target::New)?;
            (hidden, normed.unwrap_or(x))
        }
    };
    let builder = &mut net.builder;
    // the way back through fc2 and GELU leaves GELU of the hidden layer behind, the input of fc2
    let dhidden = builder.linear_bwd_data(&fc2, d, (rows, e, c), Target::NewGeluSlope(hidden))?;
    builder.linear_bwd(&fc2, (d, hidden), (rows, e, c), true)?;
    builder.linear_bwd(&fc1, (dhidden, normed), (rows, c, e), true)?;
    let da = builder.linear_bwd_data(&fc1, dhidden, (rows, c, e), Target::New)?;
    builder.layernorm_bwd(&norm2, (x, da), (rows, c, c), None, eps, Some(stream))?;
    Ok(())
}
