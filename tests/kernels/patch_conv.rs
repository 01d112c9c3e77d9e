//! `patch_conv_fwd`, `patch_conv_pixels_fwd`, and the rule that chooses among their tiles.

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::pack::{packed_bytes, tokens_order};
use pvt_cuda::kernels::tiles::{ConvTile, MOST_SHARED, conv_has_norm, conv_tile};
use pvt_cuda::target::DType;
use pvt_testkit::compare::rel_l2;
use pvt_testkit::oracle;

use crate::products::{DTYPES, Random, run, tolerance};
use crate::run::{Value, rounded, values};

#[derive(Clone, Copy)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "options of the kernel, each on or off"
)]
struct Case {
    batch: usize,
    height: usize,
    width: usize,
    channels: usize,
    patch: usize,
    out: usize,
    pixels: bool,
    bias: bool,
    norm: bool,
    table: bool,
    class_token: bool,
}

const PLAIN: Case = Case {
    batch: 1,
    height: 2,
    width: 2,
    channels: 8,
    patch: 2,
    out: 8,
    pixels: false,
    bias: true,
    norm: false,
    table: false,
    class_token: false,
};

/// What follows the convolution when a stage begins.
const EMBED: Case = Case {
    norm: true,
    table: true,
    ..PLAIN
};

const EPS: f32 = 1e-3;

impl Case {
    /// An image of one batch.
    fn of(self, [batch, height, width, channels]: [usize; 4], patch: usize, out: usize) -> Self {
        Self {
            batch,
            height,
            width,
            channels,
            patch,
            out,
            ..self
        }
    }

    fn tokens(&self) -> usize {
        (self.height / self.patch) * (self.width / self.patch)
    }
}

fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap()
}

/// A tile by its sizes, with the launch that its contract states.
fn tile(dtype: DType, (rows, cols): (usize, usize)) -> ConvTile {
    let (entry, pixels_entry) = match (rows, cols) {
        (128, 128) => ("patch_conv_fwd_128x128", "patch_conv_pixels_fwd_128x128"),
        (128, 64) => ("patch_conv_fwd_128x64", "patch_conv_pixels_fwd_128x64"),
        (32, 128) => ("patch_conv_fwd_32x128", "patch_conv_pixels_fwd_32x128"),
        _ => ("patch_conv_fwd_32x64", "patch_conv_pixels_fwd_32x64"),
    };
    let wide = dtype == DType::F32 && (rows, cols) == (128, 128);
    ConvTile {
        entry,
        pixels_entry,
        rows: count(rows),
        cols: count(cols),
        threads: if wide { 256 } else { 128 },
        shared: count(
            if (rows, cols) == (32, 64) { 8 } else { 3 } * 128 * (rows + cols) + 8 * rows,
        ),
    }
}

/// [B, H, W, C] as [B, C, H, W].
fn channels_first<X: Copy>(x: &[X], case: &Case) -> Vec<X> {
    let (plane, c) = (case.height * case.width, case.channels);
    let images = x.chunks_exact(plane * c);
    images
        .flat_map(|image| (0..c * plane).map(|i| image[i % plane * c + i / plane]))
        .collect()
}

