//! Backward of positions and class token, from the gradient of a stage's input.
//!
//! `dtable[k + s] += Σ_b Σ_o A[o, s] d[b, k + o]`, with the class token `dtable[0] += Σ_b d[b, 0]` and `dclass +=`
//! the same. A are the weights of the table's resize to the grid of d, the identity where the grids are alike.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | d | [B, k + H1·W1, C], k = 1 with a class token, else 0 | in |
//! | dtable | [k + H0·W0, C], f32 | in and out |
//! | dclass | `[C]` or none, f32 | in and out |
//!
//! A gather for each row of the table, in an order that the shape fixes.

mod launch;

use super::{Op, OpSpec};
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PosEmbedBwd {
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    /// The table's own grid.
    pub(crate) from: (usize, usize),
    /// The grid of d.
    pub(crate) to: (usize, usize),
    pub(crate) d: BufferId,
    pub(crate) dtable: BufferId,
    pub(crate) dclass: Option<BufferId>,
}

impl OpSpec for PosEmbedBwd {
    const NAME: &'static str = "pos_embed_bwd";

    fn reads(&self) -> Vec<BufferId> {
        [self.d, self.dtable]
            .into_iter()
            .chain(self.dclass)
            .collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        [self.dtable].into_iter().chain(self.dclass).collect()
    }

    fn macs(&self) -> u64 {
        0
    }

    fn shapes(&self) -> String {
        let ((h, w), (oh, ow)) = (self.from, self.to);
        let class = if self.dclass.is_some() { " +class" } else { "" };
        let Self {
            batch, channels, ..
        } = self;
        format!("d[{batch},{oh}x{ow},{channels}] -> {h}x{w}{class}")
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::backward(self, dtype)
    }

    fn run(&self, _: &mut Memory<'_>, _: &Lanes) {
        unreachable!("a plan of kernels")
    }
}

impl From<PosEmbedBwd> for Op {
    fn from(op: PosEmbedBwd) -> Self {
        Self::PosEmbedBwd(op)
    }
}
