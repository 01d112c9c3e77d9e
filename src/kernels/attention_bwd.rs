//! Which kernels compute the backward pass of attention, and how they are launched: a function of type and shape.

use super::attention::HEAD_DIMS;
use super::tuning::{ATT_KEYS, ATT_WARPS};
use crate::dtype::DType;

/// Queries of a warp, and lanes of one.
const HEIGHT: usize = 16;
const LANES: usize = 32;
/// Heads up to this width have twice the queries in a step.
const WIDE: usize = 64;
/// Blocks that queries are split for: two for each multiprocessor of a large device.
const BLOCKS: usize = 2 * 132;
/// Parts that one block adds up alone. It reads a part in a fifth of the time that the counting and waiting of a
/// second round take; beyond this many, two rounds of the root each are shorter.
const ONE_ROUND: usize = 12;

/// Images, tokens and heads of an attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttentionSize {
    /// Images.
    pub batch: usize,
    /// Query tokens of an image, N.
    pub queries: usize,
    /// Key tokens of an image, M.
    pub keys: usize,
    /// Heads.
    pub heads: usize,
    /// Channels of a head.
    pub head_dim: usize,
}

/// A launch of one kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BwdKernel {
    /// Entry without its type.
    pub entry: &'static str,
    /// Blocks along x.
    pub grid: usize,
    /// Threads of a block along x, y, z.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory of a block.
    pub shared: u32,
}

/// The launches of a backward pass, and what its blocks leave for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttentionBwdShape {
    /// The kernel of dq, to run first, where there is one of its own: with keys beyond one tile.
    pub queries: Option<BwdKernel>,
    /// The kernel of dk and dv, and of dq where no other writes that.
    pub keys: BwdKernel,
    /// Blocks that share the queries for one tile of keys.
    pub split: usize,
    /// Steps of queries that each of them has.
    pub steps: usize,
    /// Blocks whose sums are added up first.
    pub group: usize,
    /// f32 elements of scratch; 0 where none is needed.
    pub scratch: usize,
    /// Counters of 32 bits, zero before and after; 0 where none are needed.
    pub counters: usize,
}

/// The launches for q [batch, queries, heads · `head_dim`] and keys and values of `keys` tokens. `None` where no
/// kernel is built for heads of that width, or a size is zero or overflows.
pub fn launch_shape(dtype: DType, size: AttentionSize) -> Option<AttentionBwdShape> {
    let long = size.keys > ATT_KEYS as usize;
    let of_one = tiles_of_keys(size, long)?;
    shape_with(dtype, size, long, BLOCKS.div_ceil(of_one.max(1)))
}

/// The same by the kernels for any number of keys (`long`) or by those for one tile, which `keys` must then be, and
/// with queries split among so many blocks, or as many as have any.
pub fn shape_with(
    dtype: DType,
    size: AttentionSize,
    long: bool,
    split: usize,
) -> Option<AttentionBwdShape> {
    let AttentionSize {
        batch,
        queries,
        keys,
        heads,
        head_dim,
    } = size;
    let tile = ATT_KEYS as usize;
    if [batch, queries, keys, heads, split].contains(&0) || (!long && keys > tile) {
        return None;
    }
    let width = HEAD_DIMS.iter().position(|&d| d == head_dim)?;
    let step = step_queries(dtype, head_dim);
    let tiles = tiles_of_keys(size, long)?;

    let all_steps = queries.div_ceil(step);
    let steps = all_steps.div_ceil(split.min(all_steps));
    let split = all_steps.div_ceil(steps);
    let group = if split > ONE_ROUND {
        split.isqrt() + usize::from(split.isqrt().pow(2) < split)
    } else {
        split
    };
    let counts = if split > 1 {
        split.div_ceil(group) + 1
    } else {
        0
    };
    let delta = if long {
        batch
            .checked_mul(heads)?
            .checked_mul(queries)?
            .checked_next_multiple_of(4)?
    } else {
        0
    };
    let slots = if split > 1 {
        tiles.checked_mul(split)?.checked_mul(2 * tile * head_dim)?
    } else {
        0
    };

    let row = head_dim * dtype.bytes();
    let weights = step * tile * dtype.bytes();
    let stages = stages(dtype, head_dim);
    let statistics = match tile / step {
        1 => 0,
        along_keys => 3 * along_keys * step * size_of::<f32>(),
    };
    let kernel = |entry, grid, shared| {
        Some(BwdKernel {
            entry,
            grid,
            block: [u32::try_from(LANES).ok()?, ATT_WARPS, 1],
            shared: u32::try_from(shared).ok()?,
        })
    };
    let of_keys = kernel(
        ENTRIES[width][2 * usize::from(long)],
        tiles.checked_mul(split)?,
        2 * (tile + stages * step) * row + 2 * weights + if long { 0 } else { statistics },
    )?;
    let of_queries = kernel(
        ENTRIES[width][1],
        batch.checked_mul(heads)?.checked_mul(all_steps)?,
        2 * (step + stages * tile) * row + weights + step * size_of::<f32>(),
    )?;
    Some(AttentionBwdShape {
        queries: long.then_some(of_queries),
        keys: of_keys,
        split,
        steps,
        group,
        scratch: delta.checked_add(slots)?,
        counters: tiles.checked_mul(counts)?,
    })
}

