//! What the tests of weight gradients share, and the rule that chooses among their tiles.

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::parts::MOST_SHARED_TILES;
use pvt_cuda::kernels::tiles::MOST_SHARED;
use pvt_cuda::kernels::weight_grad::{Weight, WeightTile, slot_rows, weight_tile};
use pvt_cuda::target::DType;
use pvt_testkit::compare::rel_l2;

use crate::products::DTYPES;
use crate::run::{Value, values};

/// Sizes of the compiled tiles.
pub(crate) const TILES: [(usize, usize); 4] = [(128, 128), (128, 64), (64, 128), (64, 64)];

pub(crate) fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap()
}

pub(crate) fn or_null(wanted: bool, value: Value) -> Value {
    if wanted { value } else { Value::Null }
}

/// Largest relative L2 distance of a gradient from f64.
pub(crate) fn bound(dtype: DType) -> f64 {
    match dtype {
        DType::F32 => 4e-6,
        DType::Tf32 => 1e-3,
        DType::F16 | DType::Bf16 => 1e-5,
    }
}

/// A tile by its sizes, with so many blocks in groups of so many: the launch that contracts state.
pub(crate) fn tile(
    dtype: DType,
    entry: &'static str,
    (rows, cols): (usize, usize),
    summed: usize,
    (blocks, group): (usize, usize),
) -> WeightTile {
    let slots = summed.div_ceil(slot_rows(dtype)).div_ceil(blocks);
    let small = dtype.bytes() == 2 && entry.starts_with("linear");
    let wide = (rows, cols) == (128, 128) && !small;
    WeightTile {
        entry,
        rows: count(rows),
        cols: count(cols),
        threads: if wide { 256 } else { 128 },
        blocks: count(blocks),
        slots: count(slots),
        group: count(group),
        shared: count(3 * 128 * (rows + cols)),
    }
}

/// What blocks leave for each other, where several have a tile.
pub(crate) fn scratch(tile: &WeightTile, cols: usize, inner: usize) -> [Value; 2] {
    let (partials, counters) = (tile.partials(cols, inner), tile.counters(cols, inner));
    [
        or_null(tile.blocks > 1, Value::Out(4 * partials)),
        or_null(tile.blocks > 1, Value::InOut(vec![0; 4 * counters])),
    ]
}

pub(crate) fn launch(tile: &WeightTile, cols: usize, inner: usize) -> Launch {
    let (x, y) = tile.grid(cols, inner);
    Launch {
        grid: [count(x), count(y), tile.blocks],
        block: [tile.threads, 1, 1],
        shared: tile.shared,
        cluster: None,
    }
}

/// Holds gradients that were added to `before` to f64.
pub(crate) fn close(dtype: DType, found: &[u8], before: &[f64], exact: &[f64], place: &str) {
    let found: Vec<f32> = values("f32", found);
    // what was there is large where sums are small: their difference is what counts
    let added = exact.iter().zip(before).map(|(a, b)| a + b);
    let added: Vec<f64> = added.collect();
    let (error, bound) = (rel_l2(&found, &added), bound(dtype));
    assert!(error < bound, "{place}: {error:e}, bound {bound:e}");
}

/// Few conflicts, counters at zero again, and all bytes moved once.
pub(crate) fn costs(
    tile: &WeightTile,
    (cols, inner): (usize, usize),
    (read, written): (usize, usize),
    arrived: Option<&Vec<u8>>,
    report: &Report,
    place: &str,
) {
    let counters = &report.counters;
    let banks = counters.shared();
    assert!(
        banks.conflicts() * 100 <= banks.wavefronts * 3,
        "{place}: {} of {} wavefronts are conflicts",
        banks.conflicts(),
        banks.wavefronts
    );
    let (mut read, mut written) = (read, written);
    if tile.blocks > 1 {
        let arrived = arrived.unwrap();
        assert!(
            arrived.iter().all(|&byte| byte == 0),
            "{place}: {arrived:?}"
        );
        // sums of columns of dy only beside those of the first columns of x
        let (x, y) = tile.grid(cols, inner);
        let sums =
            4 * (tile.partials(cols, inner) - x * (y - 1) * (tile.rows * tile.blocks) as usize);
        read += sums + arrived.len();
        written += sums + arrived.len();
    }
    // a piece of counters is counted as a sector
    let near = |found: u64, exact: usize| {
        let found = usize::try_from(found).unwrap();
        found >= exact && found <= exact + exact / 50 + 64
    };
    let (found, stored) = (
        counters.distinct_bytes_read,
        counters.distinct_bytes_written,
    );
    assert!(near(found, read), "{place}: {found} bytes read, {read}");
    assert!(
        near(stored, written),
        "{place}: {stored} bytes written, {written}"
    );
}

#[test]
fn tiles_follow_the_shape() {
    for dtype in DTYPES {
        for weight in [Weight::Linear, Weight::Tokens, Weight::Pixels] {
            for rows in [1, 49, 50, 197, 3136, 12_544, 200_704, 802_816] {
                for (cols, inner) in [
                    (16, 16),
                    (64, 48),
                    (64, 64),
                    (64, 512),
                    (512, 64),
                    (64, 4096),
                    (320, 1280),
                    (2048, 512),
                    (4096, 4096),
                ] {
                    let tile = weight_tile(dtype, weight, rows, inner, cols);
                    let place = format!("{dtype} {weight:?} {rows}x{cols}x{inner}: {tile:?}");
                    assert!(tile.shared as usize <= MOST_SHARED, "{place}");
                    // every slot has a block, and every block a slot
                    let slots = rows.div_ceil(slot_rows(dtype));
                    let (blocks, own) = (tile.blocks as usize, tile.slots as usize);
                    assert!(
                        blocks * own >= slots && (blocks - 1) * own < slots,
                        "{place}"
                    );
                    assert!(tile.counters(cols, inner) <= MOST_SHARED_TILES, "{place}");
                    let (x, y) = tile.grid(cols, inner);
                    assert!(blocks == 1 || x * y * blocks <= 264, "{place}");
                    assert!(tile.partials(cols, inner) <= 1 << 23, "{place}");
                    let alone = tile.alone();
                    assert!(alone.slots as usize >= slots && alone.blocks == 1);
                    assert_eq!(alone.counters(cols, inner) + alone.partials(cols, inner), 0);
                }
            }
        }
        // few tiles and many rows: every multiprocessor has work
        for (cols, inner) in [(64, 64), (512, 64), (320, 320), (128, 1024)] {
            let tile = weight_tile(dtype, Weight::Linear, 32 * 3136, inner, cols);
            let (x, y) = tile.grid(cols, inner);
            let blocks = x * y * tile.blocks as usize;
            assert!(blocks >= 120, "{dtype} {cols}x{inner}: {tile:?}");
        }
    }
}
