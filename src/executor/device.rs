//! Runs a plan of kernels on a device.

use std::sync::Arc;

#[cfg(any(feature = "cuda", feature = "emu"))]
use super::Backend;
use super::params::{DeviceParams, from_bytes, to_bytes};
use super::ready::{Piece, Ready};
use super::{Reader, Run, check_input, check_inputs};
use crate::error::Result;
use crate::plan::{BufferId, Elements, Place, Plan, Step, View};
use crate::shape::ShapeError;
use crate::target::device::Device;

/// Where a buffer lies on the device: a piece of memory and a byte in it.
type Spot = (usize, u64);

/// A plan with its parameters and memory on a device.
#[derive(Debug)]
pub struct DeviceExecutor<D: Device> {
    plan: Arc<Plan>,
    device: D,
    params: Arc<DeviceParams<D>>,
    input: D::Memory,
    grads: Option<D::Memory>,
    workspace: Vec<D::Memory>,
    /// By buffer, for those in the workspace.
    spots: Vec<Option<Spot>>,
    steps: Vec<Vec<Ready<D>>>,
    /// Set-up steps that read parameters: resized position tables.
    derived: Vec<Ready<D>>,
    check_finite: bool,
}

impl<D: Device> DeviceExecutor<D> {
    /// Binds `params` to `plan`, takes the workspace, loads the kernels and runs the set-up steps.
    ///
    /// # Errors
    /// [`ShapeError::ForeignParams`] for parameters of another model, mode or type; what the device says.
    pub fn new(device: &D, plan: &Arc<Plan>, params: Arc<DeviceParams<D>>) -> Result<Self> {
        if plan.kernels != Some(params.dtype) || params.layout != plan.params {
            return Err(ShapeError::ForeignParams.into());
        }
        let input = device.alloc("input", plan.input_bytes as u64)?;
        let grads = if plan.grad_bytes > 0 {
            let grads = device.alloc("gradients", plan.grad_bytes as u64)?;
            device.write(&grads, 0, &vec![0; plan.grad_bytes])?;
            Some(grads)
        } else {
            None
        };
        let (workspace, spots) = workspace(device, plan)?;
        let mut executor = Self {
            device: device.clone(),
            input,
            grads,
            workspace,
            spots,
            steps: Vec::new(),
            derived: Vec::new(),
            check_finite: false,
            params,
            plan: Arc::clone(plan),
        };
        for step in &plan.setup {
            let ready = executor.ready(step)?;
            Ready::queue(device, &ready)?;
            let place = |id: &BufferId| plan.buffers[id.index()].place;
            let mut reads = step.op.reads().into_iter();
            if reads.any(|id| matches!(place(&id), Place::Param(_))) {
                executor.derived.extend(ready);
            }
        }
        let ready = plan.steps.iter().map(|step| executor.ready(step));
        executor.steps = ready.collect::<Result<_>>()?;
        Ok(executor)
    }

    /// Where a buffer lies.
    fn place(&self, id: BufferId) -> Piece {
        let buffer = &self.plan.buffers[id.index()];
        let address = match buffer.place {
            Place::Input(offset) => self.device.address(&self.input) + offset as u64,
            Place::Param(offset) => self.param_block().address + offset as u64,
            Place::Grad(offset) => self.gradient_block().address + offset as u64,
            Place::Workspace(_) => {
                let (memory, offset) = self.spots[id.index()].unwrap_or_default();
                self.device.address(&self.workspace[memory]) + offset
            }
        };
        Piece {
            address,
            bytes: buffer.bytes as u64,
        }
    }

    fn ready(&self, step: &Step) -> Result<Vec<Ready<D>>> {
        Ready::all(&self.device, &step.launches, |id| self.place(id))
    }

    /// All parameters.
    pub(crate) fn param_block(&self) -> Piece {
        Piece {
            address: self.device.address(&self.params.memory),
            bytes: self.plan.params_bytes as u64,
        }
    }

    /// All gradients of parameters.
    pub(crate) fn gradient_block(&self) -> Piece {
        let address = self.grads.as_ref().map(|g| self.device.address(g));
        Piece {
            address: address.unwrap_or_default(),
            bytes: self.plan.grad_bytes as u64,
        }
    }

    /// Gradients of parameters, which runs add to, at zero.
    ///
    /// # Errors
    /// What the device says.
    pub(crate) fn zero_gradients(&self) -> Result<()> {
        match &self.grads {
            Some(grads) => self.device.write(grads, 0, &vec![0; self.plan.grad_bytes]),
            None => Ok(()),
        }
    }

    /// Brings what is computed from parameters alone up to date with them.
    ///
    /// # Errors
    /// What the device says.
    pub(crate) fn derive(&self) -> Result<()> {
        Ready::queue(&self.device, &self.derived)
    }

    /// Puts other parameters in the place of those there are, read as by [`DeviceParams::load`]; other executors that
    /// share them do not know.
    ///
    /// # Errors
    /// As [`DeviceParams::load`].
    pub(crate) fn reload(&self, read: Reader<'_>) -> Result<()> {
        self.params.reload(&self.device, read)?;
        self.derive()
    }

