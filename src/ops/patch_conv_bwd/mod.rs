//! Gradients of a patch convolution, with g the gradient of its result and N' the number of whole patches of an image.
//!
//! Weight and bias, added to what is there: `dweight[o, c, dy, dx] += Σ g[b, (v, u), o] · x[b, v·P + dy, u·P + dx, c]`,
//! `dbias[o] += Σ g[b, (v, u), o]`.
//!
//! Input: `dx[b, v·P + dy, u·P + dx, c] = Σₒ g[b, (v, u), o] · weight[o, c, dy, dx]`, or that added to it; pixels that fill no
//! patch get zero where it is not added.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | dy (g) | [B, N', O] | in |
//! | x | [B, C, H, W] (pixels, f32) or [B, H·W, C] (tokens) | in |
//! | weight | [O, C, P, P], transposed | in |
//! | dweight | [O, C, P, P], as in the checkpoint, f32 in every type | in and out |
//! | dbias | `[O]`, f32 | in and out |
//! | dx | as x | out, or in and out |

mod launch;

use super::patch_conv::Pixels;
use super::{Op, OpSpec, count};
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
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
    /// Kernels only, where several blocks share a tile of the weight: their sums, and how many have stored theirs.
    pub(crate) shared: Option<(BufferId, BufferId)>,
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
    /// Whether dx has a gradient to which this one is added; only over tokens.
    pub(crate) accumulate: bool,
}

/// Patches of all images.
fn patches(batch: usize, (h, w): (usize, usize), patch: usize) -> usize {
    batch * (h / patch) * (w / patch)
}

/// Sizes, for people.
fn shapes(
    pixels: Pixels,
    batch: usize,
    (h, w): (usize, usize),
    (c, p, o): (usize, usize, usize),
) -> String {
    let x = match pixels {
        Pixels::Nchw => format!("{batch},{c},{h},{w}"),
        Pixels::Nhwc => format!("{batch},{h},{w},{c}"),
    };
    format!("[{x}] w[{o},{c},{p},{p}]")
}

impl PatchConvBwdWeight {
    /// Rows of the sums.
    pub(crate) fn rows(&self) -> usize {
        patches(self.batch, self.grid, self.patch)
    }

    /// Elements of one patch.
    pub(crate) fn inner(&self) -> usize {
        self.patch * self.patch * self.in_chans
    }
}

impl PatchConvBwdData {
    /// Rows of the product.
    pub(crate) fn rows(&self) -> usize {
        patches(self.batch, self.grid, self.patch)
    }

    /// Elements of one patch: columns of the product.
    pub(crate) fn inner(&self) -> usize {
        self.patch * self.patch * self.in_chans
    }

    /// Whether every pixel is in a patch.
    pub(crate) fn covers(&self) -> bool {
        self.grid.0.is_multiple_of(self.patch) && self.grid.1.is_multiple_of(self.patch)
    }
}

impl OpSpec for PatchConvBwdWeight {
    const NAME: &'static str = "patch_conv_bwd_weight";

    fn reads(&self) -> Vec<BufferId> {
        vec![self.dy, self.x]
    }

    fn writes(&self) -> Vec<BufferId> {
        let shared = self
            .shared
            .into_iter()
            .flat_map(|(partials, arrived)| [partials, arrived]);
        [self.dweight, self.dbias]
            .into_iter()
            .chain(shared)
            .collect()
    }

    fn macs(&self) -> u64 {
        count(&[self.rows(), self.inner(), self.out_chans])
    }

    fn shapes(&self) -> String {
        let sizes = (self.in_chans, self.patch, self.out_chans);
        format!("x{}", shapes(self.pixels, self.batch, self.grid, sizes))
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::weight(self, dtype)
    }

    fn run(&self, _: &mut Memory<'_>, _: &Lanes) {
        unreachable!("a plan of kernels")
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
        count(&[self.rows(), self.inner(), self.out_chans])
    }

    fn shapes(&self) -> String {
        let sizes = (self.in_chans, self.patch, self.out_chans);
        let tail = if self.accumulate { " +=" } else { "" };
        let shapes = shapes(self.pixels, self.batch, self.grid, sizes);
        format!("dx{shapes}{tail}")
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::data(self, dtype)
    }

    fn run(&self, _: &mut Memory<'_>, _: &Lanes) {
        unreachable!("a plan of kernels")
    }
}

impl From<PatchConvBwdWeight> for Op {
    fn from(op: PatchConvBwdWeight) -> Self {
        Self::PatchConvBwdWeight(op)
    }
}

impl From<PatchConvBwdData> for Op {
    fn from(op: PatchConvBwdData) -> Self {
        Self::PatchConvBwdData(op)
    }
}
