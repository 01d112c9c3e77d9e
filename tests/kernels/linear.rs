//! `linear_fwd`, `linear_gelu_fwd`: sizes and options.

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::pack::{packed_bytes, unit_inner};
use pvt_cuda::kernels::tiles::{LinearTile, MOST_SHARED, linear_tile};
use pvt_cuda::target::DType;
use pvt_testkit::compare::rel_l2;
use pvt_testkit::oracle;

use crate::products::{DTYPES, Random, run, tolerance};
use crate::run::{Value, values};

/// What is added at the end.
#[derive(Clone, Copy, PartialEq)]
enum Residual {
    None,
    Other,
    InPlace,
}

#[derive(Clone, Copy)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "options of the kernel, each on or off"
)]
struct Case {
    rows: usize,
    inner: usize,
    cols: usize,
    /// Elements from one row of x to the next, if more than `inner`.
    stride: usize,
    norm: bool,
    /// Whether the normalised rows are written too.
    keep: bool,
    gelu: bool,
    /// Whether what GELU is applied to is written too.
    hidden: bool,
    bias: bool,
    residual: Residual,
    split: Option<usize>,
}

const PLAIN: Case = Case {
    rows: 1,
    inner: 16,
    cols: 8,
    stride: 0,
    norm: false,
    keep: false,
    gelu: false,
    hidden: false,
    bias: true,
    residual: Residual::None,
    split: None,
};

const EPS: f32 = 1e-3;

fn sized(rows: usize, inner: usize, cols: usize) -> Case {
    Case {
        rows,
        inner,
        cols,
        ..PLAIN
    }
}

fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap()
}

/// A tile by its sizes, with the launch that its contract states.
fn tile(dtype: DType, (rows, cols): (usize, usize), groups: usize, case: &Case) -> LinearTile {
    let entry = |what: &str| &*format!("linear_{what}_{rows}x{cols}").leak();
    let units = case.inner.div_ceil(unit_inner(dtype));
    let slots = match (rows, dtype.bytes()) {
        (32, 4) => 4,
        (32, _) => 8,
        _ => 3,
    };
    let shared = if case.norm {
        slots * cols + units * rows
    } else {
        slots * (cols + rows)
    };
    let wide = dtype == DType::F32 && rows == 128;
    LinearTile {
        entry: entry("fwd"),
        gelu_entry: entry("gelu_fwd"),
        slope_entry: entry("bwd_gelu"),
        rows: count(rows),
        cols: count(cols),
        threads: if wide { 256 } else { 128 },
        groups: count(groups),
        shared: count(shared * 128),
    }
}

