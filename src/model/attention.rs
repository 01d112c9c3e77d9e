//! Spatial-reduction attention: queries from every token, keys and values from a reduced grid.

use super::{Net, Stage};
use crate::error::Result;
use crate::ops::patch_conv::Pixels;
use crate::plan::{BufferId, NormSpec, Target, View};

/// What a forward pass has computed and a backward pass needs; what is not there is computed once more.
#[derive(Clone, Copy)]
pub(super) struct Saved {
    /// norm1 of the block's input, [B, N, C].
    normed: Option<BufferId>,
    /// Reduced tokens before their norm [B, M, C]; none where the stage does not reduce.
    reduced: Option<BufferId>,
    /// [B, N, C]
    q: Option<BufferId>,
    /// [B, M, 2C]
    kv: BufferId,
    /// Heads joined [B, N, C], and the log-sum-exp of scores.
    pub(super) ctx: Option<BufferId>,
    lse: Option<BufferId>,
}

impl Saved {
    /// What is left where the rest is to be computed once more.
    pub(super) fn keep(self, stage: &Stage<'_>) -> Self {
        // without a reduction queries, keys and values are of one product, and keys as many as queries
        let reduces = stage.config.sr_ratio > 1;
        Self {
            normed: None,
            q: self.q.filter(|_| !reduces),
            ctx: None,
            lse: None,
            ..self
        }
    }
}

/// Labels of a block's attention.
#[derive(Clone, Copy)]
pub(super) struct Labels<'a> {
    /// Of the norm in front.
    pub(super) norm1: &'a str,
    /// Of attention itself.
    pub(super) attn: &'a str,
}

/// Heads joined, before the output projection: [B, N, C] from the residual stream `x` [B, N, C], which
/// is normalised first.
pub(super) fn forward(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    labels: Labels<'_>,
    x: BufferId,
) -> Result<(BufferId, Saved)> {
    let (batch, shape, label) = (net.spec.batch, stage.shape, labels.attn);
    let (n, m, c) = (shape.tokens, shape.keys, shape.channels);
    let mut saved = projections(net, stage, labels, x)?;
    let (q, kv) = (saved.q.unwrap_or(x), saved.kv);

    if net.spec.trace && !net.trains() {
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
    let ctx = attend(net, stage, label, &mut saved, q)?;
    net.trace(format!("{label}.ctx"), ctx, &[n, c])?;
    Ok((ctx, saved))
}

fn attend(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    label: &str,
    saved: &mut Saved,
    q: BufferId,
) -> Result<BufferId> {
    let (batch, shape) = (net.spec.batch, stage.shape);
    let sizes = (batch, shape.tokens, shape.keys);
    let (ctx, lse) = net.builder.attention_kept(
        label,
        (q, saved.kv),
        sizes,
        (shape.heads, shape.head_dim),
        net.goes_back(stage),
    )?;
    (saved.ctx, saved.lse) = (Some(ctx), lse);
    Ok(ctx)
}

/// Queries [B, N, C], and keys with values [B, M, 2C]: from a strided convolution over the grid of
/// normalised tokens and its LayerNorm, or from those tokens themselves where the stage does not reduce.
fn projections(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    Labels { norm1, attn: label }: Labels<'_>,
    x: BufferId,
) -> Result<Saved> {
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
    let saved = |normed, q, kv| Saved {
        normed,
        reduced: None,
        q: Some(q),
        kv,
        ctx: None,
        lse: None,
    };
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
        return Ok(Saved {
            reduced: Some(conv),
            ..saved(a, q, kv)
        });
    }
    if net.builder.has_qkv(rows, c) {
        if net.fused() {
            let (q, kv) = net.builder.qkv(normed.0, label, x, (rows, c), bias)?;
            return Ok(saved(None, q, kv));
        }
        // a trace reads the same parameters as a plain run, which wants them side by side
        net.builder.norm_params(norm1, c)?;
        net.builder.join_qkv(label, c, bias)?;
    }
    let (q, a) = net.normed_linear(normed, &q_label, x, (n, c, c), bias, Target::New)?;
    let tokens = a.unwrap_or(x);
    net.trace(format!("{label}.kv_tokens"), tokens, &[m, c])?;
    let kv = net
        .builder
        .linear(&kv_label, tokens, (batch * m, c, 2 * c), bias, Target::New)?;
    Ok(saved(a, q, kv))
}

