//! Classifier: final LayerNorm of the class token, then a linear layer.

use super::Net;
use crate::config::StageShape;
use crate::error::Result;
use crate::plan::{BufferId, NormSpec, Target, View};

/// What a backward pass needs.
pub(super) struct Saved {
    /// The last stage's tokens.
    x: BufferId,
    /// The normalised class tokens [B, C], on the CPU.
    normed: Option<BufferId>,
}

/// Logits [B, K] from the last stage's tokens [B, T, C], class token first.
pub(super) fn forward(
    net: &mut Net<'_>,
    shape: &StageShape,
    x: BufferId,
) -> Result<(BufferId, Saved)> {
    let (batch, t, c) = (net.spec.batch, shape.tokens, shape.channels);
    let (eps, classes) = (net.config.ln_eps.final_norm, net.config.num_classes);
    if net.spec.trace && !net.trains() {
        // only the class token is read by the classifier; a trace shows the norm of every token
        let normed = net.builder.layernorm("norm", x, (batch * t, c, c), eps)?;
        net.trace("final_norm".to_owned(), normed, &[t, c])?;
        let rows = View {
            buffer: normed,
            offset: 0,
            shape: vec![batch, c],
            strides: vec![t * c, 1],
        };
        net.builder.output("head_input", rows)?;
    }
    let norm = NormSpec {
        label: "norm",
        eps,
        keep: false,
    };
    let (logits, normed) = if net.spec.kernels.is_some() {
        let rows = (batch, c, t * c);
        let logits = net.builder.head(norm, "head", x, rows, classes)?;
        (logits, None)
    } else {
        let class = net.builder.layernorm("norm", x, (batch, c, t * c), eps)?;
        let dims = (batch, c, classes);
        let logits = net.builder.linear("head", class, dims, true, Target::New)?;
        (logits, Some(class))
    };
    net.builder
        .output("logits", View::contiguous(logits, &[batch, classes]))?;
    Ok((logits, Saved { x, normed }))
}

/// From the gradient of the logits to that of the last stage's tokens [B, T, C], which is zero but for the class tokens.
pub(super) fn backward(
    net: &mut Net<'_>,
    shape: &StageShape,
    saved: &Saved,
    dlogits: BufferId,
) -> Result<BufferId> {
    let (batch, t, c) = (net.spec.batch, shape.tokens, shape.channels);
    let (eps, classes) = (net.config.ln_eps.final_norm, net.config.num_classes);
    let builder = &mut net.builder;
    let Some(normed) = saved.normed else {
        return builder.head_bwd(
            ("norm", eps),
            "head",
            (saved.x, dlogits),
            (batch, t, c),
            classes,
        );
    };
    let dims = (batch, c, classes);
    builder.linear_bwd("head", (dlogits, normed), dims, true)?;
    let dnormed = builder.linear_bwd_data("head", dlogits, dims, Target::New)?;
    let rows = (batch, c, t * c);
    builder.layernorm_bwd("norm", (saved.x, dnormed), rows, None, eps, None)
}
