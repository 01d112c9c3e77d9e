//! `residual_fwd`

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::tuning::RES_THREADS;

use crate::run::{Value, random, rounded, run, size_of, values};

const DTYPES: [&str; 3] = ["f32", "f16", "bf16"];

/// Adds tensors of `len` values, into the first if `in_place`, and demands the bits of a sum in f32.
fn check(dtype: &'static str, len: usize, in_place: bool) -> Report {
    let (a, _) = rounded(dtype, &random(len as u64, len, 4.0, 0.5));
    let (b, _) = rounded(dtype, &random(len as u64 + 1, len, 4.0, -0.5));
    let sums = values(dtype, &a).into_iter().zip(values(dtype, &b));
    let sums: Vec<f32> = sums.map(|(a, b)| a + b).collect();
    let (exact, _) = rounded(dtype, &sums);
    let vectors = len.div_ceil(16 / size_of(dtype));
    let launch = Launch {
        grid: [u32::try_from(vectors).unwrap().div_ceil(RES_THREADS), 1, 1],
        block: [RES_THREADS, 1, 1],
        shared: 0,
        cluster: None,
    };
    let size = Value::U64(len as u64);
    let arguments = if in_place {
        [Value::InOut(a), Value::In(b), Value::Again(0), size]
    } else {
        let y = Value::Out(a.len());
        [Value::In(a), Value::In(b), y, size]
    };
    let (found, report) = run(("residual", "fwd", dtype), &launch, &arguments);
    assert!(
        found == exact,
        "{dtype}, {len} values, in place: {in_place}"
    );
    report
}

#[test]
fn adds_in_f32_at_any_length() {
    for dtype in DTYPES {
        for len in [
            1,
            2,
            3,
            4,
            5,
            7,
            8,
            9,
            15,
            16,
            17,
            1023,
            1024,
            1025,
            2047,
            2048,
            2049,
            50 * 512,
        ] {
            check(dtype, len, false);
            check(dtype, len, true);
        }
    }
}

#[test]
fn moves_each_tensor_once() {
    for dtype in DTYPES {
        let report = check(dtype, 784 * 128, false);
        let tensor = (784 * 128 * size_of(dtype)) as u64;
        let counters = &report.counters;
        assert_eq!(counters.distinct_bytes_read, 2 * tensor);
        assert_eq!(counters.distinct_bytes_written, tensor);
        assert_eq!(counters.global_loads.sectors * 32, 2 * tensor);
        assert_eq!(counters.global_loads.requests * 512, 2 * tensor);
        assert_eq!(counters.global_stores.sectors * 32, tensor);
    }
}
