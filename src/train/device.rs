//! Training on a device: gradients and the update by kernels; weights and moments stay there.

use std::sync::Arc;

use super::adamw::Trained;
use super::cpu::{check_labels, trained};
use super::update::{Blocks, DeviceAdamW, FIRST, SECOND, WEIGHTS, tensors};
use super::{
    Batch, Learner, LearnerSpec, LearnerState, Moments, ParamState, StepOptions, StepReport,
    TrainError,
};
use crate::config::{Mode, PvtConfig};
use crate::dtype::DType;
use crate::error::Result;
use crate::executor::{DeviceExecutor, DeviceParams, Run as _};
use crate::kernels::adamw::{Control, LossScale};
use crate::model::PlanSpec;
use crate::plan::{Param, Plan};
use crate::target::device::Device;

/// Executors for pictures without gradients that are kept: one for whole batches, one for what is left of a set.
const KEPT: usize = 2;

/// A parameter, and where its values are.
#[derive(Debug)]
struct Known {
    name: String,
    shape: Vec<usize>,
    /// Whether weight decay applies.
    decay: bool,
    place: Place,
}

impl Known {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

#[derive(Debug)]
enum Place {
    /// From this element of the flat arrays on.
    Trained(usize),
    /// Here, as it does not change.
    Still(Vec<f32>),
}

/// Inference with the weights of the learner.
#[derive(Debug)]
struct Plain<D: Device> {
    params: Option<Arc<DeviceParams<D>>>,
    /// Whether these are the latest weights.
    fresh: bool,
    /// By size of the batch, the latest last.
    runs: Vec<(usize, DeviceExecutor<D>)>,
}

/// A model with gradients and AdamW on a device. Weights and moments are f32 whatever the type of the arithmetic; in
/// f16 the loss is scaled, and steps whose gradients are not finite are left out.
#[derive(Debug)]
pub struct DeviceLearner<D: Device + 'static> {
    config: PvtConfig,
    spec: LearnerSpec,
    device: D,
    dtype: DType,
    executor: DeviceExecutor<D>,
    optimizer: DeviceAdamW<D>,
    params: Vec<Known>,
    control: Control,
    plain: Plain<D>,
}

