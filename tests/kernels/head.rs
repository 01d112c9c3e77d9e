//! `head_fwd`

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::tuning::{HEAD_CLASSES, HEAD_IMAGES, HEAD_WARPS};
use pvt_testkit::compare::rel_l2;
use pvt_testkit::oracle;

use crate::run::{Value, random, rounded, run, size_of, values};

const DTYPES: [&str; 3] = ["f32", "f16", "bf16"];
/// Only the inputs are rounded to the type; what is computed stays in f32.
const TOLERANCE: f64 = 2e-6;

fn word(value: usize) -> Value {
    Value::U32(u32::try_from(value).unwrap())
}

/// Classifies rows `stride` apart, and checks the logits against f64.
fn check(dtype: &'static str, [b, c, k, stride]: [usize; 4], eps: f32) -> (Vec<u8>, Report) {
    // images and parameters do not depend on the batch
    let (x, exact_x) = rounded(dtype, &random(1, b * stride, 4.0, 0.5));
    let (gamma, exact_gamma) = rounded("f32", &random(2, c, 1.0, 1.0));
    let (beta, exact_beta) = rounded("f32", &random(3, c, 1.0, 0.0));
    let (weight, exact_weight) = rounded(dtype, &random(4, k * c, 0.2, 0.0));
    let (bias, exact_bias) = rounded("f32", &random(5, k, 1.0, 0.0));
    let kept = exact_x.chunks(stride);
    let kept: Vec<f64> = kept.flat_map(|row| row[..c].to_vec()).collect();
    let normal = oracle::layernorm(&kept, &exact_gamma, &exact_beta, f64::from(eps));
    let exact = oracle::linear(&normal, c, &exact_weight, &exact_bias);
    let (images, classes) = (u32::try_from(b).unwrap(), u32::try_from(k).unwrap());
    let launch = Launch {
        grid: [
            classes.div_ceil(HEAD_CLASSES) * images.div_ceil(HEAD_IMAGES),
            1,
            1,
        ],
        block: [32, HEAD_WARPS, 1],
        shared: u32::try_from(4 * c).unwrap() * images.min(HEAD_IMAGES),
        cluster: None,
    };
    let arguments = [
        Value::In(x),
        Value::In(gamma),
        Value::In(beta),
        Value::In(weight),
        Value::In(bias),
        Value::Out(b * k * 4),
        word(b),
        word(c),
        word(k),
        word(stride),
        Value::F32(eps),
    ];
    let (bytes, report) = run(("head", "fwd", dtype), &launch, &arguments);
    let error = rel_l2(&values("f32", &bytes), &exact);
    assert!(error < TOLERANCE, "{dtype} {b}x{c} to {k}: {error:e}");
    (bytes, report)
}

#[test]
fn matches_f64_for_any_number_of_images_and_classes() {
    for dtype in DTYPES {
        for k in [1, 2, 7, 8, 9, 10] {
            for b in [1, 2, 7, 8, 9, 17] {
                check(dtype, [b, 64, k, 64], 1e-6);
            }
        }
        for c in [16, 48, 160, 256, 320, 1040] {
            check(dtype, [3, c, 10, c], 1e-6);
        }
        check(dtype, [9, 512, 1001, 512], 1e-6);
    }
}

#[test]
fn the_class_token_of_each_image() {
    for dtype in DTYPES {
        check(dtype, [3, 512, 10, 50 * 512], 1e-6);
    }
}

#[test]
fn eps_counts() {
    check("f32", [2, 64, 10, 64], 10.0);
}

#[test]
fn an_image_has_the_same_bits_alone_and_in_a_batch() {
    for dtype in DTYPES {
        let (all, _) = check(dtype, [11, 320, 13, 320], 1e-6);
        let (alone, _) = check(dtype, [1, 320, 13, 320], 1e-6);
        assert!(all[..13 * 4] == alone, "{dtype}");
    }
}

/// A batch of one has work for many blocks; eight images read the weights once.
#[test]
fn weights_are_read_once_for_eight_images() {
    for dtype in DTYPES {
        let (c, k) = (512, 1000);
        let size = size_of(dtype);
        for (b, groups) in [(1, 1), (8, 1)] {
            let (_, report) = check(dtype, [b, c, k, c], 1e-6);
            let counters = &report.counters;
            assert_eq!(counters.blocks, 125 * groups);
            let weight = (k * c * size) as u64;
            let (x, parameters) = ((b * c * size) as u64, (2 * c * 4) as u64);
            assert_eq!(
                counters.distinct_bytes_read,
                weight + x + parameters + (k * 4) as u64
            );
            assert_eq!(counters.distinct_bytes_written, (b * k * 4) as u64);
            assert_eq!(counters.global_stores.sectors * 32, (b * k * 4) as u64);
            // per block and image: x three times, the parameters once, in 4 / size requests a vector
            let rows = 3 * x + (b * 4 / size) as u64 * parameters;
            let bias = 32 * b as u64;
            let loads = counters.global_loads.sectors * 32;
            let wanted = weight + 125 * (rows + bias);
            assert!(loads <= wanted, "{dtype} {b}: {loads}, {wanted}");
            for traffic in [counters.shared_loads, counters.shared_stores] {
                let extra = traffic.wavefronts - traffic.min_wavefronts;
                assert!(extra * 33 <= traffic.wavefronts, "{dtype}: {traffic:?}");
            }
        }
    }
}
