//! How many rows a block of `layernorm` takes: a function of type and width.

use super::tuning::LN_ROWS;
use crate::dtype::DType;

/// Lanes of a warp.
const WARP: usize = 32;
/// Bytes that a lane takes at a time.
const VECTOR_BYTES: usize = 16;
/// Fewest lanes that hold a row.
const FEWEST: usize = 8;

/// Rows that a warp holds: a narrow row takes 8 or 16 lanes, and there are as many such groups in a warp.
pub(crate) fn groups_of_warp(dtype: DType, channels: usize) -> usize {
    let vector = VECTOR_BYTES / dtype.bytes();
    let lanes = channels.div_ceil(vector).next_power_of_two();
    WARP / lanes.clamp(FEWEST, WARP)
}

/// Rows of a block: of each warp, as many as it holds. A grid of ⌈R / this⌉ blocks is enough; more do nothing.
pub fn rows_of_block(dtype: DType, channels: usize) -> u32 {
    LN_ROWS * u32::try_from(groups_of_warp(dtype, channels)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_rows_share_a_warp() {
        let groups = |dtype, channels| rows_of_block(dtype, channels) / LN_ROWS;
        assert_eq!(groups(DType::F16, 64), 4);
        assert_eq!(groups(DType::Bf16, 72), 2);
        assert_eq!(groups(DType::Bf16, 128), 2);
        assert_eq!(groups(DType::F16, 136), 1);
        assert_eq!(groups(DType::F32, 32), 4);
        assert_eq!(groups(DType::Tf32, 64), 2);
        assert_eq!(groups(DType::F32, 512), 1);
        assert_eq!(groups(DType::F32, 4096), 1);
    }
}
