//! How the rows of `layernorm_bwd` are split: a function of type and shape.

use super::layernorm::groups_of_warp;
use super::sum_rows;
use super::tuning::{LNB_BLOCKS, LNB_WARPS};
use crate::dtype::DType;

/// Most channels of a row.
pub const MOST_CHANNELS: usize = 1024;

/// Entry for rows of so many channels: the one with the fewest registers that hold them. None beyond
/// [`MOST_CHANNELS`].
pub const fn entry(channels: usize) -> Option<&'static str> {
    match channels {
        0..=256 => Some("layernorm_bwd_256"),
        257..=512 => Some("layernorm_bwd_512"),
        513..=MOST_CHANNELS => Some("layernorm_bwd_1024"),
        _ => None,
    }
}

/// Blocks of the grid.
pub fn blocks(dtype: DType, rows: usize, channels: usize) -> usize {
    let of_block = LNB_WARPS as usize * groups_of_warp(dtype, channels);
    rows.div_ceil(of_block).clamp(1, LNB_BLOCKS as usize)
}

/// Bytes of shared memory of a block: a row of every warp.
pub fn shared_bytes(dtype: DType, channels: usize) -> usize {
    LNB_WARPS as usize * sum_rows::shared_row(dtype, channels)
}

/// f32 elements of scratch for the sums of blocks.
pub fn partials(dtype: DType, rows: usize, channels: usize) -> usize {
    sum_rows::rows(blocks(dtype, rows, channels)) * 2 * channels
}

/// Counters of arrivals, u32.
pub fn counters(dtype: DType, rows: usize, channels: usize) -> usize {
    sum_rows::counters(blocks(dtype, rows, channels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_follow_rows_until_every_multiprocessor_has_two_blocks() {
        assert_eq!(blocks(DType::Bf16, 50, 512), 7);
        assert_eq!(blocks(DType::Bf16, 3136, 64), 98);
        assert_eq!(blocks(DType::F32, 32 * 3136, 64), 264);
        assert_eq!(partials(DType::Bf16, 50, 512), 8 * 1024);
        assert_eq!(counters(DType::Bf16, 3136, 64), 8);
    }

    #[test]
    fn rows_fit_their_entries() {
        assert_eq!(entry(64), Some("layernorm_bwd_256"));
        assert_eq!(entry(320), Some("layernorm_bwd_512"));
        assert_eq!(entry(528), Some("layernorm_bwd_1024"));
        assert_eq!(entry(1032), None);
    }
}
