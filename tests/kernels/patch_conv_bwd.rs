//! `patch_conv_bwd_weight`, `patch_conv_bwd_data`, and both for pixels: gradients of patch convolutions.

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::pack::{pack_transposed, packed_bytes, to_tf32, tokens_order};
use pvt_cuda::kernels::patch_conv_bwd::{DataTile, data_tile};
use pvt_cuda::kernels::tiles::MOST_SHARED;
use pvt_cuda::kernels::weight_grad::{Weight, WeightTile, slot_rows, weight_tile};
use pvt_cuda::target::DType;
use pvt_testkit::compare::rel_l2;
use pvt_testkit::oracle_linear_bwd;

use crate::products::{DTYPES, Random, run, tolerance};
use crate::run::{Value, rounded, values};
use crate::weight_grad::{close, costs, count, launch, scratch, tile};

/// Images, height, width, channels; patch, output channels; whether the input is pixels.
#[derive(Debug, Clone, Copy)]
struct Case([usize; 4], usize, usize, bool);

impl Case {
    fn rows(&self) -> usize {
        let Self([images, height, width, _], patch, ..) = *self;
        images * (height / patch) * (width / patch)
    }

    fn inner(&self) -> usize {
        let Self([.., channels], patch, ..) = *self;
        channels * patch * patch
    }

    /// Whether every pixel is in a patch.
    fn whole(&self) -> bool {
        let Self([_, height, width, _], patch, ..) = *self;
        height.is_multiple_of(patch) && width.is_multiple_of(patch)
    }

    /// Whether what a patch has of a line is whole sectors.
    fn sectors(&self, dtype: DType) -> bool {
        let Self([_, _, width, channels], patch, _, pixels) = *self;
        if pixels {
            (width * 4).is_multiple_of(32)
        } else {
            (patch * channels * dtype.bytes()).is_multiple_of(32)
        }
    }

    /// [B, H, W, C] as [B, C, H, W].
    fn channels_first<X: Copy>(&self, x: &[X]) -> Vec<X> {
        let [_, height, width, channels] = self.0;
        let plane = height * width;
        let images = x.chunks_exact(plane * channels);
        let image = |image: &[X], i: usize| image[i % plane * channels + i / plane];
        images
            .flat_map(|x| (0..channels * plane).map(move |i| image(x, i)))
            .collect()
    }

    /// The reverse.
    fn channels_last<X: Copy>(&self, x: &[X]) -> Vec<X> {
        let [_, height, width, channels] = self.0;
        let plane = height * width;
        let images = x.chunks_exact(plane * channels);
        let image = |image: &[X], i: usize| image[i % channels * plane + i / channels];
        images
            .flat_map(|x| (0..channels * plane).map(move |i| image(x, i)))
            .collect()
    }

    /// Sizes as the oracle has them.
    fn sizes(&self) -> [usize; 4] {
        let [images, height, width, channels] = self.0;
        [images, channels, height, width]
    }

    fn arguments(&self) -> [Value; 6] {
        let Self([images, height, width, channels], patch, out, _) = *self;
        [images, height, width, channels, patch, out].map(|size| Value::U32(count(size)))
    }
}

fn few_conflicts(report: &Report, place: &str) {
    let banks = report.counters.shared();
    assert!(
        banks.conflicts() * 100 <= banks.wavefronts * 3,
        "{place}: {} of {} wavefronts are conflicts",
        banks.conflicts(),
        banks.wavefronts
    );
}

