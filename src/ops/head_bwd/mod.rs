//! Backward of the classifier: of its linear layer, and of the LayerNorm before it.
//!
//! `dn = dlogits · weight`, `dweight[k, c] += Σ_b dlogits[b, k] n[b, c]`, `dbias[k] += Σ_b dlogits[b, k]` with
//! `n = LN(x)`; then the backward of LayerNorm (`layernorm_bwd`) for dx, dgamma and dbeta.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | x | B rows of C, `x_stride` apart: the class tokens | in |
//! | gamma, beta | `[C]` | in |
//! | weight | [K, C], as in `torch.nn.Linear` | in |
//! | dlogits | [B, K], f32 | in |
//! | dx | [B, x_stride]: rows as x, zeros elsewhere | out |
//! | dgamma, dbeta, dweight, dbias | as what they are gradients of, f32 | in and out |
//!
//! Sums over images and classes are f32, in an order that the shape fixes; dx is rounded once.

mod launch;

use super::{Norm, Op, OpSpec, count};
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
    /// Kernels only: f32, as many as `kernels::head_bwd::scratch` says.
    pub(crate) scratch: Option<BufferId>,
}

impl HeadBwd {
    /// Gradients that are added to.
    fn sums(&self) -> [BufferId; 4] {
        [self.dgamma, self.dbeta, self.dweight, self.dbias]
    }
}

impl OpSpec for HeadBwd {
    const NAME: &'static str = "head_bwd";

    fn reads(&self) -> Vec<BufferId> {
        let Norm { gamma, beta, .. } = self.norm;
        [self.x, gamma, beta, self.weight, self.dlogits]
            .into_iter()
            .chain(self.sums())
            .collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        [self.dx]
            .into_iter()
            .chain(self.sums())
            .chain(self.scratch)
            .collect()
    }

    fn macs(&self) -> u64 {
        count(&[2, self.batch, self.channels, self.classes])
    }

    fn shapes(&self) -> String {
        let Self {
            batch,
            channels,
            classes,
            ..
        } = self;
        format!("norm x[{batch},{channels}] w[{classes},{channels}]")
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::backward(self, dtype)
    }

    fn run(&self, _: &mut Memory<'_>, _: &Lanes) {
        unreachable!("a plan of kernels")
    }
}

impl From<HeadBwd> for Op {
    fn from(op: HeadBwd) -> Self {
        Self::HeadBwd(op)
    }
}
