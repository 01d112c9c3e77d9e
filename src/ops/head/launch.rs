//! The classifier on a GPU.

use super::Head;
use crate::dtype::DType;
use crate::kernels::tuning::{HEAD_CLASSES, HEAD_IMAGES, HEAD_WARPS};
use crate::launch::{Launch, LaunchError};

/// Blocks of classes, and of images.
pub(super) fn forward(op: &Head, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    let images = HEAD_IMAGES as usize;
    let blocks = op.classes.div_ceil(HEAD_CLASSES as usize) * op.batch.div_ceil(images);
    let launch = Launch::of("head", "head_fwd", dtype.storage())
        .grid(blocks, 1)
        .block(32, HEAD_WARPS)
        .shared_size(op.batch.min(images) * op.channels * size_of::<f32>())
        .multiple("channels", op.channels, 8)
        .input(op.x)
        .input(op.norm.gamma)
        .input(op.norm.beta)
        .input(op.weight)
        .input(op.bias)
        .output(op.logits)
        .size("batch", op.batch)
        .size("channels", op.channels)
        .size("classes", op.classes)
        .size("row stride", op.x_stride)
        .f32(op.norm.eps);
    Ok(vec![launch.build()?])
}
