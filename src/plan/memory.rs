//! What a plan needs of memory, known before any of it is taken.

use std::fmt;

use super::{BufferId, Place, Plan};

/// Bytes of master weights and of two moments, all f32, for each element that AdamW updates.
const OPTIMIZER_BYTES: usize = 3 * size_of::<f32>();

/// Bytes of a plan by what they are for. All are exact and of the plan alone: what a driver or a CPU worker
/// ([`Plan::lane_bytes`]) takes is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// What the caller brings for each run.
    pub inputs: usize,
    /// Parameters as they are laid out. Plans with a backward pass hold most matrices twice: as products of the forward
    /// pass read them, and transposed.
    pub parameters: usize,
    /// Gradients of parameters, in f32.
    pub gradients: usize,
    /// Activations, scratch and results.
    pub workspace: usize,
    /// The part of the workspace that lives from the forward to the backward pass ([`Plan::saved`]): grows with the batch.
    pub saved: usize,
    /// AdamW: master weights and two moments in f32, for every parameter with a gradient.
    pub optimizer: usize,
}

impl Memory {
    /// Sum of all; what is saved is part of the workspace.
    pub fn total(&self) -> usize {
        let parts = [
            self.inputs,
            self.parameters,
            self.gradients,
            self.workspace,
            self.optimizer,
        ];
        parts.into_iter().fold(0, usize::saturating_add)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "inputs {} bytes, parameters {} bytes, gradients {} bytes, workspace {} bytes of which {} are saved for \
             the backward pass, optimiser {} bytes; {} bytes in all",
            self.inputs,
            self.parameters,
            self.gradients,
            self.workspace,
            self.saved,
            self.optimizer,
            self.total()
        )
    }
}

impl Plan {
    /// Bytes by what they are for.
    pub fn memory(&self) -> Memory {
        let saved = self.saved().into_iter();
        let trained: usize = self.gradients.iter().map(super::Gradient::len).sum();
        Memory {
            inputs: self.input_bytes,
            parameters: self.params_bytes,
            gradients: self.grad_bytes,
            workspace: self.workspace_bytes,
            saved: saved.map(|id| self.buffers[id.index()].bytes).sum(),
            optimizer: trained * OPTIMIZER_BYTES,
        }
    }

    /// Index of the first step of the backward pass, that of the loss where there is one; `None` in plans for inference.
    pub fn first_backward_step(&self) -> Option<usize> {
        self.backward
    }

    /// Buffers of the workspace that live from the forward to the backward pass: steps of both touch them. What is
    /// there from set-up on, such as counters, is not among them, nor is what is alive for being an output alone.
    pub fn saved(&self) -> Vec<BufferId> {
        let Some(backward) = self.backward else {
            return Vec::new();
        };
        let (before, after) = self.steps.split_at(backward);
        let mut touched = vec![[false; 2]; self.buffers.len()];
        for (pass, steps) in [before, after].into_iter().enumerate() {
            for (reads, writes) in steps.iter().map(super::Step::buffers) {
                for id in reads.into_iter().chain(writes) {
                    touched[id.index()][pass] = true;
                }
            }
        }
        for id in self.setup.iter().flat_map(|step| step.buffers().1) {
            touched[id.index()] = [false; 2];
        }
        let ids = (0u32..).map(BufferId).zip(&self.buffers).zip(touched);
        let saved = ids.filter(|((_, buffer), touched)| {
            matches!(buffer.place, Place::Workspace(_)) && *touched == [true; 2]
        });
        saved.map(|((id, _), _)| id).collect()
    }
}
