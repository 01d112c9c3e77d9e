//! The builder's books: buffers, parameters and steps; and at the end lifetimes and places in memory.

use super::arena::{ALIGN, Request, place};
use super::builder::{Kind, Slot};
use super::{
    Buffer, BufferId, Builder, Elements, Gradient, Input, Order, Output, Param, Place, Plan, Step,
    View,
};
use crate::error::Result;
use crate::kernels::pack::packed_bytes;
use crate::ops::{Cost, Op};
use crate::shape::{ShapeError, elements};

impl Builder {
    pub(super) fn slot(&mut self, slot: Slot) -> BufferId {
        let id = u32::try_from(self.buffers.len()).expect("a plan has far fewer than 2^32 buffers");
        self.buffers.push(slot);
        BufferId(id)
    }

    pub(super) fn buffer(&mut self, len: usize, elements: Elements, kind: Kind) -> BufferId {
        let size = match elements {
            Elements::Tensor(dtype) => dtype.bytes(),
            Elements::F32 | Elements::Packed => size_of::<f32>(),
            Elements::Bytes => 1,
        };
        self.slot(Slot {
            len,
            bytes: len.saturating_mul(size),
            elements,
            kind,
        })
    }

    /// Something that the caller brings for each run, beside what it brought already.
    pub fn named_input(&mut self, name: &str, shape: &[usize], elements: Elements) -> BufferId {
        let offset = self.input_bytes.saturating_add(ALIGN - 1) / ALIGN * ALIGN;
        let len = shape.iter().fold(1, |n: usize, &s| n.saturating_mul(s));
        let id = self.buffer(len, elements, Kind::Input(offset));
        let bytes = self.buffers[id.index()].bytes;
        self.inputs.push(Input {
            name: name.to_owned(),
            shape: shape.to_vec(),
            elements,
            offset,
            bytes,
        });
        self.input_bytes = offset.saturating_add(bytes);
        id
    }

    /// What tensors of this plan are made of.
    pub(crate) fn tensor(&self) -> Elements {
        self.kernels.map_or(Elements::F32, Elements::Tensor)
    }

    /// A new buffer of the plan's tensors.
    ///
    /// # Errors
    /// [`ShapeError::Overflow`] where the sizes are too large.
    pub fn activation(&mut self, shape: &[usize]) -> Result<BufferId, ShapeError> {
        let len = elements("activation", shape)?;
        Ok(self.buffer(len, self.tensor(), Kind::Activation))
    }

    pub(super) fn param(
        &mut self,
        name: String,
        shape: &[usize],
        order: Order,
    ) -> Result<BufferId, ShapeError> {
        let len = elements("parameter", shape)?;
        let (elements, bytes) = match (self.kernels, order) {
            (None, _) | (_, Order::Vector) => (Elements::F32, len * size_of::<f32>()),
            (Some(dtype), Order::Tensor) => (Elements::Tensor(dtype), len * dtype.bytes()),
            (Some(dtype), Order::Matrix { .. } | Order::ChannelsLast { .. }) => {
                let cols = shape[0];
                (Elements::Packed, packed_bytes(dtype, cols, len / cols))
            }
            (Some(dtype), Order::Transposed { .. } | Order::ChannelsLastTransposed { .. }) => {
                let inner = shape[0];
                (Elements::Packed, packed_bytes(dtype, len / inner, inner))
            }
        };
        let slot = |offset| Slot {
            len,
            bytes,
            elements,
            kind: Kind::Param(offset),
        };
        let mut same = self.params.iter().filter(|p| p.name == name);
        if let Some(other) = same.clone().find(|p| p.shape != shape) {
            let (found, expected) = (shape.to_vec(), other.shape.clone());
            return Err(ShapeError::Param {
                name,
                found,
                expected,
            });
        }
        if let Some(known) = same.find(|p| p.order == order) {
            let slot = slot(known.offset);
            return Ok(self.slot(slot));
        }
        let offset = self.params_bytes;
        self.params.push(Param {
            name,
            shape: shape.to_vec(),
            order,
            offset,
            bytes,
        });
        let end = offset.checked_add(bytes.next_multiple_of(ALIGN));
        self.params_bytes = end.ok_or_else(|| overflow("parameters", vec![offset, bytes]))?;
        Ok(self.slot(slot(offset)))
    }

    /// Where the gradient of parameter `name` is added up.
    pub(super) fn gradient(
        &mut self,
        name: String,
        shape: &[usize],
    ) -> Result<BufferId, ShapeError> {
        if let Some(known) = self.gradients.iter().find(|g| g.name == name) {
            return Ok(known.buffer);
        }
        let (len, offset) = (elements("gradient", shape)?, self.grad_bytes);
        let buffer = self.buffer(len, Elements::F32, Kind::Grad(offset));
        let bytes = (len * size_of::<f32>()).next_multiple_of(ALIGN);
        let end = offset.checked_add(bytes);
        self.grad_bytes = end.ok_or_else(|| overflow("gradients", vec![offset, bytes]))?;
        let view = View::contiguous(buffer, shape);
        self.outputs.push(Output {
            name: format!("grad.{name}"),
            view,
        });
        self.gradients.push(Gradient {
            name,
            shape: shape.to_vec(),
            offset,
            buffer,
        });
        Ok(buffer)
    }

