//! Fill on a GPU.

use super::Fill;
use crate::kernels::tuning::FILL_THREADS;
use crate::launch::{Launch, LaunchError};

/// One element per thread.
pub(super) fn forward(op: &Fill) -> Result<Vec<Launch>, LaunchError> {
    let launch = Launch::of("fill", "fill_fwd", "f32")
        .grid(op.len.div_ceil(FILL_THREADS as usize), 1)
        .block(FILL_THREADS, 1)
        .output(op.y)
        .size("length", op.len)
        .f32(op.value);
    Ok(vec![launch.build()?])
}
