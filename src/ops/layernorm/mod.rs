//! LayerNorm: `y[r, c] = (x[r, c] - mean_r) / sqrt(var_r + eps) · gamma[c] + beta[c]`.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | x | R rows of C, `x_stride` apart | in |
//! | gamma, beta | `[C]` | in |
//! | y | [R, C] | out |
//!
//! Biased variance, two passes, statistics in f32. A row stride above C picks one token per image
//! (the class token). Ba et al. 2016, equations 3 and 4, with eps inside the root.

mod cpu;
mod launch;

pub(crate) use cpu::norm_row;

use super::{Op, OpSpec, Positions};
use crate::cpu::Real;
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LayerNorm {
    pub(crate) rows: usize,
    pub(crate) channels: usize,
    pub(crate) x_stride: usize,
    pub(crate) eps: f32,
    pub(crate) x: BufferId,
    pub(crate) gamma: BufferId,
    pub(crate) beta: BufferId,
    pub(crate) y: BufferId,
    /// Kernels only: what is added to the rows of each image, and how many rows that is.
    pub(crate) positions: Option<(Positions, usize)>,
}

impl OpSpec for LayerNorm {
    const NAME: &'static str = "layernorm";

    fn reads(&self) -> Vec<BufferId> {
        let mut ids = vec![self.x, self.gamma, self.beta];
        if let Some((positions, _)) = self.positions {
            ids.push(positions.table);
            ids.extend(positions.class_token);
        }
        ids
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn macs(&self) -> u64 {
        0
    }

    fn shapes(&self) -> String {
        let positions = if self.positions.is_some() {
            " +positions"
        } else {
            ""
        };
        format!(
            "x[{},{}] eps {:e}{positions}",
            self.rows, self.channels, self.eps
        )
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::forward(self, dtype)
    }

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, _: &Lanes<T>) {
        let ([x, gamma, beta], [y]) = memory.bind([self.x, self.gamma, self.beta], [self.y]);
        cpu::forward(self, x, gamma, beta, y);
    }
}

impl From<LayerNorm> for Op {
    fn from(op: LayerNorm) -> Self {
        Self::LayerNorm(op)
    }
}
