//! `linear_bwd_weight`, and `linear_bwd_gelu` of `linear`: gradients of linear layers.

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::pack::{pack, pack_transposed, packed_bytes, to_tf32, unit_inner};
use pvt_cuda::kernels::tiles::linear_tile;
use pvt_cuda::kernels::weight_grad::{Weight, WeightTile, weight_tile};
use pvt_cuda::target::DType;
use pvt_testkit::compare::rel_l2;
use pvt_testkit::{oracle, oracle_linear_bwd};

use crate::products::{DTYPES, Random, run, tolerance};
use crate::run::{Value, rounded, values};
use crate::weight_grad::{TILES, close, costs, count, launch, or_null, scratch, tile};

/// The tile by its sizes.
fn weight_of(
    dtype: DType,
    (rows, cols): (usize, usize),
    summed: usize,
    blocks: (usize, usize),
) -> WeightTile {
    let entry = match (rows, cols) {
        (128, 128) => "linear_bwd_weight_128x128",
        (128, _) => "linear_bwd_weight_128x64",
        (_, 128) => "linear_bwd_weight_64x128",
        _ => "linear_bwd_weight_64x64",
    };
    tile(dtype, entry, (rows, cols), summed, blocks)
}

/// The gradients of a weight [cols, inner] and, if `bias`, of a bias, added to what was there, checked against f64.
fn weight(
    dtype: DType,
    tile: &WeightTile,
    (rows, inner, cols): (usize, usize, usize),
    bias: bool,
) -> (Vec<Vec<u8>>, Report) {
    let mut random = Random::new(rows * 1000 + inner * 10 + cols);
    let (dy, exact_dy) = random.tensor(dtype, rows * cols, 2.0, 0.25);
    let (x, exact_x) = random.tensor(dtype, rows * inner, 2.0, 0.25);
    let (dweight, before) = random.tensor(DType::F32, cols * inner, 1.0, 0.0);
    let (dbias, before_bias) = random.tensor(DType::F32, cols, 1.0, 0.0);
    let weight = vec![0.0; cols * inner];
    let [_, exact, exact_bias] = oracle_linear_bwd::linear(&exact_dy, &exact_x, &weight, inner);
    let [partials, arrived] = scratch(tile, cols, inner);
    let arguments = [
        Value::In(dy),
        Value::In(x),
        Value::InOut(dweight),
        or_null(bias, Value::InOut(dbias)),
        partials,
        arrived,
        Value::U32(count(rows)),
        Value::U32(count(inner)),
        Value::U32(count(cols)),
        Value::U32(tile.slots),
        Value::U32(tile.group),
    ];
    let place = format!(
        "{}_{dtype} {rows}x{inner}x{cols} by {} in groups of {}",
        tile.entry, tile.blocks, tile.group
    );
    let grid = launch(tile, cols, inner);
    let (outputs, report) = run(("linear_bwd", tile.entry, dtype), &grid, &arguments);
    close(dtype, &outputs[0], &before, &exact, &place);
    if bias {
        // sums of the tensors as they are, in every type
        close(DType::F16, &outputs[1], &before_bias, &exact_bias, &place);
        if dtype.bytes() == 4 {
            close(DType::F32, &outputs[1], &before_bias, &exact_bias, &place);
        }
    }
    if bias && inner.is_multiple_of(16) && cols.is_multiple_of(16) {
        let written = 4 * (cols * inner + cols);
        let read = rows * (inner + cols) * dtype.bytes() + written;
        let arrived = outputs.get(3);
        costs(
            tile,
            (cols, inner),
            (read, written),
            arrived,
            &report,
            &place,
        );
        // tensors once for every tile of the other's columns, in whole sectors
        let (x, y) = tile.grid(cols, inner);
        let asked = rows * (cols * y + inner * x) * dtype.bytes();
        let found = report.counters.async_loads.sectors * 32;
        assert_eq!(found, asked as u64, "{place}");
        if tile.blocks == 1 {
            // the gradients in whole sectors, each way once
            let counters = &report.counters;
            let moved = [counters.global_loads, counters.global_stores].map(|c| c.sectors * 32);
            assert_eq!(moved, [written as u64; 2], "{place}");
        }
    }
    (outputs, report)
}

