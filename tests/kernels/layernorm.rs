//! `layernorm_fwd`, `layernorm_pos_fwd`

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::layernorm::rows_of_block;
use pvt_cuda::kernels::tuning::LN_ROWS;
use pvt_cuda::target::DType;
use pvt_testkit::compare::rel_l2;
use pvt_testkit::oracle;

use crate::run::{Value, random, rounded, rounding, run, size_of, values};

const DTYPES: [&str; 3] = ["f32", "f16", "bf16"];

/// The smallest grid for rows of `channels`.
fn launch(dtype: &str, rows: usize, channels: usize) -> Launch {
    let kind = match dtype {
        "f16" => DType::F16,
        "bf16" => DType::Bf16,
        _ => DType::F32,
    };
    let of_block = rows_of_block(kind, channels);
    Launch {
        grid: [u32::try_from(rows).unwrap().div_ceil(of_block), 1, 1],
        block: [32, LN_ROWS, 1],
        shared: 0,
        cluster: None,
    }
}

fn word(value: usize) -> Value {
    Value::U32(u32::try_from(value).unwrap())
}

fn assert_close(dtype: &str, bytes: &[u8], exact: &[f64], case: &str) {
    let error = rel_l2(&values(dtype, bytes), exact);
    let bound = rounding(dtype);
    assert!(error < bound, "{dtype} {case}: {error:e}, bound {bound:e}");
}

/// Runs `rows` rows of `channels`, `stride` apart, and checks them against f64.
fn check(dtype: &'static str, (rows, channels, stride): (usize, usize, usize), eps: f32) -> Report {
    let seed = (rows * channels + stride) as u64;
    let (x, exact_x) = rounded(dtype, &random(seed, rows * stride, 4.0, 0.5));
    let (gamma, exact_gamma) = rounded("f32", &random(seed + 1, channels, 1.0, 1.0));
    let (beta, exact_beta) = rounded("f32", &random(seed + 2, channels, 1.0, 0.0));
    let kept = exact_x.chunks(stride);
    let kept: Vec<f64> = kept.flat_map(|row| row[..channels].to_vec()).collect();
    let exact = oracle::layernorm(&kept, &exact_gamma, &exact_beta, f64::from(eps));
    let arguments = [
        Value::In(x),
        Value::In(gamma),
        Value::In(beta),
        Value::Out(rows * channels * size_of(dtype)),
        word(rows),
        word(channels),
        word(stride),
        Value::F32(eps),
    ];
    let (bytes, report) = run(
        ("layernorm", "fwd", dtype),
        &launch(dtype, rows, channels),
        &arguments,
    );
    assert_close(dtype, &bytes, &exact, &format!("{rows}x{channels}"));
    report
}

/// Runs `layernorm_pos_fwd` on [b, n, c], and checks it against f64.
fn check_pos(dtype: &'static str, [b, n, c]: [usize; 3], class: bool) -> Report {
    let seed = (b * 1000 + n * 10 + c) as u64;
    let (x, exact_x) = rounded(dtype, &random(seed, b * n * c, 4.0, 0.5));
    let (gamma, exact_gamma) = rounded("f32", &random(seed + 1, c, 1.0, 1.0));
    let (beta, exact_beta) = rounded("f32", &random(seed + 2, c, 1.0, 0.0));
    let rows = n + usize::from(class);
    let (table, exact_table) = rounded(dtype, &random(seed + 3, rows * c, 1.0, 0.0));
    let class_len = if class { c } else { 0 };
    let (token, exact_token) = rounded(dtype, &random(seed + 4, class_len, 1.0, 0.5));
    let normal = oracle::layernorm(&exact_x, &exact_gamma, &exact_beta, 1e-5);
    let exact = oracle::pos_embed(&normal, &exact_token, &exact_table);
    let arguments = [
        Value::In(x),
        Value::In(gamma),
        Value::In(beta),
        Value::In(table),
        if class { Value::In(token) } else { Value::Null },
        Value::Out(b * rows * c * size_of(dtype)),
        word(b),
        word(n),
        word(c),
        Value::F32(1e-5),
    ];
    let entry = ("layernorm", "pos_fwd", dtype);
    let (bytes, report) = run(entry, &launch(dtype, b * rows, c), &arguments);
    assert_close(
        dtype,
        &bytes,
        &exact,
        &format!("{b}x{n}x{c}, class token: {class}"),
    );
    report
}