impl<D: Device + 'static> DeviceLearner<D> {
    /// A learner that computes in `dtype` on `device` and goes on from `state`.
    ///
    /// # Errors
    /// [`TrainError::State`] where it is of another model; as [`Plan::new`]; what the device says.
    pub fn new(
        config: PvtConfig,
        spec: LearnerSpec,
        state: &LearnerState,
        (device, dtype): (D, DType),
    ) -> Result<Self> {
        let values = trained::<f32>(&config, &spec.optimizer, state)?;
        let mut plan_spec = spec.plan(&config)?.kernels(dtype);
        if let Some(train) = &mut plan_spec.train {
            train.loss_scale = is_scaled(dtype);
        }
        let plan = Arc::new(Plan::new(&config, plan_spec)?);
        let params = DeviceParams::load(&device, &plan, &mut |p, out| {
            copy(&values, &p.name, out);
            Ok(())
        })?;
        let executor = DeviceExecutor::new(&device, &plan, params)?;
        let known = values.iter().map(|p| {
            let gradient = plan.gradients().iter().find(|g| g.name == p.name);
            let gradient = gradient.filter(|_| !spec.optimizer.is_frozen(&p.name));
            let offset = gradient.map(|g| g.offset / size_of::<f32>());
            Known {
                name: p.name.clone(),
                shape: p.shape.clone(),
                decay: p.decay,
                place: offset.map_or_else(|| Place::Still(Vec::new()), Place::Trained),
            }
        });
        let known: Vec<Known> = known.collect();
        let (tensors, still) = tensors(&plan, |name| {
            let param = known.iter().find(|p| p.name == name)?;
            (!spec.optimizer.is_frozen(name)).then_some(param.decay)
        })?;
        let blocks = Blocks {
            gradients: executor.gradient_block(),
            images: executor.param_block(),
            still,
        };
        let optimizer = DeviceAdamW::new(&device, dtype, &spec.optimizer, &tensors, &blocks)?;
        let mut learner = Self {
            config,
            spec,
            device,
            dtype,
            executor,
            optimizer,
            params: known,
            control: Control::default(),
            plain: Plain {
                params: None,
                fresh: false,
                runs: Vec::new(),
            },
        };
        learner.take_over(values, state)?;
        Ok(learner)
    }

    /// The plan of one step, without the update.
    pub fn plan(&self) -> &Plan {
        self.executor.plan()
    }

    /// Weights, moments and the control block from a state that was checked; not the images of weights.
    fn take_over(&mut self, values: Vec<Trained<f32>>, state: &LearnerState) -> Result<()> {
        let control = self.control_of(state)?;
        let mut arrays = [const { Vec::new() }; 3];
        for array in &mut arrays {
            array.resize(self.optimizer.len(), 0.0);
        }
        for (known, values) in self.params.iter_mut().zip(values) {
            match &mut known.place {
                Place::Still(value) => *value = values.value,
                Place::Trained(offset) => {
                    let all = [values.value, values.first, values.second];
                    for (array, values) in arrays.iter_mut().zip(all) {
                        array[*offset..][..values.len()].copy_from_slice(&values);
                    }
                }
            }
        }
        let how = &self.spec.optimizer;
        let words = control.words((how.beta1, how.beta2));
        self.optimizer.write(&arrays, &words)?;
        self.control = control;
        self.plain.fresh = false;
        Ok(())
    }

    /// The loss scale before the first step.
    fn new_scale(&self) -> f32 {
        LossScale::of(self.dtype).first
    }

    /// What the control block says at `state`.
    fn control_of(&self, state: &LearnerState) -> Result<Control, TrainError> {
        let refuse = |detail: String| Err(TrainError::State { detail });
        let Ok(steps) = u32::try_from(state.steps) else {
            return refuse(format!("{} steps, at most 2^32 are counted", state.steps));
        };
        let mut control = Control {
            scale: 1.0,
            steps,
            ..Control::default()
        };
        if is_scaled(self.dtype) {
            let new = state.params.iter().all(|p| p.moments.is_none());
            let new = new && steps == 0 && state.loss_scale.to_bits() == 1f32.to_bits();
            control.scale = if new {
                self.new_scale()
            } else {
                state.loss_scale
            };
            control.clean = state.clean_steps;
            // the kernel multiplies by the inverse, which has to be exact
            let power = control.scale.is_normal()
                && control.scale > 0.0
                && control.scale.to_bits().trailing_zeros() >= f32::MANTISSA_DIGITS - 1;
            if !power {
                return refuse(format!(
                    "the loss scale is {}, expected a power of two",
                    control.scale
                ));
            }
        }
        Ok(control)
    }

    /// Copies the values of a parameter from `weights`, the flat array.
    fn reader<'a>(
        params: &'a [Known],
        weights: &'a [f32],
    ) -> impl FnMut(&Param, &mut [f32]) -> Result<()> + 'a {
        move |param, out| {
            let known = params.iter().find(|p| p.name == param.name);
            match known.map(|p| &p.place) {
                Some(Place::Trained(offset)) => {
                    out.copy_from_slice(&weights[*offset..][..out.len()]);
                }
                Some(Place::Still(value)) => out.copy_from_slice(value),
                // a plan asks for what is in the manifest alone
                None => {}
            }
            Ok(())
        }
    }

    /// Brings the parameters of inference up to date, where there are some.
    fn refresh(&mut self) -> Result<()> {
        let plain = &mut self.plain;
        if let (Some(params), false) = (&plain.params, plain.fresh) {
            let weights = self.optimizer.read(WEIGHTS)?;
            params.reload(&self.device, &mut Self::reader(&self.params, &weights))?;
            plain.runs.iter().try_for_each(|(_, run)| run.derive())?;
            plain.fresh = true;
        }
        Ok(())
    }

    /// A new executor of inference for `batch` pictures, with the latest weights.
    fn plain(&mut self, batch: usize) -> Result<DeviceExecutor<D>> {
        let spec = PlanSpec::infer(batch, self.spec.image, Mode::Classify);
        let plan = Arc::new(Plan::new(&self.config, spec.kernels(self.dtype))?);
        let plain = &mut self.plain;
        let params = if let Some(params) = &plain.params {
            Arc::clone(params)
        } else {
            let weights = self.optimizer.read(WEIGHTS)?;
            let mut read = Self::reader(&self.params, &weights);
            let params = DeviceParams::load(&self.device, &plan, &mut read)?;
            plain.fresh = true;
            Arc::clone(plain.params.insert(params))
        };
        DeviceExecutor::new(&self.device, &plan, params)
    }
}

