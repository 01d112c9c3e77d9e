//! One transformer block: x += attention(norm1(x)); x += mlp(norm2(x)).

use super::attention::Labels;
use super::{Branch, Keep, Net, Stage, attention, mlp};
use crate::error::Result;
use crate::plan::{BufferId, Target};

/// What a forward pass has computed and a backward pass needs.
pub(super) struct Saved {
    /// The block's input, and the stream between its branches; the latter is computed once more where it is not there.
    x: BufferId,
    middle: Option<(BufferId, attention::Saved)>,
    mlp: mlp::Saved,
}

/// The residual stream after block `j`, [B, N, C].
pub(super) fn forward(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    j: usize,
    x: BufferId,
) -> Result<(BufferId, Saved)> {
    let label = format!("block{}.{j}", stage.number());
    let (n, c) = (stage.shape.tokens, stage.shape.channels);
    let (middle, attn) = attention_branch(net, stage, j, x)?;
    let (y, mlp) = mlp::forward(net, stage, &label, middle, net.branch(stage, j, 1))?;
    net.trace(format!("{label}.out"), y, &[n, c])?;
    let middle = Some((middle, attn));
    let saved = match net.keep() {
        Keep::Everything => Saved { x, middle, mlp },
        Keep::Recompute => Saved {
            x,
            middle: middle.map(|(x, attn)| (x, attn.keep(stage))),
            mlp: mlp.keep(),
        },
        Keep::Blocks => Saved {
            x,
            middle: None,
            mlp: mlp::Saved::default(),
        },
    };
    Ok((y, saved))
}

fn attention_branch(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    j: usize,
    x: BufferId,
) -> Result<(BufferId, attention::Saved)> {
    let label = format!("block{}.{j}", stage.number());
    let (n, c) = (stage.shape.tokens, stage.shape.channels);
    let (norm1, attn) = (format!("{label}.norm1"), format!("{label}.attn"));
    let labels = Labels {
        norm1: &norm1,
        attn: &attn,
    };
    let (ctx, saved) = attention::forward(net, stage, labels, x)?;
    let x = add_branch(
        net,
        (&format!("{attn}.proj"), &format!("{attn}.out")),
        ctx,
        (n, c, c),
        x,
        net.branch(stage, j, 0),
    )?;
    Ok((x, saved))
}

/// `stream`, the gradient of what the block gives [B, N, C], becomes that of its input.
pub(super) fn backward(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    j: usize,
    saved: &Saved,
    stream: BufferId,
) -> Result<()> {
    let label = format!("block{}.{j}", stage.number());
    let (n, c) = (stage.shape.tokens, stage.shape.channels);
    net.trace_gradient(&format!("{label}.out"), stream, &[n, c])?;
    let (x, (middle, attn)) = match saved.middle {
        Some(middle) => (saved.x, middle),
        None => (saved.x, attention_branch(net, stage, j, saved.x)?),
    };
    let branch = net.branch(stage, j, 1);
    mlp::backward(net, stage, &label, (middle, saved.mlp), branch, stream)?;

    let (norm1, attn_label) = (format!("{label}.norm1"), format!("{label}.attn"));
    let labels = Labels {
        norm1: &norm1,
        attn: &attn_label,
    };
    let (rows, proj) = (net.spec.batch * n, format!("{attn_label}.proj"));
    let d = net.through_branch(&proj, net.branch(stage, j, 0), stream, rows * c)?;
    let (ctx, attn) = attention::restore(net, stage, labels, (x, attn))?;
    net.builder
        .linear_bwd(&proj, (d, ctx), (rows, c, c), true)?;
    let dctx = net
        .builder
        .linear_bwd_data(&proj, d, (rows, c, c), Target::New)?;
    attention::backward(net, stage, labels, (x, attn), dctx, stream)
}

/// Ends a branch: x + Linear(branch), with parameters under `label`. In place where nobody needs x any more; a trace keeps
/// the branch as `out`, and stochastic depth has a factor for it.
pub(super) fn add_branch(
    net: &mut Net<'_>,
    (label, out): (&str, &str),
    input: BufferId,
    (n, inner, c): (usize, usize, usize),
    x: BufferId,
    branch: Branch,
) -> Result<BufferId> {
    let rows = net.spec.batch * n;
    let dims = (rows, inner, c);
    let traced = net.spec.trace && !net.trains();
    let target = match branch.0 {
        None if net.trains() => Target::NewSum(x),
        None if !traced => Target::AddTo(x),
        _ => Target::New,
    };
    let y = net.builder.linear(label, input, dims, true, target)?;
    if target != Target::New {
        return Ok(y);
    }
    if traced {
        net.trace(out.to_owned(), y, &[n, c])?;
    }
    net.builder
        .add_scaled(out, (Some(x), y), rows * c, branch.0)
}
