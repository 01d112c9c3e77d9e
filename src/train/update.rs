//! AdamW on a device: master weights, moments, and the launches of an update.

use std::ops::Range;

use super::{Optimizer, TrainError};
use crate::dtype::DType;
use crate::error::Result;
use crate::executor::{Piece, Ready};
use crate::kernels::adamw::{
    CONTROL_WORDS, Control, HYPER_WORDS, LossScale, Table, Tensor, norm_blocks,
};
use crate::ops::OpSpec as _;
use crate::ops::adamw::AdamW;
use crate::ops::fill::Fill;
use crate::plan::{BufferId, Order, Plan};
use crate::target::device::Device;

/// Flat arrays, in the order of [`DeviceAdamW::read`]: master weights, means of the gradient, and of its square.
pub(super) const WEIGHTS: usize = 0;
pub(super) const FIRST: usize = 1;
pub(super) const SECOND: usize = 2;

/// The optimiser's memory, and its launches. Flat arrays are laid out as the gradients of the plan.
#[derive(Debug)]
pub(super) struct DeviceAdamW<D: Device> {
    device: D,
    arrays: [D::Memory; 3],
    hyper: D::Memory,
    control: D::Memory,
    /// What launches alone use: tables, sums of blocks and their count.
    _tables: [D::Memory; 4],
    launches: Vec<Ready<D>>,
    len: usize,
}

/// What an update works on beside the optimiser's own memory.
pub(super) struct Blocks {
    pub(super) gradients: Piece,
    pub(super) images: Piece,
    /// Bytes of gradients that must not count.
    pub(super) still: Vec<Range<usize>>,
}

impl<D: Device> DeviceAdamW<D> {
    /// Takes memory for `tensors`, and loads the kernels.
    ///
    /// # Errors
    /// [`TrainError::Table`] for a tensor that the kernel does not take; what the device says.
    pub(super) fn new(
        device: &D,
        dtype: DType,
        how: &Optimizer,
        tensors: &[Tensor],
        blocks: &Blocks,
    ) -> Result<Self> {
        let len = as_len(blocks.gradients.bytes) / size_of::<f32>();
        let table = Table::new(tensors).map_err(TrainError::Table)?;
        let filled = |what, words: &[u32]| -> Result<D::Memory> {
            let memory = device.alloc(what, size_of_val(words) as u64)?;
            device.write(&memory, 0, bytemuck::cast_slice(words))?;
            Ok(memory)
        };
        let zeros = vec![0; len];
        let arrays = [
            filled("master weights", &zeros)?,
            filled("means of gradients", &zeros)?,
            filled("means of squares", &zeros)?,
        ];
        let hyper = filled("settings of a step", &[0; HYPER_WORDS])?;
        let control = filled("state of the optimiser", &[0; CONTROL_WORDS])?;
        let tables = [
            filled("table of tensors", &table.tensors)?,
            filled("table of tiles", &table.tiles)?,
            filled("sums of squares", &vec![0; norm_blocks(len)])?,
            filled("arrivals", &[0])?,
        ];
        let piece = |memory: &D::Memory, words: usize| Piece {
            address: device.address(memory),
            bytes: (words * size_of::<u32>()) as u64,
        };
        let flat = arrays.each_ref().map(|memory| piece(memory, len));
        // in the order of the names below
        let pieces = [
            flat[0],
            flat[1],
            flat[2],
            blocks.gradients,
            blocks.images,
            piece(&tables[0], table.tensors.len()),
            piece(&tables[1], table.tiles.len()),
            piece(&hyper, HYPER_WORDS),
            piece(&control, CONTROL_WORDS),
            piece(&tables[2], norm_blocks(len)),
            piece(&tables[3], 1),
        ];
        let ids: [BufferId; 11] = BufferId::first();
        let [
            p,
            m,
            v,
            g,
            images,
            tensors,
            tiles,
            in_hyper,
            in_control,
            partials,
            arrived,
        ] = ids;
        let op = AdamW {
            len,
            blocks: table.blocks(),
            betas: (how.beta1, how.beta2),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the kernel computes in f32"
            )]
            eps: how.eps as f32,
            scale: LossScale::of(dtype),
            p,
            m,
            v,
            g,
            images,
            turned: images,
            tensors,
            tiles,
            hyper: in_hyper,
            control: in_control,
            shared: (partials, arrived),
        };
        let mut launches = Vec::new();
        for range in &blocks.still {
            let value = 0.0;
            let len = range.len() / size_of::<f32>();
            let fill = Fill { len, value, y: g }.launches(dtype)?;
            let part = Piece {
                address: blocks.gradients.address + range.start as u64,
                bytes: range.len() as u64,
            };
            launches.extend(Ready::all(device, &fill, |_| part)?);
        }
        let step = op.launches(dtype)?;
        launches.extend(Ready::all(device, &step, |id| pieces[id.index()])?);
        Ok(Self {
            device: device.clone(),
            arrays,
            hyper,
            control,
            _tables: tables,
            launches,
            len,
        })
    }

    /// Queues an update with what stands in the gradients, which are zero behind it.
    ///
    /// # Errors
    /// What the device says.
    pub(super) fn queue(&self, hyper: [f32; HYPER_WORDS]) -> Result<()> {
        let bytes = bytemuck::cast_slice(&hyper);
        self.device.write(&self.hyper, 0, bytes)?;
        Ready::queue(&self.device, &self.launches)
    }

    /// The control block behind all that is queued.
    ///
    /// # Errors
    /// What the device says.
    pub(super) fn control(&self) -> Result<Control> {
        let mut words = [0u32; CONTROL_WORDS];
        let bytes = bytemuck::cast_slice_mut(&mut words);
        self.device.read(&self.control, 0, bytes)?;
        Ok(Control::of(&words))
    }

    /// Elements of a flat array.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// A flat array: [`WEIGHTS`], [`FIRST`] or [`SECOND`].
    ///
    /// # Errors
    /// What the device says.
    pub(super) fn read(&self, array: usize) -> Result<Vec<f32>> {
        let mut values = vec![0f32; self.len];
        let bytes = bytemuck::cast_slice_mut(&mut values);
        self.device.read(&self.arrays[array], 0, bytes)?;
        Ok(values)
    }

    /// Puts other values in the place of weights and moments, and of the control block.
    ///
    /// # Errors
    /// What the device says.
    pub(super) fn write(
        &self,
        arrays: &[Vec<f32>; 3],
        control: &[u32; CONTROL_WORDS],
    ) -> Result<()> {
        for (memory, values) in self.arrays.iter().zip(arrays) {
            self.device.write(memory, 0, bytemuck::cast_slice(values))?;
        }
        let bytes = bytemuck::cast_slice(control);
        self.device.write(&self.control, 0, bytes)
    }
}

