//! `preprocess_fwd`

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::tuning::PRE_THREADS;
use pvt_testkit::compare::rel_l2;

use crate::run::{Value, random, run, values};

const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

fn picture(bytes: usize) -> Vec<u8> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "values of 0 to 255"
    )]
    let byte = |v: f32| v as u8;
    random(bytes as u64, bytes, 255.99, 127.995)
        .into_iter()
        .map(byte)
        .collect()
}

/// What the kernel makes of the pictures `x` [b, h, w, 3].
fn prepare(x: Vec<u8>, [b, h, w]: [u32; 3], mean: [f32; 3], scale: [f32; 3]) -> (Vec<f32>, Report) {
    let launch = Launch {
        grid: [b * (h * w).div_ceil(4 * PRE_THREADS), 1, 1],
        block: [PRE_THREADS, 1, 1],
        shared: 0,
        cluster: None,
    };
    let out = Value::Out(x.len() * 4);
    let mut arguments = vec![
        Value::In(x),
        out,
        Value::U32(b),
        Value::U32(h),
        Value::U32(w),
    ];
    arguments.extend(mean.into_iter().chain(scale).map(Value::F32));
    let (bytes, report) = run(("preprocess", "fwd", "f32"), &launch, &arguments);
    (values("f32", &bytes), report)
}

fn check([b, h, w]: [u32; 3]) -> Report {
    let pixels = (h * w) as usize;
    let x = picture(b as usize * pixels * 3);
    let exact: Vec<f64> = (0..x.len())
        .map(|i| {
            let (image, c, p) = (i / pixels / 3, i / pixels % 3, i % pixels);
            let level = f64::from(x[(image * pixels + p) * 3 + c]);
            (level / 255.0 - f64::from(MEAN[c])) / f64::from(STD[c])
        })
        .collect();
    let (found, report) = prepare(x, [b, h, w], MEAN, STD.map(|s| 1.0 / s));
    let error = rel_l2(&found, &exact);
    assert!(error < 3e-7, "{b} of {h}x{w}: {error:e}");
    report
}

#[test]
fn matches_f64_at_any_size() {
    for b in [1, 3] {
        for (h, w) in [
            (1, 1),
            (1, 2),
            (2, 2),
            (1, 5),
            (3, 5),
            (7, 7),
            (31, 33),
            (32, 32),
            (25, 41),
            (37, 83),
        ] {
            check([b, h, w]);
        }
    }
}

/// With mean 0 and std 1 what is left is the quotient, which a division in f32 must give.
#[test]
fn levels_are_divided_exactly() {
    let x: Vec<u8> = (0..=255).flat_map(|level| [level; 3]).collect();
    let (found, _) = prepare(x, [1, 16, 16], [0.0; 3], [1.0; 3]);
    for plane in found.chunks(256) {
        for (found, level) in plane.iter().zip(0..=u8::MAX) {
            assert_eq!(found.to_bits(), (f32::from(level) / 255.0).to_bits());
        }
    }
}

#[test]
fn moves_pictures_once_in_whole_vectors() {
    let report = check([2, 224, 224]);
    let bytes = 2 * 224 * 224 * 3;
    let counters = &report.counters;
    assert_eq!(counters.distinct_bytes_read, bytes);
    assert_eq!(counters.distinct_bytes_written, 4 * bytes);
    assert_eq!(counters.global_loads.sectors * 32, bytes);
    assert_eq!(counters.global_stores.sectors * 32, 4 * bytes);
    assert_eq!(counters.global_stores.requests * 512, 4 * bytes);
    for traffic in [counters.shared_loads, counters.shared_stores] {
        let extra = traffic.wavefronts - traffic.min_wavefronts;
        assert!(extra * 33 <= traffic.wavefronts, "{traffic:?}");
    }
}

/// Planes that begin inside a vector cost few more sectors.
#[test]
fn odd_pictures_cost_little_more() {
    let report = check([3, 151, 149]);
    let bytes = 3 * 151 * 149 * 3;
    let counters = &report.counters;
    let loads = counters.global_loads.sectors * 32 * 100;
    let stores = counters.global_stores.sectors * 32 * 100;
    assert!(loads <= bytes * 115, "{loads}, {}", bytes * 115);
    assert!(stores <= 4 * bytes * 115, "{stores}, {}", 4 * bytes * 115);
}