/// Gradients of weight and bias, added to what was there, checked against f64.
fn weight(dtype: DType, tile: &WeightTile, case: Case) {
    let Case(sizes, patch, out, pixels) = case;
    let (rows, inner) = (case.rows(), case.inner());
    let mut random = Random::new(rows * 1000 + inner * 10 + out);
    let (g, exact_g) = random.tensor(dtype, rows * out, 2.0, 0.25);
    let x = random.values(sizes.iter().product(), 2.0, 0.25);
    let (x, exact_x) = if pixels {
        // what the kernel reads is f32; what it multiplies is rounded to the type
        let x = case.channels_first(&x);
        (rounded("f32", &x).0, rounded(dtype.name(), &x).1)
    } else {
        let (bytes, exact) = rounded(dtype.name(), &x);
        (bytes, case.channels_first(&exact))
    };
    let (dweight, before) = random.tensor(DType::F32, out * inner, 1.0, 0.0);
    let (dbias, before_bias) = random.tensor(DType::F32, out, 1.0, 0.0);
    let none = vec![0.0; out * inner];
    let [_, exact, exact_bias] =
        oracle_linear_bwd::patch_conv(&exact_g, &exact_x, case.sizes(), &none, patch);
    let read = g.len() + x.len() + dweight.len() + dbias.len();
    let written = dweight.len() + dbias.len();
    let [partials, arrived] = scratch(tile, out, inner);
    let mut arguments = vec![
        Value::In(g),
        Value::In(x),
        Value::InOut(dweight),
        Value::InOut(dbias),
        partials,
        arrived,
    ];
    arguments.extend(case.arguments());
    arguments.extend([Value::U32(tile.slots), Value::U32(tile.group)]);
    let place = format!(
        "{}_{dtype} {case:?} by {} in groups of {}",
        tile.entry, tile.blocks, tile.group
    );
    let grid = launch(tile, out, inner);
    let (outputs, report) = run(("patch_conv_bwd", tile.entry, dtype), &grid, &arguments);
    close(dtype, &outputs[0], &before, &exact, &place);
    close(DType::F16, &outputs[1], &before_bias, &exact_bias, &place);
    if case.whole() && case.sectors(dtype) && out.is_multiple_of(16) {
        let arrived = outputs.get(3);
        costs(
            tile,
            (out, inner),
            (read, written),
            arrived,
            &report,
            &place,
        );
        let (x, y) = tile.grid(out, inner);
        let from = if pixels { 0 } else { inner * x };
        let asked = rows * (out * y + from) * dtype.bytes();
        let found = report.counters.async_loads.sectors * 32;
        assert_eq!(found, asked as u64, "{place}");
    } else {
        few_conflicts(&report, &place);
    }
}

const WEIGHT_TILES: [(usize, usize); 3] = [(128, 128), (64, 128), (64, 64)];

/// The tile by its sizes.
fn weight_of(
    dtype: DType,
    sizes: (usize, usize),
    case: Case,
    blocks: (usize, usize),
) -> WeightTile {
    let entry = match (sizes, case.3) {
        (_, true) => "patch_conv_bwd_weight_pixels_64x64",
        ((128, _), _) => "patch_conv_bwd_weight_128x128",
        ((_, 128), _) => "patch_conv_bwd_weight_64x128",
        _ => "patch_conv_bwd_weight_64x64",
    };
    let tile = tile(dtype, entry, sizes, case.rows(), blocks);
    let tables = if case.3 { 0 } else { 4 * 8 * slot_rows(dtype) };
    WeightTile {
        shared: tile.shared + count(tables),
        ..tile
    }
}

#[test]
fn weights_over_tokens_match_f64_in_every_tile() {
    for dtype in DTYPES {
        for sizes in WEIGHT_TILES {
            for case in [
                Case([1, 2, 2, 8], 2, 8, false),
                Case([2, 7, 5, 24], 3, sizes.0 + 8, false),
                // more than six slots of rows of 4-byte types, and lines of patches that end within one
                Case([3, 22, 26, 16], 2, 48, false),
                Case([1, 16, 24, 40], 2, 72, false),
                Case([2, 8, 17, 16], 4, sizes.0, false),
            ] {
                for blocks in [(1, 1), (2, 2), (3, 2)] {
                    weight(dtype, &weight_of(dtype, sizes, case, blocks), case);
                }
            }
        }
    }
}