/// Runs a case with a tile, checks every output against f64 and the traffic against the contract.
fn check(dtype: DType, tile: &LinearTile, case: &Case) -> Report {
    let Case {
        rows, inner, cols, ..
    } = *case;
    let stride = case.stride.max(inner);
    let mut random = Random::new(rows * 1000 + inner * 10 + cols);
    let (x, exact_x) = random.tensor(dtype, rows * stride, 4.0, 0.5);
    let (gamma, exact_gamma) = random.tensor(DType::F32, inner, 1.0, 1.0);
    let (beta, exact_beta) = random.tensor(DType::F32, inner, 1.0, 0.0);
    let (weight, exact_weight) = random.weight(dtype, (cols, inner), |k| k);
    let (bias, mut exact_bias) = random.tensor(DType::F32, cols, 1.0, 0.0);
    let (residual, exact_residual) = random.tensor(dtype, rows * cols, 4.0, 0.0);

    let exact_x: Vec<f64> = exact_x
        .chunks(stride)
        .flat_map(|r| r[..inner].to_vec())
        .collect();
    let normed = oracle::layernorm(&exact_x, &exact_gamma, &exact_beta, f64::from(EPS));
    if !case.bias {
        exact_bias.fill(0.0);
    }
    let input = if case.norm { &normed } else { &exact_x };
    let mut exact = oracle::linear(input, inner, &exact_weight, &exact_bias);
    let hidden = exact.clone();
    if case.gelu {
        exact = exact.into_iter().map(oracle::gelu).collect();
    }
    if case.residual != Residual::None {
        exact = exact
            .iter()
            .zip(&exact_residual)
            .map(|(a, b)| a + b)
            .collect();
    }

    let bytes = dtype.bytes();
    let or_null = |wanted: bool, value: Value| if wanted { value } else { Value::Null };
    let split = case.split.unwrap_or(cols);
    let (residual, y) = match case.residual {
        Residual::None => (Value::Null, Value::Out(rows * split * bytes)),
        Residual::Other => (Value::In(residual), Value::Out(rows * split * bytes)),
        Residual::InPlace => (Value::InOut(residual), Value::Again(6)),
    };
    let launch = Launch {
        grid: [count(rows).div_ceil(tile.rows), tile.groups, 1],
        block: [tile.threads, 1, 1],
        shared: tile.shared,
        cluster: None,
    };
    let mut arguments = vec![
        Value::In(x),
        or_null(case.norm, Value::In(gamma)),
        or_null(case.norm, Value::In(beta)),
        or_null(case.keep, Value::Out(rows * inner * bytes)),
        Value::In(weight),
        or_null(case.bias, Value::In(bias)),
        residual,
        y,
        or_null(
            case.split.is_some(),
            Value::Out(rows * (cols - split) * bytes),
        ),
    ];
    if case.gelu {
        arguments.push(or_null(case.hidden, Value::Out(rows * cols * bytes)));
    }
    arguments.extend([rows, inner, cols, split, stride].map(|size| Value::U32(count(size))));
    arguments.push(Value::F32(EPS));
    let entry = if case.gelu {
        tile.gelu_entry
    } else {
        tile.entry
    };
    let (outputs, report) = run(("linear", entry, dtype), &launch, &arguments);
    let mut outputs = outputs.iter().map(|bytes| values(dtype.name(), bytes));
    let place = format!(
        "{entry}_{} {rows}x{inner}x{cols} norm {} groups {}",
        dtype.name(),
        case.norm,
        tile.groups
    );
    let close = |found: &[f32], exact: &[f64], what: &str| {
        let (error, bound) = (rel_l2(found, exact), tolerance(dtype));
        assert!(error < bound, "{place} {what}: {error:e}, bound {bound:e}");
    };
    if case.keep {
        close(&outputs.next().unwrap(), &normed, "normed");
    }
    let part = |from: usize, to: usize| -> Vec<f64> {
        exact
            .chunks(cols)
            .flat_map(|row| row[from..to].to_vec())
            .collect()
    };
    close(&outputs.next().unwrap(), &part(0, split), "y");
    if case.split.is_some() {
        close(&outputs.next().unwrap(), &part(split, cols), "y2");
    }
    if case.hidden {
        close(&outputs.next().unwrap(), &hidden, "hidden");
    }
    traffic(dtype, tile, case, &report, &place);
    report
}

/// Every byte of tensors whose rows are whole sectors is moved as often as the contract says.
fn traffic(dtype: DType, tile: &LinearTile, case: &Case, report: &Report, place: &str) {
    let counters = &report.counters;
    let shared = counters.shared();
    assert!(
        shared.conflicts() * 100 <= shared.wavefronts * 3,
        "{place}: {} of {} wavefronts are conflicts",
        shared.conflicts(),
        shared.wavefronts
    );
    if !case.cols.is_multiple_of(16) {
        return;
    }
    let bytes = dtype.bytes();
    let x = case.rows * case.inner * bytes;
    let weight = packed_bytes(dtype, case.cols, case.inner);
    let y = case.rows * case.cols * bytes;
    let mut read = x + weight;
    read += if case.bias { case.cols * 4 } else { 0 };
    read += if case.norm { 2 * case.inner * 4 } else { 0 };
    read += if case.residual == Residual::None {
        0
    } else {
        y
    };
    let written = y + if case.keep { x } else { 0 } + if case.hidden { y } else { 0 };
    assert_eq!(counters.distinct_bytes_read, read as u64, "{place}");
    assert_eq!(counters.distinct_bytes_written, written as u64, "{place}");
    // lanes of one store that write to buffers more than 1 GiB apart are counted one by one
    if case.split.is_none_or(|at| at % 64 == 0) {
        assert_eq!(
            counters.global_stores.sectors * 32,
            written as u64,
            "{place}"
        );
    }
    let times = if case.norm {
        (tile.groups as usize).min(case.cols.div_ceil(tile.cols as usize))
    } else {
        case.cols.div_ceil(tile.cols as usize)
    };
    let row_blocks = case.rows.div_ceil(tile.rows as usize);
    // blocks without a tile of columns are not launched by the rule, and normalise for nothing
    if tile.groups as usize <= times || !case.norm {
        let asked = (x * times + weight * row_blocks) as u64;
        assert_eq!(counters.async_loads.sectors * 32, asked, "{place}");
    }
}