#[test]
fn weights_match_f64_at_awkward_sizes_in_every_tile() {
    for dtype in DTYPES {
        for (rows, cols) in TILES {
            for (summed, inner, out) in [
                (1, 16, 16),
                (49, cols + 8, rows - 8),
                (65, cols, rows + 16),
                (197, 72, 2 * rows),
            ] {
                for blocks in [(1, 1), (2, 2)] {
                    let tile = weight_of(dtype, (rows, cols), summed, blocks);
                    weight(dtype, &tile, (summed, inner, out), summed != 65);
                }
            }
        }
    }
}

/// More blocks than there are slots, groups of one, of some and of all, the last one with fewer.
#[test]
fn any_number_of_blocks_and_groups() {
    for dtype in DTYPES {
        for blocks in [(3, 1), (3, 2), (5, 2), (7, 3), (7, 7), (9, 4)] {
            let tile = weight_of(dtype, (64, 64), 197, blocks);
            weight(dtype, &tile, (197, 80, 96), true);
        }
    }
}

/// Layers of PVT-Tiny at 224 by the rule's choice.
#[test]
fn weights_match_f64_at_real_sizes() {
    for dtype in DTYPES {
        for (rows, inner, cols) in [
            (3136, 64, 64),
            (784, 128, 128),
            (3 * 196, 320, 320),
            (49, 64, 128),
            (50, 512, 2048),
            (50, 2048, 512),
            (3 * 50, 512, 512),
        ] {
            let tile = weight_tile(dtype, Weight::Linear, rows, inner, cols);
            let wide = matches!(dtype, DType::F32 | DType::Bf16);
            if wide || inner * cols < 1 << 18 {
                weight(dtype, &tile, (rows, inner, cols), true);
            }
        }
    }
}

/// A layer of a whole batch in one launch: rows of 64 channels by many blocks.
#[test]
fn many_rows_by_the_rule() {
    for dtype in [DType::F32, DType::F16] {
        let tile = weight_tile(dtype, Weight::Linear, 12_544, 64, 64);
        assert!(tile.blocks > 16 && tile.group < tile.blocks, "{tile:?}");
        weight(dtype, &tile, (12_544, 64, 64), true);
    }
}

