//! `mlp_fwd`.

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::pack::packed_bytes;
use pvt_cuda::kernels::tiles::{MOST_SHARED, mlp_tile};
use pvt_cuda::target::DType;
use pvt_testkit::compare::rel_l2;
use pvt_testkit::oracle;

use crate::products::{DTYPES, Random, run, tolerance};
use crate::run::{Value, values};

const EPS: f32 = 1e-3;

fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap()
}

/// Runs `rows` of C channels with E hidden ones, checks x against f64 and the traffic against the contract.
fn check(dtype: DType, (rows, c, e): (usize, usize, usize)) -> Report {
    let mut random = Random::new(rows * 1000 + c * 10 + e);
    let (x, exact_x) = random.tensor(dtype, rows * c, 4.0, 0.5);
    let (gamma, exact_gamma) = random.tensor(DType::F32, c, 1.0, 1.0);
    let (beta, exact_beta) = random.tensor(DType::F32, c, 1.0, 0.0);
    let (w1, exact_w1) = random.weight(dtype, (e, c), |k| k);
    let (b1, exact_b1) = random.tensor(DType::F32, e, 1.0, 0.0);
    let (w2, exact_w2) = random.weight(dtype, (c, e), |k| k);
    let (b2, exact_b2) = random.tensor(DType::F32, c, 1.0, 0.0);
    let normed = oracle::layernorm(&exact_x, &exact_gamma, &exact_beta, f64::from(EPS));
    let branch = oracle::mlp(&normed, (&exact_w1, &exact_b1), (&exact_w2, &exact_b2));
    let exact: Vec<f64> = exact_x.iter().zip(&branch).map(|(x, y)| x + y).collect();

    let tile = mlp_tile(dtype, c);
    assert!(tile.shared as usize <= MOST_SHARED);
    let launch = Launch {
        grid: [count(rows).div_ceil(tile.rows), 1, 1],
        block: [tile.threads, 1, 1],
        shared: tile.shared,
        cluster: None,
    };
    let arguments = [
        Value::InOut(x),
        Value::In(gamma),
        Value::In(beta),
        Value::In(w1),
        Value::In(b1),
        Value::In(w2),
        Value::In(b2),
        Value::U32(count(rows)),
        Value::U32(count(c)),
        Value::U32(count(e)),
        Value::F32(EPS),
    ];
    let (outputs, report) = run(("mlp", tile.entry, dtype), &launch, &arguments);
    let found = values(dtype.name(), &outputs[0]);
    let place = format!("{} {rows}x{c}x{e}", dtype.name());
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
    let x = rows * c * dtype.bytes();
    let weights = packed_bytes(dtype, e, c) + packed_bytes(dtype, c, e);
    // of the column units of w1 only those parts are read that have hidden channels
    let read = (x + weights + (3 * c + e) * 4) as u64;
    assert!(counters.distinct_bytes_read <= read, "{place}");
    assert!(
        e % 64 != 0 || counters.distinct_bytes_read == read,
        "{place}"
    );
    assert_eq!(counters.distinct_bytes_written, x as u64, "{place}");
    assert_eq!(counters.global_stores.sectors * 32, x as u64, "{place}");
    if e % 64 == 0 {
        let asked = x + weights * rows.div_ceil(tile.rows as usize);
        assert_eq!(counters.async_loads.sectors * 32, asked as u64, "{place}");
    }
    report
}

#[test]
fn matches_f64_at_awkward_sizes() {
    for dtype in DTYPES {
        for rows in [1, 31, 127, 128, 129] {
            for (c, e) in [(16, 16), (48, 80), (64, 64), (32, 128)] {
                check(dtype, (rows, c, e));
            }
        }
    }
}

/// Stage 1 of PVT-Tiny: 64 channels, eight times as many hidden ones; some of its tokens, and all of one image.
#[test]
fn matches_f64_at_real_sizes() {
    for dtype in DTYPES {
        check(dtype, (400, 64, 512));
    }
    check(DType::F16, (3136, 64, 512));
    check(DType::Bf16, (3 * 289, 64, 512));
}
