//! The backward pass of the whole network, and what it needs beside the forward one.
//!
//! Gradient policy: gradients of parameters are added to ([`Plan::gradients`]), those of activations are
//! written; the gradient of the residual stream is one buffer per stage, to which each branch adds its own.

use std::fmt;
use std::str::FromStr;

use super::{Net, Stage, head, stage};
use crate::config::{Mode, StageShape};
use crate::error::Result;
use crate::plan::{BufferId, Elements, Factors, View};
use crate::shape::ShapeError;

#[cfg(doc)]
use crate::plan::Plan;

/// What is kept between the forward and the backward pass; the rest is computed once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// Everything that the backward pass reads: no work twice, most memory.
    #[default]
    Everything,
    /// Per block its input, the stream between its branches, keys and values; the hidden layer in stages 3 and 4, where it
    /// costs more to compute than to keep, and queries where the stage does not reduce.
    Recompute,
    /// The input of each block alone.
    Blocks,
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Everything => "everything",
            Self::Recompute => "recompute",
            Self::Blocks => "blocks",
        })
    }
}

impl FromStr for Keep {
    type Err = ShapeError;

    fn from_str(text: &str) -> std::result::Result<Self, ShapeError> {
        match text {
            "everything" => Ok(Self::Everything),
            "recompute" => Ok(Self::Recompute),
            "blocks" => Ok(Self::Blocks),
            found => Err(ShapeError::Keep {
                found: found.to_owned(),
            }),
        }
    }
}

/// How gradients are computed.
///
/// A plan with gradients reads, in this order, the pixels; class indices `labels` `[B]` as f32 numbers in
/// [`Mode::Classify`]; factors `drop_path` [2·blocks, B] if asked for, by block in network order, of the attention branch and then of
/// the MLP branch, 0 or 1/keep; `loss_scale` `[1]` if asked for in [`Mode::Classify`], a factor of all gradients; gradients
/// `grad.feature1`..`grad.feature4` [B, H, W, C] of the feature maps in [`Mode::Backbone`]. It gives `loss` `[1]` and `logits` in [`Mode::Classify`], the feature maps in [`Mode::Backbone`], and
/// `grad.<parameter>` for every parameter that takes part.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Train {
    /// What the forward pass keeps.
    pub keep: Keep,
    /// Share of the target that all classes have alike, from 0 to less than 1.
    pub label_smoothing: f32,
    /// Whether residual branches have factors: stochastic depth.
    pub drop_path: bool,
    /// Leading stages whose parameters get no gradient, 0 to 4; the backward pass ends behind them.
    pub frozen_stages: usize,
    /// Whether gradients are those of the loss times a factor, so that they survive half precision; the loss itself is
    /// given as it is.
    pub loss_scale: bool,
    /// Whether the gradient of the pixels is wanted: `grad.pixel_values` [B, C, H, W].
    pub input_gradient: bool,
}

impl Train {
    /// Whether the backward pass comes to this stage, counted from 0.
    fn reaches(&self, stage: usize) -> bool {
        self.input_gradient || stage >= self.frozen_stages
    }

    fn check(&self) -> Result<()> {
        if !(0.0..1.0).contains(&self.label_smoothing) {
            let found = self.label_smoothing.to_string();
            return Err(ShapeError::LabelSmoothing { found }.into());
        }
        if self.frozen_stages > 4 {
            let found = self.frozen_stages;
            return Err(ShapeError::FrozenStages { found }.into());
        }
        Ok(())
    }
}

/// Factors of a residual branch, if it has any.
#[derive(Clone, Copy)]
pub(super) struct Branch(pub(super) Option<Factors>);

/// What the caller gives beside the pixels.
pub(super) enum Given {
    /// Labels, and what gradients are multiplied by.
    Labels(BufferId, Option<BufferId>),
    /// Gradients of the four feature maps.
    Maps(Vec<BufferId>),
}

