//! Residual connection as a step of its own: y = a + b, elementwise. Used where the branch itself
//! must stay readable (traces); otherwise `linear` adds straight into the stream.

mod cpu;
mod launch;

use super::{Op, OpSpec};
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Residual {
    pub(crate) len: usize,
    pub(crate) a: BufferId,
    pub(crate) b: BufferId,
    pub(crate) y: BufferId,
}

impl OpSpec for Residual {
    const NAME: &'static str = "residual";

    fn reads(&self) -> Vec<BufferId> {
        vec![self.a, self.b]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn macs(&self) -> u64 {
        0
    }

    fn shapes(&self) -> String {
        format!("a,b[{}]", self.len)
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::forward(self, dtype)
    }

    fn run(&self, memory: &mut Memory<'_>, _: &Lanes) {
        let ([a, b], [y]) = memory.bind([self.a, self.b], [self.y]);
        cpu::forward(a, b, y);
    }
}

impl From<Residual> for Op {
    fn from(op: Residual) -> Self {
        Self::Residual(op)
    }
}