#[test]
fn matches_f64_at_awkward_and_real_sizes() {
    for dtype in DTYPES {
        for channels in [
            8, 16, 24, 64, 72, 128, 136, 248, 256, 264, 320, 512, 520, 768, 1024, 1032, 2056,
        ] {
            for rows in [1, 2, 3, 4, 5, 49, 50] {
                check(dtype, (rows, channels, channels), 1e-6);
            }
        }
    }
}

#[test]
fn one_token_of_each_image() {
    for dtype in DTYPES {
        check(dtype, (3, 512, 50 * 512), 1e-6);
    }
}

/// Rows of little variance show whether eps stands inside the root, and which it is.
#[test]
fn eps_counts() {
    check("f32", (5, 64, 64), 1e-5);
    check("f32", (5, 64, 64), 10.0);
    check("f32", (5, 1032, 1032), 10.0);
}

#[test]
fn with_positions_and_class_token() {
    for dtype in DTYPES {
        for class in [false, true] {
            for size in [
                [1, 1, 16],
                [3, 5, 64],
                [2, 49, 512],
                [3, 50, 320],
                [2, 196, 128],
                [1, 7, 1040],
            ] {
                check_pos(dtype, size, class);
            }
        }
    }
}

/// x is requested once, the parameters once for each row (the vectors of 16-bit tensors take two
/// requests of parameters), and y is written once, in whole vectors.
#[test]
fn moves_no_more_than_it_must() {
    for dtype in DTYPES {
        let size = size_of(dtype);
        let halves = 4 / size; // requests of parameters for a vector
        for (rows, channels) in [(196, 320), (50, 512), (12, 1024)] {
            let report = check(dtype, (rows, channels, channels), 1e-6);
            let tensor = (rows * channels * size) as u64;
            let parameters = (2 * channels * 4) as u64;
            let counters = &report.counters;
            assert_eq!(counters.distinct_bytes_read, tensor + parameters);
            assert_eq!(counters.distinct_bytes_written, tensor);
            assert_eq!(
                counters.global_loads.sectors * 32,
                tensor + parameters * (rows * halves) as u64
            );
            assert_eq!(counters.global_stores.sectors * 32, tensor, "{dtype}");
            let vectors = rows * (channels * size).div_ceil(512);
            assert_eq!(counters.global_stores.requests, vectors as u64);
        }
    }
}

#[test]
fn blocks_without_rows_do_nothing() {
    let arguments = [
        Value::In(rounded("f16", &random(1, 9 * 64, 4.0, 0.5)).0),
        Value::In(rounded("f32", &random(2, 64, 1.0, 1.0)).0),
        Value::In(rounded("f32", &random(3, 64, 1.0, 0.0)).0),
        Value::Out(9 * 64 * 2),
        word(9),
        word(64),
        word(64),
        Value::F32(1e-6),
    ];
    let launch = launch("f16", 9, 64);
    let grid = [7, 1, 1];
    let entry = ("layernorm", "fwd", "f16");
    let (expected, _) = run(entry, &launch, &arguments);
    let (found, _) = run(entry, &Launch { grid, ..launch }, &arguments);
    assert!(found == expected);
}

/// Narrow rows share a warp: one request takes 512 bytes of them.
#[test]
fn narrow_rows_share_a_warp() {
    for (dtype, channels) in [("f32", 64), ("f16", 64), ("bf16", 128), ("f32", 32)] {
        let rows = 256;
        let report = check(dtype, (rows, channels, channels), 1e-6);
        let tensor = (rows * channels * size_of(dtype)) as u64;
        assert_eq!(report.counters.global_stores.requests, tensor / 512);
        assert_eq!(report.counters.global_stores.sectors, tensor / 32);
    }
}

#[test]
fn positions_are_read_once_for_each_image() {
    let report = check_pos("f16", [3, 49, 512], true);
    let (x, table, y) = (3 * 49 * 1024, 50 * 1024, 3 * 50 * 1024);
    let counters = &report.counters;
    let parameters = 2 * 512 * 4;
    assert_eq!(counters.distinct_bytes_read, x + table + parameters + 1024);
    assert_eq!(counters.distinct_bytes_written, y);
    assert_eq!(counters.global_stores.sectors * 32, y);
    let class_rows = 3 * 1024;
    assert_eq!(
        counters.global_loads.sectors * 32,
        x + class_rows + 3 * table + 3 * 50 * 2 * parameters
    );
}
