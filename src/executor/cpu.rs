//! Runs a plan on the CPU.

use std::sync::Arc;

use super::{Random, Real, Run, check_input, check_inputs};
use crate::error::{Error, Result};
use crate::plan::{Param, Place, Plan, View};
use crate::shape::ShapeError;
use crate::target::cpu::{Block, CpuTarget, Lanes, Memory};

/// Parameters laid out for the CPU target. Plans of the same model and mode share them, whatever
/// their batch and image size.
#[derive(Debug)]
pub struct Params<T: Real = f32> {
    layout: Vec<Param>,
    block: Block<T>,
}

impl Params {
    /// Reads every parameter of `plan` through `read`, which fills a slice of the parameter's
    /// length in checkpoint order.
    ///
    /// # Errors
    /// What `read` returns; [`ShapeError::Memory`] where there is not enough.
    pub fn load<E: Into<Error>>(
        plan: &Plan,
        read: impl FnMut(&Param, &mut [f32]) -> Result<(), E>,
    ) -> Result<Arc<Self>> {
        Self::load_as(plan, read)
    }

    /// Random parameters for measuring: uniform with standard deviation 0.02, LayerNorm weights 1,
    /// every other vector 0. The same on every machine.
    ///
    /// # Errors
    /// [`ShapeError::Memory`] where there is not enough.
    pub fn random(plan: &Plan) -> Result<Arc<Self>> {
        let mut random = Random::new();
        Self::load(plan, |param, values| {
            random.fill(param, values);
            Ok::<_, Error>(())
        })
    }
}

impl<T: Real> Params<T> {
    /// As [`Params::load`], for executors that compute in `T`.
    ///
    /// # Errors
    /// As [`Params::load`].
    pub fn load_as<E: Into<Error>>(
        plan: &Plan,
        mut read: impl FnMut(&Param, &mut [f32]) -> Result<(), E>,
    ) -> Result<Arc<Self>> {
        let mut params = Self {
            block: Block::zeroed("parameters", plan.params_bytes / size_of::<f32>())?,
            layout: plan.params.clone(),
        };
        let mut values = Vec::new();
        let mut wide: Vec<T> = Vec::new();
        for at in 0..params.layout.len() {
            let param = &params.layout[at];
            values.resize(param.len(), 0.0);
            read(param, &mut values).map_err(Into::into)?;
            wide.clear();
            wide.extend(values.iter().map(|&v| T::from(v)));
            params.lay_out(at, &wide);
        }
        Ok(Arc::new(params))
    }

    /// Lays out the parameter at `index` of the plan's; `values` are in checkpoint order.
    fn lay_out(&mut self, index: usize, values: &[T]) {
        let param = &self.layout[index];
        let at = param.offset / size_of::<f32>();
        let to = &mut self.block.as_mut_slice()[at..at + param.len()];
        CpuTarget::lay_out(param, values, to);
    }
}

/// A plan with its parameters and memory on the CPU. [`Executor::run`] allocates nothing of its
/// own; what the GEMM crate and the thread pool allocate inside is bounded by a test.
///
/// `T` is f32, or f64 where numerics are verified: the same plan and code.
#[derive(Debug)]
pub struct Executor<T: Real = f32> {
    plan: Arc<Plan>,
    params: Arc<Params<T>>,
    target: CpuTarget,
    workspace: Block<T>,
    grads: Block<T>,
    /// Inputs side by side, where there are several.
    staged: Block<T>,
    lanes: Lanes<T>,
    check_finite: bool,
}

impl<T: Real> Executor<T> {
    /// Binds `params` to `plan`, allocates the workspace and runs the set-up steps.
    ///
    /// # Errors
    /// [`ShapeError::ForeignParams`] for parameters of another model or mode, [`ShapeError::ForeignPlan`] for a
    /// plan of GPU kernels, [`ShapeError::Memory`] where there is not enough.
    pub fn new(plan: Arc<Plan>, params: Arc<Params<T>>, target: CpuTarget) -> Result<Self> {
        if plan.kernels.is_some() {
            return Err(ShapeError::ForeignPlan.into());
        }
        if params.layout != plan.params {
            return Err(ShapeError::ForeignParams.into());
        }
        let mut workspace = Block::zeroed("workspace", plan.workspace_bytes / size_of::<f32>())?;
        let mut grads = Block::zeroed("gradients", plan.grad_bytes / size_of::<f32>())?;
        let lanes = Lanes::new(&target, plan.lane_len())?;
        let several = if plan.inputs.len() > 1 {
            plan.input_bytes / size_of::<f32>()
        } else {
            0
        };
        let staged = Block::zeroed("inputs", several)?;
        let mut memory = Memory {
            buffers: &plan.buffers,
            input: &[],
            params: params.block.as_slice(),
            workspace: workspace.as_mut_slice(),
            grads: grads.as_mut_slice(),
        };
        target.set_up(&plan, &mut memory, &lanes);
        Ok(Self {
            plan,
            params,
            target,
            workspace,
            grads,
            staged,
            lanes,
            check_finite: false,
        })
    }

