//! Which kernel of a family takes a shape, and what its launch asks for: pure functions of the shape.

use super::pack::{ROW_BYTES, UNIT_BYTES, unit_inner};
use super::tuning::{MLP_CHANNELS, MLP_ROWS};
use crate::dtype::DType;

/// Multiprocessors that a launch should give work to: those of an H100, H200 or B200, near enough.
pub(super) const PROCESSORS: u64 = 132;
/// Dynamic shared memory that a block may have on every device from compute capability 8.0 on.
pub const MOST_SHARED: usize = 99 * 1024;
/// Slots of the ring of copies in `linear`, `patch_conv` and `mlp`.
pub(super) const STAGES: usize = 3;
/// Slots where rows are few and memory is what a block waits for.
pub(super) const DEEP_STAGES: usize = 8;
/// Inner dimension, in bytes, whose products take as long as a block's start.
const START_BYTES: usize = 2 * ROW_BYTES;

/// A kernel of `linear` and its launch: the grid is ceil(rows of x / `rows`) x `groups`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearTile {
    /// Entry without the type.
    pub entry: &'static str,
    /// The same with GELU.
    pub gelu_entry: &'static str,
    /// The product times the slope of GELU.
    pub slope_entry: &'static str,
    /// Rows of a block.
    pub rows: u32,
    /// Columns of a tile.
    pub cols: u32,
    /// Threads of a block.
    pub threads: u32,
    /// Column groups: blocks that share rows, each with every `groups`-th tile of columns.
    pub groups: u32,
    /// Bytes of dynamic shared memory.
    pub shared: u32,
}

/// One of the compiled sizes.
struct Size {
    entry: &'static str,
    gelu_entry: &'static str,
    slope_entry: &'static str,
    rows: usize,
    cols: usize,
    /// Threads in f32, and in the other types.
    threads: [u32; 2],
    /// Slots of the ring with elements of four bytes, and of two.
    stages: [usize; 2],
    /// Per cent of the best rate that its products reach.
    rate: u64,
}

const LINEAR: [Size; 4] = [
    Size {
        entry: "linear_fwd_128x128",
        gelu_entry: "linear_gelu_fwd_128x128",
        slope_entry: "linear_bwd_gelu_128x128",
        rows: 128,
        cols: 128,
        threads: [256, 128],
        stages: [STAGES; 2],
        rate: 100,
    },
    Size {
        entry: "linear_fwd_64x128",
        gelu_entry: "linear_gelu_fwd_64x128",
        slope_entry: "linear_bwd_gelu_64x128",
        rows: 64,
        cols: 128,
        threads: [128, 128],
        stages: [STAGES; 2],
        rate: 85,
    },
    Size {
        entry: "linear_fwd_64x64",
        gelu_entry: "linear_gelu_fwd_64x64",
        slope_entry: "linear_bwd_gelu_64x64",
        rows: 64,
        cols: 64,
        threads: [128, 128],
        stages: [STAGES; 2],
        rate: 70,
    },
    Size {
        entry: "linear_fwd_32x64",
        gelu_entry: "linear_gelu_fwd_32x64",
        slope_entry: "linear_bwd_gelu_32x64",
        rows: 32,
        cols: 64,
        threads: [128, 128],
        stages: [DEEP_STAGES / 2, DEEP_STAGES],
        rate: 50,
    },
];

/// Products that take as long as normalising one element: vector arithmetic against the type's products.
const fn norm_products(dtype: DType) -> u64 {
    match dtype {
        DType::F32 => 12,
        DType::Tf32 => 64,
        DType::F16 | DType::Bf16 => 128,
    }
}

/// Bytes of shared memory of `linear`: a ring of weights and rows, or of weights with a panel of normalised rows.
fn linear_shared(dtype: DType, size: &Size, inner: usize, norm: bool) -> usize {
    let units = inner.div_ceil(unit_inner(dtype));
    let stages = size.stages[usize::from(dtype.bytes() == 2)];
    if norm {
        stages * size.cols * ROW_BYTES + units * size.rows * ROW_BYTES
    } else {
        stages * (size.cols + size.rows) * ROW_BYTES
    }
}

/// The kernel for x [rows, inner] and a weight [cols, inner], with LayerNorm in front if `norm`. `None` where the
/// normalised rows do not fit into shared memory: then LayerNorm has to be a kernel of its own.
///
/// The least time wins by a simple model: rounds of blocks over the multiprocessors times the products of a block
/// at its tile's rate; the start of a block, and LayerNorm in it, count as products. At equal times the fewest
/// groups win, so that x is read less often, then the larger tile.
pub fn linear_tile(
    dtype: DType,
    rows: usize,
    inner: usize,
    cols: usize,
    norm: bool,
) -> Option<LinearTile> {
    let mut best: Option<(u64, LinearTile)> = None;
    for size in &LINEAR {
        let shared = linear_shared(dtype, size, inner, norm);
        if shared > MOST_SHARED {
            continue;
        }
        let tiles = cols.div_ceil(size.cols).max(1);
        let row_blocks = rows.div_ceil(size.rows) as u64;
        for groups in 1..=tiles.min(MOST_GROUPS) {
            let each = tiles.div_ceil(groups);
            let start = START_BYTES / dtype.bytes();
            let products = (size.rows * size.cols * (each * inner + start)) as u64;
            let normed = if norm {
                (size.rows * inner) as u64 * norm_products(dtype)
            } else {
                0
            };
            let rounds = (row_blocks * groups as u64).div_ceil(PROCESSORS);
            let time = rounds * (products * 100 / size.rate + normed);
            let better = best.as_ref().is_none_or(|(least, tile)| {
                time < *least || time == *least && groups < tile.groups as usize
            });
            if better {
                let tile = LinearTile {
                    entry: size.entry,
                    gelu_entry: size.gelu_entry,
                    slope_entry: size.slope_entry,
                    rows: to_u32(size.rows),
                    cols: to_u32(size.cols),
                    threads: size.threads[usize::from(dtype != DType::F32)],
                    groups: to_u32(groups),
                    shared: to_u32(shared),
                };
                best = Some((time, tile));
            }
        }
    }
    best.map(|(_, tile)| tile)
}

