//! Which kernel adds up the gradient of a weight (`kernels/include/weight_grad.cuh`), and how many blocks share the rows of
//! a tile: pure functions of type and shape.

use super::pack::ROW_BYTES;
use super::parts::MOST_SHARED_TILES;
use super::tiles::{PROCESSORS, STAGES, to_u32};
use crate::dtype::DType;

/// Tables of row offsets in shared memory over tokens (`kernels/patch_conv_bwd.cu`).
const TABLES: usize = 4;
/// Blocks of a tile that one block alone adds up; with more of them groups do.
const MOST_MEMBERS: usize = 16;
/// Blocks that are there at the same time, at most, for each multiprocessor.
const ROUNDS: usize = 2;

// Times below are in halves of what a slot of rows takes in 32 x 64 elements of a weight, as in `parts.rs`.

/// One slot, in 32 x 64.
const SLOT: u64 = 2;
/// Start of a block, until its first rows have come.
const START: u64 = 8;
/// Storing sums, counting the block, and waiting for the first of all sums.
const JOIN: u64 = 10;
/// Reading one block's sums, of 32 x 64.
const SUMS: u64 = 1;
/// Writing and reading one block's sums, on the way that all multiprocessors share.
const TRAFFIC: u64 = 3;

/// What the gradient is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// A linear layer.
    Linear,
    /// A patch convolution over tokens.
    Tokens,
    /// A patch convolution over pixels.
    Pixels,
}

/// A kernel and its launch: the grid is ceil(columns of dy / `rows`) x ceil(columns of x / `cols`) x `blocks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightTile {
    /// Entry without the type.
    pub entry: &'static str,
    /// Columns of dy of a tile.
    pub rows: u32,
    /// Columns of x of a tile.
    pub cols: u32,
    /// Threads of a block.
    pub threads: u32,
    /// Blocks that share a tile.
    pub blocks: u32,
    /// Slots of a block.
    pub slots: u32,
    /// Blocks of a group.
    pub group: u32,
    /// Bytes of dynamic shared memory.
    pub shared: u32,
}

impl WeightTile {
    /// Blocks along x and y for a weight [cols, inner].
    pub fn grid(&self, cols: usize, inner: usize) -> (usize, usize) {
        (
            cols.div_ceil(self.rows as usize),
            inner.div_ceil(self.cols as usize),
        )
    }

    /// f32 elements of sums that the blocks of a tile leave for each other; 0 where it has one block.
    pub fn partials(&self, cols: usize, inner: usize) -> usize {
        if self.blocks == 1 {
            return 0;
        }
        let (x, y) = self.grid(cols, inner);
        let tile = (self.rows * self.cols + self.rows) as usize;
        x.saturating_mul(y)
            .saturating_mul(self.blocks as usize * tile)
    }

    /// Counters of arrived blocks, at zero before and after a launch; 0 where a tile has one block, and never more than
    /// [`super::parts::MOST_SHARED_TILES`].
    pub fn counters(&self, cols: usize, inner: usize) -> usize {
        let (x, y) = self.grid(cols, inner);
        match (self.blocks, self.blocks.div_ceil(self.group) as usize) {
            (1, _) => 0,
            (_, 1) => x * y,
            (_, groups) => x * y * (groups + 1),
        }
    }

    /// The same tile by one block.
    #[must_use]
    pub fn alone(self) -> Self {
        Self {
            slots: self.slots.saturating_mul(self.blocks),
            blocks: 1,
            group: 1,
            ..self
        }
    }
}

