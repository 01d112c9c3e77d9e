//! Training on the CPU.

use std::sync::Arc;

use super::adamw::{Trained, Update, clip, norm};
use super::recipe::stage_prefixes;
use super::{
    Batch, Learner, LearnerState, Moments, Optimizer, ParamState, StepOptions, StepReport,
    TrainError,
};
use crate::config::{Mode, PvtConfig, STAGES};
use crate::error::{Error, Result};
use crate::executor::{Executor, Params, Real};
use crate::model::{Keep, PlanSpec, Train};
use crate::plan::Plan;
use crate::shape::ImageSize;
use crate::target::cpu::CpuTarget;
use crate::weights::Manifest;

/// What a learner is made for.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnerSpec {
    /// Pictures of a step.
    pub batch: usize,
    /// Their size.
    pub image: ImageSize,
    /// What is kept between the forward and the backward pass.
    pub keep: Keep,
    /// Whether steps come with factors of residual branches.
    pub drop_path: bool,
    /// Loss and optimiser.
    pub optimizer: Optimizer,
}

impl LearnerSpec {
    /// The plan of one step of `config`.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn plan(&self, config: &PvtConfig) -> Result<PlanSpec> {
        config.stage_shapes(self.image, Mode::Classify)?;
        let frozen = |stage| {
            let prefixes = stage_prefixes(stage);
            prefixes.iter().all(|p| self.optimizer.frozen.contains(p))
        };
        let train = Train {
            keep: self.keep,
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the loss is computed in f32"
            )]
            label_smoothing: self.optimizer.label_smoothing as f32,
            drop_path: self.drop_path,
            frozen_stages: (1..=STAGES).take_while(|&s| frozen(s)).count(),
            loss_scale: false,
            input_gradient: false,
        };
        Ok(PlanSpec::train(
            self.batch,
            self.image,
            Mode::Classify,
            train,
        ))
    }
}

/// A model with gradients and AdamW on the CPU, in f32, or in f64 to verify.
#[derive(Debug)]
pub struct CpuLearner<T: Real = f32> {
    config: PvtConfig,
    spec: LearnerSpec,
    target: CpuTarget,
    executor: Executor<T>,
    params: Vec<Trained<T>>,
    steps: u64,
    /// For pictures without gradients: the executor of the latest batch, and whether it has the latest weights.
    plain: Option<(usize, bool, Executor<T>)>,
}

impl<T: Real> CpuLearner<T> {
    /// A learner that goes on from `state`.
    ///
    /// # Errors
    /// [`TrainError::State`] where it is of another model; as [`Plan::new`] and [`Executor::new`].
    pub fn new(
        config: PvtConfig,
        spec: LearnerSpec,
        state: &LearnerState,
        target: CpuTarget,
    ) -> Result<Self> {
        let plan = Arc::new(Plan::new(&config, spec.plan(&config)?)?);
        let params = trained(&config, &spec.optimizer, state)?;
        let loaded = Params::<T>::load_as(&plan, |_, _| Ok::<_, Error>(()))?;
        let mut learner = Self {
            executor: Executor::new(plan, loaded, target.clone())?,
            config,
            spec,
            target,
            params,
            steps: state.steps,
            plain: None,
        };
        learner.updated()?;
        Ok(learner)
    }

    /// The plan of one step.
    pub fn plan(&self) -> &Plan {
        self.executor.plan()
    }

    /// Values of the parameter `name`, in checkpoint order.
    pub fn parameter(&self, name: &str) -> Option<&[T]> {
        self.params
            .iter()
            .find(|p| p.name == name)
            .map(|p| p.value.as_slice())
    }

    /// One step on `batch`: loss and norm of the gradients before clipping.
    ///
    /// # Errors
    /// [`TrainError::Label`] for a class that the model does not have; as [`Executor::run_inputs`].
    pub fn train(&mut self, batch: &Batch, options: &StepOptions) -> Result<(f64, f64)> {
        let wide = |values: &[f32]| -> Vec<T> { values.iter().map(|&v| T::from(v)).collect() };
        check_labels(batch, self.config.num_classes)?;
        let labels: Vec<T> = batch
            .labels
            .iter()
            .map(|&l| T::from_f64(f64::from(l)))
            .collect();
        let (pixels, factors) = (wide(&batch.pixels), wide(&options.drop_path));
        let mut inputs: Vec<&[T]> = vec![&pixels, &labels];
        if self.spec.drop_path {
            inputs.push(&factors);
        }
        self.executor.run_inputs(&inputs)?;
        let loss: f64 = self
            .executor
            .output("loss")
            .map_or(f64::NAN, |l| l[0].into());

        let plan = Arc::clone(self.executor.shared_plan());
        let all = self.executor.gradients();
        let gradients: Vec<Option<&[T]>> = self
            .params
            .iter()
            .map(|param| {
                let known = plan.gradients().iter().find(|g| g.name == param.name);
                let trained = known.filter(|_| !param.first.is_empty())?;
                Some(&all[trained.offset / size_of::<f32>()..][..trained.len()])
            })
            .collect();
        let grad_norm = norm(gradients.iter().flatten().copied());
        if loss.is_finite() && grad_norm.is_finite() {
            self.steps += 1;
            let how = &self.spec.optimizer;
            let update = Update {
                scale: clip(grad_norm, how.clip),
                lr: f64::from(options.lr),
                step: self.steps,
            };
            for (param, gradient) in self.params.iter_mut().zip(gradients) {
                if let Some(gradient) = gradient {
                    param.update(gradient, how, update);
                }
            }
        }
        self.executor.zero_gradients();
        self.updated()?;
        Ok((loss, grad_norm))
    }