/// Runs a case with a tile, checks y against f64 and the traffic against the contract.
fn check(dtype: DType, tile: &ConvTile, case: &Case) -> Report {
    let Case {
        batch,
        channels,
        patch,
        out,
        ..
    } = *case;
    let inner = channels * patch * patch;
    let mut random = Random::new(case.height * 100 + case.width * 10 + out + inner);
    let pixels = batch * case.height * case.width * channels;
    let exact_in = if case.pixels { DType::F32 } else { dtype };
    let x = random.values(pixels, 4.0, 0.5);
    let (x, exact_x) = if case.pixels {
        // what the kernel reads is f32; what it multiplies is rounded to the type
        let x = channels_first(&x, case);
        (rounded("f32", &x).0, rounded(dtype.name(), &x).1)
    } else {
        let (bytes, exact) = rounded(dtype.name(), &x);
        (bytes, channels_first(&exact, case))
    };
    let order = |k| {
        if case.pixels {
            k
        } else {
            tokens_order(channels, patch, k)
        }
    };
    let (weight, exact_weight) = random.weight(dtype, (out, inner), order);
    let (bias, mut exact_bias) = random.tensor(DType::F32, out, 1.0, 0.0);
    let (gamma, exact_gamma) = random.tensor(DType::F32, out, 1.0, 1.0);
    let (beta, exact_beta) = random.tensor(DType::F32, out, 1.0, 0.0);
    let extra = usize::from(case.class_token);
    let (table, exact_table) = random.tensor(dtype, (extra + case.tokens()) * out, 2.0, 0.0);
    let (class_token, exact_class) = random.tensor(dtype, out, 2.0, 0.0);

    if !case.bias {
        exact_bias.fill(0.0);
    }
    let sizes = [batch, channels, case.height, case.width];
    let mut exact = oracle::patch_conv(&exact_x, sizes, &exact_weight, &exact_bias, patch);
    if case.norm {
        exact = oracle::layernorm(&exact, &exact_gamma, &exact_beta, f64::from(EPS));
    }
    let class = &exact_class[..extra * out];
    if case.table {
        exact = oracle::pos_embed(&exact, class, &exact_table);
    } else if case.class_token {
        let images = exact.chunks(case.tokens() * out);
        exact = images.flat_map(|image| [class, image].concat()).collect();
    }

    let or_null = |wanted: bool, value: Value| if wanted { value } else { Value::Null };
    let y = exact.len() * dtype.bytes();
    let arguments = [
        Value::In(x),
        Value::In(weight),
        or_null(case.bias, Value::In(bias)),
        or_null(case.norm, Value::In(gamma)),
        or_null(case.norm, Value::In(beta)),
        or_null(case.table, Value::In(table)),
        or_null(case.class_token, Value::In(class_token)),
        Value::Out(y),
        Value::U32(count(batch)),
        Value::U32(count(case.height)),
        Value::U32(count(case.width)),
        Value::U32(count(channels)),
        Value::U32(count(patch)),
        Value::U32(count(out)),
        Value::F32(EPS),
    ];
    let rows = batch * case.tokens();
    let launch = Launch {
        grid: [
            count(rows).div_ceil(tile.rows),
            count(out).div_ceil(tile.cols),
            1,
        ],
        block: [tile.threads, 1, 1],
        shared: tile.shared,
        cluster: None,
    };
    let entry = if case.pixels {
        tile.pixels_entry
    } else {
        tile.entry
    };
    let (outputs, report) = run(("patch_conv", entry, dtype), &launch, &arguments);
    let found = values(dtype.name(), &outputs[0]);
    let place = format!(
        "{entry}_{} {sizes:?} patch {patch} out {out} norm {}",
        dtype.name(),
        case.norm
    );
    let (error, bound) = (rel_l2(&found, &exact), tolerance(dtype));
    assert!(error < bound, "{place}: {error:e}, bound {bound:e}");

    let counters = &report.counters;
    let shared = counters.shared();
    assert!(
        shared.conflicts() * 100 <= shared.wavefronts * 3,
        "{place}: {} of {} wavefronts are conflicts",
        shared.conflicts(),
        shared.wavefronts
    );
    let whole = case.height.is_multiple_of(patch) && case.width.is_multiple_of(patch);
    let sectors = (patch * channels * exact_in.bytes()).is_multiple_of(32) || case.pixels;
    if out.is_multiple_of(16) && whole && sectors {
        let x = pixels * exact_in.bytes();
        let packed = packed_bytes(dtype, out, inner);
        let parameters = usize::from(case.bias) + 2 * usize::from(case.norm);
        let mut read = x + packed + parameters * out * 4;
        let rows_read = usize::from(case.table) * (extra + case.tokens()) + extra;
        read += rows_read * out * dtype.bytes();
        let found = counters.distinct_bytes_read as f64;
        assert!(
            found >= read as f64 && found <= read as f64 * 1.02 + 32.0,
            "{place}: {found} {read}"
        );
        assert_eq!(counters.distinct_bytes_written, y as u64, "{place}");
        assert_eq!(counters.global_stores.sectors * 32, y as u64, "{place}");
        if !case.pixels {
            let asked =
                x * out.div_ceil(tile.cols as usize) + packed * rows.div_ceil(tile.rows as usize);
            assert_eq!(counters.async_loads.sectors * 32, asked as u64, "{place}");
        }
    }
    report
}