    /// Appends a step, which must not name one buffer of the workspace twice: each operand is a
    /// slice of its own.
    pub(super) fn step(&mut self, label: &str, op: impl Into<Op>) -> Result<()> {
        let step = self.finished_step(label, op.into())?;
        let mut ids = [step.op.reads(), step.op.writes()].concat();
        ids.retain(|id| self.buffers[id.index()].kind.is_written());
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(ShapeError::Aliased { step: step.label }.into());
        }
        self.steps.push(step);
        Ok(())
    }

    pub(super) fn finished_step(&self, label: &str, op: Op) -> Result<Step> {
        let bytes = |id: BufferId| self.buffers[id.index()].bytes as u64;
        let each = op.reads().into_iter().chain(op.writes()).map(bytes);
        let cost = Cost {
            macs: op.macs(),
            bytes: each.fold(0u64, u64::saturating_add),
        };
        let launches = match self.kernels {
            Some(dtype) => op.launches(dtype)?,
            None => Vec::new(),
        };
        Ok(Step {
            label: label.to_owned(),
            cost,
            op,
            launches,
        })
    }

    pub(super) fn holds(&self, label: &str, id: BufferId, expected: usize) -> Result<()> {
        let found = self.buffers[id.index()].len;
        if found < expected {
            return Err(ShapeError::Buffer {
                step: label.to_owned(),
                found,
                expected,
            }
            .into());
        }
        Ok(())
    }

    /// Assigns memory and closes the plan.
    ///
    /// # Errors
    /// [`ShapeError::Overflow`] where the workspace would not fit the address space.
    pub fn finish(self) -> Result<Plan, ShapeError> {
        let end = self.steps.len();
        let mut lives: Vec<Option<(usize, usize)>> = vec![None; self.buffers.len()];
        let mut touch = |id: BufferId, at: usize| {
            let life = lives[id.index()].get_or_insert((at, at));
            *life = (life.0.min(at), life.1.max(at));
        };
        for (at, step) in self.steps.iter().enumerate() {
            step.op
                .reads()
                .into_iter()
                .chain(step.op.writes())
                .for_each(|id| touch(id, at));
        }
        self.outputs.iter().for_each(|o| touch(o.view.buffer, end));
        for (index, slot) in self.buffers.iter().enumerate() {
            if slot.kind == Kind::Persistent {
                lives[index] = Some((0, end));
            }
        }
        let in_workspace: Vec<usize> = (0..self.buffers.len())
            .filter(|&i| self.buffers[i].kind.in_workspace())
            .collect();
        let life = |i: usize| lives[i].unwrap_or((0, end));
        let requests: Vec<Request> = in_workspace
            .iter()
            .map(|&i| Request {
                len: self.buffers[i].bytes,
                first: life(i).0,
                last: life(i).1,
            })
            .collect();
        let all: u128 = requests.iter().map(|r| (r.len + ALIGN) as u128).sum();
        if all > isize::MAX.unsigned_abs() as u128 {
            let factors = requests.iter().map(|r| r.len).collect();
            return Err(overflow("workspace", factors));
        }
        let (offsets, workspace_bytes) = place(&requests);
        let mut places = vec![0; self.buffers.len()];
        in_workspace
            .iter()
            .zip(offsets)
            .for_each(|(&i, offset)| places[i] = offset);
        let buffers = self.buffers.iter().enumerate().map(|(i, slot)| {
            let place = match slot.kind {
                Kind::Input(offset) => Place::Input(offset),
                Kind::Param(offset) => Place::Param(offset),
                Kind::Grad(offset) => Place::Grad(offset),
                Kind::Persistent | Kind::Activation => Place::Workspace(places[i]),
            };
            Buffer {
                len: slot.len,
                bytes: slot.bytes,
                elements: slot.elements,
                place,
                life: life(i),
            }
        });
        Ok(Plan {
            buffers: buffers.collect(),
            steps: self.steps,
            setup: self.setup,
            params: self.params,
            outputs: self.outputs,
            kernels: self.kernels,
            input_bytes: self.input_bytes,
            inputs: self.inputs,
            params_bytes: self.params_bytes,
            gradients: self.gradients,
            grad_bytes: self.grad_bytes,
            workspace_bytes,
            backward: self.backward,
        })
    }
}

fn overflow(what: &'static str, factors: Vec<usize>) -> ShapeError {
    ShapeError::Overflow { what, factors }
}