const TILES: [(usize, usize); 4] = [(128, 128), (64, 128), (64, 64), (32, 64)];

#[test]
fn matches_f64_at_awkward_sizes_in_every_tile() {
    for dtype in DTYPES {
        for (rows, cols) in TILES {
            let sizes = [
                (1, 16, 8),
                (rows - 1, 48, cols + 8),
                (rows + 1, 80, cols - 8),
                (7, 160, 2 * cols + 16),
            ];
            for (m, k, n) in sizes {
                for groups in [1, 2] {
                    let case = sized(m, k, n);
                    check(dtype, &tile(dtype, (rows, cols), groups, &case), &case);
                    let case = Case { norm: true, ..case };
                    let tile = tile(dtype, (rows, cols), groups, &case);
                    if tile.shared as usize <= MOST_SHARED {
                        check(dtype, &tile, &case);
                    }
                }
            }
        }
    }
}

/// Layers of PVT-Tiny at 224, and one of a model with 1000 tokens, by the rule's choice.
#[test]
fn matches_f64_at_real_sizes() {
    let norm = |case| Case { norm: true, ..case };
    let cases = [
        norm(sized(3136, 64, 64)),
        Case {
            residual: Residual::InPlace,
            ..sized(784, 128, 128)
        },
        Case {
            gelu: true,
            hidden: true,
            ..norm(sized(196, 320, 1280))
        },
        Case {
            residual: Residual::Other,
            ..sized(196, 1280, 320)
        },
        Case {
            split: Some(512),
            ..norm(sized(50, 512, 1536))
        },
        Case {
            gelu: true,
            ..norm(sized(50, 512, 2048))
        },
        Case {
            residual: Residual::InPlace,
            ..sized(50, 2048, 512)
        },
        sized(3 * 49, 64, 128),
        norm(sized(1000, 128, 64)),
    ];
    for dtype in DTYPES {
        for case in cases {
            let tile = linear_tile(dtype, case.rows, case.inner, case.cols, case.norm).unwrap();
            check(dtype, &tile, &case);
        }
    }
}

#[test]
fn every_option_alone_and_together() {
    let cases = [
        Case {
            bias: false,
            ..PLAIN
        },
        Case {
            gelu: true,
            ..PLAIN
        },
        Case {
            gelu: true,
            hidden: true,
            ..PLAIN
        },
        Case {
            gelu: true,
            residual: Residual::Other,
            ..PLAIN
        },
        Case {
            residual: Residual::InPlace,
            ..PLAIN
        },
        Case {
            norm: true,
            keep: true,
            ..PLAIN
        },
        Case {
            split: Some(64),
            ..PLAIN
        },
        Case {
            split: Some(16),
            norm: true,
            keep: true,
            bias: false,
            gelu: true,
            hidden: true,
            ..PLAIN
        },
        Case {
            split: Some(96),
            residual: Residual::None,
            ..PLAIN
        },
    ];
    for dtype in DTYPES {
        for case in cases {
            for sizes in TILES {
                let case = Case {
                    rows: 67,
                    inner: 96,
                    cols: 208,
                    ..case
                };
                check(dtype, &tile(dtype, sizes, 2, &case), &case);
            }
        }
        // a row of each image, as the class token is
        let case = Case {
            stride: 50 * 64,
            norm: true,
            ..sized(3, 64, 48)
        };
        check(dtype, &tile(dtype, (32, 64), 1, &case), &case);
    }
}