const TILES: [(usize, usize); 4] = [(128, 128), (128, 64), (32, 128), (32, 64)];

#[test]
fn tokens_match_f64_at_awkward_sizes_in_every_tile() {
    for dtype in DTYPES {
        for (rows, cols) in TILES {
            let tile = tile(dtype, (rows, cols));
            let cases = [
                PLAIN,
                Case {
                    bias: false,
                    ..PLAIN
                }
                .of([2, 7, 5, 24], 3, cols + 8),
                PLAIN.of([1, 2 * (rows + 1), 2, 16], 2, cols - 8),
                EMBED.of([3, 11, 13, 16], 2, 48),
                Case {
                    class_token: true,
                    ..EMBED
                }
                .of([3, 6, 4, 40], 2, cols),
                Case {
                    class_token: true,
                    ..PLAIN
                }
                .of([2, 4, 4, 16], 2, 16),
            ];
            for case in cases {
                check(dtype, &tile, &case);
            }
        }
    }
}

#[test]
fn pixels_match_f64_at_awkward_sizes_in_every_tile() {
    let of = |sizes, patch, out| {
        Case {
            pixels: true,
            ..PLAIN
        }
        .of(sizes, patch, out)
    };
    for dtype in DTYPES {
        for sizes in TILES {
            let tile = tile(dtype, sizes);
            // three colours and one, whole lines and cut ones, lines that do not begin at 16 bytes
            for case in [
                of([1, 4, 4, 3], 4, 64),
                of([2, 10, 23, 3], 4, 40),
                of([1, 16, 40, 1], 8, 8),
                of([2, 9, 8, 5], 3, 24),
                of([1, 28, 28, 1], 2, 16),
            ] {
                check(dtype, &tile, &case);
            }
            check(
                dtype,
                &tile,
                &Case {
                    pixels: true,
                    class_token: true,
                    ..EMBED
                }
                .of([2, 20, 12, 3], 4, 64),
            );
        }
    }
}

/// Convolutions of PVT at 224, by the rule's choice: starts of stages, and spatial reductions.
#[test]
fn matches_f64_at_real_sizes() {
    let cases = [
        Case {
            pixels: true,
            ..EMBED
        }
        .of([1, 224, 224, 3], 4, 64),
        EMBED.of([1, 56, 56, 64], 2, 128),
        PLAIN.of([1, 28, 28, 128], 2, 320),
        Case {
            class_token: true,
            ..PLAIN
        }
        .of([3, 14, 14, 64], 2, 512),
        PLAIN.of([1, 56, 56, 64], 8, 64),
        Case {
            norm: true,
            ..PLAIN
        }
        .of([3, 14, 14, 128], 2, 128),
    ];
    for dtype in DTYPES {
        for case in cases {
            let tile = conv_tile(dtype, case.batch * case.tokens(), case.out, case.norm);
            check(dtype, &tile, &case);
        }
    }
}

/// Lines of pixels are read once, in whole sectors.
#[test]
fn pixels_are_asked_for_once() {
    for dtype in DTYPES {
        let case = Case {
            pixels: true,
            ..PLAIN
        }
        .of([1, 64, 64, 3], 4, 64);
        let report = check(dtype, &tile(dtype, (128, 64)), &case);
        let asked = report.counters.global_loads.sectors * 32;
        let (x, bias) = (64 * 64 * 3 * 4, 2 * 4 * 64 * 4);
        assert!(
            asked >= x && asked * 100 <= 115 * x + 100 * bias,
            "{asked} bytes of {x}"
        );
    }
}

#[test]
fn tiles_follow_the_shape() {
    for dtype in DTYPES {
        for rows in [1, 49, 196, 3136, 800_000] {
            for out in [16, 64, 128, 320, 512] {
                for norm in [false, true] {
                    let tile = conv_tile(dtype, rows, out, norm && conv_has_norm(dtype, out));
                    assert!(tile.shared as usize <= MOST_SHARED);
                    let whole_rows = tile.cols as usize >= out;
                    assert!(
                        !norm || !conv_has_norm(dtype, out) || whole_rows,
                        "{tile:?}"
                    );
                }
            }
        }
        assert_eq!(conv_tile(dtype, 49, 64, false).rows, 32);
        assert_eq!(conv_tile(dtype, 800_000, 64, true).rows, 128);
    }
}
