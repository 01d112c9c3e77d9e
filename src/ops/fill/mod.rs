//! Fill: y = value, elementwise. At set-up only: for what a kernel expects to find and leaves as it was.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | y | `[len]`, f32 in every type | out |

mod cpu;
mod launch;

use super::{Op, OpSpec};
use crate::cpu::Real;
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fill {
    pub(crate) len: usize,
    pub(crate) value: f32,
    pub(crate) y: BufferId,
}

impl OpSpec for Fill {
    const NAME: &'static str = "fill";

    fn reads(&self) -> Vec<BufferId> {
        Vec::new()
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn macs(&self) -> u64 {
        0
    }

    fn shapes(&self) -> String {
        format!("y[{}] = {}", self.len, self.value)
    }

    fn launches(&self, _: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::forward(self)
    }

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, _: &Lanes<T>) {
        let ([], [y]) = memory.bind([], [self.y]);
        cpu::forward(y, T::from(self.value));
    }
}

impl From<Fill> for Op {
    fn from(op: Fill) -> Self {
        Self::Fill(op)
    }
}
