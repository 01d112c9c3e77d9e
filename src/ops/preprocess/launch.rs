//! Preprocessing on a GPU: four pixels per thread.

use super::Preprocess;
use crate::kernels::tuning::PRE_THREADS;
use crate::launch::{Builder, Launch, LaunchError};

/// Pixels of a thread.
const QUAD: usize = 4;

pub(super) fn forward(op: &Preprocess) -> Result<Vec<Launch>, LaunchError> {
    let (h, w) = op.size;
    let blocks = op.batch * (h * w).div_ceil(QUAD * PRE_THREADS as usize);
    let launch = Launch::of("preprocess", "preprocess_fwd", "f32")
        .grid(blocks, 1)
        .block(PRE_THREADS, 1)
        .input(op.x)
        .output(op.y)
        .size("batch", op.batch)
        .size("height", h)
        .size("width", w);
    let launch = op.mean.into_iter().fold(launch, Builder::f32);
    let launch = op.std.into_iter().fold(launch, |l, std| l.f32(1.0 / std));
    Ok(vec![launch.build()?])
}
