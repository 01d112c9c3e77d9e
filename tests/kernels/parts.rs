//! `linear_parts_fwd`, `patch_conv_parts_fwd`: the inner dimension in parts, by one block or by several.

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::pack::{packed_bytes, tokens_order, unit_inner};
use pvt_cuda::kernels::parts::{Family, PartsTile, parts_tile};
use pvt_cuda::target::DType;
use pvt_testkit::compare::rel_l2;
use pvt_testkit::oracle;

use crate::products::{DTYPES, Random, run, tolerance};
use crate::run::Value;
use crate::run::{rounded, values};

const EPS: f32 = 1e-3;

pub(crate) fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap()
}

/// A tile by its sizes, with parts of so many units, shared by so many blocks: the launch that contracts state.
pub(crate) fn tile(
    dtype: DType,
    (rows, cols): (usize, usize),
    inner: usize,
    (units, blocks): (usize, usize),
) -> PartsTile {
    let (linear_entry, conv_entry) = match (rows, cols) {
        (128, 128) => ("linear_parts_fwd_128x128", "patch_conv_parts_fwd_128x128"),
        (128, _) => ("", "patch_conv_parts_fwd_128x64"),
        (64, _) => ("linear_parts_fwd_64x64", ""),
        _ => ("linear_parts_fwd_32x64", "patch_conv_parts_fwd_32x64"),
    };
    let slots = match (rows, dtype.bytes()) {
        (32, 4) => [4, 8],
        (32, _) => [8, 8],
        _ => [3, 3],
    };
    let ring = slots.map(|slots| 128 * slots * (rows + cols));
    PartsTile {
        linear_entry,
        conv_entry,
        rows: count(rows),
        cols: count(cols),
        threads: if (rows, cols) == (128, 128) { 256 } else { 128 },
        blocks: count(blocks),
        parts: count(inner.div_ceil(unit_inner(dtype)).div_ceil(units)),
        units: count(units),
        shared: [count(ring[0]), count(ring[1] + 8 * rows)],
    }
}

fn or_null(wanted: bool, value: Value) -> Value {
    if wanted { value } else { Value::Null }
}

/// What blocks leave for each other: sums of parts, and counters at zero.
fn shared(tile: &PartsTile, rows: usize, cols: usize) -> [Value; 2] {
    let (x, y) = tile.grid(rows, cols);
    [
        or_null(tile.blocks > 1, Value::Out(4 * tile.partials(rows, cols))),
        or_null(tile.blocks > 1, Value::InOut(vec![0; 4 * x * y])),
    ]
}

pub(crate) fn launch(tile: &PartsTile, shared: u32, rows: usize, cols: usize) -> Launch {
    let (x, y) = tile.grid(rows, cols);
    Launch {
        grid: [count(x), count(y), tile.blocks],
        block: [tile.threads, 1, 1],
        shared,
        cluster: None,
    }
}

/// Counters are at zero again, conflicts are few, and every byte moved as often as the contract says.
fn costs(
    tile: &PartsTile,
    (rows, cols): (usize, usize),
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
    let (mut read, mut written) = (read as u64, written as u64);
    if tile.blocks > 1 {
        let arrived = arrived.unwrap();
        assert!(
            arrived.iter().all(|&byte| byte == 0),
            "{place}: {arrived:?}"
        );
        let partials = 4 * tile.partials(rows, cols) as u64;
        // counted by sectors
        let counts = arrived.len().next_multiple_of(32) as u64;
        read += partials + counts;
        written += partials + counts;
        // every vector of a part once each way
        let stores = counters.global_stores.sectors * 32;
        assert_eq!(stores, written - counts, "{place}");
    }
    assert_eq!(counters.distinct_bytes_read, read, "{place}");
    assert_eq!(counters.distinct_bytes_written, written, "{place}");
}

