//! Gradient of LayerNorm. With x̂ = (x − mean) · rstd and g = γ · dy, per row:
//! dx = rstd · (g − mean(g) − x̂ · mean(g · x̂)), dγ += Σ dy · x̂, dβ += Σ dy over rows.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | x | R rows of C, `x_stride` apart | in |
//! | gamma | `[C]` | in |
//! | dy | R rows of C; with `skip` after so many other rows of each image | in |
//! | dx | R rows of C, `x_stride` apart | out; with `accumulate` added to |
//! | dgamma, dbeta | `[C]`, f32 | in and out |
//!
//! Mean and variance are computed from x once more, in two passes. Without `accumulate` what lies between rows
//! of dx becomes zero on the CPU; kernels leave it.

mod cpu;
mod launch;

use super::{Op, OpSpec};
use crate::cpu::Real;
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LayerNormBwd {
    pub(crate) rows: usize,
    pub(crate) channels: usize,
    pub(crate) x_stride: usize,
    /// Rows of an image, and rows of dy in front of them that are not theirs.
    pub(crate) skip: Option<(usize, usize)>,
    pub(crate) eps: f32,
    pub(crate) x: BufferId,
    pub(crate) gamma: BufferId,
    pub(crate) dy: BufferId,
    pub(crate) dx: BufferId,
    /// Whether dx is added to, not written.
    pub(crate) accumulate: bool,
    pub(crate) dgamma: BufferId,
    pub(crate) dbeta: BufferId,
    /// Sums of pieces of the rows; the CPU alone needs it.
    pub(crate) scratch: Option<BufferId>,
    /// Kernels only: sums of blocks, and how many have stored theirs.
    pub(crate) shared: Option<(BufferId, BufferId)>,
}

impl LayerNormBwd {
    /// Elements of `scratch`.
    pub(crate) fn scratch_len(rows: usize, channels: usize) -> usize {
        rows.div_ceil(cpu::piece(rows)) * 2 * channels
    }

    /// Row of dy that belongs to row `r` of x.
    pub(crate) fn dy_row(&self, r: usize) -> usize {
        self.skip
            .map_or(r, |(tokens, skip)| r + (r / tokens + 1) * skip)
    }
}

impl OpSpec for LayerNormBwd {
    const NAME: &'static str = "layernorm_bwd";

    fn reads(&self) -> Vec<BufferId> {
        vec![self.x, self.gamma, self.dy]
    }

    fn writes(&self) -> Vec<BufferId> {
        let shared = self.shared.into_iter().flat_map(|(p, a)| [p, a]);
        let own = [self.dx, self.dgamma, self.dbeta].into_iter();
        own.chain(self.scratch).chain(shared).collect()
    }

    fn macs(&self) -> u64 {
        0
    }

    fn shapes(&self) -> String {
        let tail = if self.accumulate { " +=" } else { "" };
        format!(
            "x[{},{}] eps {:e}{tail}",
            self.rows, self.channels, self.eps
        )
    }

    fn lane_len(&self) -> usize {
        2 * self.channels
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::backward(self, dtype)
    }

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, lanes: &Lanes<T>) {
        let scratch = self.scratch.expect("a plan for the CPU has scratch");
        let writes = [self.dx, self.dgamma, self.dbeta, scratch];
        let (reads, writes) = memory.bind([self.x, self.gamma, self.dy], writes);
        cpu::backward(self, reads, writes, lanes);
    }
}

impl From<LayerNormBwd> for Op {
    fn from(op: LayerNormBwd) -> Self {
        Self::LayerNormBwd(op)
    }
}
