//! How the backward of the classifier is split: a function of the shape.

use super::tuning::{HEADB_IMAGES, HEADB_SLICE, HEADB_TILE};
use crate::dtype::DType;

/// Bytes that move together.
const VECTOR_BYTES: usize = 16;
/// Lanes of a warp.
const WARP: usize = 32;
/// Channels of a block of `head_bwd_sums`.
const SUM_CHANNELS: usize = 128;

/// Slices of classes, each of which leaves a gradient of the normalised rows.
pub const fn slices(classes: usize) -> usize {
    classes.div_ceil(HEADB_SLICE as usize)
}

/// f32 elements of scratch: gradients of normalised rows by slice, the rows, and the terms of dgamma.
pub const fn scratch(batch: usize, channels: usize, classes: usize) -> usize {
    (slices(classes) + 2) * batch * channels
}

/// Blocks of `head_bwd_dn` along x and y.
pub fn dn_grid(dtype: DType, batch: usize, channels: usize, classes: usize) -> (usize, usize) {
    let of_block = WARP * VECTOR_BYTES / dtype.bytes();
    (
        slices(classes) * channels.div_ceil(of_block),
        batch.div_ceil(HEADB_IMAGES as usize),
    )
}

/// Blocks of `head_bwd_sums`: tiles of classes, and one more row for dgamma and dbeta.
pub const fn sums_grid(channels: usize, classes: usize) -> usize {
    (classes.div_ceil(HEADB_TILE as usize) + 1) * channels.div_ceil(SUM_CHANNELS)
}
