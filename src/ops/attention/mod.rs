//! Attention of N queries over M keys: y = softmax(q·kᵀ·scale)·v, per image and head.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | q | [B, N, C], head h in columns h·D..(h+1)·D | in |
//! | kv | [B, M, 2C]: keys in the first C columns, values in the last, heads as in q | in |
//! | scratch | [B, packed keys and values], on the CPU | scratch |
//! | y | [B, N, C], heads joined as in q | out |
//!
//! scale = D^-½ (Vaswani et al. 2017, equation 1). In spatial-reduction attention M is far below N;
//! nothing here assumes it. Scores exist for the queries of one task only, never for a whole image.

mod cpu;
mod launch;

pub(crate) use cpu::{pack_transposed, padded, softmax};

use super::{Op, OpSpec, count};
use crate::cpu::Real;
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attention {
    pub(crate) batch: usize,
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    pub(crate) heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) q: BufferId,
    pub(crate) kv: BufferId,
    /// Packed keys and values; the CPU alone needs it.
    pub(crate) scratch: Option<BufferId>,
    pub(crate) y: BufferId,
    /// Kernels only, for a backward pass: log-sum-exp of the scaled scores, f32 [B, heads, N].
    pub(crate) lse: Option<BufferId>,
}

impl Attention {
    pub(crate) fn channels(&self) -> usize {
        self.heads * self.head_dim
    }

    /// f32 elements of `scratch` for `keys` keys of `channels` channels and one image.
    pub(crate) fn scratch_len(keys: usize, channels: usize) -> usize {
        channels * (cpu::padded(keys) + keys)
    }
}

impl OpSpec for Attention {
    const NAME: &'static str = "attention";

    fn reads(&self) -> Vec<BufferId> {
        vec![self.q, self.kv]
    }

    fn writes(&self) -> Vec<BufferId> {
        self.scratch
            .into_iter()
            .chain([self.y])
            .chain(self.lse)
            .collect()
    }

    fn macs(&self) -> u64 {
        count(&[2, self.batch, self.queries, self.keys, self.channels()])
    }

    fn shapes(&self) -> String {
        format!(
            "q[{},{},{}x{}] keys {}",
            self.batch, self.queries, self.heads, self.head_dim, self.keys
        )
    }

    fn lane_len(&self) -> usize {
        cpu::rows(self) * cpu::padded(self.keys)
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::forward(self, dtype)
    }

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, lanes: &Lanes<T>) {
        let scratch = self.scratch.expect("a plan for the CPU has scratch");
        let ([q, kv], [scratch, y]) = memory.bind([self.q, self.kv], [scratch, self.y]);
        cpu::forward(self, q, kv, scratch, y, lanes);
    }
}

impl From<Attention> for Op {
    fn from(op: Attention) -> Self {
        Self::Attention(op)
    }
}