#[test]
fn weights_over_pixels_match_f64() {
    for dtype in DTYPES {
        for case in [
            Case([1, 4, 4, 3], 4, 64, true),
            Case([2, 10, 23, 3], 4, 40, true),
            Case([3, 16, 40, 1], 8, 8, true),
            Case([2, 9, 8, 5], 3, 24, true),
            Case([2, 32, 32, 3], 4, 80, true),
        ] {
            for blocks in [(1, 1), (2, 2), (3, 2)] {
                weight(dtype, &weight_of(dtype, (64, 64), case, blocks), case);
            }
        }
    }
}

/// Convolutions of PVT at 224 by the rule's choice: starts of stages, and spatial reductions.
const REAL: [Case; 6] = [
    Case([1, 224, 224, 3], 4, 64, true),
    Case([1, 56, 56, 64], 2, 128, false),
    Case([3, 14, 14, 320], 2, 512, false),
    Case([1, 56, 56, 64], 8, 64, false),
    Case([3, 28, 28, 128], 4, 128, false),
    Case([1, 14, 14, 320], 2, 320, false),
];

#[test]
fn weights_match_f64_at_real_sizes() {
    for dtype in DTYPES {
        let all = matches!(dtype, DType::F32 | DType::Bf16);
        for case in REAL.into_iter().take(if all { 6 } else { 2 }) {
            let kind = if case.3 {
                Weight::Pixels
            } else {
                Weight::Tokens
            };
            let tile = weight_tile(dtype, kind, case.rows(), case.inner(), case.2);
            weight(dtype, &tile, case);
        }
    }
}

/// The gradient of the input, added to what was there or alone, checked against f64.
fn data(dtype: DType, tile: &DataTile, case: Case, accumulate: bool) {
    let Case(sizes, patch, out, pixels) = case;
    let (rows, inner) = (case.rows(), case.inner());
    let of = if pixels { DType::F32 } else { dtype };
    let mut random = Random::new(rows * 1000 + inner * 10 + out);
    let (g, exact_g) = random.tensor(dtype, rows * out, 4.0, 0.5);
    let plain = random.values(out * inner, 4.0 / (out as f32).sqrt(), 0.0);
    let exact_weight: Vec<f64> = match dtype {
        DType::Tf32 => plain.iter().map(|&v| f64::from(to_tf32(v))).collect(),
        _ => rounded(dtype.name(), &plain).1,
    };
    let order = |k| {
        if pixels {
            k
        } else {
            tokens_order(sizes[3], patch, k)
        }
    };
    let packed = pack_transposed(dtype, &plain, out, inner, order);
    let len: usize = sizes.iter().product();
    let (dx, mut before) = random.tensor(of, len, 4.0, 0.0);
    let [mut exact, ..] = oracle_linear_bwd::patch_conv(
        &exact_g,
        &vec![0.0; len],
        case.sizes(),
        &exact_weight,
        patch,
    );
    if !pixels {
        exact = case.channels_last(&exact);
    }
    // what no patch covers stays as it was, zero where the launch before has made it so
    let dx = if accumulate {
        Value::InOut(dx)
    } else if case.whole() {
        before.fill(0.0);
        Value::Out(len * of.bytes())
    } else {
        before.fill(0.0);
        Value::InOut(vec![0; len * of.bytes()])
    };
    let exact: Vec<f64> = exact.iter().zip(&before).map(|(a, b)| a + b).collect();
    let mut arguments = vec![Value::In(g), Value::In(packed), dx];
    arguments.extend(case.arguments());
    if !pixels {
        arguments.push(Value::U32(u32::from(accumulate)));
    }
    let place = format!("{}_{dtype} {case:?} accumulate {accumulate}", tile.entry);
    let grid = Launch {
        grid: [
            count(rows).div_ceil(tile.rows),
            count(inner).div_ceil(tile.cols),
            1,
        ],
        block: [tile.threads, 1, 1],
        shared: tile.shared,
        cluster: None,
    };
    let (outputs, report) = run(("patch_conv_bwd", tile.entry, dtype), &grid, &arguments);
    let found = values(of.name(), &outputs[0]);
    let (error, bound) = (rel_l2(&found, &exact), tolerance(dtype));
    assert!(error < bound, "{place}: {error:e}, bound {bound:e}");
    few_conflicts(&report, &place);
    if case.whole() && case.sectors(dtype) && out.is_multiple_of(16) {
        let counters = &report.counters;
        let dx = len * of.bytes();
        let packed = packed_bytes(dtype, inner, out);
        let read = rows * out * dtype.bytes() + packed + if accumulate { dx } else { 0 };
        assert_eq!(counters.distinct_bytes_read, read as u64, "{place}");
        assert_eq!(counters.distinct_bytes_written, dx as u64, "{place}");
        assert_eq!(counters.global_stores.sectors * 32, dx as u64, "{place}");
        let loaded = if accumulate { dx as u64 } else { 0 };
        assert_eq!(counters.global_loads.sectors * 32, loaded, "{place}");
        let tiles = inner.div_ceil(tile.cols as usize);
        let asked = rows * out * dtype.bytes() * tiles + packed * rows.div_ceil(tile.rows as usize);
        assert_eq!(counters.async_loads.sectors * 32, asked as u64, "{place}");
    }
}