impl<D: Device + 'static> Learner for DeviceLearner<D> {
    #[expect(clippy::cast_possible_truncation, reason = "kernels compute in f32")]
    fn step(&mut self, batch: &Batch, options: &StepOptions) -> Result<StepReport> {
        check_labels(batch, self.config.num_classes)?;
        let labels: Vec<f32> = batch.labels.iter().map(|&l| l as f32).collect();
        let before = self.control.scale;
        let scale = [before];
        let mut inputs: Vec<&[f32]> = vec![&batch.pixels, &labels];
        if self.spec.drop_path {
            inputs.push(&options.drop_path);
        }
        if is_scaled(self.dtype) {
            inputs.push(&scale);
        }
        self.executor.queue_inputs(&inputs)?;
        self.plain.fresh = false;
        let how = &self.spec.optimizer;
        let clip = how.clip.unwrap_or_default() as f32;
        self.optimizer
            .queue([options.lr, how.weight_decay as f32, clip])?;
        self.executor.derive()?;
        self.control = self.optimizer.control()?;
        let loss = self.executor.output("loss")?;
        let loss = loss.and_then(|l| l.first().copied());
        Ok(StepReport {
            loss: loss.unwrap_or(f32::NAN),
            grad_norm: self.control.norm,
            skipped: is_scaled(self.dtype) && !self.control.applied,
            loss_scale: before,
        })
    }

    fn logits(&mut self, pixels: &[f32], batch: usize) -> Result<Vec<f32>> {
        self.refresh()?;
        let known = self.plain.runs.iter().position(|(size, _)| *size == batch);
        let mut run = match known {
            Some(at) => self.plain.runs.remove(at).1,
            None => self.plain(batch)?,
        };
        run.run(pixels)?;
        let logits = run.output("logits")?;
        let runs = &mut self.plain.runs;
        if runs.len() == KEPT {
            runs.remove(0);
        }
        runs.push((batch, run));
        Ok(logits.unwrap_or_default())
    }

    fn state(&self) -> Result<LearnerState> {
        let [weights, first, second] = [WEIGHTS, FIRST, SECOND].map(|a| self.optimizer.read(a));
        let (weights, first, second) = (weights?, first?, second?);
        let begun =
            self.control.steps > 0 || self.control.scale.to_bits() != self.new_scale().to_bits();
        let param = |p: &Known| {
            let of = |array: &[f32]| match &p.place {
                Place::Trained(offset) => array[*offset..][..p.len()].to_vec(),
                Place::Still(value) => value.clone(),
            };
            let moves = matches!(p.place, Place::Trained(_));
            ParamState {
                name: p.name.clone(),
                shape: p.shape.clone(),
                value: of(&weights),
                moments: (begun && moves).then(|| Moments {
                    first: of(&first),
                    second: of(&second),
                }),
            }
        };
        Ok(LearnerState {
            steps: u64::from(self.control.steps),
            loss_scale: self.control.scale,
            clean_steps: if is_scaled(self.dtype) {
                self.control.clean
            } else {
                0
            },
            ..LearnerState::new(self.params.iter().map(param).collect())
        })
    }

    fn restore(&mut self, state: &LearnerState) -> Result<()> {
        let values = trained::<f32>(&self.config, &self.spec.optimizer, state)?;
        self.control_of(state)?;
        self.executor.zero_gradients()?;
        self.executor.reload(&mut |p, out| {
            copy(&values, &p.name, out);
            Ok(())
        })?;
        self.take_over(values, state)
    }

    fn weights(&self) -> Result<Vec<Vec<f32>>> {
        let weights = self.optimizer.read(WEIGHTS)?;
        let param = |p: &Known| match &p.place {
            Place::Trained(offset) => weights[*offset..][..p.len()].to_vec(),
            Place::Still(value) => value.clone(),
        };
        Ok(self.params.iter().map(param).collect())
    }
}

/// Whether the loss is scaled.
fn is_scaled(dtype: DType) -> bool {
    LossScale::of(dtype).growth > 0
}

/// Copies the values of the parameter `name`; a plan asks for those of the manifest alone.
fn copy(params: &[Trained<f32>], name: &str, out: &mut [f32]) {
    if let Some(param) = params.iter().find(|p| p.name == name) {
        out.copy_from_slice(&param.value);
    }
}