impl Net<'_> {
    /// Whether a backward pass follows.
    pub(super) fn trains(&self) -> bool {
        self.spec.train.is_some()
    }

    /// Whether a backward pass comes to this stage.
    pub(super) fn goes_back(&self, stage: &Stage<'_>) -> bool {
        self.spec
            .train
            .is_some_and(|train| train.reaches(stage.index))
    }

    pub(super) fn keep(&self) -> Keep {
        self.spec.train.unwrap_or_default().keep
    }

    pub(super) fn keeps_all(&self) -> bool {
        self.trains() && self.keep() == Keep::Everything
    }

    /// Whether the hidden layer of the stage's MLPs is kept.
    pub(super) fn keeps_hidden(&self, stage: &Stage<'_>) -> bool {
        self.goes_back(stage)
            && match self.keep() {
                Keep::Everything => true,
                Keep::Recompute => stage.index >= 2,
                Keep::Blocks => false,
            }
    }

    /// Branch `which`, 0 or 1, of block `j` of the stage. The first block never drops.
    pub(super) fn branch(&self, stage: &Stage<'_>, j: usize, which: usize) -> Branch {
        let before = self.config.stages[..stage.index].iter().map(|s| s.depth);
        let block = before.sum::<usize>() + j;
        let factors = self.drop_path.filter(|_| block > 0);
        Branch(factors.map(|buffer| (buffer, (2 * block + which) * self.spec.batch)))
    }

    /// Gradient of a branch's result, from that of the stream that it was added to.
    pub(super) fn through_branch(
        &mut self,
        label: &str,
        branch: Branch,
        stream: BufferId,
        len: usize,
    ) -> Result<BufferId> {
        match branch.0 {
            None => Ok(stream),
            factors => self
                .builder
                .scaled(&format!("d {label}.drop"), stream, len, factors),
        }
    }

    /// Makes the gradient `d` [batch, …] readable as `grad.{name}`, in traces only: a copy, as it will be added to.
    pub(super) fn trace_gradient(
        &mut self,
        name: &str,
        d: BufferId,
        shape: &[usize],
    ) -> Result<()> {
        if self.spec.trace {
            let shape = [&[self.spec.batch], shape].concat();
            let name = format!("grad.{name}");
            let copy = self
                .builder
                .scaled(&name, d, shape.iter().product(), None)?;
            self.builder.output(name, View::contiguous(copy, &shape))?;
        }
        Ok(())
    }

    /// Declares what the caller gives beside the pixels, if the plan has a backward pass.
    pub(super) fn training_inputs(&mut self, shapes: &[StageShape; 4]) -> Result<Option<Given>> {
        let Some(train) = self.spec.train else {
            return Ok(None);
        };
        train.check()?;
        let batch = self.spec.batch;
        let labels = match self.spec.mode {
            Mode::Classify => Some(self.builder.named_input("labels", &[batch], Elements::F32)),
            Mode::Backbone => None,
        };
        if train.drop_path {
            let branches = 2 * self.config.stages.iter().map(|s| s.depth).sum::<usize>();
            let shape = [branches, batch];
            self.drop_path = Some(self.builder.named_input("drop_path", &shape, Elements::F32));
        }
        let scale = labels.filter(|_| train.loss_scale);
        let scale = scale.map(|_| self.builder.named_input("loss_scale", &[1], Elements::F32));
        if let Some(labels) = labels {
            return Ok(Some(Given::Labels(labels, scale)));
        }
        let elements = self.builder.tensor();
        let mut maps = Vec::new();
        for (i, shape) in shapes.iter().enumerate() {
            let name = format!("grad.feature{}", i + 1);
            let shape = [batch, shape.grid.0, shape.grid.1, shape.channels];
            maps.push(self.builder.named_input(&name, &shape, elements));
        }
        Ok(Some(Given::Maps(maps)))
    }

    /// Appends the backward pass: loss, head, and the stages from the last to the first that is not frozen.
    pub(super) fn backward(
        &mut self,
        given: &Given,
        mut stages: Vec<(Stage<'_>, stage::Saved)>,
        head: Option<(BufferId, head::Saved)>,
    ) -> Result<()> {
        self.builder.begin_backward();
        let train = self.spec.train.unwrap_or_default();
        let (batch, classes) = (self.spec.batch, self.config.num_classes);
        let all = train.input_gradient;
        // gradient of a feature map in a buffer of its own, as the stage adds to it
        let own = |net: &mut Self, index: usize, map: BufferId, stage: &Stage<'_>| {
            let len = batch * stage.shape.tokens * stage.shape.channels;
            let name = format!("grad.feature{}", index + 1);
            net.builder.scaled(&name, map, len, None)
        };
        let mut d = None;
        if let (Given::Labels(labels, scale), Some((logits, saved))) = (given, head) {
            let sizes = (batch, classes);
            let smoothing = train.label_smoothing;
            let (loss, dlogits) =
                self.builder
                    .cross_entropy((logits, *labels), sizes, smoothing, *scale)?;
            self.builder.output("loss", View::contiguous(loss, &[1]))?;
            let last = &stages[3].0;
            d = Some(head::backward(self, last.shape, &saved, dlogits)?);
        }
        while let Some((stage, saved)) = stages.pop() {
            let index = stage.index;
            if !train.reaches(index) {
                break;
            }
            let from_stage = match (d.take(), given) {
                (Some(d), _) => d,
                (None, Given::Maps(maps)) => own(self, index, maps[index], &stage)?,
                (None, Given::Labels(..)) => break,
            };
            let wanted = if index == 0 {
                all
            } else {
                train.reaches(index - 1)
            };
            let into = match (given, stages.last()) {
                (Given::Maps(maps), Some((previous, _))) if wanted => {
                    Some(own(self, index - 1, maps[index - 1], previous)?)
                }
                _ => None,
            };
            d = stage::backward(self, &stage, saved, from_stage, (wanted, into))?;
            if let (0, Some(dx)) = (index, d) {
                let (h, w) = stage.in_grid;
                let view = View::contiguous(dx, &[batch, self.config.in_chans, h, w]);
                self.builder.output("grad.pixel_values", view)?;
            }
        }
        Ok(())
    }
}
