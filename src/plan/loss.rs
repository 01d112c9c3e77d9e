//! Where a backward pass begins: the loss, and the classifier.

use super::{BufferId, Builder, Order};
use crate::error::Result;
use crate::kernels::head_bwd;
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::head_bwd::HeadBwd;
use crate::shape::elements;

impl Builder {
    /// States that the forward pass is complete: steps from here on are those of the backward pass.
    pub fn begin_backward(&mut self) {
        self.backward = Some(self.steps.len());
    }

    /// Cross-entropy of logits [batch, classes] against `labels`, a class index for each image: the loss, one element,
    /// and the gradient of the logits, times `scale` `[1]` if there is one.
    ///
    /// # Errors
    /// As [`Builder::linear`].
    pub fn cross_entropy(
        &mut self,
        (logits, labels): (BufferId, BufferId),
        (batch, classes): (usize, usize),
        smoothing: f32,
        scale: Option<BufferId>,
    ) -> Result<(BufferId, BufferId)> {
        let len = elements("logits", &[batch, classes])?;
        self.holds("loss", logits, len)?;
        self.holds("loss", labels, batch)?;
        if let Some(scale) = scale {
            self.holds("loss", scale, 1)?;
        }
        let (loss, dlogits) = (self.f32s(1), self.f32s(len));
        let op = CrossEntropy {
            batch,
            classes,
            smoothing,
            logits,
            labels,
            scale,
            loss,
            dlogits,
            shared: match self.kernels {
                Some(_) => self.shared_by_blocks(batch, 1)?,
                None => None,
            },
        };
        self.step("loss", op)?;
        Ok((loss, dlogits))
    }

    /// Gradient of [`Builder::head`] from that of the logits [batch, classes]: the gradient of the tokens
    /// [batch, tokens, channels], whose first rows the classifier has read.
    ///
    /// # Errors
    /// As [`Builder::head`].
    pub fn head_bwd(
        &mut self,
        norm: (&str, f32),
        label: &str,
        (x, dlogits): (BufferId, BufferId),
        (batch, tokens, channels): (usize, usize, usize),
        classes: usize,
    ) -> Result<BufferId> {
        let len = elements("tokens", &[batch, tokens, channels])?;
        self.holds(label, x, len)?;
        self.holds(label, dlogits, elements("logits", &[batch, classes])?)?;
        let (norm, eps) = norm;
        let shape = [classes, channels];
        let op = HeadBwd {
            batch,
            channels,
            classes,
            x_stride: tokens * channels,
            x,
            norm: self.norm(norm, channels, eps)?,
            weight: self.param(format!("{label}.weight"), &shape, Order::Tensor)?,
            dlogits,
            dx: self.activation(&[len])?,
            dgamma: self.gradient(format!("{norm}.weight"), &[channels])?,
            dbeta: self.gradient(format!("{norm}.bias"), &[channels])?,
            dweight: self.gradient(format!("{label}.weight"), &shape)?,
            dbias: self.gradient(format!("{label}.bias"), &[classes])?,
            scratch: self
                .kernels
                .map(|_| self.f32s(head_bwd::scratch(batch, channels, classes))),
        };
        let dx = op.dx;
        self.step(&format!("d {label}"), op)?;
        Ok(dx)
    }
}
