//! Gradients of a linear layer's weight and bias, added to what is there: dW += dyᵀ·x, db += Σ dy.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | dy | [R, cols] | in |
//! | x | [R, inner] | in |
//! | dweight | [cols, inner], as in the checkpoint, f32 in every type | in and out |
//! | dbias | `[cols]`, f32, or none | in and out |
//!
//! The gradient dx = dy·W is a `linear` with the transposed weight.

mod launch;

use super::{Op, OpSpec, count};
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
    /// Kernels only, where several blocks share a tile of the weight: their sums, and how many have stored theirs.
    pub(crate) shared: Option<(BufferId, BufferId)>,
}

impl OpSpec for LinearBwd {
    const NAME: &'static str = "linear_bwd";

    fn reads(&self) -> Vec<BufferId> {
        vec![self.dy, self.x]
    }

    fn writes(&self) -> Vec<BufferId> {
        let shared = self
            .shared
            .into_iter()
            .flat_map(|(partials, arrived)| [partials, arrived]);
        let own = [self.dweight].into_iter().chain(self.dbias);
        own.chain(shared).collect()
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

    fn run(&self, _: &mut Memory<'_>, _: &Lanes) {
        unreachable!("a plan of kernels")
    }
}

impl From<LinearBwd> for Op {
    fn from(op: LinearBwd) -> Self {
        Self::LinearBwd(op)
    }
}
