//! Backward of LayerNorm, from its input and the gradient of its output.
//!
//! `dx[r] (+)= rstd_r (g − mean(g) − x̂ · mean(g x̂))`, `g = gamma · dy`, `x̂ = (x − mean_r) rstd_r`,
//! `dgamma[c] += Σ_r dy[r, c] x̂[r, c]`, `dbeta[c] += Σ_r dy[r, c]`
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | x | R rows of C, `x_stride` apart | in |
//! | gamma | `[C]` | in |
//! | dy | R rows of C; with `skip = (N, s)` s rows in front of every N are left out | in |
//! | dx | R rows of C, `x_stride` apart | out, or in and out with `accumulate` |
//! | dgamma, dbeta | `[C]`, f32 | in and out |
//!
//! Statistics are computed again, in two passes over the row, in f32. dx is rounded once; sums over rows are f32
//! in an order that the shape fixes.

mod launch;

use super::{Op, OpSpec};
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LayerNormBwd {
    pub(crate) rows: usize,
    pub(crate) channels: usize,
    pub(crate) x_stride: usize,
    /// Tokens of an image, and the rows of dy in front of them that are no tokens.
    pub(crate) skip: Option<(usize, usize)>,
    pub(crate) eps: f32,
    pub(crate) x: BufferId,
    pub(crate) gamma: BufferId,
    pub(crate) dy: BufferId,
    pub(crate) dx: BufferId,
    /// Whether the result is added to what dx has.
    pub(crate) accumulate: bool,
    pub(crate) dgamma: BufferId,
    pub(crate) dbeta: BufferId,
    /// Kernels only: sums of blocks, f32, and how many have stored theirs, u32 at zero.
    pub(crate) shared: Option<(BufferId, BufferId)>,
}

impl OpSpec for LayerNormBwd {
    const NAME: &'static str = "layernorm_bwd";

    fn reads(&self) -> Vec<BufferId> {
        let mut ids = vec![self.x, self.gamma, self.dy, self.dgamma, self.dbeta];
        ids.extend(self.accumulate.then_some(self.dx));
        ids.extend(self.shared.map(|(_, arrived)| arrived));
        ids
    }

    fn writes(&self) -> Vec<BufferId> {
        let mut ids = vec![self.dx, self.dgamma, self.dbeta];
        ids.extend(
            self.shared
                .into_iter()
                .flat_map(|(partials, arrived)| [partials, arrived]),
        );
        ids
    }

    fn macs(&self) -> u64 {
        0
    }

    fn shapes(&self) -> String {
        let accumulate = if self.accumulate { " += dx" } else { "" };
        format!(
            "x[{},{}] eps {:e}{accumulate}",
            self.rows, self.channels, self.eps
        )
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::backward(self, dtype)
    }

    fn run(&self, _: &mut Memory<'_>, _: &Lanes) {
        unreachable!("a plan of kernels")
    }
}

impl From<LayerNormBwd> for Op {
    fn from(op: LayerNormBwd) -> Self {
        Self::LayerNormBwd(op)
    }
}
