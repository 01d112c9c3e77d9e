//! What the blocks of a launch leave for the sums of rows of f32 that they have in common
//! (`kernels/include/sum_rows.cuh`).

use super::tuning::SUM_GROUP;
use crate::dtype::DType;

/// Rows of scratch for the sums of so many blocks: one each, and one for each group of them.
pub const fn rows(blocks: usize) -> usize {
    blocks + blocks.div_ceil(SUM_GROUP as usize)
}

/// Counters of arrivals, u32, which a launch finds and leaves at zero.
pub const fn counters(blocks: usize) -> usize {
    blocks.div_ceil(SUM_GROUP as usize) + 1
}

/// Bytes of a row of f32 in shared memory that lanes write in vectors of the type and read in quads
/// (`kernels/include/quads.cuh`).
pub const fn shared_row(dtype: DType, channels: usize) -> usize {
    const QUAD: usize = 4 * size_of::<f32>();
    const LINE: usize = 8;
    let vectors = channels * dtype.bytes() / QUAD;
    match dtype {
        DType::F32 | DType::Tf32 => vectors * QUAD,
        DType::F16 | DType::Bf16 => (vectors.next_multiple_of(LINE) + LINE / 2) * 2 * QUAD,
    }
}
