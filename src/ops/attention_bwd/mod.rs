//! Gradients of attention, y = softmax(q·kᵀ·scale)·v, per image and head.
//!
//! With S = scale·q·kᵀ, P = softmax(S), dP = dy·vᵀ, δᵢ = Σⱼ Pᵢⱼ·dPᵢⱼ = Σ_c dyᵢ_c·yᵢ_c and dS = P∘(dP − δ):
//!
//! dq = scale·dS·k,  dk = scale·dSᵀ·q,  dv = Pᵀ·dy
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | q | [B, N, C], head h in columns h·D..(h+1)·D | in |
//! | kv | [B, M, 2C]: keys in the first C columns, values in the last, heads as in q | in |
//! | y, lse | [B, N, C] and [B, heads, N] in f32: ln Σ e^S of each query, as the forward leaves them | in |
//! | dy | [B, N, C] | in |
//! | dq | [B, N, C] | out |
//! | dkv | [B, M, 2C] | out |
//! | scratch | on the CPU | scratch |
//! | shared | on a GPU: f32 sums and u32 counters, zero before and after, as `kernels::attention_bwd` says | scratch |
//!
//! scale = D^-½. Weights are computed again, never stored for a whole image. Kernels need y and lse where keys
//! are more than one tile of them. dq, dk are 0 where M is 1: softmax over one key is constant.
//! Source: Dao 2023, algorithm 2.

mod launch;

use super::{Op, OpSpec, count};
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
    /// y and lse of the forward; kernels need them where keys are more than one tile.
    pub(crate) saved: Option<(BufferId, BufferId)>,
    pub(crate) dy: BufferId,
    pub(crate) dq: BufferId,
    pub(crate) dkv: BufferId,
    /// The CPU alone needs it.
    pub(crate) scratch: Option<BufferId>,
    /// Kernels: f32 scratch and counters, where the launches' shape asks for them.
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
        [self.q, self.kv]
            .into_iter()
            .chain(saved)
            .chain([self.dy])
            .collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        let shared = self
            .shared
            .into_iter()
            .flat_map(|(sums, arrived)| [sums, arrived]);
        self.scratch
            .into_iter()
            .chain(shared)
            .chain([self.dq, self.dkv])
            .collect()
    }

    fn macs(&self) -> u64 {
        count(&[5, self.batch, self.queries, self.keys, self.channels()])
    }

    fn shapes(&self) -> String {
        format!(
            "q[{},{},{}x{}] keys {}",
            self.batch, self.queries, self.heads, self.head_dim, self.keys
        )
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::backward(self, dtype)
    }

    fn run(&self, _: &mut Memory<'_>, _: &Lanes) {
        unreachable!("a plan of kernels")
    }
}

impl From<AttentionBwd> for Op {
    fn from(op: AttentionBwd) -> Self {
        Self::AttentionBwd(op)
    }
}
