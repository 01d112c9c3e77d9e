//! Cross-entropy of logits against one class per image, with label smoothing, and its gradient in the same pass.
//!
//! With p = softmax(logits) and t = ε/K for each class, and 1 − ε more for the image's own:
//! loss = −mean over images of Σ t · ln p, dlogits = (p − t) / B, times `scale` if there is one.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | logits | [B, K], f32 | in |
//! | labels | `[B]`, class indices as f32 numbers | in |
//! | scale | `[1]` or none, f32: the loss scale of f16 | in |
//! | loss | `[1]`, f32, not scaled | out |
//! | dlogits | [B, K], f32 | out |
//!
//! A label that is no class gives a loss that is not a number, and no gradient for its image.
//! Label smoothing: Szegedy et al. 2016, section 7.

mod cpu;
mod launch;

use super::{Op, OpSpec};
use crate::cpu::Real;
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
    /// Kernels only: losses of images, and how many blocks have stored theirs.
    pub(crate) shared: Option<(BufferId, BufferId)>,
}

impl OpSpec for CrossEntropy {
    const NAME: &'static str = "cross_entropy";

    fn reads(&self) -> Vec<BufferId> {
        [self.logits, self.labels]
            .into_iter()
            .chain(self.scale)
            .collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        let shared = self.shared.into_iter().flat_map(|(p, a)| [p, a]);
        [self.loss, self.dlogits]
            .into_iter()
            .chain(shared)
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

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, _: &Lanes<T>) {
        let scale = self.scale.unwrap_or(self.labels);
        let reads = [self.logits, self.labels, scale];
        let ([logits, labels, scale], [loss, dlogits]) =
            memory.bind(reads, [self.loss, self.dlogits]);
        let scale = self.scale.map_or(T::ONE, |_| scale[0]);
        loss[0] = cpu::forward(self, logits, labels, scale, dlogits);
    }
}

impl From<CrossEntropy> for Op {
    fn from(op: CrossEntropy) -> Self {
        Self::CrossEntropy(op)
    }
}
