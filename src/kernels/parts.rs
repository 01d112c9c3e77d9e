//! Products of few rows and a long inner dimension, which is added in parts (`kernels/include/parts.cuh`):
//! whether, in how many, and which kernel takes a shape. Pure functions of the shape.
//!
//! The parts depend on what one image brings, never on how many images there are: they fix the order of
//! additions, and an image has the same bits alone and in a batch. How many blocks share a tile changes no bit,
//! so that follows from all rows: one block adds all parts in registers where tiles are many.

use super::pack::{ROW_BYTES, UNIT_COLS, unit_inner};
use super::tiles::{DEEP_STAGES, PROCESSORS, STAGES, to_u32};
use crate::dtype::DType;

/// Most tiles that several blocks share: with more there is work for every multiprocessor.
pub const MOST_SHARED_TILES: usize = 132;
const _: () = assert!(MOST_SHARED_TILES as u64 == PROCESSORS);

/// Rows of the smallest tile.
const FEW_ROWS: usize = 32;

// Times below are in halves of what a unit (128 bytes) of the inner dimension takes in a tile of 32 x 64.

/// One unit.
const UNIT: u64 = 2;
/// Start of a block, until its first unit has come.
const START: u64 = 4;
/// Storing a part, counting the block, and waiting for the first of all parts.
const JOIN: u64 = 10;
/// Reading one part.
const PART: u64 = 1;
/// Writing and reading one part, on the way between a multiprocessor and memory that all of them share.
const TRAFFIC: u64 = 3;

/// The kernel of a product in parts and its launch: the grid is ceil(rows / `rows`) x ceil(columns / `cols`) x
/// `blocks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartsTile {
    /// Entry of `linear`, without the type.
    pub linear_entry: &'static str,
    /// Entry of `patch_conv`.
    pub conv_entry: &'static str,
    /// Rows of a tile.
    pub rows: u32,
    /// Columns of a tile.
    pub cols: u32,
    /// Threads of a block.
    pub threads: u32,
    /// Blocks that share a tile.
    pub blocks: u32,
    /// Parts of the inner dimension.
    pub parts: u32,
    /// Units of a part.
    pub units: u32,
    /// Bytes of dynamic shared memory: of `linear`, and of `patch_conv`.
    pub shared: [u32; 2],
}

impl PartsTile {
    /// Blocks along x and y for so many rows and columns.
    pub fn grid(&self, rows: usize, cols: usize) -> (usize, usize) {
        (
            rows.div_ceil(self.rows as usize),
            cols.div_ceil(self.cols as usize),
        )
    }

    /// f32 elements of partial sums that the blocks of a tile leave for each other; 0 where it has one block.
    pub fn partials(&self, rows: usize, cols: usize) -> usize {
        if self.blocks == 1 {
            return 0;
        }
        let (x, y) = self.grid(rows, cols);
        let tile = (self.rows * self.cols) as usize;
        x.saturating_mul(y)
            .saturating_mul(self.parts as usize * tile)
    }
}