/// y and hidden of `linear_bwd_gelu`, checked against f64.
fn slope(
    dtype: DType,
    (tile_rows, tile_cols): (usize, usize),
    groups: usize,
    (rows, inner, cols): (usize, usize, usize),
) {
    let mut random = Random::new(rows * 1000 + inner * 10 + cols);
    let (x, exact_x) = random.tensor(dtype, rows * inner, 4.0, 0.5);
    // the weight as the forward pass has it is [inner, cols]
    let plain = random.values(inner * cols, 4.0 / (inner as f32).sqrt(), 0.0);
    let exact_weight: Vec<f64> = match dtype {
        DType::Tf32 => plain.iter().map(|&v| f64::from(to_tf32(v))).collect(),
        _ => rounded(dtype.name(), &plain).1,
    };
    let weight = pack_transposed(dtype, &plain, inner, cols, |k| k);
    let (hidden, exact_hidden) = random.tensor(dtype, rows * cols, 6.0, 0.0);
    let none = vec![0.0; rows * cols];
    let [dx, ..] = oracle_linear_bwd::linear(&exact_x, &none, &exact_weight, cols);
    let slopes = exact_hidden
        .iter()
        .map(|&h| oracle_linear_bwd::gelu_slope(h));
    let exact: Vec<f64> = dx.iter().zip(slopes).map(|(g, slope)| g * slope).collect();
    let after: Vec<f64> = exact_hidden.iter().map(|&h| oracle::gelu(h)).collect();

    let entry = match (tile_rows, tile_cols) {
        (128, 128) => "linear_bwd_gelu_128x128",
        (64, 128) => "linear_bwd_gelu_64x128",
        (64, 64) => "linear_bwd_gelu_64x64",
        _ => "linear_bwd_gelu_32x64",
    };
    let slots = match (tile_rows, dtype.bytes()) {
        (32, 4) => 4,
        (32, _) => 8,
        _ => 3,
    };
    let wide = dtype == DType::F32 && tile_rows == 128;
    let launch = Launch {
        grid: [count(rows.div_ceil(tile_rows)), count(groups), 1],
        block: [if wide { 256 } else { 128 }, 1, 1],
        shared: count(slots * (tile_rows + tile_cols) * 128),
        cluster: None,
    };
    let bytes = rows * cols * dtype.bytes();
    let arguments = [
        Value::In(x),
        Value::In(weight),
        Value::Out(bytes),
        Value::InOut(hidden),
        Value::U32(count(rows)),
        Value::U32(count(inner)),
        Value::U32(count(cols)),
        Value::U32(count(inner)),
    ];
    let (outputs, report) = run(("linear", entry, dtype), &launch, &arguments);
    let place = format!("{entry}_{dtype} {rows}x{inner}x{cols} groups {groups}");
    for (found, exact) in outputs.iter().zip([&exact, &after]) {
        let (error, bound) = (
            rel_l2(&values(dtype.name(), found), exact),
            tolerance(dtype),
        );
        assert!(error < bound, "{place}: {error:e}, bound {bound:e}");
    }
    let counters = &report.counters;
    let banks = counters.shared();
    assert!(
        banks.conflicts() * 100 <= banks.wavefronts * 3,
        "{place}: {} of {} wavefronts are conflicts",
        banks.conflicts(),
        banks.wavefronts
    );
    if cols.is_multiple_of(16) {
        let read = rows * inner * dtype.bytes() + packed_bytes(dtype, cols, inner) + bytes;
        assert_eq!(counters.distinct_bytes_read, read as u64, "{place}");
        assert_eq!(counters.distinct_bytes_written, 2 * bytes as u64, "{place}");
        let stored = counters.global_stores.sectors * 32;
        assert_eq!(stored, 2 * bytes as u64, "{place}");
        assert_eq!(counters.global_loads.sectors * 32, bytes as u64, "{place}");
    }
}

#[test]
fn slopes_match_f64_in_every_tile() {
    for dtype in DTYPES {
        for (rows, cols) in [(128, 128), (64, 128), (64, 64), (32, 64)] {
            for (m, k, n) in [
                (1, 16, 8),
                (rows - 1, 48, cols + 8),
                (rows + 1, 80, cols - 16),
                (7, 160, 2 * cols + 16),
            ] {
                for groups in [1, 2] {
                    slope(dtype, (rows, cols), groups, (m, k, n));
                }
            }
        }
    }
}

/// fc2 of PVT-Tiny at 224 by the rule's choice.
#[test]
fn slopes_match_f64_at_real_sizes() {
    for dtype in DTYPES {
        for (rows, inner, cols) in [(784, 64, 512), (196, 320, 1280), (50, 512, 2048)] {
            let tile = linear_tile(dtype, rows, inner, cols, false).unwrap();
            assert!(tile.slope_entry.starts_with("linear_bwd_gelu_"));
            let sizes = (tile.rows as usize, tile.cols as usize);
            slope(dtype, sizes, tile.groups as usize, (rows, inner, cols));
        }
    }
}

#[test]
fn transposed_weights_are_tiles_of_the_transpose() {
    for dtype in DTYPES {
        let (cols, inner) = (72, 40);
        let weight: Vec<f32> = (0..cols * inner).map(|i| i as f32 / 64.0).collect();
        let turned: Vec<f32> = (0..inner * cols)
            .map(|i| weight[i % cols * inner + (inner - 1 - i / cols)])
            .collect();
        let packed = pack_transposed(dtype, &weight, cols, inner, |k| inner - 1 - k);
        assert!(
            packed == pack(dtype, &turned, inner, cols, |k| k),
            "{dtype}"
        );
        assert!(packed.len() == inner.div_ceil(64) * cols.div_ceil(unit_inner(dtype)) * 8192);
    }
}
