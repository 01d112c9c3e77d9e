//! Training: everything but the gradients of the network.
//!
//! | to | use |
//! | --- | --- |
//! | bring a model with gradients | [`Learner`] |
//! | start from scratch, or from a checkpoint | [`init::scratch`], [`init::fine_tune`] |
//! | list and decode pictures | [`data::Listing`], [`data::Dataset`] (feature `picture`) |
//! | train | [`fit::fit`] (feature `picture`) |
//!
//! A run is a pure function of its settings and its pictures: every random choice comes from a
//! counter-based generator ([`random`]), whatever the number of threads, and a run that was stopped
//! at any moment continues with the bits that it would have had.

mod adamw;
#[cfg(feature = "picture")]
pub mod augment;
pub mod checkpoint;
mod cpu;
pub mod curve;
#[cfg(feature = "picture")]
pub mod data;
mod device;
pub mod drop_path;
pub mod ema;
mod error;
mod exact;
#[cfg(feature = "picture")]
pub mod fit;
pub mod init;
#[cfg(feature = "picture")]
mod loader;
pub mod log;
pub mod random;
pub mod recipe;
pub mod schedule;
mod tensors;
mod update;

pub use cpu::{CpuLearner, LearnerSpec};
pub use device::DeviceLearner;
pub use error::{Change, DataError, TrainError};
pub use recipe::{Augment, Fill, Optimizer, Recipe};

use crate::config::PvtConfig;
use crate::error::Result;
use crate::target::Target;

/// Pictures of one step, with their classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// [B, C, H, W], normalised.
    pub pixels: Vec<f32>,
    /// One class per picture.
    pub labels: Vec<u32>,
}

/// What changes from step to step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOptions {
    /// Learning rate.
    pub lr: f32,
    /// Factors [2 · blocks, B] of the residual branches, as [`drop_path::factors`] gives them.
    pub drop_path: Vec<f32>,
}

/// What a step gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Mean loss of the batch, label smoothing included.
    pub loss: f32,
    /// Euclidean norm of the gradients of all trained parameters, before clipping.
    pub grad_norm: f32,
    /// Whether the parameters were left as they are, because gradients under a loss scale were not
    /// finite.
    pub skipped: bool,
    /// The loss scale of this step; 1 without one.
    pub loss_scale: f32,
}

/// A model with gradients and an optimiser.
pub trait Learner {
    /// One step: forward, backward, and an update of the parameters.
    ///
    /// # Errors
    /// Whatever keeps the target from computing it.
    fn step(&mut self, batch: &Batch, options: &StepOptions) -> Result<StepReport>;

    /// Logits [batch, classes] of `pixels` [batch, C, H, W], without drop path. Changes nothing.
    ///
    /// # Errors
    /// Whatever keeps the target from computing it.
    fn logits(&mut self, pixels: &[f32], batch: usize) -> Result<Vec<f32>>;

    /// All that a later step depends on.
    ///
    /// # Errors
    /// Whatever keeps the target from reading it.
    fn state(&self) -> Result<LearnerState>;

    /// Goes on from `state`: the next step has the bits that it would have had there.
    ///
    /// # Errors
    /// [`TrainError::State`] where it is of another model.
    fn restore(&mut self, state: &LearnerState) -> Result<()>;

    /// Values of the parameters alone, in the order of [`state`](Self::state).
    ///
    /// # Errors
    /// As [`state`](Self::state).
    fn weights(&self) -> Result<Vec<Vec<f32>>> {
        Ok(self.state()?.params.into_iter().map(|p| p.value).collect())
    }
}

/// A learner of `config` on `target`, at `state`.
///
/// # Errors
/// As [`CpuLearner::new`] and [`DeviceLearner::new`].
pub fn learner(
    config: &PvtConfig,
    spec: &LearnerSpec,
    state: &LearnerState,
    target: &Target,
) -> Result<Box<dyn Learner>> {
    let (config, spec) = (config.clone(), spec.clone());
    Ok(match target {
        Target::Cpu(target) => {
            Box::new(CpuLearner::<f32>::new(config, spec, state, target.clone())?)
        }
        #[cfg(feature = "cuda")]
        Target::Cuda(device, dtype) => {
            let device = (device.clone(), *dtype);
            Box::new(DeviceLearner::new(config, spec, state, device)?)
        }
        #[cfg(feature = "emu")]
        Target::Emu(device, dtype) => {
            let device = (device.clone(), *dtype);
            Box::new(DeviceLearner::new(config, spec, state, device)?)
        }
    })
}

/// All that later steps of a learner depend on.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnerState {
    /// The parameters in the order of the [`Manifest`](crate::weights::Manifest).
    pub params: Vec<ParamState>,
    /// Updates made, which the bias correction of the moments counts.
    pub steps: u64,
    /// Loss scale of the next step; 1 without one.
    pub loss_scale: f32,
    /// Steps since the loss scale changed or gradients were not finite.
    pub clean_steps: u32,
}

impl LearnerState {
    /// The state before the first step.
    pub fn new(params: Vec<ParamState>) -> Self {
        Self {
            params,
            steps: 0,
            loss_scale: 1.0,
            clean_steps: 0,
        }
    }
}

/// A parameter, in f32 whatever the type of the arithmetic.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamState {
    /// Key in the published checkpoints.
    pub name: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Values, row-major.
    pub value: Vec<f32>,
    /// Moments of its gradient; none before the first step (they are zero) and where it is frozen.
    pub moments: Option<Moments>,
}

/// Running means of a parameter's gradient and of its square, laid out as the parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Of the gradient.
    pub first: Vec<f32>,
    /// Of its square.
    pub second: Vec<f32>,
}
