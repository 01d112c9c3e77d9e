//! Positions on a GPU.

use super::{PosEmbed, PosResize};
use crate::dtype::DType;
use crate::kernels::tuning::POS_THREADS;
use crate::launch::{Launch, LaunchError};

/// One vector of 16 bytes per thread.
pub(super) fn add(op: &PosEmbed, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    let rows = op.tokens + usize::from(op.class_token.is_some());
    let vectors = (rows * op.channels * dtype.bytes()).div_ceil(16);
    let blocks = op.batch * vectors.div_ceil(POS_THREADS as usize);
    let launch = Launch::of("pos_embed", "pos_embed_fwd", dtype.storage())
        .grid(blocks, 1)
        .block(POS_THREADS, 1)
        .multiple("channels", op.channels, 8)
        .input(op.x)
        .input_or_null(op.class_token)
        .input(op.table)
        .output(op.y)
        .size("batch", op.batch)
        .size("tokens", op.tokens)
        .size("channels", op.channels);
    Ok(vec![launch.build()?])
}

/// One vector of 16 bytes per thread.
pub(super) fn resize(op: &PosResize, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    let rows = op.class_rows + op.to.0 * op.to.1;
    let vectors = (rows * op.channels * dtype.bytes()).div_ceil(16);
    let launch = Launch::of("pos_embed", "pos_embed_resize_fwd", dtype.storage())
        .grid(vectors.div_ceil(POS_THREADS as usize), 1)
        .block(POS_THREADS, 1)
        .multiple("channels", op.channels, 8)
        .input(op.table)
        .output(op.y)
        .size("channels", op.channels)
        .size("class rows", op.class_rows)
        .size("height", op.from.0)
        .size("width", op.from.1)
        .size("new height", op.to.0)
        .size("new width", op.to.1);
    Ok(vec![launch.build()?])
}