/// Bytes that a plan has counted.
fn as_len(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The parameters of `plan` that are trained, which `decay` knows, with every image that steps read; and the bytes of
/// gradients of all others.
///
/// # Errors
/// [`TrainError::Image`] where an image would not be kept up to date.
pub(super) fn tensors(
    plan: &Plan,
    decay: impl Fn(&str) -> Option<bool>,
) -> Result<(Vec<Tensor>, Vec<Range<usize>>), TrainError> {
    let (mut tensors, mut still) = (Vec::new(), Vec::<Range<usize>>::new());
    let mut ends = plan.gradients().iter().skip(1).map(|g| g.offset);
    for gradient in plan.gradients() {
        let end = ends.next().unwrap_or(plan.grad_bytes());
        let Some(decay) = decay(&gradient.name) else {
            match still.last_mut() {
                Some(last) if last.end == gradient.offset => last.end = end,
                _ => still.push(gradient.offset..end),
            }
            continue;
        };
        let unknown = |order: Order| TrainError::Image {
            name: gradient.name.clone(),
            order: format!("{order:?}"),
        };
        let mut images: [Option<(Order, usize)>; 2] = [None; 2];
        let named = plan.params().iter().filter(|p| p.name == gradient.name);
        for param in named {
            let turned = matches!(
                param.order,
                Order::Transposed { .. } | Order::ChannelsLastTransposed { .. }
            );
            let image = &mut images[usize::from(turned)];
            if image.replace((param.order, param.offset)).is_some() {
                return Err(unknown(param.order));
            }
        }
        let [image, turned] = images;
        if let (Some((one, _)), Some((other, _))) = (image, turned)
            && !is_turned(one, other)
        {
            return Err(unknown(other));
        }
        tensors.push(Tensor {
            offset: gradient.offset / size_of::<f32>(),
            shape: gradient.shape.clone(),
            order: image.or(turned).map_or(Order::Vector, |(order, _)| order),
            decay,
            image: image.map(|(_, offset)| offset),
            turned: turned.map(|(_, offset)| offset),
        });
    }
    // nothing that moves is without a gradient
    for param in plan.params() {
        let has_gradient = plan.gradients().iter().any(|g| g.name == param.name);
        if !has_gradient && decay(&param.name).is_some() {
            return Err(TrainError::Image {
                name: param.name.clone(),
                order: "no gradient".to_owned(),
            });
        }
    }
    Ok((tensors, still))
}

/// Whether `turned` is the transpose of what `order` says.
fn is_turned(order: Order, turned: Order) -> bool {
    match (order, turned) {
        (Order::Matrix { inner }, Order::Transposed { inner: other }) => inner == other,
        (
            Order::ChannelsLast { in_chans, patch },
            Order::ChannelsLastTransposed {
                in_chans: other,
                patch: side,
            },
        ) => (in_chans, patch) == (other, side),
        _ => false,
    }
}
