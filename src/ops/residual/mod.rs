//! Residual connection as a step of its own: y = a + m · b, elementwise, with a factor m for each image if stochastic
//! depth (Huang et al. 2016) asks for it; without `a` the branch alone. Used where the branch itself
//! must stay readable (traces), and in training; otherwise `linear` adds straight into the stream.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | a | [B, N, C] or none | in |
//! | b | [B, N, C] | in |
//! | factors | f32, those of the images from an offset on, or none | in |
//! | y | [B, N, C] | out |

mod cpu;
mod launch;

use super::{Op, OpSpec};
use crate::cpu::Real;
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Residual {
    pub(crate) len: usize,
    pub(crate) a: Option<BufferId>,
    pub(crate) b: BufferId,
    /// Factors, the first of them that is meant, and images.
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

    pub(crate) fn images(&self) -> usize {
        self.factors.map_or(1, |(_, _, images)| images)
    }
}

impl OpSpec for Residual {
    const NAME: &'static str = "residual";

    fn reads(&self) -> Vec<BufferId> {
        let factors = self.factors.map(|(buffer, ..)| buffer);
        self.a.into_iter().chain([self.b]).chain(factors).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn macs(&self) -> u64 {
        0
    }

    fn shapes(&self) -> String {
        let names = if self.a.is_some() { "a,b" } else { "b" };
        let factors = if self.factors.is_some() {
            " factors"
        } else {
            ""
        };
        format!("{names}[{}]{factors}", self.len)
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::forward(self, dtype)
    }

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, _: &Lanes<T>) {
        let (factors, first, images) = self.factors.unwrap_or((self.b, 0, 0));
        match self.a {
            Some(a) if self.factors.is_some() => {
                let ([a, b, f], [y]) = memory.bind([a, self.b, factors], [self.y]);
                cpu::forward(self, Some(a), b, Some(&f[first..first + images]), y);
            }
            Some(a) => {
                let ([a, b], [y]) = memory.bind([a, self.b], [self.y]);
                cpu::forward(self, Some(a), b, None, y);
            }
            None if self.factors.is_some() => {
                let ([b, f], [y]) = memory.bind([self.b, factors], [self.y]);
                cpu::forward(self, None, b, Some(&f[first..first + images]), y);
            }
            None => {
                let ([b], [y]) = memory.bind([self.b], [self.y]);
                cpu::forward(self, None, b, None, y);
            }
        }
    }
}

impl From<Residual> for Op {
    fn from(op: Residual) -> Self {
        Self::Residual(op)
    }
}
