//! Gradient of a position table and of the class token.
//!
//! dtable += Aᵀ · Σ d over images, where A is the bilinear resize of `pos_resize` (none where the grids are equal); the class
//! token's row is not resized. dclass += Σ d[b, 0].
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | d | [B, k + N, C], k = 1 with a class token, else 0 | in |
//! | dtable | [k + H₀·W₀, C], f32 | in and out |
//! | dclass | `[C]` or none, f32 | in and out |
//!
//! A gather: a cell of the table adds up the cells of the larger grid that have taken from it, in order.

mod cpu;
mod launch;

use super::{Op, OpSpec};
use crate::cpu::Real;
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
    /// The grid of the tokens.
    pub(crate) to: (usize, usize),
    pub(crate) d: BufferId,
    pub(crate) dtable: BufferId,
    pub(crate) dclass: Option<BufferId>,
    /// Sum over images; the CPU alone needs it.
    pub(crate) scratch: Option<BufferId>,
}

impl PosEmbedBwd {
    /// Rows of an image: tokens, and the class token if there is one.
    pub(crate) fn rows(&self) -> usize {
        self.to.0 * self.to.1 + usize::from(self.dclass.is_some())
    }
}

impl OpSpec for PosEmbedBwd {
    const NAME: &'static str = "pos_embed_bwd";

    fn reads(&self) -> Vec<BufferId> {
        vec![self.d]
    }

    fn writes(&self) -> Vec<BufferId> {
        let own = [self.dtable].into_iter().chain(self.dclass);
        own.chain(self.scratch).collect()
    }

    fn macs(&self) -> u64 {
        0
    }

    fn shapes(&self) -> String {
        let ((h, w), (oh, ow)) = (self.from, self.to);
        format!(
            "d[{},{},{}] {oh}x{ow} -> {h}x{w}",
            self.batch,
            self.rows(),
            self.channels
        )
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::backward(self, dtype)
    }

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, _: &Lanes<T>) {
        let scratch = self.scratch.expect("a plan for the CPU has scratch");
        if let Some(dclass) = self.dclass {
            let writes = [self.dtable, scratch, dclass];
            let ([d], [dtable, scratch, dclass]) = memory.bind([self.d], writes);
            cpu::backward(self, d, dtable, Some(dclass), scratch);
        } else {
            let ([d], [dtable, scratch]) = memory.bind([self.d], [self.dtable, scratch]);
            cpu::backward(self, d, dtable, None, scratch);
        }
    }
}

impl From<PosEmbedBwd> for Op {
    fn from(op: PosEmbedBwd) -> Self {
        Self::PosEmbedBwd(op)
    }
}
