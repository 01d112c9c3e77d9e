//! Gradients of a patch convolution, kernel = stride = P: of its parameters, and of its input.
//!
//! `dW[o, c, dy, dx] += Σ dy[b, (v, u), o] · x[b, v·P + dy, u·P + dx, c]`, and
//! `dx[b, v·P + dy, u·P + dx, c] = Σ dy[b, (v, u), o] · W[o, c, dy, dx]`; what fills no patch has gradient zero.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | dy | [B, ⌊H/P⌋·⌊W/P⌋, O] | in |
//! | x, dx | [B, C, H, W] f32 (pixels) or [B, H·W, C] (tokens) | in, out |
//! | weight | [O, C, P, P], laid out as a matrix of O rows | in |
//! | dweight | [O, C, P, P], f32, as in the checkpoint | in and out |
//! | dbias | `[O]`, f32 | in and out |
//!
//! Patches are disjoint, so dx is a permutation of a product: nothing is added but what `accumulate` asks for.

mod cpu;
mod launch;

use super::{Op, OpSpec, count};
use crate::cpu::Real;
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
use crate::ops::linear_bwd::Sizes;
use crate::ops::patch_conv::Pixels;
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PatchConvBwdWeight {
    pub(crate) batch: usize,
    pub(crate) grid: (usize, usize),
    pub(crate) in_chans: usize,
    pub(crate) patch: usize,
    pub(crate) out_chans: usize,
    pub(crate) pixels: Pixels,
    pub(crate) dy: BufferId,
    pub(crate) x: BufferId,
    pub(crate) dweight: BufferId,
    pub(crate) dbias: BufferId,
    /// Patches as rows, and sums of pieces of them; the CPU alone needs it.
    pub(crate) scratch: Option<BufferId>,
    /// Kernels only, where several blocks share a tile: their sums, and how many have stored theirs.
    pub(crate) shared: Option<(BufferId, BufferId)>,
}

impl PatchConvBwdWeight {
    pub(crate) fn sizes(&self) -> Sizes {
        let p = self.patch;
        Sizes {
            rows: self.batch * (self.grid.0 / p) * (self.grid.1 / p),
            inner: self.in_chans * p * p,
            cols: self.out_chans,
        }
    }

    /// Elements of `scratch`.
    pub(crate) fn scratch_len(&self) -> usize {
        let sizes = self.sizes();
        sizes.rows * sizes.inner + sizes.scratch_len()
    }
}

impl OpSpec for PatchConvBwdWeight {
    const NAME: &'static str = "patch_conv_bwd_weight";

    fn reads(&self) -> Vec<BufferId> {
        vec![self.dy, self.x]
    }

    fn writes(&self) -> Vec<BufferId> {
        let shared = self.shared.into_iter().flat_map(|(p, a)| [p, a]);
        let own = [self.dweight, self.dbias].into_iter();
        own.chain(self.scratch).chain(shared).collect()
    }

    fn macs(&self) -> u64 {
        let Sizes { rows, inner, cols } = self.sizes();
        count(&[rows, inner, cols])
    }

    fn shapes(&self) -> String {
        let ((h, w), c, p) = (self.grid, self.in_chans, self.patch);
        format!(
            "x[{},{h},{w},{c}] dw[{},{c},{p},{p}]",
            self.batch, self.out_chans
        )
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::weight(self, dtype)
    }

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, _: &Lanes<T>) {
        let scratch = self.scratch.expect("a plan for the CPU has scratch");
        let writes = [self.dweight, self.dbias, scratch];
        let ([dy, x], writes) = memory.bind([self.dy, self.x], writes);
        cpu::weight(self, dy, x, writes);
    }
}

impl From<PatchConvBwdWeight> for Op {
    fn from(op: PatchConvBwdWeight) -> Self {
        Self::PatchConvBwdWeight(op)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PatchConvBwdData {
    pub(crate) batch: usize,
    pub(crate) grid: (usize, usize),
    pub(crate) in_chans: usize,
    pub(crate) patch: usize,
    pub(crate) out_chans: usize,
    pub(crate) pixels: Pixels,
    pub(crate) dy: BufferId,
    pub(crate) weight: BufferId,
    pub(crate) dx: BufferId,
    /// Whether dx is added to, not written.
    pub(crate) accumulate: bool,
}

impl PatchConvBwdData {
    /// Patches, the rows of dy.
    pub(crate) fn rows(&self) -> usize {
        self.batch * (self.grid.0 / self.patch) * (self.grid.1 / self.patch)
    }

    /// Values of a patch.
    pub(crate) fn inner(&self) -> usize {
        self.in_chans * self.patch * self.patch
    }

    /// Whether patches cover the whole grid.
    pub(crate) fn covers(&self) -> bool {
        self.grid.0.is_multiple_of(self.patch) && self.grid.1.is_multiple_of(self.patch)
    }
}

impl OpSpec for PatchConvBwdData {
    const NAME: &'static str = "patch_conv_bwd_data";

    fn reads(&self) -> Vec<BufferId> {
        vec![self.dy, self.weight]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.dx]
    }

    fn macs(&self) -> u64 {
        let ((h, w), p) = (self.grid, self.patch);
        count(&[
            self.batch,
            h / p,
            w / p,
            self.in_chans * p * p,
            self.out_chans,
        ])
    }

    fn shapes(&self) -> String {
        let ((h, w), c, p) = (self.grid, self.in_chans, self.patch);
        let tail = if self.accumulate { " +=" } else { "" };
        format!(
            "dx[{},{h},{w},{c}] w[{},{c},{p},{p}]{tail}",
            self.batch, self.out_chans
        )
    }

    fn lane_len(&self) -> usize {
        match self.pixels {
            Pixels::Nchw => self.grid.1 / self.patch * self.patch * self.patch * self.in_chans,
            Pixels::Nhwc => 0,
        }
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::data(self, dtype)
    }

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, lanes: &Lanes<T>) {
        let ([dy, weight], [dx]) = memory.bind([self.dy, self.weight], [self.dx]);
        cpu::data(self, dy, weight, dx, lanes);
    }
}

impl From<PatchConvBwdData> for Op {
    fn from(op: PatchConvBwdData) -> Self {
        Self::PatchConvBwdData(op)
    }
}
