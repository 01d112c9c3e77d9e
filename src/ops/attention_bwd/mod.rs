//! Gradient of attention, per image and head. With S = scale · q·kᵀ, P = softmax(S), y = P·v:
//! dv = Pᵀ·dy, dP = dy·vᵀ, dS = P ∘ (dP − rowsum(P ∘ dP)), dq = scale · dS·k, dk = scale · dSᵀ·q.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | q | [B, N, C], head h in columns h·D..(h+1)·D | in |
//! | kv | [B, M, 2C]: keys, then values | in |
//! | saved | y [B, N, C] and lse [B, heads, N] of the forward | in, kernels with many keys |
//! | dy | [B, N, C] | in |
//! | dq | [B, N, C] | out |
//! | dkv | [B, M, 2C] | out |
//!
//! P is computed once more; it never exists for a whole image. Dao et al. 2022, algorithm 4, without its atomics.

mod cpu;
mod launch;

use super::{Op, OpSpec, count};
use crate::cpu::Real;
use crate::dtype::DType;
use crate::kernels::attention_bwd::AttentionSize;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AttentionBwd {
    pub(crate) batch: usize,
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    pub(crate) heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) q: BufferId,
    pub(crate) kv: BufferId,
    /// Kernels only: result and log-sum-exp of the forward, where keys do not fit one tile.
    pub(crate) saved: Option<(BufferId, BufferId)>,
    pub(crate) dy: BufferId,
    pub(crate) dq: BufferId,
    pub(crate) dkv: BufferId,
    /// Kernels only, where several blocks share keys: their sums, and how many have stored theirs.
    pub(crate) shared: Option<(BufferId, BufferId)>,
}

impl AttentionBwd {
    pub(crate) fn channels(&self) -> usize {
        self.heads * self.head_dim
    }

    /// The sizes that the kernels go by.
    pub(crate) fn size(&self) -> AttentionSize {
        AttentionSize {
            batch: self.batch,
            queries: self.queries,
            keys: self.keys,
            heads: self.heads,
            head_dim: self.head_dim,
        }
    }
}

impl OpSpec for AttentionBwd {
    const NAME: &'static str = "attention_bwd";

    fn reads(&self) -> Vec<BufferId> {
        let saved = self.saved.into_iter().flat_map(|(y, lse)| [y, lse]);
        [self.q, self.kv, self.dy]
            .into_iter()
            .chain(saved)
            .collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        let shared = self.shared.into_iter().flat_map(|(p, a)| [p, a]);
        [self.dq, self.dkv].into_iter().chain(shared).collect()
    }

    fn macs(&self) -> u64 {
        count(&[5, self.batch, self.queries, self.keys, self.channels()])
    }

    fn shapes(&self) -> String {
        format!(
            "dq[{},{},{}x{}] keys {}",
            self.batch, self.queries, self.heads, self.head_dim, self.keys
        )
    }

    fn lane_len(&self) -> usize {
        cpu::lane_len(self)
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::backward(self, dtype)
    }

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, lanes: &Lanes<T>) {
        let reads = [self.q, self.kv, self.dy];
        let (reads, [dq, dkv]) = memory.bind(reads, [self.dq, self.dkv]);
        cpu::backward(self, reads, dq, dkv, lanes);
    }
}

impl From<AttentionBwd> for Op {
    fn from(op: AttentionBwd) -> Self {
        Self::AttentionBwd(op)
    }
}
