//! Runs a plan: parameters, workspace and a target, bound once.

mod cpu;
mod device;
mod params;
mod ready;

use std::fmt;
use std::sync::Arc;

pub use cpu::{Executor, Params};
pub use device::DeviceExecutor;
pub use params::DeviceParams;
#[cfg(feature = "cuda")]
pub(crate) use params::param_image;
pub(crate) use ready::{Piece, Ready};

pub use crate::cpu::Real;
use crate::error::{Error, Result};
use crate::plan::{Param, Plan, View};
use crate::shape::ShapeError;
use crate::target::Target;

/// A plan bound to a target, whichever it is.
pub trait Run: fmt::Debug + Send {
    /// The plan.
    fn plan(&self) -> &Plan;

    /// Whether a run refuses an input with NaN or infinite values; off at first, as it reads the whole
    /// input once more.
    fn set_check_finite(&mut self, on: bool);

    /// Runs the forward pass on `input`, as [`Run::run`], and calls `after` with the index of each step
    /// when it is done. For timing steps: a GPU is waited for after each.
    ///
    /// # Errors
    /// As [`Run::run`].
    fn run_observed(&mut self, input: &[f32], after: &mut (dyn FnMut(usize) + Send)) -> Result<()>;

    /// A copy of what `view` shows after a run, row-major.
    ///
    /// # Errors
    /// What a device says.
    fn read(&self, view: &View) -> Result<Vec<f32>>;

    /// Runs the forward pass on `input`; results stay readable until the next run.
    ///
    /// # Errors
    /// [`ShapeError::Input`] where `input` does not have the planned length;
    /// [`Error::NonFiniteInput`] if asked for by [`Run::set_check_finite`]; what a device says.
    fn run(&mut self, input: &[f32]) -> Result<()> {
        self.run_observed(input, &mut |_| ())
    }

    /// Runs a plan of several inputs, which are given in the order of [`Plan::inputs`]; what is of another type in the
    /// plan is rounded to it.
    ///
    /// # Errors
    /// [`ShapeError::Inputs`] where there are more or fewer, [`ShapeError::NamedInput`] where one does not have the
    /// planned length; what a device says.
    fn run_inputs(&mut self, inputs: &[&[f32]]) -> Result<()>;

    /// A copy of the output called `name`, row-major in the shape of its view.
    ///
    /// # Errors
    /// What a device says.
    fn output(&self, name: &str) -> Result<Option<Vec<f32>>> {
        match self.plan().output(name) {
            Some(output) => Ok(Some(self.read(&output.view)?)),
            None => Ok(None),
        }
    }
}

/// Reads a parameter of the plan into a slice of its length, in checkpoint order.
pub(crate) type Reader<'a> = &'a mut dyn FnMut(&Param, &mut [f32]) -> Result<()>;

/// A target with the parameters of one model, once they are loaded; plans are bound to it.
pub(crate) trait Backend: fmt::Debug + Send {
    /// Whether parameters are there.
    fn loaded(&self) -> bool;

    /// Loads the parameters of `plan`, which later plans of the model share.
    fn load(&mut self, plan: &Plan, read: Reader<'_>) -> Result<()>;

    /// Binds a plan.
    fn bind(&self, plan: Arc<Plan>) -> Result<Box<dyn Run>>;
}

/// The backend on the CPU.
#[derive(Debug)]
struct OnCpu {
    target: crate::target::cpu::CpuTarget,
    params: Option<Arc<Params>>,
}

impl Backend for OnCpu {
    fn loaded(&self) -> bool {
        self.params.is_some()
    }

    fn load(&mut self, plan: &Plan, read: Reader<'_>) -> Result<()> {
        self.params = Some(Params::load(plan, read)?);
        Ok(())
    }

    fn bind(&self, plan: Arc<Plan>) -> Result<Box<dyn Run>> {
        let params = self.params.clone().ok_or(ShapeError::ForeignParams)?;
        Ok(Box::new(Executor::new(plan, params, self.target.clone())?))
    }
}

/// Opens `target` for one model.
pub(crate) fn backend(target: Target) -> Box<dyn Backend> {
    match target {
        Target::Cpu(target) => Box::new(OnCpu {
            target,
            params: None,
        }),
        #[cfg(feature = "cuda")]
        Target::Cuda(device, _) => Box::new(device::OnDevice::new(device)),
        #[cfg(feature = "emu")]
        Target::Emu(device, _) => Box::new(device::OnDevice::new(device)),
    }
}

/// Refuses an input that the plan cannot read.
fn check_input<T: Real>(plan: &Plan, input: &[T], check_finite: bool) -> Result<()> {
    let (found, expected) = (input.len(), plan.input_len());
    let one = plan.inputs.len() == 1;
    if !one || found != expected || plan.input_bytes != found * size_of::<f32>() {
        return Err(ShapeError::Input { found, expected }.into());
    }
    let odd = input.iter().position(|v| check_finite && !v.is_finite());
    match odd {
        Some(index) => Err(Error::NonFiniteInput {
            index,
            value: input[index].to_f32(),
        }),
        None => Ok(()),
    }
}

/// Refuses inputs that the plan cannot read.
fn check_inputs<T: Real>(plan: &Plan, inputs: &[&[T]]) -> Result<()> {
    let (found, expected) = (inputs.len(), plan.inputs.len());
    if found != expected {
        let names = plan.inputs.iter().map(|i| i.name.clone()).collect();
        return Err(ShapeError::Inputs { found, names }.into());
    }
    for (input, values) in plan.inputs.iter().zip(inputs) {
        if values.len() != input.len() {
            return Err(ShapeError::NamedInput {
                name: input.name.clone(),
                found: values.len(),
                expected: input.shape.clone(),
            }
            .into());
        }
    }
    Ok(())
}

/// Random parameters for measuring: uniform with standard deviation 0.02, LayerNorm weights 1, every
/// other vector 0. The same on every machine.
#[derive(Debug)]
pub(crate) struct Random(u32);

impl Random {
    pub(crate) fn new() -> Self {
        Self(0x9E37_79B9)
    }

    pub(crate) fn fill(&mut self, param: &Param, values: &mut [f32]) {
        const BOUND: f32 = 0.02 * 1.732_050_8; // std · √3
        let norm_weight = param.shape.len() == 1 && param.name.ends_with("weight");
        values.fill(if norm_weight { 1.0 } else { 0.0 });
        if param.shape.len() > 1 {
            for v in values {
                // xorshift32 (Marsaglia 2003); its upper 24 bits as a number in [-1, 1)
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 17;
                self.0 ^= self.0 << 5;
                let unit = (self.0 >> 8) as f32 / 8_388_608.0 - 1.0;
                *v = unit * BOUND;
            }
        }
    }
}
