//! Linear: y = x·Wᵀ + b, with what follows it.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | x | [R, inner] | in |
//! | weight | [cols, inner], as in `torch.nn.Linear` | in |
//! | bias | `[cols]` or none | in |
//! | y | [R, cols] | out; with [`Epilogue::Accumulate`] also in |
//! | hidden | [R, cols] | with [`Epilogue::Gelu`] out, if it is kept; with [`Epilogue::GeluSlope`] in and out |
//!
//! The gradient dx = dy·W of a linear layer is one as well, of dy with the transposed weight and without bias.
//!
//! Accumulation in f32 in the order of the inner dimension, from the bias (and the residual) up.

mod cpu;
mod launch;

pub(crate) use cpu::panel;

use super::{InParts, Norm, Op, OpSpec, count};
use crate::cpu::Real;
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

/// What happens to x·Wᵀ + b before it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Epilogue {
    /// Stored as it is.
    Store,
    /// y = GELU(x·Wᵀ + b), exact (erf) form; the buffer, if there is one, keeps what GELU is applied to.
    Gelu(Option<BufferId>),
    /// y = y + x·Wᵀ + b: the residual connection.
    Accumulate,
    /// y = residual + x·Wᵀ + b, the residual in the buffer.
    Sum(BufferId),
    /// y = x·Wᵀ ∘ GELU'(h) with h in the buffer, which becomes GELU(h): the way back through GELU.
    GeluSlope(BufferId),
}

impl Epilogue {
    /// The buffer that it writes beside y.
    fn writes(self) -> Option<BufferId> {
        match self {
            Self::Gelu(kept) => kept,
            Self::GeluSlope(hidden) => Some(hidden),
            Self::Store | Self::Accumulate | Self::Sum(_) => None,
        }
    }

    /// The buffer that it reads beside y.
    fn reads(self) -> Option<BufferId> {
        match self {
            Self::Sum(residual) => Some(residual),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Linear {
    pub(crate) rows: usize,
    pub(crate) inner: usize,
    pub(crate) cols: usize,
    pub(crate) epilogue: Epilogue,
    pub(crate) x: BufferId,
    pub(crate) weight: BufferId,
    pub(crate) bias: Option<BufferId>,
    pub(crate) y: BufferId,
    /// Kernels only: x is normalised first, and kept in the buffer if there is one.
    pub(crate) norm: Option<(Norm, Option<BufferId>)>,
    /// Kernels only: columns from this one on go to a buffer of their own.
    pub(crate) split: Option<(usize, BufferId)>,
    /// Kernels only, and only without `norm`, `split` and GELU.
    pub(crate) parts: Option<InParts>,
}

impl OpSpec for Linear {
    const NAME: &'static str = "linear";

    fn reads(&self) -> Vec<BufferId> {
        let norm = self.norm.iter().flat_map(|(n, _)| [n.gamma, n.beta]);
        let own = [self.x, self.weight].into_iter().chain(self.bias);
        own.chain(norm).chain(self.epilogue.reads()).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        let kept = self.norm.and_then(|(_, kept)| kept);
        let split = self.split.map(|(_, y)| y);
        let parts = self.parts.into_iter().flat_map(InParts::writes);
        let own = [self.y].into_iter().chain(kept).chain(split);
        own.chain(parts).chain(self.epilogue.writes()).collect()
    }

    fn macs(&self) -> u64 {
        count(&[self.rows, self.inner, self.cols])
    }

    fn shapes(&self) -> String {
        let tail = match self.epilogue {
            Epilogue::Store => "",
            Epilogue::Gelu(None) => " gelu",
            Epilogue::Gelu(Some(_)) => " gelu kept",
            Epilogue::Accumulate => " +=",
            Epilogue::Sum(_) => " +",
            Epilogue::GeluSlope(_) => " gelu'",
        };
        let norm = if self.norm.is_some() { "norm " } else { "" };
        let split = if self.split.is_some() { " split" } else { "" };
        let parts = self.parts.map(InParts::shapes).unwrap_or_default();
        format!(
            "{norm}x[{},{}] w[{},{}]{tail}{split}{parts}",
            self.rows, self.inner, self.cols, self.inner
        )
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::forward(self, dtype)
    }

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, _: &Lanes<T>) {
        // a weight stands in for what there is not
        let bias = self.bias.unwrap_or(self.weight);
        let residual = self.epilogue.reads().unwrap_or(self.weight);
        let reads = [self.x, self.weight, bias, residual];
        if let Some(hidden) = self.epilogue.writes() {
            let ([x, weight, bias, _], [y, hidden]) = memory.bind(reads, [self.y, hidden]);
            let bias = self.bias.map(|_| bias);
            cpu::forward(self, [x, weight], bias, cpu::Second::Hidden(hidden), y);
        } else {
            let ([x, weight, bias, residual], [y]) = memory.bind(reads, [self.y]);
            let bias = self.bias.map(|_| bias);
            cpu::forward(self, [x, weight], bias, cpu::Second::Residual(residual), y);
        }
    }
}

impl From<Linear> for Op {
    fn from(op: Linear) -> Self {
        Self::Linear(op)
    }
}
