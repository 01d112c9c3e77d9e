//! Classifier: final LayerNorm of the class token, then a linear layer.

use super::Net;
use crate::config::StageShape;
use crate::error::Result;
use crate::plan::{BufferId, NormSpec, Target, View};

/// Logits [B, K] from the last stage's tokens [B, T, C], class token first.
pub(super) fn forward(net: &mut Net<'_>, shape: &StageShape, x: BufferId) -> Result<BufferId> {
    let (batch, t, c) = (net.spec.batch, shape.tokens, shape.channels);
    let (eps, classes) = (net.config.ln_eps.final_norm, net.config.num_classes);
    if net.spec.trace {
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
    let logits = if net.spec.kernels.is_some() {
        let rows = (batch, c, t * c);
        net.builder.head(norm, "head", x, rows, classes)?
    } else {
        let class = net.builder.layernorm("norm", x, (batch, c, t * c), eps)?;
        let dims = (batch, c, classes);
        net.builder.linear("head", class, dims, true, Target::New)?
    };
    net.builder
        .output("logits", View::contiguous(logits, &[batch, classes]))?;
    Ok(logits)
}