/// One of the compiled sizes.
struct Size {
    /// Entries of `linear` and of `patch_conv`, if they have it.
    entries: [Option<&'static str>; 2],
    rows: usize,
    cols: usize,
    threads: u32,
    /// Slots of the ring: of `linear` with elements of four bytes and of two, and of `patch_conv`.
    stages: [usize; 3],
    /// Per cent of the best rate of `linear` that its products reach.
    rate: u64,
}

const SIZES: [Size; 4] = [
    Size {
        entries: [
            Some("linear_parts_fwd_128x128"),
            Some("patch_conv_parts_fwd_128x128"),
        ],
        rows: 128,
        cols: 128,
        threads: 256,
        stages: [STAGES; 3],
        rate: 85,
    },
    Size {
        entries: [None, Some("patch_conv_parts_fwd_128x64")],
        rows: 128,
        cols: 64,
        threads: 128,
        stages: [STAGES; 3],
        rate: 80,
    },
    Size {
        entries: [Some("linear_parts_fwd_64x64"), None],
        rows: 64,
        cols: 64,
        threads: 128,
        stages: [STAGES; 3],
        rate: 70,
    },
    Size {
        entries: [
            Some("linear_parts_fwd_32x64"),
            Some("patch_conv_parts_fwd_32x64"),
        ],
        rows: FEW_ROWS,
        cols: UNIT_COLS,
        threads: 128,
        stages: [DEEP_STAGES / 2, DEEP_STAGES, DEEP_STAGES],
        rate: 50,
    },
];

/// Into how many parts the inner dimension of a product goes, and how many units each of them has, for `rows` rows
/// of one image: 1 part unless that many save a third of the time of one image alone in the smallest tiles. Less would
/// not make up for what parts cost many images: two sets of sums in registers leave room for warps of 32 x 64, which
/// read a third more from shared memory than the 64 x 64 of whole sums.
pub fn inner_parts(dtype: DType, rows: usize, inner: usize, cols: usize) -> (usize, usize) {
    let units = inner.div_ceil(unit_inner(dtype)).max(1);
    let tiles = rows.div_ceil(FEW_ROWS) * cols.div_ceil(UNIT_COLS);
    let whole = (1, units);
    if tiles > MOST_SHARED_TILES {
        return whole;
    }
    let time = |parts: usize| {
        let rounds = ((tiles * parts) as u64).div_ceil(PROCESSORS);
        let joined = if parts == 1 {
            0
        } else {
            JOIN + PART * parts as u64
        };
        rounds * (UNIT * units.div_ceil(parts) as u64 + START) + joined
    };
    let mut best = whole;
    for parts in 2..=units {
        let each = units.div_ceil(parts);
        // no part without units, and each number of parts once
        if units.div_ceil(each) == parts && time(parts) < time(best.0) {
            best = (parts, each);
        }
    }
    if 3 * time(best.0) <= 2 * time(1) {
        best
    } else {
        whole
    }
}

/// What a product in parts is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `linear`.
    Linear,
    /// `patch_conv`; with LayerNorm over the output channels, which the columns of a tile must then hold.
    Conv {
        /// Whether there is one.
        norm: bool,
    },
}

/// The kernel for `images` images of `rows` rows each, if the inner dimension goes in parts. The least time by the
/// model of [`super::tiles::linear_tile`], with what it costs to share a tile; then the fewest blocks, then the
/// larger tile.
pub fn parts_tile(
    dtype: DType,
    family: Family,
    (images, rows): (usize, usize),
    inner: usize,
    cols: usize,
) -> Option<PartsTile> {
    let (parts, each) = inner_parts(dtype, rows, inner, cols);
    if parts == 1 {
        return None;
    }
    let index = usize::from(family != Family::Linear);
    let rows = images.saturating_mul(rows);
    let mut best: Option<(u64, PartsTile)> = None;
    for size in SIZES.iter().filter(|size| size.entries[index].is_some()) {
        if family == (Family::Conv { norm: true }) && cols > size.cols {
            continue;
        }
        let tiles = rows.div_ceil(size.rows) * cols.div_ceil(size.cols);
        // in the smallest tiles
        let area = (size.rows * size.cols / (FEW_ROWS * UNIT_COLS)) as u64;
        for own in (1..=parts).rev() {
            let blocks = parts.div_ceil(own);
            // each number of blocks once, with the fewest parts for each
            if blocks > 1 && (tiles > MOST_SHARED_TILES || parts.div_ceil(blocks) != own) {
                continue;
            }
            let rounds = ((tiles * blocks) as u64).div_ceil(PROCESSORS);
            let joined = if blocks == 1 {
                0
            } else {
                let stored = area * (parts * tiles) as u64;
                JOIN * rounds + PART * area * parts as u64 + TRAFFIC * stored / PROCESSORS
            };
            let units = UNIT * (own * each) as u64 + START;
            let time = rounds * area * units * 50 / size.rate + joined;
            if best.as_ref().is_none_or(|(least, _)| time < *least) {
                let ring = |stages: usize| stages * (size.rows + size.cols) * ROW_BYTES;
                let [wide, narrow, conv] = size.stages;
                let linear = if dtype.bytes() == 4 { wide } else { narrow };
                let firsts = size.rows * size_of::<u64>();
                let tile = PartsTile {
                    linear_entry: size.entries[0].unwrap_or_default(),
                    conv_entry: size.entries[1].unwrap_or_default(),
                    rows: to_u32(size.rows),
                    cols: to_u32(size.cols),
                    threads: size.threads,
                    blocks: to_u32(blocks),
                    parts: to_u32(parts),
                    units: to_u32(each),
                    shared: [to_u32(ring(linear)), to_u32(ring(conv) + firsts)],
                };
                best = Some((time, tile));
            }
        }
    }
    best.map(|(_, tile)| tile)
}