/// A kernel of `patch_conv` and its launch: the grid is ceil(patches / `rows`) x ceil(output channels / `cols`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvTile {
    /// Entry over tokens, without the type.
    pub entry: &'static str,
    /// Entry over pixels.
    pub pixels_entry: &'static str,
    /// Patches of a block.
    pub rows: u32,
    /// Output channels of a block.
    pub cols: u32,
    /// Threads of a block.
    pub threads: u32,
    /// Bytes of dynamic shared memory.
    pub shared: u32,
}

/// Entries, rows, columns, threads in f32 and in the other types, slots of the ring, and rate in per cent, of
/// `patch_conv`.
type ConvSize = (
    &'static str,
    &'static str,
    usize,
    usize,
    [u32; 2],
    usize,
    u64,
);

const CONV: [ConvSize; 4] = [
    (
        "patch_conv_fwd_128x128",
        "patch_conv_pixels_fwd_128x128",
        128,
        128,
        [256, 128],
        STAGES,
        100,
    ),
    (
        "patch_conv_fwd_128x64",
        "patch_conv_pixels_fwd_128x64",
        128,
        64,
        [128, 128],
        STAGES,
        85,
    ),
    (
        "patch_conv_fwd_32x128",
        "patch_conv_pixels_fwd_32x128",
        32,
        128,
        [128, 128],
        STAGES,
        65,
    ),
    (
        "patch_conv_fwd_32x64",
        "patch_conv_pixels_fwd_32x64",
        32,
        64,
        [128, 128],
        DEEP_STAGES,
        50,
    ),
];

/// Most output channels over which `patch_conv` can normalise: the columns of one block.
const CONV_NORM_COLS: usize = 128;

/// Whether `patch_conv` has LayerNorm over so many output channels, in this type.
pub fn conv_has_norm(_: DType, out_chans: usize) -> bool {
    out_chans <= CONV_NORM_COLS
}

/// The kernel for `rows` patches, with LayerNorm over the output channels if `norm`, which [`conv_has_norm`] must
/// allow. The least rounds of blocks over the multiprocessors times the time of a block, then the larger tile.
pub fn conv_tile(dtype: DType, rows: usize, out_chans: usize, norm: bool) -> ConvTile {
    let time = |&(_, _, tile_rows, cols, _, _, rate): &ConvSize| {
        let blocks = (rows.div_ceil(tile_rows) * out_chans.div_ceil(cols)) as u64;
        let missing = norm && cols < out_chans;
        let block = (tile_rows * cols) as u64 * 100 / rate;
        (missing, blocks.div_ceil(PROCESSORS) * block)
    };
    let mut best = &CONV[0];
    for size in &CONV[1..] {
        if time(size) < time(best) {
            best = size;
        }
    }
    let &(entry, pixels_entry, rows, cols, threads, stages, _) = best;
    ConvTile {
        entry,
        pixels_entry,
        rows: to_u32(rows),
        cols: to_u32(cols),
        threads: threads[usize::from(dtype != DType::F32)],
        shared: to_u32(stages * (rows + cols) * ROW_BYTES + rows * size_of::<u64>()),
    }
}

/// The kernel of `mlp` and its launch: the grid is ceil(rows of x / `rows`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MlpTile {
    /// Entry without the type.
    pub entry: &'static str,
    /// Rows of a block.
    pub rows: u32,
    /// Threads of a block.
    pub threads: u32,
    /// Bytes of dynamic shared memory.
    pub shared: u32,
}

/// Bytes of a slot of weights in `mlp`: a unit of each.
const MLP_SLOT_BYTES: usize = 2 * UNIT_BYTES;

/// The kernel for so many channels, at most [`MLP_CHANNELS`]: what it asks for does not depend on how many.
pub fn mlp_tile(dtype: DType, _: usize) -> MlpTile {
    let rows = MLP_ROWS as usize;
    let panel = rows * MLP_CHANNELS as usize * dtype.bytes();
    let hidden = if dtype == DType::F32 {
        rows * ROW_BYTES
    } else {
        0
    };
    MlpTile {
        entry: "mlp_fwd",
        rows: MLP_ROWS,
        threads: MLP_ROWS,
        shared: to_u32(STAGES * MLP_SLOT_BYTES + panel + hidden),
    }
}

/// Blocks along y that a launch may have at most.
const MOST_GROUPS: usize = 0xffff;

/// Sizes of tiles and shared memory, which are small.
pub(super) fn to_u32(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
