//! Which kernel of attention, and how it is launched: a function of type and shape.

use super::tiles::MOST_SHARED;
use super::tuning::{ATT_KEYS, ATT_WARPS};
use crate::dtype::DType;

/// Queries of a warp, and what long kernels of 16-bit types give it where heads are no wider than
/// `WIDE`: readings of keys and values are then shared by twice as many.
const QUERIES: u32 = 16;
const WIDE: usize = 64;
/// Blocks that should be there before one gets more queries: a large device has about as many
/// multiprocessors.
const BLOCKS: u32 = 132;

/// Channels of a head for which there are kernels.
pub const HEAD_DIMS: [usize; 4] = [16, 32, 64, 128];

/// A launch of an `attention` kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttentionShape {
    /// Entry without its type.
    pub entry: &'static str,
    /// Blocks along x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y, z.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory of a block.
    pub shared: u32,
}

/// The launch for q [batch, queries, heads · head_dim] and keys and values of `keys` tokens. `None` where
/// no kernel is built for heads of that width, a size is zero, or the grid would pass what a launch can have.
pub fn launch_shape(
    dtype: DType,
    batch: usize,
    queries: usize,
    keys: usize,
    heads: usize,
    head_dim: usize,
) -> Option<AttentionShape> {
    let entries = match head_dim {
        16 => ["attention_fwd_d16", "attention_long_fwd_d16"],
        32 => ["attention_fwd_d32", "attention_long_fwd_d32"],
        64 => ["attention_fwd_d64", "attention_long_fwd_d64"],
        128 => ["attention_fwd_d128", "attention_long_fwd_d128"],
        _ => return None,
    };
    let keys = u32::try_from(keys).ok().filter(|keys| *keys > 0)?;
    let queries = u32::try_from(queries).ok().filter(|n| *n > 0)?;
    let images = u32::try_from(batch.checked_mul(heads)?).ok()?;
    let long = keys > ATT_KEYS;
    let half = dtype.bytes() == 2;
    let of_warp = if long && half && head_dim <= WIDE {
        2 * QUERIES
    } else {
        QUERIES
    };
    let blocks = |warps: u32| images.checked_mul(queries.div_ceil(of_warp * warps));
    let shared = |warps: u32| shared_bytes(dtype, head_dim, of_warp * warps);

    let mut warps = ATT_WARPS;
    while shared(warps)? as usize > MOST_SHARED || of_warp * (warps / 2) >= queries {
        warps /= 2;
    }
    if warps == ATT_WARPS && blocks(warps)? < BLOCKS {
        warps /= 2;
    }
    let grid = blocks(warps)?;
    if grid == 0 || i32::try_from(grid).is_err() {
        return None;
    }
    Some(AttentionShape {
        entry: entries[usize::from(long)],
        grid: [grid, 1, 1],
        block: [32, warps, 1],
        shared: shared(warps)?,
    })
}

/// The queries of a block, keys and values, in strict f32 also the weights of each query.
fn shared_bytes(dtype: DType, head_dim: usize, queries: u32) -> Option<u32> {
    let weights = match dtype {
        DType::F32 => 4 * ATT_KEYS * queries,
        _ => 0,
    };
    let row = u32::try_from(head_dim * dtype.bytes()).ok()?;
    Some((queries + 2 * ATT_KEYS) * row + weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DTYPES: [DType; 4] = [DType::F32, DType::Tf32, DType::F16, DType::Bf16];

    fn warps(batch: usize, queries: usize, heads: usize) -> u32 {
        let shape = launch_shape(DType::F16, batch, queries, 49, heads, 64);
        shape.unwrap().block[1]
    }

    #[test]
    fn other_heads_and_empty_shapes_have_none() {
        for head_dim in [0, 8, 24, 48, 80, 256] {
            assert_eq!(launch_shape(DType::F16, 1, 49, 49, 1, head_dim), None);
        }
        assert_eq!(launch_shape(DType::F16, 0, 49, 49, 1, 64), None);
        assert_eq!(launch_shape(DType::F16, 1, 0, 49, 1, 64), None);
        assert_eq!(launch_shape(DType::F16, 1, 49, 0, 1, 64), None);
        assert_eq!(launch_shape(DType::F16, 1 << 40, 49, 1, 1, 64), None);
        assert_eq!(launch_shape(DType::F16, 1 << 20, 1 << 20, 1, 1, 64), None);
    }

    #[test]
    fn keys_beyond_one_tile_take_the_long_kernel() {
        let entry = |keys| launch_shape(DType::Bf16, 1, 9, keys, 2, 32).unwrap().entry;
        assert_eq!(entry(64), "attention_fwd_d32");
        assert_eq!(entry(65), "attention_long_fwd_d32");
        let shape = launch_shape(DType::Bf16, 1, 128, 65, 200, 32).unwrap();
        assert_eq!((shape.grid[0], shape.block[1]), (200, 4));
    }

    #[test]
    fn blocks_are_small_where_there_are_few() {
        assert_eq!(warps(1, 3136, 1), 2); // 49 of four warps would be too few
        assert_eq!(warps(8, 3136, 1), 4);
        assert_eq!(warps(1, 16, 1), 1);
        assert_eq!(warps(1000, 17, 1), 2);
        assert_eq!(warps(1000, 33, 1), 4);
    }

    #[test]
    fn every_query_has_a_warp_and_shared_memory_fits_everywhere() {
        for dtype in DTYPES {
            for head_dim in [16, 32, 64, 128] {
                for queries in [1, 15, 16, 17, 50, 63, 64, 65, 196, 3136] {
                    for batch in [1, 3, 64] {
                        let shape = launch_shape(dtype, batch, queries, 49, 2, head_dim).unwrap();
                        let tiles = shape.grid[0] as usize / batch / 2;
                        let of_block = (QUERIES * shape.block[1]) as usize;
                        assert!(tiles * of_block >= queries && (tiles - 1) * of_block < queries);
                        assert!(shape.shared as usize <= MOST_SHARED, "{dtype} {head_dim}");
                    }
                }
            }
        }
    }
}
