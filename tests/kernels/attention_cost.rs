//! What the kernels of attention move, and that a grid does not change what they give.

use ptx_emu::{Counters, Report};

use crate::attention::{Case, DTYPES};
use crate::run::size_of;

/// The batch also decides how many warps a block has: 2 for an image alone, 4 for 17 of them.
#[test]
fn an_image_has_the_same_bits_alone_and_in_a_batch() {
    for dtype in DTYPES {
        for (m, d) in [(50, 16), (70, 32)] {
            let (n, heads) = (130, 8);
            let all = Case::random([17, n, m, heads, d]);
            let first = |values: &[f32], count: usize| values[..count].to_vec();
            let alone = Case {
                size: [1, n, m, heads, d],
                q: first(&all.q, n * heads * d),
                kv: first(&all.kv, m * 2 * heads * d),
                ..Case::random([1, 1, 1, 1, d])
            };
            let (y, lse, of_all) = all.run(dtype);
            let (y_alone, lse_alone, of_one) = alone.run(dtype);
            assert!(y.starts_with(&y_alone), "{} {m} keys", dtype.0);
            assert!(lse.starts_with(&lse_alone), "{} {m} keys", dtype.0);
            let warps = |report: &Report| report.counters.warps / report.counters.blocks;
            assert_eq!((warps(&of_all), warps(&of_one)), (4, 2));
        }
    }
}

/// Wavefronts of shared memory: all, and those that bank conflicts add.
fn wavefronts(counters: &Counters) -> (u64, u64) {
    let kinds = [
        counters.shared_loads,
        counters.shared_stores,
        counters.matrix_loads,
        counters.shared_copies,
    ];
    let all = kinds.iter().map(|kind| kind.wavefronts).sum();
    let least: u64 = kinds.iter().map(|kind| kind.min_wavefronts).sum();
    (all, all - least)
}

#[test]
fn queries_move_once_keys_and_values_once_for_each_block() {
    for dtype in DTYPES {
        for size in [
            [1, 784, 49, 2, 64],
            [2, 196, 49, 5, 64],
            [1, 64, 64, 2, 16],
            [1, 64, 50, 2, 32],
            [1, 64, 64, 1, 128],
            [1, 64, 200, 1, 64],
        ] {
            let [b, n, m, heads, d] = size;
            let with_lse = false;
            let report = Case {
                with_lse,
                ..Case::random(size)
            }
            .check(dtype);
            let counters = &report.counters;
            let case = format!("{} {size:?}", dtype.0);
            let row = (d * size_of(dtype.0)) as u64;
            let q = (b * n * heads) as u64 * row;
            let kv_of_head = 2 * m as u64 * row;
            let kv = (b * heads) as u64 * kv_of_head;
            assert_eq!(counters.distinct_bytes_read, q + kv, "{case}");
            assert_eq!(counters.distinct_bytes_written, q, "{case}");
            let asked = counters.async_loads.sectors * 32;
            assert_eq!(asked, q + counters.blocks * kv_of_head, "{case}");
            assert_eq!(counters.global_loads.sectors, 0, "{case}");
            assert_eq!(counters.global_stores.sectors * 32, q, "{case}");
            let (all, extra) = wavefronts(counters);
            assert!(extra * 100 <= all * 3, "{case}: {extra} of {all}");
        }
    }
}
