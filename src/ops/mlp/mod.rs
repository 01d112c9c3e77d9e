//! The whole MLP branch of a block: x += W₂·GELU(W₁·LN(x) + b₁) + b₂.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | x | [R, C] | in and out |
//! | gamma, beta | `[C]` | in |
//! | w1, b1 | `[E, C]`, `[E]` | in |
//! | w2, b2 | `[C, E]`, `[C]` | in |
//!
//! The hidden layer [R, E], eight times as large as x in stages 1 and 2, exists only for the rows
//! of one task. Same arithmetic, bit for bit, as `layernorm`, `linear` with GELU and `linear`
//! accumulating.

mod cpu;
mod launch;

use super::{Op, OpSpec, count};
use crate::cpu::Real;
use crate::dtype::DType;
use crate::kernels::tuning::MLP_CHANNELS;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mlp {
    pub(crate) rows: usize,
    pub(crate) channels: usize,
    pub(crate) hidden: usize,
    pub(crate) eps: f32,
    pub(crate) x: BufferId,
    pub(crate) gamma: BufferId,
    pub(crate) beta: BufferId,
    pub(crate) w1: BufferId,
    pub(crate) b1: BufferId,
    pub(crate) w2: BufferId,
    pub(crate) b2: BufferId,
}

impl Mlp {
    /// Whether there is a kernel for the whole branch.
    pub(crate) fn has_kernel(channels: usize, hidden: usize) -> bool {
        channels <= MLP_CHANNELS as usize
            && channels.is_multiple_of(16)
            && hidden.is_multiple_of(16)
    }

    /// Whether one step is better than three on the CPU: there are rows for at least sixteen tasks, and both
    /// weights together stay in a core's L2 cache (1.25 MB) while the tasks pass.
    pub(crate) fn pays(rows: usize, channels: usize, hidden: usize) -> bool {
        rows >= 16 * cpu::ROWS && 2 * channels * hidden <= 320 * 1024
    }
}

impl OpSpec for Mlp {
    const NAME: &'static str = "mlp";

    fn reads(&self) -> Vec<BufferId> {
        vec![self.gamma, self.beta, self.w1, self.b1, self.w2, self.b2]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.x]
    }

    fn macs(&self) -> u64 {
        count(&[2, self.rows, self.channels, self.hidden])
    }

    fn shapes(&self) -> String {
        format!(
            "x[{},{}] hidden {} eps {:e}",
            self.rows, self.channels, self.hidden, self.eps
        )
    }

    fn lane_len(&self) -> usize {
        cpu::ROWS * (self.channels + self.hidden)
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::forward(self, dtype)
    }

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, lanes: &Lanes<T>) {
        let reads = [self.gamma, self.beta, self.w1, self.b1, self.w2, self.b2];
        let (weights, [x]) = memory.bind(reads, [self.x]);
        cpu::forward(self, weights, x, lanes);
    }
}

impl From<Mlp> for Op {
    fn from(op: Mlp) -> Self {
        Self::Mlp(op)
    }
}