/// One of the compiled sizes.
struct Size {
    /// Entries for linear layers, tokens and pixels, if there are any.
    entries: [Option<&'static str>; 3],
    rows: usize,
    cols: usize,
    /// Threads: of `linear_bwd` with elements of four bytes and of two, and of `patch_conv_bwd`.
    threads: [u32; 3],
    /// Per cent of the best rate that its products reach.
    rate: u64,
}

const SIZES: [Size; 4] = [
    Size {
        entries: [
            Some("linear_bwd_weight_128x128"),
            Some("patch_conv_bwd_weight_128x128"),
            None,
        ],
        rows: 128,
        cols: 128,
        threads: [256, 128, 256],
        rate: 100,
    },
    Size {
        entries: [Some("linear_bwd_weight_128x64"), None, None],
        rows: 128,
        cols: 64,
        threads: [128; 3],
        rate: 85,
    },
    Size {
        entries: [
            Some("linear_bwd_weight_64x128"),
            Some("patch_conv_bwd_weight_64x128"),
            None,
        ],
        rows: 64,
        cols: 128,
        threads: [128; 3],
        rate: 85,
    },
    Size {
        entries: [
            Some("linear_bwd_weight_64x64"),
            Some("patch_conv_bwd_weight_64x64"),
            Some("patch_conv_bwd_weight_pixels_64x64"),
        ],
        rows: 64,
        cols: 64,
        threads: [128; 3],
        rate: 70,
    },
];

/// Rows of a slot: 128 bytes of a column.
pub const fn slot_rows(dtype: DType) -> usize {
    ROW_BYTES / dtype.bytes()
}

/// How many blocks read sums one after the other: members of a group, and groups.
fn group_of(blocks: usize) -> usize {
    if blocks <= MOST_MEMBERS {
        return blocks;
    }
    // the least whole number whose square is enough
    let root = blocks.isqrt();
    if root * root < blocks { root + 1 } else { root }
}

/// The kernel for the gradient of a weight [cols, inner] over `rows` rows. The least time by a simple model: rounds of
/// blocks over the multiprocessors times the products of a block at its tile's rate, its start, and what it costs to
/// share a tile. At equal times the fewest blocks win, then the larger tile.
pub fn weight_tile(
    dtype: DType,
    weight: Weight,
    rows: usize,
    inner: usize,
    cols: usize,
) -> WeightTile {
    let index = match weight {
        Weight::Linear => 0,
        Weight::Tokens => 1,
        Weight::Pixels => 2,
    };
    let slots = rows.div_ceil(slot_rows(dtype)).max(1);
    let tables = match weight {
        Weight::Tokens => TABLES * slot_rows(dtype) * size_of::<u64>(),
        _ => 0,
    };
    let mut best: Option<(u64, WeightTile)> = None;
    for size in &SIZES {
        let Some(entry) = size.entries[index] else {
            continue;
        };
        let [wide, narrow, conv] = size.threads;
        let threads = match (weight, dtype.bytes()) {
            (Weight::Linear, 4) => wide,
            (Weight::Linear, _) => narrow,
            _ => conv,
        };
        let tiles = cols.div_ceil(size.rows).max(1) * inner.div_ceil(size.cols).max(1);
        let area = (size.rows * size.cols / (32 * 64)) as u64;
        let most = (ROUNDS * MOST_SHARED_TILES / tiles).clamp(1, slots);
        for wanted in 1..=most {
            let own = slots.div_ceil(wanted);
            let blocks = slots.div_ceil(own);
            if blocks != wanted {
                continue;
            }
            let group = group_of(blocks);
            let joined = if blocks == 1 {
                0
            } else {
                let groups = blocks.div_ceil(group);
                let read = if groups == 1 { blocks } else { group + groups };
                let levels = if groups == 1 { 1 } else { 2 };
                let stored = area * (blocks * tiles) as u64;
                JOIN * levels + SUMS * area * read as u64 + TRAFFIC * stored / PROCESSORS
            };
            let rounds = ((tiles * blocks) as u64).div_ceil(PROCESSORS);
            let time = rounds * (SLOT * own as u64 * area * 100 / size.rate + START) + joined;
            if best.as_ref().is_none_or(|(least, _)| time < *least) {
                let tile = WeightTile {
                    entry,
                    rows: to_u32(size.rows),
                    cols: to_u32(size.cols),
                    threads,
                    blocks: to_u32(blocks),
                    slots: to_u32(own),
                    group: to_u32(group),
                    shared: to_u32(STAGES * (size.rows + size.cols) * ROW_BYTES + tables),
                };
                best = Some((time, tile));
            }
        }
    }
    best.map_or_else(|| unreachable!("every weight has a size"), |(_, tile)| tile)
}