/// y of a linear layer [rows, inner] x [cols, inner], added to a residual in place if `add`; checked against f64.
fn linear(
    dtype: DType,
    tile: &PartsTile,
    (rows, inner, cols): (usize, usize, usize),
    add: bool,
) -> Vec<u8> {
    let mut random = Random::new(inner * 10 + cols);
    // rows and columns of one image are those of several, as far as they go
    let (weight, exact_weight) = random.weight(dtype, (cols, inner), |k| k);
    let (bias, mut exact_bias) = random.tensor(DType::F32, cols, 1.0, 0.0);
    let (residual, exact_residual) = Random::new(cols).tensor(dtype, rows * cols, 4.0, 0.0);
    let (x, exact_x) = random.tensor(dtype, rows * inner, 4.0, 0.5);
    if !add {
        exact_bias.fill(0.0);
    }
    let mut exact = oracle::linear(&exact_x, inner, &exact_weight, &exact_bias);
    if add {
        let both = exact.iter().zip(&exact_residual);
        exact = both.map(|(a, b)| a + b).collect();
    }
    let y = rows * cols * dtype.bytes();
    let (residual, out) = if add {
        (Value::InOut(residual), Value::Again(3))
    } else {
        (Value::Null, Value::Out(y))
    };
    let [partials, arrived] = shared(tile, rows, cols);
    let arguments = [
        Value::In(x),
        Value::In(weight),
        or_null(add, Value::In(bias)),
        residual,
        out,
        partials,
        arrived,
        Value::U32(count(rows)),
        Value::U32(count(inner)),
        Value::U32(count(cols)),
        Value::U32(count(inner)),
        Value::U32(tile.units),
    ];
    let launch = launch(tile, tile.shared[0], rows, cols);
    let (outputs, report) = run(("linear", tile.linear_entry, dtype), &launch, &arguments);
    let place = format!(
        "{}_{} {rows}x{inner}x{cols} {} parts by {}",
        tile.linear_entry,
        dtype.name(),
        tile.parts,
        tile.blocks
    );
    let (error, bound) = (
        rel_l2(&values(dtype.name(), &outputs[0]), &exact),
        tolerance(dtype),
    );
    assert!(error < bound, "{place}: {error:e}, bound {bound:e}");
    if cols.is_multiple_of(16) {
        let weight = packed_bytes(dtype, cols, inner);
        let read = rows * inner * dtype.bytes() + weight + if add { cols * 4 + y } else { 0 };
        costs(
            tile,
            (rows, cols),
            (read, y),
            outputs.get(2),
            &report,
            &place,
        );
    }
    outputs[0].clone()
}

const LINEAR_TILES: [(usize, usize); 3] = [(128, 128), (64, 64), (32, 64)];
const CONV_TILES: [(usize, usize); 3] = [(128, 128), (128, 64), (32, 64)];

#[test]
fn linear_has_the_same_bits_in_every_tile_by_any_number_of_blocks() {
    for dtype in DTYPES {
        let unit = unit_inner(dtype);
        // parts of one unit and of two, a part that ends early and a unit that does, a single row
        for (rows, inner, cols, units) in [
            (1, 3 * unit, 8, 1),
            (33, 4 * unit + 16, 72, 2),
            (129, 7 * unit, 144, 3),
        ] {
            let mut first = None;
            for sizes in LINEAR_TILES {
                for blocks in [1, 2, 3, 7] {
                    let tile = tile(dtype, sizes, inner, (units, blocks));
                    let y = linear(dtype, &tile, (rows, inner, cols), rows != 33);
                    let first = first.get_or_insert_with(|| y.clone());
                    assert!(*first == y, "{tile:?}");
                }
            }
        }
    }
}

/// A convolution: images, height, width, channels; patch, output channels; LayerNorm, table and class token.
#[derive(Clone, Copy)]
struct Conv([usize; 4], usize, usize, bool);