    /// Brings new values of the parameters to where steps read them.
    fn updated(&mut self) -> Result<()> {
        if let Some((_, fresh, _)) = &mut self.plain {
            *fresh = false;
        }
        let params = &self.params;
        self.executor.update_params(|name| value(params, name))
    }

    /// Logits [batch, classes] of `pixels` [batch, C, H, W].
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn classify(&mut self, pixels: &[f32], batch: usize) -> Result<Vec<T>> {
        let params = &self.params;
        let (_, fresh, executor) = match &mut self.plain {
            Some(plain) if plain.0 == batch => plain,
            plain => {
                let spec = PlanSpec::infer(batch, self.spec.image, Mode::Classify);
                let plan = Arc::new(Plan::new(&self.config, spec)?);
                let loaded = Params::<T>::load_as(&plan, |_, _| Ok::<_, Error>(()))?;
                let executor = Executor::new(plan, loaded, self.target.clone())?;
                plain.insert((batch, false, executor))
            }
        };
        if !*fresh {
            executor.update_params(|name| value(params, name))?;
            *fresh = true;
        }
        let wide: Vec<T> = pixels.iter().map(|&v| T::from(v)).collect();
        executor.run(&wide)?;
        Ok(executor.output("logits").unwrap_or_default())
    }
}

/// Refuses labels that are no class.
pub(super) fn check_labels(batch: &Batch, classes: usize) -> Result<(), TrainError> {
    let mut labels = (0..).zip(&batch.labels);
    match labels.find(|&(_, &label)| label as usize >= classes) {
        Some((index, &label)) => Err(TrainError::Label {
            index,
            label,
            classes,
        }),
        None => Ok(()),
    }
}

/// Values of the parameter `name`; a plan asks for those of the manifest alone.
fn value<'a, T>(params: &'a [Trained<T>], name: &str) -> &'a [T] {
    params
        .iter()
        .find(|p| p.name == name)
        .map_or(&[], |p| &p.value)
}

/// The parameters of `state`, with moments where they are not frozen.
pub(super) fn trained<T: Real>(
    config: &PvtConfig,
    optimizer: &Optimizer,
    state: &LearnerState,
) -> Result<Vec<Trained<T>>> {
    let manifest = Manifest::for_config(config, Mode::Classify)?;
    let wide = |values: &[f32]| -> Vec<T> { values.iter().map(|&v| T::from(v)).collect() };
    let one = |param: &crate::weights::Param| {
        let known = state
            .params
            .iter()
            .find(|p| p.name == param.name && p.shape == param.shape);
        let len = param.elements();
        let known = known
            .filter(|p| p.value.len() == len)
            .ok_or_else(|| TrainError::State {
                detail: format!(
                    "`{}` {:?} is missing or has another shape",
                    param.name, param.shape
                ),
            })?;
        let (first, second) = match &known.moments {
            _ if optimizer.is_frozen(&param.name) => (Vec::new(), Vec::new()),
            Some(m) if m.first.len() == len && m.second.len() == len => {
                (wide(&m.first), wide(&m.second))
            }
            _ => (vec![T::ZERO; len], vec![T::ZERO; len]),
        };
        Ok(Trained {
            name: param.name.clone(),
            shape: param.shape.clone(),
            decay: param.decay,
            value: wide(&known.value),
            first,
            second,
        })
    };
    manifest.params().iter().map(one).collect()
}

impl Learner for CpuLearner<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "reports are f32")]
    fn step(&mut self, batch: &Batch, options: &StepOptions) -> Result<StepReport> {
        let (loss, grad_norm) = self.train(batch, options)?;
        Ok(StepReport {
            loss: loss as f32,
            grad_norm: grad_norm as f32,
            skipped: false,
            loss_scale: 1.0,
        })
    }

    fn logits(&mut self, pixels: &[f32], batch: usize) -> Result<Vec<f32>> {
        self.classify(pixels, batch)
    }

    fn state(&self) -> Result<LearnerState> {
        let param = |p: &Trained<f32>| ParamState {
            name: p.name.clone(),
            shape: p.shape.clone(),
            value: p.value.clone(),
            moments: (self.steps > 0 && !p.first.is_empty()).then(|| Moments {
                first: p.first.clone(),
                second: p.second.clone(),
            }),
        };
        Ok(LearnerState {
            steps: self.steps,
            ..LearnerState::new(self.params.iter().map(param).collect())
        })
    }

    fn restore(&mut self, state: &LearnerState) -> Result<()> {
        self.params = trained(&self.config, &self.spec.optimizer, state)?;
        self.steps = state.steps;
        self.executor.zero_gradients();
        self.updated()
    }

    fn weights(&self) -> Result<Vec<Vec<f32>>> {
        Ok(self.params.iter().map(|p| p.value.clone()).collect())
    }
}
