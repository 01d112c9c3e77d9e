//! Gradient of the classifier: of its linear layer, of its LayerNorm, and of the tokens that it reads.
//!
//! dn = dlogits·W, dW += dlogitsᵀ·n, db += Σ dlogits, with n = LayerNorm(x); then as `layernorm_bwd`.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | x | B rows of C, `x_stride` apart: the class tokens | in |
//! | gamma, beta | `[C]` | in |
//! | weight | [K, C], as in `torch.nn.Linear` | in |
//! | dlogits | [B, K], f32 | in |
//! | dx | [B, T, C] with T·C = `x_stride`; zero but for the class tokens | out |
//! | dgamma, dbeta, dweight, dbias | as the parameters, f32 | in and out |
//!
//! Models on the CPU take `linear_bwd`, `linear` and `layernorm_bwd` instead.

mod cpu;
mod launch;

use super::{Norm, Op, OpSpec, count};
use crate::cpu::Real;
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HeadBwd {
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) classes: usize,
    pub(crate) x_stride: usize,
    pub(crate) x: BufferId,
    pub(crate) norm: Norm,
    pub(crate) weight: BufferId,
    pub(crate) dlogits: BufferId,
    pub(crate) dx: BufferId,
    pub(crate) dgamma: BufferId,
    pub(crate) dbeta: BufferId,
    pub(crate) dweight: BufferId,
    pub(crate) dbias: BufferId,
    /// Kernels only.
    pub(crate) scratch: Option<BufferId>,
}

impl OpSpec for HeadBwd {
    const NAME: &'static str = "head_bwd";

    fn reads(&self) -> Vec<BufferId> {
        let Norm { gamma, beta, .. } = self.norm;
        vec![self.x, gamma, beta, self.weight, self.dlogits]
    }

    fn writes(&self) -> Vec<BufferId> {
        let own = [self.dx, self.dgamma, self.dbeta, self.dweight, self.dbias];
        own.into_iter().chain(self.scratch).collect()
    }

    fn macs(&self) -> u64 {
        count(&[2, self.batch, self.channels, self.classes])
    }

    fn shapes(&self) -> String {
        format!(
            "dlogits[{},{}] w[{},{}]",
            self.batch, self.classes, self.classes, self.channels
        )
    }

    fn lane_len(&self) -> usize {
        2 * self.channels
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::backward(self, dtype)
    }

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, lanes: &Lanes<T>) {
        let Norm { gamma, beta, .. } = self.norm;
        let reads = [self.x, gamma, beta, self.weight, self.dlogits];
        let writes = [self.dx, self.dgamma, self.dbeta, self.dweight, self.dbias];
        let (reads, writes) = memory.bind(reads, writes);
        cpu::backward(self, reads, writes, lanes);
    }
}

impl From<HeadBwd> for Op {
    fn from(op: HeadBwd) -> Self {
        Self::HeadBwd(op)
    }
}