/// The tile by its sizes, with the launch that its contract states.
fn data_of(dtype: DType, (rows, cols): (usize, usize), pixels: bool) -> DataTile {
    let entry = match (rows, pixels) {
        (_, true) => "patch_conv_bwd_data_pixels_64x64",
        (128, _) => "patch_conv_bwd_data_128x128",
        (64, _) => "patch_conv_bwd_data_64x64",
        _ => "patch_conv_bwd_data_32x64",
    };
    let slots = if rows == 32 { 8 } else { 3 };
    DataTile {
        entry,
        rows: count(rows),
        cols: count(cols),
        threads: if dtype == DType::F32 && rows == 128 {
            256
        } else {
            128
        },
        shared: count(slots * 128 * (rows + cols) + 8 * rows),
    }
}

#[test]
fn data_of_tokens_match_f64_in_every_tile() {
    for dtype in DTYPES {
        for (rows, cols) in [(128, 128), (64, 64), (32, 64)] {
            let tile = data_of(dtype, (rows, cols), false);
            for case in [
                Case([1, 2, 2, 8], 2, 8, false),
                Case([2, 7, 5, 24], 3, 72, false),
                Case([1, 2 * (rows + 1), 2, 16], 2, 48, false),
                Case([3, 6, 4, 40], 2, 80, false),
                Case([2, 8, 17, 16], 4, 320, false),
            ] {
                for accumulate in [false, true] {
                    data(dtype, &tile, case, accumulate);
                }
            }
        }
    }
}

#[test]
fn data_of_pixels_match_f64() {
    for dtype in DTYPES {
        let tile = data_of(dtype, (64, 64), true);
        for case in [
            Case([1, 4, 4, 3], 4, 64, true),
            Case([2, 10, 23, 3], 4, 40, true),
            Case([3, 16, 40, 1], 8, 8, true),
            Case([2, 9, 8, 5], 3, 24, true),
            Case([2, 32, 64, 3], 4, 80, true),
        ] {
            data(dtype, &tile, case, false);
        }
    }
}

#[test]
fn data_match_f64_at_real_sizes() {
    for dtype in DTYPES {
        let all = matches!(dtype, DType::F32 | DType::Bf16);
        for case in REAL.into_iter().take(if all { 6 } else { 2 }) {
            let tile = data_tile(dtype, case.3, case.rows(), case.inner());
            assert!(tile.shared as usize <= MOST_SHARED);
            data(dtype, &tile, case, !case.3);
        }
    }
}
