//! The MLP branch on a GPU: there is no kernel yet.

use super::Mlp;
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};

pub(super) fn forward(_: &Mlp, _: DType) -> Result<Vec<Launch>, LaunchError> {
    Err(LaunchError::NoKernel { op: "mlp" })
}
