//! Gradients of a linear layer's parameters: dW += dyᵀ·x, db += Σ dy over rows.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | dy | [R, cols] | in |
//! | x | [R, inner] | in |
//! | dweight | [cols, inner], f32, as in the checkpoint | in and out |
//! | dbias | `[cols]` or none, f32 | in and out |
//!
//! The gradient of x is a product like the forward one, with the weight as the matrix [inner, cols]: `linear` computes it.
//! Rows are summed in pieces whose number depends on their count alone, and the pieces in order.

mod cpu;
mod launch;

pub(crate) use cpu::{Sizes, backward};

use super::{Op, OpSpec, count};
use crate::cpu::Real;
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LinearBwd {
    pub(crate) rows: usize,
    pub(crate) inner: usize,
    pub(crate) cols: usize,
    pub(crate) dy: BufferId,
    pub(crate) x: BufferId,
    pub(crate) dweight: BufferId,
    pub(crate) dbias: Option<BufferId>,
    /// Sums of pieces of the rows; the CPU alone needs it.
    pub(crate) scratch: Option<BufferId>,
    /// Kernels only, where several blocks share a tile: their sums, and how many have stored theirs.
    pub(crate) shared: Option<(BufferId, BufferId)>,
}

impl LinearBwd {
    /// Elements of `scratch`.
    pub(crate) fn scratch_len(rows: usize, inner: usize, cols: usize) -> usize {
        Sizes { rows, inner, cols }.scratch_len()
    }
}

impl OpSpec for LinearBwd {
    const NAME: &'static str = "linear_bwd";

    fn reads(&self) -> Vec<BufferId> {
        vec![self.dy, self.x]
    }

    fn writes(&self) -> Vec<BufferId> {
        let shared = self.shared.into_iter().flat_map(|(p, a)| [p, a]);
        let own = [self.dweight].into_iter().chain(self.dbias);
        own.chain(self.scratch).chain(shared).collect()
    }

    fn macs(&self) -> u64 {
        count(&[self.rows, self.inner, self.cols])
    }

    fn shapes(&self) -> String {
        format!(
            "dy[{},{}] x[{},{}]",
            self.rows, self.cols, self.rows, self.inner
        )
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::backward(self, dtype)
    }

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, _: &Lanes<T>) {
        let scratch = self.scratch.expect("a plan for the CPU has scratch");
        let (rows, inner, cols) = (self.rows, self.inner, self.cols);
        let sizes = Sizes { rows, inner, cols };
        if let Some(dbias) = self.dbias {
            let writes = [self.dweight, scratch, dbias];
            let ([dy, x], [dweight, scratch, dbias]) = memory.bind([self.dy, self.x], writes);
            backward(sizes, dy, x, dweight, Some(dbias), scratch);
        } else {
            let writes = [self.dweight, scratch];
            let ([dy, x], [dweight, scratch]) = memory.bind([self.dy, self.x], writes);
            backward(sizes, dy, x, dweight, None, scratch);
        }
    }
}

impl From<LinearBwd> for Op {
    fn from(op: LinearBwd) -> Self {
        Self::LinearBwd(op)
    }
}
