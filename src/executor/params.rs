//! Parameters on a device.

use std::sync::Arc;

use half::{bf16, f16};

use super::Reader;
use crate::dtype::DType;
use crate::error::Result;
use crate::kernels::pack::{pack, pack_transposed, tokens_order};
use crate::plan::{Elements, Order, Param, Plan};
use crate::shape::ShapeError;
use crate::target::device::Device;

/// Parameters on a device, in the type and order of the kernels. Plans of the same model, mode and type
/// share them, whatever their batch and image size.
#[derive(Debug)]
pub struct DeviceParams<D: Device> {
    pub(super) layout: Vec<Param>,
    pub(super) dtype: DType,
    pub(super) memory: D::Memory,
    bytes: usize,
}

/// Elements in the type of tensors, as they are in memory.
pub(super) fn to_bytes(dtype: DType, values: &[f32]) -> Vec<u8> {
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
pub(super) fn from_bytes(elements: Elements, bytes: &[u8]) -> Vec<f32> {
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
#[cfg(feature = "cuda")]
pub(crate) fn param_image(plan: &Plan, read: Reader<'_>) -> Result<Vec<u8>> {
    let dtype = plan.kernels.ok_or(ShapeError::ForeignPlan)?;
    image(&plan.params, dtype, plan.params_bytes, read)
}

/// All parameters of a layout of `bytes` bytes.
fn image(layout: &[Param], dtype: DType, bytes: usize, read: Reader<'_>) -> Result<Vec<u8>> {
    let mut block = vec![0; bytes];
    let mut values = Vec::new();
    for param in layout {
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
        let block = image(&plan.params, dtype, plan.params_bytes, read)?;
        let memory = device.alloc("parameters", block.len() as u64)?;
        device.write(&memory, 0, &block)?;
        Ok(Arc::new(Self {
            layout: plan.params.clone(),
            dtype,
            memory,
            bytes: block.len(),
        }))
    }

    /// Puts other values in the place of those there are, read as by [`DeviceParams::load`]. What executors have
    /// computed from them is old then.
    ///
    /// # Errors
    /// What `read` and the device return.
    pub(crate) fn reload(&self, device: &D, read: Reader<'_>) -> Result<()> {
        let block = image(&self.layout, self.dtype, self.bytes, read)?;
        device.write(&self.memory, 0, &block)
    }
}
