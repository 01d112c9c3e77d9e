//! Attention on a GPU: there is no kernel yet.

use super::Attention;
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};

pub(super) fn forward(_: &Attention, _: DType) -> Result<Vec<Launch>, LaunchError> {
    Err(LaunchError::NoKernel { op: "attention" })
}
