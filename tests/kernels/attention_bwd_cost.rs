//! What the kernels of the backward pass of attention move.

use ptx_emu::Counters;

use crate::attention::{DTYPES, Size};
use crate::attention_bwd_case::{Case, Found};
use crate::run::size_of;

/// Conflicts of banks are few.
fn banks(counters: &Counters, place: &str) {
    let banks = counters.shared();
    let (extra, all) = (banks.conflicts(), banks.wavefronts);
    assert!(extra * 100 <= all * 3, "{place}: {extra} of {all}");
}

/// Bytes of a tensor [B, N, C], of keys and values of one head, and of all.
fn tensors(dtype: &str, [b, n, m, heads, d]: Size) -> [u64; 3] {
    let row = (d * size_of(dtype)) as u64;
    let of_head = 2 * m as u64 * row;
    [
        (b * n * heads) as u64 * row,
        of_head,
        (b * heads) as u64 * of_head,
    ]
}

/// Bytes of one slot that have values, tiles of keys, groups of a tile, bytes of counters by sectors: for tiles that
/// all have as many keys.
fn slots(found: &Found, [b, _, m, heads, d]: Size) -> [u64; 4] {
    let tiles = m.div_ceil(64);
    let rows = (m / tiles).next_multiple_of(16);
    let groups = found.shape.split.div_ceil(found.shape.group);
    [
        2 * 4 * rows * d,
        b * heads * tiles,
        groups,
        (4 * found.shape.counters).next_multiple_of(32),
    ]
    .map(|value| value as u64)
}

#[test]
fn few_keys_move_everything_once() {
    for dtype in DTYPES {
        for (size, split) in [
            ([1, 784, 49, 2, 64], None),
            ([2, 196, 49, 5, 64], Some(1)),
            ([1, 128, 64, 2, 16], None),
            ([1, 128, 20, 2, 32], None),
            ([1, 64, 64, 1, 128], None),
            ([1, 50, 50, 8, 64], None),
        ] {
            let mut case = Case::random(size);
            case.split = split;
            let found = case.check(dtype);
            let counters = &found.reports[0].counters;
            let place = format!("{} {size:?} split {}", dtype.0, found.shape.split);
            let [q, kv_of_head, kv] = tensors(dtype.0, size);
            let [slot, tiles, groups, counts] = slots(&found, size);
            let split = found.shape.split as u64;
            let (own, again) = match (split, groups) {
                (1, _) => (0, 0),
                (_, 1) => (tiles * split * slot, 0),
                _ => (tiles * split * slot, tiles * groups * slot),
            };
            println!(
                "{place}: {} warp instructions, {} operations of tensor cores",
                counters.warp_instructions.total(),
                counters.matrix_operations.total()
            );
            assert_eq!(
                counters.distinct_bytes_read,
                2 * q + kv + own + counts,
                "{place}"
            );
            assert_eq!(
                counters.distinct_bytes_written,
                q + kv + own + counts,
                "{place}"
            );
            let asked = counters.async_loads.sectors * 32;
            assert_eq!(asked, 2 * q + counters.blocks * kv_of_head, "{place}");
            let loads = counters.global_loads.sectors * 32;
            assert_eq!(loads, own + again, "{place}");
            let stores = counters.global_stores.sectors * 32;
            assert_eq!(stores, q + kv + own + again, "{place}");
            banks(counters, &place);
        }
    }
}

#[test]
fn many_keys_move_each_tile_of_the_other_side() {
    for dtype in DTYPES {
        for (size, split) in [
            ([1, 256, 128, 2, 64], None),
            ([1, 128, 96, 1, 32], Some(1)),
            ([1, 64, 128, 1, 128], None),
            ([2, 64, 128, 2, 16], None),
        ] {
            let mut case = Case::random(size);
            case.split = split;
            let found = case.check(dtype);
            let place = format!("{} {size:?} split {}", dtype.0, found.shape.split);
            let [q, kv_of_head, kv] = tensors(dtype.0, size);
            let [b, n, m, heads, _] = size;
            let rows = (4 * b * heads * n) as u64;
            // rows of a lane are read by all warps that share them
            let shared_by =
                if size_of(dtype.0) == 4 { 2 } else { 1 } * if size[4] == 128 { 2 } else { 1 };

            let counters = &found.reports[0].counters;
            assert_eq!(counters.distinct_bytes_read, 3 * q + kv + rows, "{place}");
            assert_eq!(counters.distinct_bytes_written, q + rows, "{place}");
            let asked = counters.async_loads.sectors * 32;
            assert_eq!(asked, 2 * q + counters.blocks * kv_of_head, "{place}");
            let loads = counters.global_loads.sectors * 32;
            let of_rows = loads - q;
            assert!(of_rows <= 2 * shared_by * rows, "{place}: {of_rows}");
            let stores = counters.global_stores.sectors * 32;
            assert!(stores <= q + 8 * rows, "{place}: {stores}");
            banks(counters, &place);

            let counters = &found.reports[1].counters;
            let [slot, tiles, groups, counts] = slots(&found, size);
            let own = match found.shape.split as u64 {
                1 => 0,
                split => tiles * split * slot,
            };
            assert_eq!(groups, 1, "{place}");
            assert_eq!(
                counters.distinct_bytes_read,
                2 * q + kv + 2 * rows + own + counts,
                "{place}"
            );
            assert_eq!(
                counters.distinct_bytes_written,
                kv + own + counts,
                "{place}"
            );
            let of_head = m.div_ceil(64) as u64;
            let asked = counters.async_loads.sectors * 32;
            let kv_asked = found.shape.split as u64 * kv;
            assert_eq!(asked, of_head * 2 * q + kv_asked, "{place}");
            let stores = counters.global_stores.sectors * 32;
            assert_eq!(stores, kv + own, "{place}");
            banks(counters, &place);
        }
    }
}
