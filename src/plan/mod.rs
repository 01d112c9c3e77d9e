//! A plan: the steps of one forward pass for fixed sizes, of a backward pass if there is one, and the memory they share.
//!
//! Host only, deterministic, printable. Planning decides everything: running a plan allocates
//! nothing and chooses nothing.

mod arena;
mod attention;
mod backward;
mod books;
mod buffers;
mod builder;
mod dump;
mod fused;
mod loss;
mod memory;
mod positions;
mod shared;

pub use backward::Factors;
pub(crate) use buffers::{Buffer, Place};
pub use buffers::{BufferId, Elements, Gradient, Input, Order, Param, View};
pub use builder::{Builder, Target};
pub use fused::NormSpec;
pub use memory::Memory;

use crate::dtype::DType;
use crate::launch::Launch;
use crate::ops::{Cost, Op};

/// One operator with its buffers and a label such as `block1.0.attn.q`.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub(crate) label: String,
    pub(crate) op: Op,
    pub(crate) cost: Cost,
    pub(crate) launches: Vec<Launch>,
}

impl Step {
    /// Where the step stands in the model, in the words of the checkpoint's key names.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Name of the operator.
    pub fn op(&self) -> &'static str {
        self.op.name()
    }

    /// Sizes of the operands, for people.
    pub fn shapes(&self) -> String {
        self.op.shapes()
    }

    /// Multiply-adds and bytes of the step.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// What runs on a GPU, in order; nothing in a plan for the CPU.
    pub fn launches(&self) -> &[Launch] {
        &self.launches
    }

    /// Buffers the step reads, then those it writes or updates.
    pub fn buffers(&self) -> (Vec<BufferId>, Vec<BufferId>) {
        (self.op.reads(), self.op.writes())
    }
}

/// A result that can be read after a run: a named view of a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Name, such as `logits` or `feature3`.
    pub name: String,
    /// Where its elements lie.
    pub view: View,
}

/// The steps and memory of a forward pass for fixed sizes, and of a backward pass if there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) setup: Vec<Step>,
    pub(crate) buffers: Vec<Buffer>,
    pub(crate) params: Vec<Param>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) kernels: Option<DType>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) input_bytes: usize,
    pub(crate) params_bytes: usize,
    pub(crate) gradients: Vec<Gradient>,
    pub(crate) grad_bytes: usize,
    pub(crate) workspace_bytes: usize,
    pub(crate) backward: Option<usize>,
}

impl Plan {
    /// Steps of every run, in order: the forward pass, and what follows it from [`Plan::first_backward_step`] on.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Steps that run once, when parameters are bound: resized position tables, counters at zero.
    pub fn setup(&self) -> &[Step] {
        &self.setup
    }

    /// Parameters in the order in which they lie in memory.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// What can be read after a run.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The output called `name`.
    pub fn output(&self, name: &str) -> Option<&Output> {
        self.outputs.iter().find(|o| o.name == name)
    }

    /// The type of the GPU kernels that the plan is made of; `None` where it is for the CPU.
    pub fn kernels(&self) -> Option<DType> {
        self.kernels
    }

    /// Launches of a run, in order.
    pub fn launches(&self) -> impl Iterator<Item = &Launch> {
        self.steps.iter().flat_map(Step::launches)
    }

    /// What the caller brings for each run, in order; inference reads one input alone.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Elements of the first input: f32, or bytes where the plan begins with pictures.
    pub fn input_len(&self) -> usize {
        self.inputs.first().map_or(0, Input::len)
    }

    /// Bytes of all inputs, as they lie in one block.
    pub fn input_bytes(&self) -> usize {
        self.input_bytes
    }

    /// Bytes of activations, scratch and results: exactly what a run uses.
    pub fn workspace_bytes(&self) -> usize {
        self.workspace_bytes
    }

    /// Bytes of a buffer as it lies in memory; `None` where the plan has no such buffer.
    pub fn bytes_of(&self, id: BufferId) -> Option<usize> {
        Some(self.buffers.get(id.index())?.bytes)
    }

    /// Bytes of all parameters as they lie in memory.
    pub fn param_bytes(&self) -> usize {
        self.params_bytes
    }

    /// Gradients of parameters that a run adds to, in the order in which they lie in one block; none in plans for
    /// inference.
    pub fn gradients(&self) -> &[Gradient] {
        &self.gradients
    }

    /// Bytes of all gradients of parameters.
    pub fn grad_bytes(&self) -> usize {
        self.grad_bytes
    }

    /// Bytes of private scratch that each CPU worker needs beside the workspace.
    pub fn lane_bytes(&self) -> usize {
        self.lane_len() * size_of::<f32>()
    }

    pub(crate) fn lane_len(&self) -> usize {
        self.steps
            .iter()
            .chain(&self.setup)
            .map(|s| s.op.lane_len())
            .max()
            .unwrap_or(0)
    }

    /// Sum over the steps of a run.
    pub fn cost(&self) -> Cost {
        self.steps.iter().fold(Cost::default(), |sum, step| Cost {
            macs: sum.macs.saturating_add(step.cost.macs),
            bytes: sum.bytes.saturating_add(step.cost.bytes),
        })
    }
}
