//! One transformer block: x += attention(norm1(x)); x += mlp(norm2(x)).

use super::{Net, Stage, attention, mlp};
use crate::error::Result;
use crate::plan::{BufferId, Target};

/// The residual stream after block `j`, [B, N, C].
pub(super) fn forward(
    net: &mut Net<'_>,
    stage: &Stage<'_>,
    j: usize,
    x: BufferId,
) -> Result<BufferId> {
    let label = format!("block{}.{j}", stage.number());
    let (n, c) = (stage.shape.tokens, stage.shape.channels);
    let attn = format!("{label}.attn");
    let ctx = attention::forward(net, stage, (&format!("{label}.norm1"), &attn), x)?;
    let x = add_branch(
        net,
        (&format!("{attn}.proj"), &format!("{attn}.out")),
        ctx,
        (n, c, c),
        x,
    )?;

    let y = mlp::forward(net, stage, &label, x)?;
    net.trace(format!("{label}.out"), y, &[n, c])?;
    Ok(y)
}

/// Ends a branch: x + Linear(branch), with parameters under `label`. In place, unless traced: then
/// the branch is kept as `out` and the sum is a new buffer.
pub(super) fn add_branch(
    net: &mut Net<'_>,
    (label, out): (&str, &str),
    branch: BufferId,
    (n, inner, c): (usize, usize, usize),
    x: BufferId,
) -> Result<BufferId> {
    let rows = net.spec.batch * n;
    if !net.spec.trace {
        return net
            .builder
            .linear(label, branch, (rows, inner, c), true, Target::AddTo(x));
    }
    let y = net
        .builder
        .linear(label, branch, (rows, inner, c), true, Target::New)?;
    net.trace(out.to_owned(), y, &[n, c])?;
    net.builder.residual(out, (x, y), rows * c)
}