/// Computes what of `saved` is not there, but for the gradient of the projection: the heads joined.
pub(super) fn restore(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    labels: Labels<'_>,
    (x, saved): (BufferId, Saved),
) -> Result<(BufferId, Saved)> {
    let (n, c) = (stage.shape.tokens, stage.shape.channels);
    let rows = net.spec.batch * n;
    let mut saved = saved;
    let q_label = format!("{}.q", labels.attn);
    let bias = net.config.qkv_bias;
    let norm = NormSpec {
        label: labels.norm1,
        eps: net.config.ln_eps.block,
        keep: true,
    };
    let normed = match (saved.normed, saved.q) {
        (Some(normed), _) => normed,
        (None, Some(_)) => net
            .builder
            .layernorm(norm.label, x, (rows, c, c), norm.eps)?,
        (None, None) => {
            let named = (norm, String::new());
            let (q, a) = net.normed_linear(named, &q_label, x, (n, c, c), bias, Target::New)?;
            saved.q = Some(q);
            a.unwrap_or(x)
        }
    };
    saved.normed = Some(normed);
    let q = match saved.q {
        Some(q) => q,
        None => net
            .builder
            .linear(&q_label, normed, (rows, c, c), bias, Target::New)?,
    };
    saved.q = Some(q);
    let ctx = match saved.ctx {
        Some(ctx) => ctx,
        None => attend(net, stage, labels.attn, &mut saved, q)?,
    };
    Ok((ctx, saved))
}

/// From the gradient of the joined heads `dctx` to that of the block's input, which is added to `stream`.
/// `saved` is complete (`restore`).
pub(super) fn backward(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    Labels { norm1, attn: label }: Labels<'_>,
    (x, saved): (BufferId, Saved),
    dctx: BufferId,
    stream: BufferId,
) -> Result<()> {
    let (batch, shape, bias) = (net.spec.batch, stage.shape, net.config.qkv_bias);
    let (n, m, c) = (shape.tokens, shape.keys, shape.channels);
    let (rows, key_rows, eps) = (batch * n, batch * m, net.config.ln_eps);
    let (q_label, kv_label) = (format!("{label}.q"), format!("{label}.kv"));
    let (normed, q) = (saved.normed.unwrap_or(x), saved.q.unwrap_or(x));
    let (dq, dkv) = net.builder.attention_bwd(
        label,
        (q, saved.kv, dctx),
        saved.ctx.zip(saved.lse),
        (batch, n, m),
        (shape.heads, shape.head_dim),
    )?;
    let builder = &mut net.builder;
    builder.linear_bwd(&q_label, (dq, normed), (rows, c, c), bias)?;
    let da = builder.linear_bwd_data(&q_label, dq, (rows, c, c), Target::New)?;
    let kv_dims = (key_rows, c, 2 * c);
    if let Some(reduced) = saved.reduced {
        let norm = format!("{label}.norm");
        let dims = (key_rows, c, c);
        let tokens = builder.layernorm(&norm, reduced, dims, eps.sr)?;
        builder.linear_bwd(&kv_label, (dkv, tokens), kv_dims, bias)?;
        let dtokens = builder.linear_bwd_data(&kv_label, dkv, kv_dims, Target::New)?;
        let both = (reduced, dtokens);
        let dreduced = builder.layernorm_bwd(&norm, both, dims, None, eps.sr, None)?;
        let (sr, patch) = (format!("{label}.sr"), (stage.config.sr_ratio, c));
        let input = (batch, shape.grid, c);
        builder.patch_conv_bwd(&sr, (dreduced, normed), input, patch, Pixels::Nhwc)?;
        builder.patch_conv_bwd_data(&sr, dreduced, input, patch, Pixels::Nhwc, Some(da))?;
    } else {
        builder.linear_bwd(&kv_label, (dkv, normed), kv_dims, bias)?;
        builder.linear_bwd_data(&kv_label, dkv, kv_dims, Target::AddTo(da))?;
    }
    builder.layernorm_bwd(norm1, (x, da), (rows, c, c), None, eps.block, Some(stream))?;
    Ok(())
}
