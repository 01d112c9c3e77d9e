//! A step of the optimiser over all parameters: the norm of the gradient, then AdamW, then the new weights in the
//! images that kernels read. Kernels alone.
//!
//! `g ← g · factor`, `m += (1 − β₁)(g − m)`, `v = β₂ v + (1 − β₂) g²`,
//! `p = p (1 − lr · weight decay) − lr m̂ / (√v̂ + ε)`, decay for the tensors that have it alone; `g = 0`.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | p, m, v, g | `[len]`, f32 | in and out |
//! | images, turned | bytes; may be one buffer | out |
//! | tensors, tiles | `kernels::adamw::Table` | in |
//! | hyper | learning rate, weight decay, most norm, f32 | in |
//! | control | `kernels::adamw::control` | in and out |
//!
//! `factor` clips the norm and takes the loss scale off. Where the gradient is not finite the step is left out and
//! a dynamic scale halves. Loshchilov and Hutter 2019, algorithm 2; `torch.optim.AdamW`.

mod launch;

use super::{Op, OpSpec};
use crate::cpu::Real;
use crate::dtype::DType;
use crate::kernels::adamw::LossScale;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AdamW {
    /// Elements of the flat arrays.
    pub(crate) len: usize,
    /// Tiles of the table.
    pub(crate) blocks: usize,
    pub(crate) betas: (f64, f64),
    pub(crate) eps: f32,
    pub(crate) scale: LossScale,
    pub(crate) p: BufferId,
    pub(crate) m: BufferId,
    pub(crate) v: BufferId,
    pub(crate) g: BufferId,
    pub(crate) images: BufferId,
    pub(crate) turned: BufferId,
    pub(crate) tensors: BufferId,
    pub(crate) tiles: BufferId,
    pub(crate) hyper: BufferId,
    pub(crate) control: BufferId,
    /// Sums of blocks, f32, as many as `kernels::adamw::norm_blocks`, and one u32 at zero.
    pub(crate) shared: (BufferId, BufferId),
}

impl OpSpec for AdamW {
    const NAME: &'static str = "adamw";

    fn reads(&self) -> Vec<BufferId> {
        let arrays = [self.p, self.m, self.v, self.g];
        let tables = [self.tensors, self.tiles, self.hyper, self.control];
        let arrived = self.shared.1;
        arrays.into_iter().chain(tables).chain([arrived]).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        let arrays = [self.p, self.m, self.v, self.g];
        let (partials, arrived) = self.shared;
        let others = [self.images, self.turned, self.control, partials, arrived];
        arrays.into_iter().chain(others).collect()
    }

    fn macs(&self) -> u64 {
        0
    }

    fn shapes(&self) -> String {
        format!("p[{}]", self.len)
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::step(self, dtype)
    }

    fn run<T: Real>(&self, _: &mut Memory<'_, T>, _: &Lanes<T>) {
        unreachable!("a plan of kernels")
    }
}

impl From<AdamW> for Op {
    fn from(op: AdamW) -> Self {
        Self::AdamW(op)
    }
}
