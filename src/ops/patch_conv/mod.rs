//! Patch convolution: kernel = stride = P, no padding. Serves as patch embedding and as the
//! spatial reduction of keys and values.
//!
//! `y[b, (v, u), o] = bias[o] + Σ x[b, v·P + dy, u·P + dx, c] · weight[o, c, dy, dx]`, for the
//! ⌊H/P⌋ × ⌊W/P⌋ whole patches; pixels that fill no patch are not read.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | x | [B, C, H, W] (pixels) or [B, H·W, C] (tokens) | in |
//! | weight | [O, C, P, P], as in `torch.nn.Conv2d` | in |
//! | bias | `[O]` | in |
//! | y | [B, ⌊H/P⌋·⌊W/P⌋, O] | out |
//!
//! An implicit matrix product: one line of P tokens is P·C adjacent values, so tokens are never
//! gathered. A packed weight runs over (dy, dx, c) for tokens and over (c, dy, dx) for pixels.

mod cpu;
mod launch;

use super::{InParts, Norm, Op, OpSpec, Positions, count};
use crate::cpu::Real;
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

/// How the input of a convolution lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pixels {
    /// [B, C, H, W]
    Nchw,
    /// [B, H·W, C]
    Nhwc,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PatchConv {
    pub(crate) batch: usize,
    pub(crate) grid: (usize, usize),
    pub(crate) in_chans: usize,
    pub(crate) patch: usize,
    pub(crate) out_chans: usize,
    pub(crate) pixels: Pixels,
    pub(crate) x: BufferId,
    pub(crate) weight: BufferId,
    pub(crate) bias: BufferId,
    pub(crate) y: BufferId,
    /// Kernels only: rows of the result are normalised, and positions added.
    pub(crate) norm: Option<(Norm, Option<Positions>)>,
    /// Kernels only, and only over tokens.
    pub(crate) parts: Option<InParts>,
}

impl PatchConv {
    /// Height and width of the output in patches.
    pub(crate) fn out_grid(&self) -> (usize, usize) {
        (self.grid.0 / self.patch, self.grid.1 / self.patch)
    }

    /// Values of one patch: the inner dimension of the product.
    pub(crate) fn inner(&self) -> usize {
        self.patch * self.patch * self.in_chans
    }
}

impl OpSpec for PatchConv {
    const NAME: &'static str = "patch_conv";

    fn reads(&self) -> Vec<BufferId> {
        let mut ids = vec![self.x, self.weight, self.bias];
        if let Some((norm, positions)) = self.norm {
            ids.extend([norm.gamma, norm.beta]);
            ids.extend(positions.iter().map(|p| p.table));
            ids.extend(positions.and_then(|p| p.class_token));
        }
        ids
    }

    fn writes(&self) -> Vec<BufferId> {
        let parts = self.parts.into_iter().flat_map(InParts::writes);
        [self.y].into_iter().chain(parts).collect()
    }

    fn macs(&self) -> u64 {
        let (h, w) = self.out_grid();
        count(&[self.batch, h, w, self.inner(), self.out_chans])
    }

    fn shapes(&self) -> String {
        let (c, (h, w), p) = (self.in_chans, self.grid, self.patch);
        let x = match self.pixels {
            Pixels::Nchw => format!("{},{c},{h},{w}", self.batch),
            Pixels::Nhwc => format!("{},{h},{w},{c}", self.batch),
        };
        let norm = match self.norm {
            Some((_, Some(_))) => " norm +positions",
            Some((_, None)) => " norm",
            None => "",
        };
        let parts = self.parts.map(InParts::shapes).unwrap_or_default();
        format!("x[{x}] w[{},{c},{p},{p}]{norm}{parts}", self.out_chans)
    }

    fn lane_len(&self) -> usize {
        match self.pixels {
            Pixels::Nchw => self.out_grid().1 * self.inner(),
            Pixels::Nhwc => 0,
        }
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::forward(self, dtype)
    }

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, lanes: &Lanes<T>) {
        let ([x, weight, bias], [y]) = memory.bind([self.x, self.weight, self.bias], [self.y]);
        cpu::forward(self, x, weight, bias, y, lanes);
    }
}

impl From<PatchConv> for Op {
    fn from(op: PatchConv) -> Self {
        Self::PatchConv(op)
    }
}
