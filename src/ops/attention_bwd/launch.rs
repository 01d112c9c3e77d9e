//! Gradients of attention on a GPU.

use super::AttentionBwd;
use crate::dtype::DType;
use crate::kernels::attention::HEAD_DIMS;
use crate::kernels::attention_bwd::{BwdKernel, launch_shape};
use crate::launch::{Builder, Launch, LaunchError, MOST_BLOCKS};

/// One launch where all keys are on chip; else dq and what its queries add up to, then dk and dv from that.
pub(super) fn backward(op: &AttentionBwd, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    let shape = launch_shape(dtype, op.size()).ok_or(if HEAD_DIMS.contains(&op.head_dim) {
        LaunchError::TooLarge {
            kernel: "attention_bwd",
            what: "tiles of queries of all heads and images",
            found: op.batch.saturating_mul(op.heads).saturating_mul(op.queries),
            most: MOST_BLOCKS,
        }
    } else {
        LaunchError::HeadDim { found: op.head_dim }
    })?;
    let scale = 1.0 / (op.head_dim as f32).sqrt();
    let begin = |kernel: BwdKernel| {
        Launch::of("attention_bwd", kernel.entry, dtype.name())
            .grid(kernel.grid, 1)
            .block(kernel.block[0], kernel.block[1])
            .shared(kernel.shared)
            .input(op.q)
            .input(op.kv)
    };
    let sizes = |launch: Builder| {
        launch
            .size("batch", op.batch)
            .size("queries", op.queries)
            .size("keys", op.keys)
            .size("heads", op.heads)
    };
    let parts = |launch: Builder| {
        sizes(launch)
            .size("blocks that share keys", shape.split)
            .size("steps of a block", shape.steps)
            .size("blocks of a group", shape.group)
            .f32(scale)
    };
    let sums = op.shared.map(|(sums, _)| sums);
    let arrived = op.shared.map(|(_, arrived)| arrived);
    let Some(of_queries) = shape.queries else {
        let launch = begin(shape.keys)
            .input(op.dy)
            .output(op.dq)
            .output(op.dkv)
            .output_or_null(sums)
            .in_out_or_null(arrived);
        return Ok(vec![parts(launch).build()?]);
    };
    let (y, lse) = op
        .saved
        .expect("with more keys than a tile a plan has y and lse");
    let of_queries = begin(of_queries)
        .input(y)
        .input(lse)
        .input(op.dy)
        .output(op.dq)
        .output_or_null(sums);
    let of_keys = begin(shape.keys)
        .input(lse)
        .input(op.dy)
        .output(op.dkv)
        .in_out_or_null(sums)
        .in_out_or_null(arrived);
    Ok(vec![
        sizes(of_queries).f32(scale).build()?,
        parts(of_keys).build()?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::launch_check::{DTYPES, buffers, check};

    #[test]
    fn launches_are_what_kernels_take() {
        let [q, kv, y, lse, dy, dq, dkv, sums, arrived] = buffers();
        let mut op = AttentionBwd {
            batch: 1,
            queries: 3136,
            keys: 49,
            heads: 1,
            head_dim: 64,
            q,
            kv,
            saved: Some((y, lse)),
            dy,
            dq,
            dkv,
            shared: Some((sums, arrived)),
        };
        for dtype in DTYPES {
            for (batch, queries, keys, heads) in [
                (1, 3136, 49, 1),
                (32, 784, 49, 2),
                (1024, 196, 49, 5),
                (3, 50, 50, 8),
                (1, 64000, 1000, 1),
                (2, 1000, 1000, 8),
            ] {
                for head_dim in HEAD_DIMS {
                    (op.batch, op.queries, op.keys) = (batch, queries, keys);
                    (op.heads, op.head_dim) = (heads, head_dim);
                    let launches = backward(&op, dtype).unwrap();
                    assert_eq!(launches.len(), if keys > 64 { 2 } else { 1 });
                    launches.iter().for_each(check);
                }
            }
            op.head_dim = 48;
            let refused = backward(&op, dtype);
            assert_eq!(refused, Err(LaunchError::HeadDim { found: 48 }));
            (op.head_dim, op.batch) = (64, 1 << 30);
            assert!(matches!(
                backward(&op, dtype),
                Err(LaunchError::TooLarge { .. })
            ));
        }
    }
}
