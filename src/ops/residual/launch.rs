//! Residual connection on a GPU.

use super::Residual;
use crate::dtype::DType;
use crate::kernels::tuning::RES_THREADS;
use crate::launch::{Launch, LaunchError};

/// One vector of 16 bytes per thread.
pub(super) fn forward(op: &Residual, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    let vectors = (op.len * dtype.bytes()).div_ceil(16);
    let launch = Launch::of("residual", "residual_fwd", dtype.storage())
        .grid(vectors.div_ceil(RES_THREADS as usize), 1)
        .block(RES_THREADS, 1)
        .input_or_null(op.a)
        .input(op.b)
        .output(op.y)
        .u64(op.len as u64);
    Ok(vec![launch.build()?])
}