/// Queries of a step: what `kernels/include/attention_bwd_share.cuh` calls QUERIES.
pub fn step_queries(dtype: DType, head_dim: usize) -> usize {
    let narrow = if head_dim > WIDE { 2 } else { 1 };
    ATT_WARPS as usize * HEIGHT * 2 / dtype.bytes() / narrow
}

/// Tiles on chip of what a loop goes over.
fn stages(dtype: DType, head_dim: usize) -> usize {
    if head_dim > WIDE && dtype.bytes() == size_of::<f32>() {
        1
    } else {
        2
    }
}

/// Tiles of keys of all heads and images.
fn tiles_of_keys(size: AttentionSize, long: bool) -> Option<usize> {
    let of_head = if long {
        size.keys.div_ceil(ATT_KEYS as usize)
    } else {
        1
    };
    size.batch.checked_mul(size.heads)?.checked_mul(of_head)
}

/// For each width of a head: the kernel for few keys, dq and dk, dv for many.
const ENTRIES: [[&str; 3]; HEAD_DIMS.len()] = [
    [
        "attention_bwd_d16",
        "attention_bwd_long_dq_d16",
        "attention_bwd_long_dkv_d16",
    ],
    [
        "attention_bwd_d32",
        "attention_bwd_long_dq_d32",
        "attention_bwd_long_dkv_d32",
    ],
    [
        "attention_bwd_d64",
        "attention_bwd_long_dq_d64",
        "attention_bwd_long_dkv_d64",
    ],
    [
        "attention_bwd_d128",
        "attention_bwd_long_dq_d128",
        "attention_bwd_long_dkv_d128",
    ],
];

#[cfg(test)]
mod tests {
    use super::super::tiles::MOST_SHARED;
    use super::*;

    const DTYPES: [DType; 4] = [DType::F32, DType::Tf32, DType::F16, DType::Bf16];

    fn size([batch, queries, keys, heads, head_dim]: [usize; 5]) -> AttentionSize {
        AttentionSize {
            batch,
            queries,
            keys,
            heads,
            head_dim,
        }
    }

    #[test]
    fn other_heads_and_empty_shapes_have_none() {
        for head_dim in [0, 8, 24, 48, 80, 256] {
            assert_eq!(
                launch_shape(DType::F16, size([1, 49, 49, 1, head_dim])),
                None
            );
        }
        for empty in 0..4 {
            let mut sizes = [1, 49, 49, 1, 64];
            sizes[empty] = 0;
            assert_eq!(launch_shape(DType::F16, size(sizes)), None);
        }
        let huge = [1 << 40, 1 << 20, 49, 1 << 10, 64];
        assert_eq!(launch_shape(DType::F16, size(huge)), None);
        let two_tiles = shape_with(DType::F16, size([1, 49, 65, 1, 64]), false, 1);
        assert_eq!(two_tiles, None);
    }

    #[test]
    fn queries_are_split_until_a_device_is_full() {
        for (sizes, split, steps) in [
            ([1, 3136, 49, 1, 64], 49, 1),
            ([8, 3136, 49, 1, 64], 25, 2),
            ([32, 3136, 49, 1, 64], 9, 6),
            ([264, 3136, 49, 1, 64], 1, 49),
            ([1, 50, 50, 8, 64], 1, 1),
            ([32, 196, 49, 5, 64], 2, 2),
            ([1, 64000, 1000, 1, 64], 17, 59),
        ] {
            let shape = launch_shape(DType::F16, size(sizes)).unwrap();
            assert_eq!((shape.split, shape.steps), (split, steps), "{sizes:?}");
        }
    }

    #[test]
    fn keys_beyond_one_tile_have_two_kernels() {
        let shape = |keys| launch_shape(DType::Bf16, size([1, 9, keys, 2, 32])).unwrap();
        assert_eq!(shape(64).queries, None);
        assert_eq!(shape(64).keys.entry, "attention_bwd_d32");
        assert_eq!((shape(64).scratch, shape(64).counters), (0, 0));
        let long = shape(65);
        assert_eq!(long.queries.unwrap().entry, "attention_bwd_long_dq_d32");
        assert_eq!(long.keys.entry, "attention_bwd_long_dkv_d32");
        assert_eq!((long.queries.unwrap().grid, long.keys.grid), (2, 4));
        assert_eq!((long.scratch, long.counters), (20, 0));
    }

    #[test]
    fn every_query_has_one_block_and_shared_memory_fits_everywhere() {
        for dtype in DTYPES {
            for head_dim in HEAD_DIMS {
                let step = step_queries(dtype, head_dim);
                for queries in [1, 15, 16, 17, 50, 63, 64, 65, 196, 784, 3136, 16000] {
                    for (batch, keys) in [(1, 49), (3, 50), (64, 1000)] {
                        let shape = launch_shape(dtype, size([batch, queries, keys, 2, head_dim]));
                        let shape = shape.unwrap();
                        let of_block = shape.steps * step;
                        assert!(shape.split * of_block >= queries);
                        assert!((shape.split - 1) * of_block < queries);
                        assert!(shape.group.pow(2) >= shape.split || shape.split <= ONE_ROUND);
                        assert!(shape.split.div_ceil(shape.group) <= shape.group.max(1));
                        for kernel in [Some(shape.keys), shape.queries].into_iter().flatten() {
                            assert!(kernel.shared as usize <= MOST_SHARED, "{kernel:?}");
                            assert!(kernel.grid > 0);
                        }
                    }
                }
            }
        }
    }
}
