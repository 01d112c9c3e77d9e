//! Spatial-reduction attention: queries from every token, keys and values from a reduced grid.

use super::{Net, Stage};
use crate::error::Result;
use crate::ops::patch_conv::Pixels;
use crate::plan::{BufferId, Target, View};

/// Heads joined, before the output projection: [B, N, C] from the normalised tokens `a` [B, N, C].
pub(super) fn forward(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    label: &str,
    a: BufferId,
) -> Result<BufferId> {
    let (batch, shape, bias) = (net.spec.batch, stage.shape, net.config.qkv_bias);
    let (n, m, c) = (shape.tokens, shape.keys, shape.channels);

    let q = net.builder.linear(
        &format!("{label}.q"),
        a,
        (batch * n, c, c),
        bias,
        Target::New,
    )?;
    let kv_tokens = reduced(net, stage, label, a)?;
    net.trace(format!("{label}.kv_tokens"), kv_tokens, &[m, c])?;
    let kv_label = format!("{label}.kv");
    let kv = net.builder.linear(
        &kv_label,
        kv_tokens,
        (batch * m, c, 2 * c),
        bias,
        Target::New,
    )?;

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

/// What keys and values are computed from, [B, M, C]: a strided convolution over the token grid and
/// its LayerNorm, or `a` itself where the stage does not reduce.
fn reduced(net: &mut Net<'_>, stage: &Stage<'_>, label: &str, a: BufferId) -> Result<BufferId> {
    let ratio = stage.config.sr_ratio;
    if ratio == 1 {
        return Ok(a);
    }
    let (batch, shape) = (net.spec.batch, stage.shape);
    let (m, c) = (shape.keys, shape.channels);
    let conv = net.builder.patch_conv(
        &format!("{label}.sr"),
        a,
        (batch, shape.grid, c),
        (ratio, c),
        Pixels::Nhwc,
    )?;
    net.trace(format!("{label}.sr_conv"), conv, &[m, c])?;
    let eps = net.config.ln_eps.sr;
    Ok(net
        .builder
        .layernorm(&format!("{label}.norm"), conv, (batch * m, c, c), eps)?)
}
