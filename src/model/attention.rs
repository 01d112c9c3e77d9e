//! Spatial-reduction attention: queries from every token, keys and values from a reduced grid.

use super::{Net, Stage};
use crate::error::Result;
use crate::ops::patch_conv::Pixels;
use crate::plan::{BufferId, NormSpec, Target, View};

/// Heads joined, before the output projection: [B, N, C] from the residual stream `x` [B, N, C], which
/// is normalised first.
pub(super) fn forward(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    (norm1, label): (&str, &str),
    x: BufferId,
) -> Result<BufferId> {
    let (batch, shape) = (net.spec.batch, stage.shape);
    let (n, m, c) = (shape.tokens, shape.keys, shape.channels);
    let (q, kv) = projections(net, stage, (norm1, label), x)?;

    if net.spec.trace {
        // [B, h, tokens, d] of rows of `width`, the first head at column `offset`
        let heads = |buffer, tokens, width, offset| View {
            buffer,
            offset,
            shape: vec![batch, shape.heads, tokens, shape.head_dim],
            strides: vec![tokens * width, shape.head_dim, width, 1],
        };
        net.builder
            .output(format!("{label}.q"), heads(q, n, c, 0))?;
        net.builder
            .output(format!("{label}.k"), heads(kv, m, 2 * c, 0))?;
        net.builder
            .output(format!("{label}.v"), heads(kv, m, 2 * c, c))?;
    }
    let ctx =
        net.builder
            .attention(label, (q, kv), (batch, n, m), (shape.heads, shape.head_dim))?;
    net.trace(format!("{label}.ctx"), ctx, &[n, c])?;
    Ok(ctx)
}

/// Queries [B, N, C], and keys with values [B, M, 2C]: from a strided convolution over the grid of
/// normalised tokens and its LayerNorm, or from those tokens themselves where the stage does not reduce.
fn projections(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    (norm1, label): (&str, &str),
    x: BufferId,
) -> Result<(BufferId, BufferId)> {
    let (batch, shape, bias) = (net.spec.batch, stage.shape, net.config.qkv_bias);
    let (n, m, c) = (shape.tokens, shape.keys, shape.channels);
    let (rows, eps) = (batch * n, net.config.ln_eps);
    let spec = |label, eps| NormSpec {
        label,
        eps,
        keep: true,
    };
    let normed = (spec(norm1, eps.block), norm1.to_owned());
    let (q_label, kv_label) = (format!("{label}.q"), format!("{label}.kv"));
    if stage.config.sr_ratio > 1 {
        let (q, a) = net.normed_linear(normed, &q_label, x, (n, c, c), bias, Target::New)?;
        let patch = (stage.config.sr_ratio, c);
        let conv = net.builder.patch_conv(
            &format!("{label}.sr"),
            a.unwrap_or(x),
            (batch, shape.grid, c),
            patch,
            Pixels::Nhwc,
        )?;
        net.trace(format!("{label}.sr_conv"), conv, &[m, c])?;
        let label_norm = format!("{label}.norm");
        let norm = NormSpec {
            keep: false,
            ..spec(&label_norm, eps.sr)
        };
        let normed = (norm, format!("{label}.kv_tokens"));
        let (kv, _) =
            net.normed_linear(normed, &kv_label, conv, (m, c, 2 * c), bias, Target::New)?;
        return Ok((q, kv));
    }
    if net.builder.has_qkv(rows, c) {
        if net.fused() {
            return net.builder.qkv(normed.0, label, x, (rows, c), bias);
        }
        // a trace reads the same parameters as a plain run, which wants them side by side
        net.builder.norm_params(norm1, c)?;
        net.builder.join_qkv(label, c, bias)?;
    }
    let (q, a) = net.normed_linear(normed, &q_label, x, (n, c, c), bias, Target::New)?;
    let a = a.unwrap_or(x);
    net.trace(format!("{label}.kv_tokens"), a, &[m, c])?;
    let kv = net
        .builder
        .linear(&kv_label, a, (batch * m, c, 2 * c), bias, Target::New)?;
    Ok((q, kv))
}
