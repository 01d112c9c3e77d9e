//! The classifier: LayerNorm of one row per image, then a linear layer. Logits are f32 in every type.
//!
//! `logits[b, k] = bias[k] + Σ LN(x[b])[c] · weight[k, c]`
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | x | B rows of C, `x_stride` apart: the class tokens | in |
//! | gamma, beta | `[C]` | in |
//! | weight | [K, C], as in `torch.nn.Linear` | in |
//! | bias | `[K]` | in |
//! | logits | [B, K] | out |
//!
//! Models on the CPU take `layernorm` and `linear` instead, whose weights are packed.

mod cpu;
mod launch;

use super::{Norm, Op, OpSpec, count};
use crate::cpu::Real;
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Head {
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) classes: usize,
    pub(crate) x_stride: usize,
    pub(crate) x: BufferId,
    pub(crate) norm: Norm,
    pub(crate) weight: BufferId,
    pub(crate) bias: BufferId,
    pub(crate) logits: BufferId,
}

impl OpSpec for Head {
    const NAME: &'static str = "head";

    fn reads(&self) -> Vec<BufferId> {
        vec![
            self.x,
            self.norm.gamma,
            self.norm.beta,
            self.weight,
            self.bias,
        ]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.logits]
    }

    fn macs(&self) -> u64 {
        count(&[self.batch, self.channels, self.classes])
    }

    fn shapes(&self) -> String {
        format!(
            "norm x[{},{}] w[{},{}]",
            self.batch, self.channels, self.classes, self.channels
        )
    }

    fn lane_len(&self) -> usize {
        self.channels
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::forward(self, dtype)
    }

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, lanes: &Lanes<T>) {
        let norm = self.norm;
        let reads = [self.x, norm.gamma, norm.beta, self.weight, self.bias];
        let (reads, [logits]) = memory.bind(reads, [self.logits]);
        cpu::forward(self, reads, logits, lanes);
    }
}

impl From<Head> for Op {
    fn from(op: Head) -> Self {
        Self::Head(op)
    }
}