/// y of a convolution over tokens, checked against f64.
fn conv(dtype: DType, tile: &PartsTile, Conv(sizes, patch, out, embed): Conv) -> Vec<u8> {
    let [images, height, width, channels] = sizes;
    let (inner, tokens) = (channels * patch * patch, (height / patch) * (width / patch));
    let rows = images * tokens;
    let mut random = Random::new(inner * 10 + out);
    let (weight, exact_weight) =
        random.weight(dtype, (out, inner), |k| tokens_order(channels, patch, k));
    let (bias, exact_bias) = random.tensor(DType::F32, out, 1.0, 0.0);
    let (gamma, exact_gamma) = random.tensor(DType::F32, out, 1.0, 1.0);
    let (beta, exact_beta) = random.tensor(DType::F32, out, 1.0, 0.0);
    let (table, exact_table) = random.tensor(dtype, (1 + tokens) * out, 2.0, 0.0);
    let (class_token, exact_class) = random.tensor(dtype, out, 2.0, 0.0);
    let x = random.values(images * height * width * channels, 4.0, 0.5);
    let (x, wide) = rounded(dtype.name(), &x);
    let image = |x: &[f64]| -> Vec<f64> {
        let plane = height * width;
        (0..channels * plane)
            .map(|i| x[i % plane * channels + i / plane])
            .collect()
    };
    let planes: Vec<f64> = wide
        .chunks(height * width * channels)
        .flat_map(image)
        .collect();
    let shape = [images, channels, height, width];
    let mut exact = oracle::patch_conv(&planes, shape, &exact_weight, &exact_bias, patch);
    if embed {
        exact = oracle::layernorm(&exact, &exact_gamma, &exact_beta, f64::from(EPS));
        exact = oracle::pos_embed(&exact, &exact_class, &exact_table);
    }
    let y = exact.len() * dtype.bytes();
    let read = x.len() + packed_bytes(dtype, out, inner) + 4 * out;
    let read = read
        + if embed {
            8 * out + table.len() + class_token.len()
        } else {
            0
        };
    let [partials, arrived] = shared(tile, rows, out);
    let arguments = [
        Value::In(x),
        Value::In(weight),
        Value::In(bias),
        or_null(embed, Value::In(gamma)),
        or_null(embed, Value::In(beta)),
        or_null(embed, Value::In(table)),
        or_null(embed, Value::In(class_token)),
        Value::Out(y),
        partials,
        arrived,
        Value::U32(count(images)),
        Value::U32(count(height)),
        Value::U32(count(width)),
        Value::U32(count(channels)),
        Value::U32(count(patch)),
        Value::U32(count(out)),
        Value::U32(tile.units),
        Value::F32(EPS),
    ];
    let launch = launch(tile, tile.shared[1], rows, out);
    let (outputs, report) = run(("patch_conv", tile.conv_entry, dtype), &launch, &arguments);
    let place = format!(
        "{}_{} {sizes:?} patch {patch} out {out} {} parts by {}",
        tile.conv_entry,
        dtype.name(),
        tile.parts,
        tile.blocks
    );
    let (error, bound) = (
        rel_l2(&values(dtype.name(), &outputs[0]), &exact),
        tolerance(dtype),
    );
    assert!(error < bound, "{place}: {error:e}, bound {bound:e}");
    let whole = height.is_multiple_of(patch) && width.is_multiple_of(patch);
    if whole && out.is_multiple_of(16) && (channels * dtype.bytes()).is_multiple_of(32) {
        costs(
            tile,
            (rows, out),
            (read, y),
            outputs.get(2),
            &report,
            &place,
        );
    }
    outputs[0].clone()
}

#[test]
fn patch_conv_has_the_same_bits_in_every_tile_by_any_number_of_blocks() {
    for dtype in DTYPES {
        for (case, units) in [
            // the inner dimension: 200, 64 and 160
            (Conv([1, 6, 6, 8], 5, 72, false), 2),
            (Conv([3, 22, 12, 16], 2, 48, true), 1),
            (Conv([2, 5, 7, 40], 2, 64, true), 1),
        ] {
            let Conv([.., channels], patch, ..) = case;
            let inner = channels * patch * patch;
            let mut first = None;
            for sizes in CONV_TILES {
                for blocks in [1, 2, 3] {
                    let y = conv(dtype, &tile(dtype, sizes, inner, (units, blocks)), case);
                    let first = first.get_or_insert_with(|| y.clone());
                    assert!(*first == y, "{sizes:?} by {blocks}");
                }
            }
        }
    }
}

/// Products of PVT-Tiny at 224 that go in parts in every type: rows of an image, inner dimension, columns, and the patch if any.
pub(crate) const REAL: [(usize, usize, usize, usize); 5] = [
    (49, 4096, 64, 8),
    (49, 2048, 128, 4),
    (49, 1280, 320, 2),
    (50, 2048, 512, 0),
    (49, 1280, 512, 2),
];

#[test]
fn an_image_has_the_same_bits_alone_and_among_others_at_real_sizes() {
    for dtype in DTYPES {
        // every shape in strict f32 and on tensor cores, one in every type
        let whole = matches!(dtype, DType::F32 | DType::Bf16);
        for (rows, inner, cols, patch) in REAL.into_iter().take(if whole { 5 } else { 1 }) {
            let family = if patch == 0 {
                Family::Linear
            } else {
                Family::Conv { norm: false }
            };
            let of = |images| parts_tile(dtype, family, (images, rows), inner, cols);
            let (alone, others) = (of(1).unwrap(), of(2).unwrap());
            assert_eq!((alone.parts, alone.units), (others.parts, others.units));
            let y = |tile: &PartsTile, images: usize| {
                if patch == 0 {
                    return linear(dtype, tile, (images * rows, inner, cols), false);
                }
                let side = patch * 7;
                let sizes = [images, side, side, inner / patch / patch];
                conv(dtype, tile, Conv(sizes, patch, cols, false))
            };
            let (one, two) = (y(&alone, 1), y(&others, 2));
            assert!(one == two[..one.len()], "{rows}x{inner}x{cols} {alone:?}");
        }
    }
}
