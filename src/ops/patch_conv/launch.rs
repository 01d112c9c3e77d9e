//! Patch convolution on a GPU: there is no kernel yet.

use super::PatchConv;
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};

pub(super) fn forward(_: &PatchConv, _: DType) -> Result<Vec<Launch>, LaunchError> {
    Err(LaunchError::NoKernel { op: "patch_conv" })
}
