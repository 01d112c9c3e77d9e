//! Classifier: final LayerNorm of the class token, then a linear layer.

use super::Net;
use crate::config::StageShape;
use crate::error::Result;
use crate::plan::{BufferId, Target, View};

/// Logits [B, K] from the last stage's tokens [B, T, C], class token first.
pub(super) fn forward(net: &mut Net<'_>, shape: &StageShape, x: BufferId) -> Result<BufferId> {
    let (batch, t, c) = (net.spec.batch, shape.tokens, shape.channels);
    let (eps, classes) = (net.config.ln_eps.final_norm, net.config.num_classes);
    // only the class token is read by the classifier; a trace shows the norm of every token
    let rows = if net.spec.trace {
        (batch * t, c, c)
    } else {
        (batch, c, t * c)
    };
    let mut class = net.builder.layernorm("norm", x, rows, eps)?;
    if net.spec.trace {
        net.trace("final_norm".to_owned(), class, &[t, c])?;
        let rows = View {
            buffer: class,
            offset: 0,
            shape: vec![batch, c],
            strides: vec![t * c, 1],
        };
        net.builder.output("head_input", rows)?;
        class = net.builder.layernorm("norm", x, (batch, c, t * c), eps)?;
    }
    let logits = net
        .builder
        .linear("head", class, (batch, c, classes), true, Target::New)?;
    net.builder
        .output("logits", View::contiguous(logits, &[batch, classes]))?;
    Ok(logits)
}