    /// Puts new values into the parameters, such as an optimiser's: `read` gives each, by its name in the checkpoint, in
    /// checkpoint order. Then runs the set-up steps once more. A copy is made first where another executor shares them.
    ///
    /// # Errors
    /// [`ShapeError::NamedInput`] where a parameter has another length.
    pub fn update_params<'a>(&mut self, read: impl Fn(&str) -> &'a [T]) -> Result<()> {
        if Arc::get_mut(&mut self.params).is_none() {
            self.params = Arc::new(Params {
                layout: self.params.layout.clone(),
                block: self.params.block.clone(),
            });
        }
        let params = Arc::get_mut(&mut self.params).ok_or(ShapeError::ForeignParams)?;
        for at in 0..params.layout.len() {
            let param = &self.plan.params[at];
            let values = read(&param.name);
            if values.len() != param.len() {
                return Err(ShapeError::NamedInput {
                    name: param.name.clone(),
                    found: values.len(),
                    expected: param.shape.clone(),
                }
                .into());
            }
            params.lay_out(at, values);
        }
        let mut memory = Memory {
            buffers: &self.plan.buffers,
            input: &[],
            params: self.params.block.as_slice(),
            workspace: self.workspace.as_mut_slice(),
            grads: self.grads.as_mut_slice(),
        };
        self.target.set_up(&self.plan, &mut memory, &self.lanes);
        Ok(())
    }

    /// Whether [`Executor::run`] refuses an input with NaN or infinite values; off at first, as it
    /// reads the whole input once more.
    pub fn set_check_finite(&mut self, on: bool) {
        self.check_finite = on;
    }

    pub(crate) fn shared_plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs the forward pass on `input`; results stay readable until the next run.
    ///
    /// # Errors
    /// [`ShapeError::Input`] where `input` does not have the planned length;
    /// [`Error::NonFiniteInput`] if asked for by [`Executor::set_check_finite`].
    pub fn run(&mut self, input: &[T]) -> Result<()> {
        self.run_observed(input, &mut |_| ())
    }

    /// As [`Executor::run`], and calls `after` with the index of each step when it is done, on a
    /// thread of the target. For timing steps.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_observed(
        &mut self,
        input: &[T],
        after: &mut (dyn FnMut(usize) + Send),
    ) -> Result<()> {
        check_input(&self.plan, input, self.check_finite)?;
        let mut memory = Memory {
            buffers: &self.plan.buffers,
            input,
            params: self.params.block.as_slice(),
            workspace: self.workspace.as_mut_slice(),
            grads: self.grads.as_mut_slice(),
        };
        self.target.run(&self.plan, &mut memory, &self.lanes, after);
        Ok(())
    }

    /// Runs a plan of several inputs, which are given in the order of [`Plan::inputs`].
    ///
    /// # Errors
    /// [`ShapeError::Inputs`] where there are more or fewer, [`ShapeError::NamedInput`] where one does not have the
    /// planned length.
    pub fn run_inputs(&mut self, inputs: &[&[T]]) -> Result<()> {
        if let ([input], 1) = (inputs, self.plan.inputs.len()) {
            return self.run(input);
        }
        check_inputs(&self.plan, inputs)?;
        let staged = self.staged.as_mut_slice();
        for (input, values) in self.plan.inputs.iter().zip(inputs) {
            staged[input.offset / size_of::<f32>()..][..values.len()].copy_from_slice(values);
        }
        let mut memory = Memory {
            buffers: &self.plan.buffers,
            input: staged,
            params: self.params.block.as_slice(),
            workspace: self.workspace.as_mut_slice(),
            grads: self.grads.as_mut_slice(),
        };
        self.target
            .run(&self.plan, &mut memory, &self.lanes, &mut |_| ());
        Ok(())
    }

    /// The gradients of all parameters, which runs add to, as [`Plan::gradients`] lays them out: offsets in
    /// bytes of f32, whatever `T` is.
    pub fn gradients(&self) -> &[T] {
        self.grads.as_slice()
    }

    /// Sets the gradients of all parameters to zero.
    pub fn zero_gradients(&mut self) {
        self.grads.as_mut_slice().fill(T::ZERO);
    }

    /// A copy of the output called `name`, row-major in the shape of its view.
    pub fn output(&self, name: &str) -> Option<Vec<T>> {
        self.plan.output(name).map(|o| self.read(&o.view))
    }

    /// A copy of what `view` shows of the workspace after a run, row-major.
    ///
    /// # Panics
    /// Where `view` is not of this plan.
    pub fn read(&self, view: &View) -> Vec<T> {
        view.gather(self.buffer(view))
    }

    /// The whole buffer behind `view`, without a copy; [`View`] gives offset and strides.
    ///
    /// # Panics
    /// Where `view` is not of this plan.
    pub fn buffer(&self, view: &View) -> &[T] {
        let buffer = &self.plan.buffers[view.buffer.index()];
        match buffer.place {
            Place::Workspace(offset) => {
                &self.workspace.as_slice()[offset / size_of::<f32>()..][..buffer.len]
            }
            Place::Param(offset) => {
                &self.params.block.as_slice()[offset / size_of::<f32>()..][..buffer.len]
            }
            Place::Grad(offset) => {
                &self.grads.as_slice()[offset / size_of::<f32>()..][..buffer.len]
            }
            Place::Input(_) => &[],
        }
    }
}

impl Run for Executor<f32> {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn set_check_finite(&mut self, on: bool) {
        Executor::set_check_finite(self, on);
    }

    fn run_observed(&mut self, input: &[f32], after: &mut (dyn FnMut(usize) + Send)) -> Result<()> {
        Executor::run_observed(self, input, after)
    }

    fn run_inputs(&mut self, inputs: &[&[f32]]) -> Result<()> {
        Executor::run_inputs(self, inputs)
    }

    fn read(&self, view: &View) -> Result<Vec<f32>> {
        Ok(Executor::read(self, view))
    }
}
