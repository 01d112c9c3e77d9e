//! Residual connection as a step of its own: `y[i] = a[i] + m[i / (len / images)] · b[i]`. Used where the branch
//! itself must stay readable (traces) or an image may drop it (training); otherwise `linear` adds straight into the
//! stream.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | a | `[len]`, or none: zero; may be y | in |
//! | b | `[len]` | in |
//! | m | `[images]` of a longer buffer, f32 in every type, or none: ones | in |
//! | y | `[len]` | out |

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
    pub(crate) a: Option<BufferId>,
    pub(crate) b: BufferId,
    /// Factors of images: their buffer, the first of them in it, how many images there are.
    pub(crate) factors: Option<(BufferId, usize, usize)>,
    pub(crate) y: BufferId,
}

impl Residual {
    /// y = a + b.
    pub(crate) const fn sum(len: usize, (a, b): (BufferId, BufferId), y: BufferId) -> Self {
        Self {
            len,
            a: Some(a),
            b,
            factors: None,
            y,
        }
    }
}

impl OpSpec for Residual {
    const NAME: &'static str = "residual";

    fn reads(&self) -> Vec<BufferId> {
        let factors = self.factors.map(|(factors, ..)| factors);
        self.a.into_iter().chain([self.b]).chain(factors).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn macs(&self) -> u64 {
        0
    }

    fn shapes(&self) -> String {
        let operands = if self.a.is_some() { "a,b" } else { "b" };
        let factors = self.factors.map(|(_, _, images)| images);
        let factors = factors.map_or(String::new(), |images| format!(" of {images} images"));
        format!("{operands}[{}]{factors}", self.len)
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::forward(self, dtype)
    }

    fn run(&self, memory: &mut Memory<'_>, _: &Lanes) {
        let (Some(a), None) = (self.a, self.factors) else {
            unreachable!("a plan of kernels")
        };
        let ([a, b], [y]) = memory.bind([a, self.b], [self.y]);
        cpu::forward(a, b, y);
    }
}

impl From<Residual> for Op {
    fn from(op: Residual) -> Self {
        Self::Residual(op)
    }
}
