//! `residual_fwd`

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::tuning::RES_THREADS;

use crate::run::{Value, random, rounded, run, size_of, values, word};

const DTYPES: [&str; 3] = ["f32", "f16", "bf16"];

/// What a contract lets vary.
#[derive(Debug, Clone, Copy, Default)]
struct Case {
    /// Without the first tensor.
    alone: bool,
    /// y is a.
    in_place: bool,
    /// Images with a factor each, behind three that belong to others.
    factors: Option<usize>,
}

/// Adds tensors of `len` values and demands the bits of a product and sum in f32.
fn check(dtype: &'static str, len: usize, case: Case) -> Report {
    const FIRST: usize = 3;
    let (a, _) = rounded(dtype, &random(len as u64, len, 4.0, 0.5));
    let (b, _) = rounded(dtype, &random(len as u64 + 1, len, 4.0, -0.5));
    let images = case.factors.unwrap_or(1);
    let of_image = len / images;
    let mut factors = random(7, FIRST + images, 2.0, 1.0);
    factors[FIRST] = 0.0;
    let zeros = vec![0.0; len];
    let firsts = if case.alone { zeros } else { values(dtype, &a) };
    let sums = firsts.iter().zip(values(dtype, &b)).enumerate();
    let sums = sums.map(|(i, (a, b))| {
        let m = case.factors.map_or(1.0, |_| factors[FIRST + i / of_image]);
        m.mul_add(b, *a)
    });
    let (exact, _) = rounded(dtype, &sums.collect::<Vec<_>>());
    let vectors = of_image.div_ceil(16 / size_of(dtype));
    let blocks = u32::try_from(vectors).unwrap().div_ceil(RES_THREADS);
    let launch = Launch {
        grid: [u32::try_from(images).unwrap() * blocks, 1, 1],
        block: [RES_THREADS, 1, 1],
        shared: 0,
        cluster: None,
    };
    let bytes = a.len();
    let (first, y) = match (case.alone, case.in_place) {
        (true, _) => (Value::Null, Value::Out(bytes)),
        (false, true) => (Value::InOut(a), Value::Again(0)),
        (false, false) => (Value::In(a), Value::Out(bytes)),
    };
    let arguments = [
        first,
        Value::In(b),
        match case.factors {
            Some(_) => Value::In(rounded("f32", &factors).0),
            None => Value::Null,
        },
        y,
        Value::U64(of_image as u64),
        word(FIRST),
    ];
    let (found, report) = run(("residual", "fwd", dtype), &launch, &arguments);
    assert!(found == exact, "{dtype}, {len} values, {case:?}");
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
            check(dtype, len, Case::default());
            for (alone, in_place) in [(true, false), (false, true)] {
                let case = Case {
                    alone,
                    in_place,
                    factors: None,
                };
                check(dtype, len, case);
            }
        }
    }
}

/// A branch that an image drops, and its gradient.
#[test]
fn each_image_has_its_factor() {
    for dtype in DTYPES {
        for (images, of_image) in [(1, 50 * 512), (3, 50 * 512), (5, 8), (2, 2048), (7, 2056)] {
            for (alone, in_place) in [(false, false), (true, false), (false, true)] {
                let case = Case {
                    alone,
                    in_place,
                    factors: Some(images),
                };
                check(dtype, images * of_image, case);
            }
        }
    }
}

#[test]
fn moves_each_tensor_once() {
    for dtype in DTYPES {
        let report = check(dtype, 784 * 128, Case::default());
        let tensor = (784 * 128 * size_of(dtype)) as u64;
        let counters = &report.counters;
        assert_eq!(counters.distinct_bytes_read, 2 * tensor);
        assert_eq!(counters.distinct_bytes_written, tensor);
        assert_eq!(counters.global_loads.sectors * 32, 2 * tensor);
        assert_eq!(counters.global_loads.requests * 512, 2 * tensor);
        assert_eq!(counters.global_stores.sectors * 32, tensor);
    }
}
