//! `layernorm_fwd`

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::tuning::LN_ROWS;
use pvt_testkit::compare::rel_l2;
use pvt_testkit::oracle;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::run::{Value, rounded, run, values};

const DTYPES: [&str; 3] = ["f32", "f16", "bf16"];

/// Half a unit in the last place of the result, and a little for the arithmetic in f32.
fn tolerance(dtype: &str) -> f64 {
    match dtype {
        "f16" => 2.0_f64.powi(-11) + 1e-6,
        "bf16" => 2.0_f64.powi(-8) + 1e-6,
        _ => 1e-6,
    }
}

/// Runs `rows` rows of `channels`, `stride` apart, and checks them against f64.
fn check(dtype: &'static str, (rows, channels, stride): (u32, u32, u32), eps: f32) -> Report {
    let mut rng = StdRng::seed_from_u64(u64::from(rows * channels + stride));
    let mut random = |count: u32, scale: f32, around: f32| -> Vec<f32> {
        let one = || around + scale * (rng.random::<f32>() - 0.5);
        std::iter::repeat_with(one).take(count as usize).collect()
    };
    let (x, exact_x) = rounded(dtype, &random(rows * stride, 4.0, 0.5));
    let (gamma, exact_gamma) = rounded("f32", &random(channels, 1.0, 1.0));
    let (beta, exact_beta) = rounded("f32", &random(channels, 1.0, 0.0));
    let kept = exact_x.chunks(stride as usize);
    let kept: Vec<f64> = kept
        .flat_map(|row| row[..channels as usize].to_vec())
        .collect();
    let exact = oracle::layernorm(&kept, &exact_gamma, &exact_beta, f64::from(eps));
    let size = if dtype == "f32" { 4 } else { 2 };
    let launch = Launch {
        grid: [rows.div_ceil(LN_ROWS), 1, 1],
        block: [32, LN_ROWS, 1],
        shared: 0,
        cluster: None,
    };
    let arguments = [
        Value::In(x),
        Value::In(gamma),
        Value::In(beta),
        Value::Out((rows * channels * size) as usize),
        Value::U32(rows),
        Value::U32(channels),
        Value::U32(stride),
        Value::F32(eps),
    ];
    let (bytes, report) = run(("layernorm", "fwd", dtype), &launch, &arguments);
    let found = values(dtype, &bytes);
    let error = rel_l2(&found, &exact);
    let bound = tolerance(dtype);
    assert!(
        error < bound,
        "{dtype} {rows}x{channels}: {error:e}, bound {bound:e}"
    );
    report
}

#[test]
fn matches_f64_at_awkward_and_real_sizes() {
    for dtype in DTYPES {
        for channels in [8, 16, 24, 64, 128, 248, 256, 264, 320, 512, 768, 1032] {
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
}

/// The kernel reads x once from memory and twice again from the cache, and the parameters for each
/// row; it writes y once.
#[test]
fn moves_no_more_than_it_must() {
    let (rows, channels) = (196, 320);
    for dtype in DTYPES {
        let report = check(dtype, (rows, channels, channels), 1e-6);
        let size = if dtype == "f32" { 4 } else { 2 };
        let tensor = u64::from(rows * channels * size);
        let counters = &report.counters;
        assert_eq!(
            counters.distinct_bytes_read,
            tensor + u64::from(2 * channels * 4)
        );
        assert_eq!(counters.distinct_bytes_written, tensor);
        assert_eq!(counters.global_stores.sectors * 32, tensor, "{dtype}");
        assert_eq!(
            counters.global_stores.requests,
            u64::from(rows * (channels * size).div_ceil(512))
        );
    }
}
