//! Cross-entropy of logits with label smoothing, its mean over the batch and its gradient. f32 in every type.
//!
//! `loss = mean_b (log Σ_k exp z_bk − (1 − ε) z_by − ε/K Σ_k z_bk)`, y the label of image b,
//! `dlogits[b, k] = (p_bk − t_bk) / B · scale`, `p = softmax(z_b)`, `t_bk = ε/K + (1 − ε) [k = y]`
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | logits | [B, K] | in |
//! | labels | `[B]`, whole numbers | in |
//! | scale | `[1]` or none: 1 | in |
//! | loss | `[1]` | out |
//! | dlogits | [B, K] | out |
//!
//! A label that is no class gives a loss that is no number, and zeros for its image in dlogits. The loss itself is
//! not scaled. Szegedy et al. 2016, section 7; `torch.nn.CrossEntropyLoss(label_smoothing)`.

mod launch;

use super::{Op, OpSpec};
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CrossEntropy {
    pub(crate) batch: usize,
    pub(crate) classes: usize,
    pub(crate) smoothing: f32,
    pub(crate) logits: BufferId,
    pub(crate) labels: BufferId,
    pub(crate) scale: Option<BufferId>,
    pub(crate) loss: BufferId,
    pub(crate) dlogits: BufferId,
    /// Kernels only: losses of images, f32 `[B]`, and how many have stored theirs, one u32 at zero.
    pub(crate) shared: Option<(BufferId, BufferId)>,
}

impl OpSpec for CrossEntropy {
    const NAME: &'static str = "cross_entropy";

    fn reads(&self) -> Vec<BufferId> {
        [self.logits, self.labels]
            .into_iter()
            .chain(self.scale)
            .chain(self.shared.map(|(_, arrived)| arrived))
            .collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        let shared = self.shared.into_iter();
        [self.loss, self.dlogits]
            .into_iter()
            .chain(shared.flat_map(|(losses, arrived)| [losses, arrived]))
            .collect()
    }

    fn macs(&self) -> u64 {
        0
    }

    fn shapes(&self) -> String {
        format!(
            "logits[{},{}] smoothing {}",
            self.batch, self.classes, self.smoothing
        )
    }

    fn launches(&self, _: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::forward(self)
    }

    fn run(&self, _: &mut Memory<'_>, _: &Lanes) {
        unreachable!("a plan of kernels")
    }
}

impl From<CrossEntropy> for Op {
    fn from(op: CrossEntropy) -> Self {
        Self::CrossEntropy(op)
    }
}
