//! Runs a plan on the CPU.

use std::sync::Arc;

use super::{Random, Run, check_input};
use crate::error::{Error, Result};
use crate::plan::{Param, Place, Plan, View};
use crate::shape::ShapeError;
use crate::target::cpu::{Block, CpuTarget, Lanes, Memory};

/// Parameters laid out for the CPU target. Plans of the same model and mode share them, whatever
/// their batch and image size.
#[derive(Debug)]
pub struct Params {
    layout: Vec<Param>,
    block: Block,
}

impl Params {
    /// Reads every parameter of `plan` through `read`, which fills a slice of the parameter's
    /// length in checkpoint order.
    ///
    /// # Errors
    /// What `read` returns; [`ShapeError::Memory`] where there is not enough.
    pub fn load<E: Into<Error>>(
        plan: &Plan,
        mut read: impl FnMut(&Param, &mut [f32]) -> Result<(), E>,
    ) -> Result<Arc<Self>> {
        let mut block = Block::zeroed("parameters", plan.params_bytes / size_of::<f32>())?;
        let mut values = Vec::new();
        for param in &plan.params {
            values.resize(param.len(), 0.0);
            read(param, &mut values).map_err(Into::into)?;
            let at = param.offset / size_of::<f32>();
            let to = &mut block.as_mut_slice()[at..at + param.len()];
            CpuTarget::lay_out(param, &values, to);
        }
        Ok(Arc::new(Self {
            layout: plan.params.clone(),
            block,
        }))
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

/// A plan with its parameters and memory on the CPU. [`Executor::run`] allocates nothing of its
/// own; what the GEMM crate and the thread pool allocate inside is bounded by a test.
#[derive(Debug)]
pub struct Executor {
    plan: Arc<Plan>,
    params: Arc<Params>,
    target: CpuTarget,
    workspace: Block,
    lanes: Lanes,
    check_finite: bool,
}

impl Executor {
    /// Binds `params` to `plan`, allocates the workspace and runs the set-up steps.
    ///
    /// # Errors
    /// [`ShapeError::ForeignParams`] for parameters of another model or mode, [`ShapeError::ForeignPlan`] for a
    /// plan of GPU kernels, [`ShapeError::Memory`] where there is not enough.
    pub fn new(plan: Arc<Plan>, params: Arc<Params>, target: CpuTarget) -> Result<Self> {
        if plan.kernels.is_some() {
            return Err(ShapeError::ForeignPlan.into());
        }
        if params.layout != plan.params {
            return Err(ShapeError::ForeignParams.into());
        }
        let mut workspace = Block::zeroed("workspace", plan.workspace_bytes / size_of::<f32>())?;
        let lanes = Lanes::new(&target, plan.lane_len())?;
        let mut memory = Memory {
            buffers: &plan.buffers,
            input: &[],
            params: params.block.as_slice(),
            workspace: workspace.as_mut_slice(),
        };
        target.set_up(&plan, &mut memory, &lanes);
        Ok(Self {
            plan,
            params,
            target,
            workspace,
            lanes,
            check_finite: false,
        })
    }

    /// Whether [`Executor::run`] refuses an input with NaN or infinite values; off at first, as it
    /// reads the whole input once more.
    pub fn set_check_finite(&mut self, on: bool) {
        self.check_finite = on;
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
    pub fn run(&mut self, input: &[f32]) -> Result<()> {
        self.run_observed(input, &mut |_| ())
    }

    /// As [`Executor::run`], and calls `after` with the index of each step when it is done, on a
    /// thread of the target. For timing steps.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_observed(
        &mut self,
        input: &[f32],
        after: &mut (dyn FnMut(usize) + Send),
    ) -> Result<()> {
        check_input(&self.plan, input, self.check_finite)?;
        let mut memory = Memory {
            buffers: &self.plan.buffers,
            input,
            params: self.params.block.as_slice(),
            workspace: self.workspace.as_mut_slice(),
        };
        self.target.run(&self.plan, &mut memory, &self.lanes, after);
        Ok(())
    }

    /// A copy of the output called `name`, row-major in the shape of its view.
    pub fn output(&self, name: &str) -> Option<Vec<f32>> {
        self.plan.output(name).map(|o| self.read(&o.view))
    }

    /// A copy of what `view` shows of the workspace after a run, row-major.
    ///
    /// # Panics
    /// Where `view` is not of this plan.
    pub fn read(&self, view: &View) -> Vec<f32> {
        view.gather(self.buffer(view))
    }

    /// The whole buffer behind `view`, without a copy; [`View`] gives offset and strides.
    ///
    /// # Panics
    /// Where `view` is not of this plan.
    pub fn buffer(&self, view: &View) -> &[f32] {
        let buffer = &self.plan.buffers[view.buffer.index()];
        match buffer.place {
            Place::Workspace(offset) => {
                &self.workspace.as_slice()[offset / size_of::<f32>()..][..buffer.len]
            }
            Place::Param(offset) => {
                &self.params.block.as_slice()[offset / size_of::<f32>()..][..buffer.len]
            }
            Place::Input => &[],
        }
    }
}

impl Run for Executor {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn set_check_finite(&mut self, on: bool) {
        Executor::set_check_finite(self, on);
    }

    fn run_observed(&mut self, input: &[f32], after: &mut (dyn FnMut(usize) + Send)) -> Result<()> {
        Executor::run_observed(self, input, after)
    }

    fn read(&self, view: &View) -> Result<Vec<f32>> {
        Ok(Executor::read(self, view))
    }
}
