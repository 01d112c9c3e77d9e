//! `layernorm_bwd_256`, `_512`, `_1024`

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::layernorm_bwd::{blocks, counters, entry, partials, shared_bytes};
use pvt_cuda::kernels::tuning::LNB_WARPS;
use pvt_testkit::compare::rel_l2;
use pvt_testkit::oracle_layernorm_bwd::layernorm_bwd;

use crate::run::{Value, f32s, kind, random, rounded, rounding, run_entry, size_of, values, word};

const DTYPES: [&str; 3] = ["f32", "f16", "bf16"];
/// Sums over rows stay in f32.
const SUMS: f64 = 4e-6;

/// A case: rows of channels, and what a contract lets vary.
#[derive(Debug, Clone, Copy)]
struct Case {
    rows: usize,
    channels: usize,
    stride: usize,
    skip: Option<(usize, usize)>,
    accumulate: bool,
    eps: f32,
}

impl Case {
    fn of(rows: usize, channels: usize) -> Self {
        Self {
            rows,
            channels,
            stride: channels,
            skip: None,
            accumulate: false,
            eps: 1e-6,
        }
    }
}

/// Rows `stride` values apart, without what lies between them.
fn kept(x: &[f64], case: Case) -> Vec<f64> {
    let rows = x.chunks(case.stride);
    rows.flat_map(|row| row[..case.channels].to_vec()).collect()
}

/// Runs a case on the grid that the rule gives, or on `grid` blocks; checks all gradients against f64.
fn check_on(dtype: &'static str, case: Case, grid: Option<usize>) -> (Vec<Vec<u8>>, Report) {
    let Case {
        rows,
        channels: c,
        stride,
        skip,
        ..
    } = case;
    // a row does not depend on how many there are
    let seed = (c + stride) as u64;
    let (x, exact_x) = rounded(dtype, &random(seed, rows * stride, 4.0, 0.5));
    let (gamma, exact_gamma) = rounded("f32", &random(seed + 1, c, 1.0, 1.0));
    let (tokens, between) = skip.unwrap_or((rows, 0));
    let dy_rows = rows / tokens * (tokens + between);
    let (dy, exact_dy) = rounded(dtype, &random(seed + 2, dy_rows * c, 2.0, 0.1));
    let (old, exact_old) = rounded(dtype, &random(seed + 3, rows * stride, 2.0, 0.0));
    let (old_gamma, exact_old_gamma) = rounded("f32", &random(seed + 4, c, 2.0, 0.0));
    let (old_beta, exact_old_beta) = rounded("f32", &random(seed + 5, c, 2.0, 0.0));
    let used: Vec<f64> = exact_dy
        .chunks((tokens + between) * c)
        .flat_map(|image| image[between * c..].to_vec())
        .collect();
    let [mut dx, mut dgamma, mut dbeta] = layernorm_bwd(
        &kept(&exact_x, case),
        &exact_gamma,
        &used,
        f64::from(case.eps),
    );
    if case.accumulate {
        let old = kept(&exact_old, case);
        dx.iter_mut().zip(old).for_each(|(a, b)| *a += b);
    }
    dgamma
        .iter_mut()
        .zip(exact_old_gamma)
        .for_each(|(a, b)| *a += b);
    dbeta
        .iter_mut()
        .zip(exact_old_beta)
        .for_each(|(a, b)| *a += b);

    let of = kind(dtype);
    let grid = grid.unwrap_or_else(|| blocks(of, rows, c));
    let arguments = [
        Value::In(x),
        Value::In(gamma),
        Value::In(dy),
        // what lies between rows has to stay as it is
        Value::InOut(old.clone()),
        Value::InOut(old_gamma),
        Value::InOut(old_beta),
        Value::Out(4 * partials(of, rows, c)),
        Value::InOut(vec![0; 4 * counters(of, rows, c)]),
        word(rows),
        word(c),
        word(stride),
        word(tokens),
        word(between),
        word(usize::from(case.accumulate)),
        Value::F32(case.eps),
    ];
    let launch = Launch {
        grid: [u32::try_from(grid).unwrap(), 1, 1],
        block: [32, LNB_WARPS, 1],
        shared: u32::try_from(shared_bytes(of, c)).unwrap(),
        cluster: None,
    };
    let name = ("layernorm_bwd", entry(c).unwrap(), dtype);
    let (outputs, report) = run_entry(name, &launch, &arguments);
    let found: Vec<f64> = values(dtype, &outputs[0])
        .into_iter()
        .map(f64::from)
        .collect();
    let found_rows: Vec<f32> = f32s(&kept(&found, case));
    let far = |what: &str, found: &[f32], exact: &[f64], bound: f64| {
        let error = rel_l2(found, exact);
        assert!(
            error < bound,
            "{dtype} {case:?} {what}: {error:e}, bound {bound:e}"
        );
    };
    far("dx", &found_rows, &dx, rounding(dtype).max(SUMS));
    far("dgamma", &values("f32", &outputs[1]), &dgamma, SUMS);
    far("dbeta", &values("f32", &outputs[2]), &dbeta, SUMS);
    assert!(
        outputs[4].iter().all(|&byte| byte == 0),
        "{dtype} {case:?}: counters"
    );
    let size = size_of(dtype);
    for (now, then) in outputs[0]
        .chunks(stride * size)
        .zip(old.chunks(stride * size))
    {
        assert!(
            now[c * size..] == then[c * size..],
            "{dtype} {case:?}: between rows"
        );
    }
    (outputs, report)
}

