//! Runs a plan of kernels on a device.

use std::sync::Arc;

use half::{bf16, f16};

#[cfg(any(feature = "cuda", feature = "emu"))]
use super::Backend;
use super::{Reader, Run, check_input, check_inputs};
use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::pack::{pack, pack_transposed, tokens_order};
use crate::launch::{Arg, Launch};
use crate::plan::{BufferId, Elements, Order, Param, Place, Plan, Step, View};
use crate::shape::ShapeError;
use crate::target::device::{Bound, Device};

/// Parameters on a device, in the type and order of the kernels. Plans of the same model, mode and type
/// share them, whatever their batch and image size.
#[derive(Debug)]
pub struct DeviceParams<D: Device> {
    layout: Vec<Param>,
    dtype: DType,
    memory: D::Memory,
}

/// Elements in the type of tensors, as they are in memory.
fn to_bytes(dtype: DType, values: &[f32]) -> Vec<u8> {
    let bytes = |size: usize| Vec::with_capacity(size * values.len());
    match dtype {
        DType::F32 | DType::Tf32 => bytemuck::cast_slice(values).to_vec(),
        DType::F16 => values.iter().fold(bytes(2), |mut all, &v| {
            all.extend(f16::from_f32(v).to_le_bytes());
            all
        }),
        DType::Bf16 => values.iter().fold(bytes(2), |mut all, &v| {
            all.extend(bf16::from_f32(v).to_le_bytes());
            all
        }),
    }
}

/// The reverse, exact.
fn from_bytes(elements: Elements, bytes: &[u8]) -> Vec<f32> {
    match elements {
        Elements::Tensor(DType::F16) => {
            let all = bytes.as_chunks().0.iter();
            all.map(|b| f16::from_le_bytes(*b).to_f32()).collect()
        }
        Elements::Tensor(DType::Bf16) => {
            let all = bytes.as_chunks().0.iter();
            all.map(|b| bf16::from_le_bytes(*b).to_f32()).collect()
        }
        _ => {
            let all = bytes.as_chunks().0.iter();
            all.map(|b| f32::from_le_bytes(*b)).collect()
        }
    }
}

/// A parameter as its kernels read it.
fn laid_out(dtype: DType, param: &Param, values: &[f32]) -> Vec<u8> {
    let cols = param.shape.first().copied().unwrap_or(1).max(1);
    let inner = values.len() / cols;
    match param.order {
        Order::Vector => to_bytes(DType::F32, values),
        Order::Tensor => to_bytes(dtype, values),
        Order::Matrix { .. } => pack(dtype, values, cols, inner, |k| k),
        Order::ChannelsLast { in_chans, patch } => pack(dtype, values, cols, inner, |k| {
            tokens_order(in_chans, patch, k)
        }),
        Order::Transposed { .. } => pack_transposed(dtype, values, cols, inner, |k| k),
        Order::ChannelsLastTransposed { in_chans, patch } => {
            pack_transposed(dtype, values, cols, inner, |k| {
                tokens_order(in_chans, patch, k)
            })
        }
    }
}

/// All parameters of a plan of kernels as they must lie on a device.
pub(crate) fn param_image(plan: &Plan, read: Reader<'_>) -> Result<Vec<u8>> {
    let dtype = plan.kernels.ok_or(ShapeError::ForeignPlan)?;
    let mut block = vec![0; plan.params_bytes];
    let mut values = Vec::new();
    for param in &plan.params {
        values.resize(param.len(), 0.0);
        read(param, &mut values)?;
        let bytes = laid_out(dtype, param, &values);
        block[param.offset..param.offset + bytes.len()].copy_from_slice(&bytes);
    }
    Ok(block)
}

impl<D: Device> DeviceParams<D> {
    /// Reads every parameter of `plan` through `read`, which fills a slice of the parameter's
    /// length in checkpoint order, and copies it to the device.
    ///
    /// # Errors
    /// What `read` and the device return; [`ShapeError::ForeignPlan`] for a plan for the CPU.
    pub fn load(
        device: &D,
        plan: &Plan,
        read: &mut dyn FnMut(&Param, &mut [f32]) -> Result<()>,
    ) -> Result<Arc<Self>> {
        let dtype = plan.kernels.ok_or(ShapeError::ForeignPlan)?;
        let block = param_image(plan, read)?;
        let memory = device.alloc("parameters", block.len() as u64)?;
        device.write(&memory, 0, &block)?;
        Ok(Arc::new(Self {
            layout: plan.params.clone(),
            dtype,
            memory,
        }))
    }
}

/// Where a buffer lies on the device: a piece of memory and a byte in it.
type Spot = (usize, u64);

/// One launch with its arguments.
#[derive(Debug)]
struct Ready<D: Device> {
    function: D::Function,
    launch: Launch,
    args: Vec<Bound>,
}

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
            check_finite: false,
            params,
            plan: Arc::clone(plan),
        };
        for step in &plan.setup {
            executor.launch(&executor.ready(step)?)?;
        }
        let ready = plan.steps.iter().map(|step| executor.ready(step));
        executor.steps = ready.collect::<Result<_>>()?;
        Ok(executor)
    }

    /// Address and length of a buffer.
    fn place(&self, id: BufferId) -> (u64, u64) {
        let buffer = &self.plan.buffers[id.index()];
        let base = match buffer.place {
            Place::Input(offset) => self.device.address(&self.input) + offset as u64,
            Place::Param(offset) => self.device.address(&self.params.memory) + offset as u64,
            Place::Grad(offset) => {
                let grads = self.grads.as_ref().map(|g| self.device.address(g));
                grads.unwrap_or_default() + offset as u64
            }
            Place::Workspace(_) => {
                let (memory, offset) = self.spots[id.index()].unwrap_or_default();
                self.device.address(&self.workspace[memory]) + offset
            }
        };
        (base, buffer.bytes as u64)
    }

    fn ready(&self, step: &Step) -> Result<Vec<Ready<D>>> {
        let bound = |arg: &Arg| match *arg {
            Arg::Buffer(id, access) => {
                let (address, bytes) = self.place(id);
                Bound::Buffer {
                    address,
                    bytes,
                    access,
                }
            }
            Arg::Null => Bound::Null,
            Arg::U32(value) => Bound::U32(value),
            Arg::U64(value) => Bound::U64(value),
            Arg::F32(value) => Bound::F32(value),
        };
        let ready = step.launches.iter().map(|launch| {
            Ok(Ready {
                function: self.device.function(launch)?,
                launch: launch.clone(),
                args: launch.args.iter().map(bound).collect(),
            })
        });
        ready.collect()
    }

    fn launch(&self, all: &[Ready<D>]) -> Result<()> {
        all.iter()
            .try_for_each(|one| self.device.launch(&one.function, &one.launch, &one.args))
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
        self.steps.iter().try_for_each(|step| self.launch(step))?;
        self.device.finish()
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
            self.launch(step)?;
            self.device.finish()?;
            after(index);
        }
        Ok(())
    }

    fn run_inputs(&mut self, inputs: &[&[f32]]) -> Result<()> {
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
        self.steps.iter().try_for_each(|step| self.launch(step))?;
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