    /// Runs the forward pass on pictures [batch, H, W, 3] as bytes, for a plan made for
    /// [`Input::Bytes`](crate::model::Input::Bytes); results stay readable until the next run.
    ///
    /// # Errors
    /// [`ShapeError::Input`] where the plan reads something else; what the device says.
    pub fn run_bytes(&mut self, pictures: &[u8]) -> Result<()> {
        let (found, expected) = (pictures.len(), self.plan.input_bytes);
        if found != expected || self.plan.input_len() != expected {
            return Err(ShapeError::Input { found, expected }.into());
        }
        self.pass(pictures)
    }

    /// One forward pass on the bytes of the input.
    fn pass(&self, input: &[u8]) -> Result<()> {
        self.device.write(&self.input, 0, input)?;
        self.queue_steps()?;
        self.device.finish()
    }

    fn queue_steps(&self) -> Result<()> {
        let mut steps = self.steps.iter();
        steps.try_for_each(|step| Ready::queue(&self.device, step))
    }

    /// As [`Run::run_inputs`], without waiting for the end.
    pub(crate) fn queue_inputs(&self, inputs: &[&[f32]]) -> Result<()> {
        check_inputs(&self.plan, inputs)?;
        for (input, values) in self.plan.inputs.iter().zip(inputs) {
            let offset = input.offset as u64;
            match input.elements {
                Elements::Tensor(dtype) => {
                    let bytes = to_bytes(dtype, values);
                    self.device.write(&self.input, offset, &bytes)?;
                }
                Elements::F32 => {
                    let bytes = bytemuck::cast_slice(values);
                    self.device.write(&self.input, offset, bytes)?;
                }
                Elements::Bytes | Elements::Packed => {
                    let (found, expected) = (values.len(), input.bytes);
                    return Err(ShapeError::Input { found, expected }.into());
                }
            }
        }
        self.queue_steps()
    }
}

/// Pieces of memory, and where the buffers of a plan lie in them.
type Workspace<M> = (Vec<M>, Vec<Option<Spot>>);

/// The workspace, as one piece of memory or as one for every buffer.
fn workspace<D: Device>(device: &D, plan: &Plan) -> Result<Workspace<D::Memory>> {
    let mut memory = Vec::new();
    let mut spots = vec![None; plan.buffers.len()];
    if !device.apart() {
        memory.push(device.alloc("workspace", plan.workspace_bytes as u64)?);
    }
    for (spot, buffer) in spots.iter_mut().zip(&plan.buffers) {
        let Place::Workspace(offset) = buffer.place else {
            continue;
        };
        *spot = Some((0, offset as u64));
        if device.apart() {
            *spot = Some((memory.len(), 0));
            memory.push(device.alloc("a buffer", buffer.bytes as u64)?);
        }
    }
    Ok((memory, spots))
}

impl<D: Device + 'static> Run for DeviceExecutor<D> {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn set_check_finite(&mut self, on: bool) {
        self.check_finite = on;
    }

    fn run(&mut self, input: &[f32]) -> Result<()> {
        check_input(&self.plan, input, self.check_finite)?;
        self.pass(bytemuck::cast_slice(input))
    }

    fn run_observed(&mut self, input: &[f32], after: &mut (dyn FnMut(usize) + Send)) -> Result<()> {
        check_input(&self.plan, input, self.check_finite)?;
        self.device
            .write(&self.input, 0, bytemuck::cast_slice(input))?;
        for (index, step) in self.steps.iter().enumerate() {
            Ready::queue(&self.device, step)?;
            self.device.finish()?;
            after(index);
        }
        Ok(())
    }

    fn run_inputs(&mut self, inputs: &[&[f32]]) -> Result<()> {
        self.queue_inputs(inputs)?;
        self.device.finish()
    }

    fn read(&self, view: &View) -> Result<Vec<f32>> {
        let buffer = &self.plan.buffers[view.buffer.index()];
        let mut bytes = vec![0; buffer.bytes];
        if let Some((memory, offset)) = self.spots[view.buffer.index()] {
            self.device
                .read(&self.workspace[memory], offset, &mut bytes)?;
        } else if let (Place::Grad(offset), Some(grads)) = (buffer.place, &self.grads) {
            self.device.read(grads, offset as u64, &mut bytes)?;
        }
        Ok(view.gather(&from_bytes(buffer.elements, &bytes)))
    }
}

/// The backend on a device.
#[cfg(any(feature = "cuda", feature = "emu"))]
#[derive(Debug)]
pub(super) struct OnDevice<D: Device> {
    device: D,
    params: Option<Arc<DeviceParams<D>>>,
}

#[cfg(any(feature = "cuda", feature = "emu"))]
impl<D: Device> OnDevice<D> {
    pub(super) fn new(device: D) -> Self {
        Self {
            device,
            params: None,
        }
    }
}

#[cfg(any(feature = "cuda", feature = "emu"))]
impl<D: Device + 'static> Backend for OnDevice<D> {
    fn loaded(&self) -> bool {
        self.params.is_some()
    }

    fn load(&mut self, plan: &Plan, read: Reader<'_>) -> Result<()> {
        self.params = Some(DeviceParams::load(&self.device, plan, read)?);
        Ok(())
    }

    fn bind(&self, plan: Arc<Plan>) -> Result<Box<dyn Run>> {
        let params = self.params.clone().ok_or(ShapeError::ForeignParams)?;
        Ok(Box::new(DeviceExecutor::new(&self.device, &plan, params)?))
    }
}