fn check(dtype: &'static str, case: Case) -> (Vec<Vec<u8>>, Report) {
    check_on(dtype, case, None)
}

#[test]
fn matches_f64_at_awkward_and_real_sizes() {
    for dtype in DTYPES {
        for channels in [16, 24, 64, 72, 128, 144, 256, 264, 320, 512, 520, 1024] {
            for rows in [1, 2, 3, 7, 8, 9, 31, 49, 50] {
                check(dtype, Case::of(rows, channels));
            }
        }
        check(dtype, Case::of(784, 128));
        check(dtype, Case::of(196, 320));
        check(dtype, Case::of(150, 512));
    }
    check("bf16", Case::of(3136, 64));
}

#[test]
fn adds_to_the_gradient_of_the_stream() {
    for dtype in DTYPES {
        for (rows, channels) in [
            (1, 16),
            (50, 64),
            (49, 128),
            (33, 320),
            (50, 512),
            (3, 1024),
        ] {
            let accumulate = true;
            check(
                dtype,
                Case {
                    accumulate,
                    ..Case::of(rows, channels)
                },
            );
        }
    }
}

#[test]
fn rows_of_dy_in_front_of_tokens_are_left_out() {
    for dtype in DTYPES {
        for (batch, tokens, skip, channels) in [(1, 49, 1, 512), (3, 49, 1, 320), (2, 5, 3, 64)] {
            let skip = Some((tokens, skip));
            check(
                dtype,
                Case {
                    skip,
                    ..Case::of(batch * tokens, channels)
                },
            );
        }
    }
}

#[test]
fn one_token_of_each_image() {
    for dtype in DTYPES {
        for accumulate in [false, true] {
            let stride = 5 * 512;
            check(
                dtype,
                Case {
                    stride,
                    accumulate,
                    ..Case::of(3, 512)
                },
            );
        }
    }
}

/// Rows of little variance show whether eps stands inside the root, and which it is.
#[test]
fn eps_counts() {
    for eps in [1e-5, 10.0] {
        check(
            "f32",
            Case {
                eps,
                ..Case::of(5, 64)
            },
        );
        check(
            "f32",
            Case {
                eps,
                ..Case::of(5, 512)
            },
        );
    }
}

/// How many blocks there are changes sums over rows by rounding alone, and rows not at all.
#[test]
fn any_grid_and_any_batch_give_the_same_rows() {
    for dtype in DTYPES {
        let case = Case::of(800, 64);
        let (wanted, _) = check(dtype, case);
        for grid in [1, 5] {
            let (found, _) = check_on(dtype, case, Some(grid));
            assert!(found[0] == wanted[0], "{dtype} on {grid} blocks");
        }
        let (alone, _) = check(dtype, Case::of(50, 64));
        assert!(wanted[0].starts_with(&alone[0]), "{dtype}");
    }
}

/// Every tensor of rows once; parameters once a block; sums of blocks once each way.
#[test]
fn moves_no_more_than_it_must() {
    for dtype in DTYPES {
        let of = kind(dtype);
        for (rows, channels) in [(3136, 64), (784, 128), (392, 320), (300, 512)] {
            for accumulate in [false, true] {
                let (_, report) = check(
                    dtype,
                    Case {
                        accumulate,
                        ..Case::of(rows, channels)
                    },
                );
                let counters = &report.counters;
                let tensor = (rows * channels * size_of(dtype)) as u64;
                let rows_in = tensor * if accumulate { 3 } else { 2 };
                let parameters = (3 * channels * 4) as u64;
                let sums = (4 * partials(of, rows, channels)) as u64;
                let grid = blocks(of, rows, channels) as u64;
                let counts = 4 * self::counters(of, rows, channels) as u64;
                let read = counters.distinct_bytes_read;
                let least = rows_in + parameters + sums;
                assert!(
                    (least..=least + counts.next_multiple_of(32)).contains(&read),
                    "{dtype} {read} {least}"
                );
                let written = counters.distinct_bytes_written;
                let least = tensor + (2 * channels * 4) as u64 + sums;
                assert!(
                    (least..=least + counts.next_multiple_of(32)).contains(&written),
                    "{dtype}"
                );
                let warps = grid * u64::from(LNB_WARPS);
                let gamma = (channels * 4) as u64 * warps * if size_of(dtype) == 2 { 2 } else { 1 };
                let loads = counters.global_loads.sectors * 32;
                let wanted = rows_in + gamma + sums + (2 * channels * 4) as u64;
                assert!(
                    loads <= wanted,
                    "{dtype} {rows}x{channels}: {loads}, {wanted}"
                );
                let stores = counters.global_stores.sectors * 32;
                assert_eq!(stores, least, "{dtype} {rows}x{channels}");
                let banks = counters.shared();
                assert!(
                    banks.conflicts() * 100 <= banks.wavefronts * 3,
                    "{dtype}: {banks:?}"
                );
            }
        }
    }
}
