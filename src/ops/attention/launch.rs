//! Attention on a GPU.

use super::Attention;
use crate::dtype::DType;
use crate::kernels::attention::{HEAD_DIMS, launch_shape};
use crate::launch::{Launch, LaunchError, MOST_BLOCKS};

/// One launch: all keys on chip where there are few, a loop over tiles of them where there are many.
pub(super) fn forward(op: &Attention, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    let shape = launch_shape(dtype, op.batch, op.queries, op.keys, op.heads, op.head_dim);
    let shape = shape.ok_or(if HEAD_DIMS.contains(&op.head_dim) {
        LaunchError::TooLarge {
            kernel: "attention_fwd",
            what: "tiles of queries of all heads and images",
            found: op.batch.saturating_mul(op.heads).saturating_mul(op.queries),
            most: MOST_BLOCKS,
        }
    } else {
        LaunchError::HeadDim { found: op.head_dim }
    })?;
    let launch = Launch::of("attention", shape.entry, dtype.name())
        .grid(shape.grid[0] as usize, shape.grid[1] as usize)
        .block(shape.block[0], shape.block[1])
        .shared(shape.shared)
        .input(op.q)
        .input(op.kv)
        .output(op.y)
        .output_or_null(op.lse)
        .size("batch", op.batch)
        .size("queries", op.queries)
        .size("keys", op.keys)
        .size("heads", op.heads)
        .f32(1.0 / (op.head_dim as f32).sqrt());
    Ok(vec![launch.build()?])
}
