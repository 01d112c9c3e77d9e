//! The builder's books: buffers, parameters and steps; and at the end lifetimes and places in memory.

use super::arena::{Request, place};
use super::builder::Kind;
use super::{Buffer, BufferId, Builder, Order, Param, Place, Plan, Step};
use crate::ops::{Cost, Op};
use crate::shape::{ShapeError, elements};

impl Builder {
    pub(super) fn buffer(&mut self, len: usize, kind: Kind) -> BufferId {
        let id = u32::try_from(self.buffers.len()).expect("a plan has far fewer than 2^32 buffers");
        self.buffers.push((len, kind));
        BufferId(id)
    }

    pub(super) fn activation(&mut self, shape: &[usize]) -> Result<BufferId, ShapeError> {
        Ok(self.buffer(elements("activation", shape)?, Kind::Activation))
    }

    pub(super) fn param(
        &mut self,
        name: String,
        shape: &[usize],
        order: Order,
    ) -> Result<BufferId, ShapeError> {
        let len = elements("parameter", shape)?;
        if let Some(known) = self.params.iter().find(|p| p.name == name) {
            if (known.shape.as_slice(), known.order) != (shape, order) {
                let (found, expected) = (shape.to_vec(), known.shape.clone());
                return Err(ShapeError::Param {
                    name,
                    found,
                    expected,
                });
            }
            let kind = Kind::Param(known.offset);
            return Ok(self.buffer(len, kind));
        }
        let offset = self.params_len;
        self.params.push(Param {
            name,
            shape: shape.to_vec(),
            order,
            offset,
        });
        // every parameter starts at a multiple of 256 bytes
        let end = offset.checked_add(len.next_multiple_of(64));
        self.params_len = end.ok_or_else(|| overflow("parameters", vec![offset, len]))?;
        Ok(self.buffer(len, Kind::Param(offset)))
    }

    /// Appends a step, which must not name one buffer of the workspace twice: each operand is a
    /// slice of its own.
    pub(super) fn step(&mut self, label: &str, op: impl Into<Op>) -> Result<(), ShapeError> {
        let step = self.finished_step(label, op.into());
        let mut ids = [step.op.reads(), step.op.writes()].concat();
        ids.retain(|id| self.buffers[id.index()].1.in_workspace());
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(ShapeError::Aliased { step: step.label });
        }
        self.steps.push(step);
        Ok(())
    }

    pub(super) fn finished_step(&self, label: &str, op: Op) -> Step {
        let len = |id: BufferId| self.buffers[id.index()].0 as u64;
        let elements = op.reads().into_iter().chain(op.writes()).map(len);
        let bytes = elements.fold(0u64, u64::saturating_add).saturating_mul(4);
        Step {
            label: label.to_owned(),
            cost: Cost {
                macs: op.macs(),
                bytes,
            },
            op,
        }
    }

    pub(super) fn holds(
        &self,
        label: &str,
        id: BufferId,
        expected: usize,
    ) -> Result<(), ShapeError> {
        let found = self.buffers[id.index()].0;
        if found < expected {
            return Err(ShapeError::Buffer {
                step: label.to_owned(),
                found,
                expected,
            });
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
        for (index, (_, kind)) in self.buffers.iter().enumerate() {
            if *kind == Kind::Persistent {
                lives[index] = Some((0, end));
            }
        }
        let in_workspace: Vec<usize> = (0..self.buffers.len())
            .filter(|&i| self.buffers[i].1.in_workspace())
            .collect();
        let life = |i: usize| lives[i].unwrap_or((0, end));
        let requests: Vec<Request> = in_workspace
            .iter()
            .map(|&i| Request {
                len: self.buffers[i].0,
                first: life(i).0,
                last: life(i).1,
            })
            .collect();
        let all: u128 = requests.iter().map(|r| r.len as u128 + 64).sum();
        if all > (isize::MAX / 8).unsigned_abs() as u128 {
            let factors = requests.iter().map(|r| r.len).collect();
            return Err(overflow("workspace", factors));
        }
        let (offsets, workspace_len) = place(&requests);
        let mut places = vec![0; self.buffers.len()];
        in_workspace
            .iter()
            .zip(offsets)
            .for_each(|(&i, offset)| places[i] = offset);
        let buffers = self.buffers.iter().enumerate().map(|(i, &(len, kind))| {
            let place = match kind {
                Kind::Input => Place::Input,
                Kind::Param(offset) => Place::Param(offset),
                Kind::Persistent | Kind::Activation => Place::Workspace(places[i]),
            };
            Buffer {
                len,
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
            input_len: self.input_len,
            params_len: self.params_len,
            workspace_len,
        })
    }
}

fn overflow(what: &'static str, factors: Vec<usize>) -> ShapeError {
    ShapeError::Overflow { what, factors }
}
