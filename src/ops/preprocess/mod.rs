//! Pixels as a camera or decoder gives them, to the input of the network, on the device.
//!
//! `y[b, c, h, w] = (x[b, h, w, c] / 255 - mean[c]) / std[c]`
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | x | [B, H, W, 3], bytes | in |
//! | y | [B, 3, H, W], f32 | out |
//!
//! Torchvision's `ToTensor` and `Normalize`, but for the last bits: it multiplies by 1 / std. Only plans
//! of kernels have it; for the CPU `picture::prepare` does the same while it decodes.

mod launch;

use super::{Op, OpSpec};
use crate::cpu::Real;
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Preprocess {
    pub(crate) batch: usize,
    pub(crate) size: (usize, usize),
    pub(crate) mean: [f32; 3],
    pub(crate) std: [f32; 3],
    pub(crate) x: BufferId,
    pub(crate) y: BufferId,
}

impl OpSpec for Preprocess {
    const NAME: &'static str = "preprocess";

    fn reads(&self) -> Vec<BufferId> {
        vec![self.x]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn macs(&self) -> u64 {
        0
    }

    fn shapes(&self) -> String {
        format!("x[{},{},{},3]", self.batch, self.size.0, self.size.1)
    }

    fn launches(&self, _: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::forward(self)
    }

    fn run<T: Real>(&self, _: &mut Memory<'_, T>, _: &Lanes<T>) {
        debug_assert!(false, "the CPU runs no plan of kernels");
    }
}

impl From<Preprocess> for Op {
    fn from(op: Preprocess) -> Self {
        Self::Preprocess(op)
    }
}
