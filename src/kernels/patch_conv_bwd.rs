//! Which kernel computes the gradient of a patch convolution's input: a pure function of type and shape.

use super::pack::ROW_BYTES;
use super::tiles::{DEEP_STAGES, PROCESSORS, STAGES, to_u32};
use crate::dtype::DType;

/// A kernel of `patch_conv_bwd_data` and its launch: the grid is ceil(patches / `rows`) x ceil(elements of a patch / `cols`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataTile {
    /// Entry without the type.
    pub entry: &'static str,
    /// Patches of a block.
    pub rows: u32,
    /// Elements of each patch.
    pub cols: u32,
    /// Threads of a block.
    pub threads: u32,
    /// Bytes of dynamic shared memory.
    pub shared: u32,
}

/// Entry, rows, columns, threads in f32 and in the other types, slots of the ring, rate in per cent.
type Size = (&'static str, usize, usize, [u32; 2], usize, u64);

const TOKENS: [Size; 3] = [
    (
        "patch_conv_bwd_data_128x128",
        128,
        128,
        [256, 128],
        STAGES,
        100,
    ),
    ("patch_conv_bwd_data_64x64", 64, 64, [128; 2], STAGES, 70),
    (
        "patch_conv_bwd_data_32x64",
        32,
        64,
        [128; 2],
        DEEP_STAGES,
        50,
    ),
];

const PIXELS: [Size; 1] = [(
    "patch_conv_bwd_data_pixels_64x64",
    64,
    64,
    [128; 2],
    STAGES,
    70,
)];

/// The kernel for `rows` patches of `inner` elements. The least rounds of blocks over the multiprocessors times the time
/// of a block, then the larger tile.
pub fn data_tile(dtype: DType, pixels: bool, rows: usize, inner: usize) -> DataTile {
    let time = |&(_, tile_rows, cols, _, _, rate): &Size| {
        let blocks = (rows.div_ceil(tile_rows) * inner.div_ceil(cols)) as u64;
        blocks.div_ceil(PROCESSORS) * (tile_rows * cols) as u64 * 100 / rate
    };
    let sizes: &[Size] = if pixels { &PIXELS } else { &TOKENS };
    let mut best = &sizes[0];
    for size in &sizes[1..] {
        if time(size) < time(best) {
            best = size;
        }
    }
    let &(entry, rows, cols, threads, stages, _) = best;
    DataTile {
        entry,
        rows: to_u32(rows),
        cols: to_u32(cols),
        threads: threads[usize::from(dtype != DType::F32)],
        shared: to_u32(stages * (rows + cols) * ROW_BYTES + rows * size_of::<u64>()),
    }
}
