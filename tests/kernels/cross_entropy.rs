//! `cross_entropy_fwd`

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::tuning::CE_THREADS;
use pvt_testkit::compare::rel_l2;
use pvt_testkit::oracle_cross_entropy::cross_entropy;

use crate::run::{Value, random, rounded, run_entry, values, word};

const TOLERANCE: f64 = 4e-6;

/// Losses and gradients of logits [labels.len(), k]: the loss, dlogits.
fn run(
    logits: &[f32],
    labels: &[f32],
    smoothing: f32,
    scale: Option<f32>,
) -> (f32, Vec<f32>, Report) {
    let (b, k) = (labels.len(), logits.len() / labels.len());
    let bytes = |values: &[f32]| Value::In(rounded("f32", values).0);
    let arguments = [
        bytes(logits),
        bytes(labels),
        scale.map_or(Value::Null, |scale| bytes(&[scale])),
        Value::Out(4),
        Value::Out(4 * b * k),
        Value::Out(4 * b),
        Value::InOut(vec![0; 4]),
        word(b),
        word(k),
        Value::F32(smoothing),
    ];
    let launch = Launch {
        grid: [u32::try_from(b).unwrap(), 1, 1],
        block: [CE_THREADS, 1, 1],
        shared: 0,
        cluster: None,
    };
    let name = ("cross_entropy", "cross_entropy_fwd", "f32");
    let (outputs, report) = run_entry(name, &launch, &arguments);
    assert_eq!(outputs[3], [0; 4], "the counter");
    let loss = values("f32", &outputs[0])[0];
    (loss, values("f32", &outputs[1]), report)
}

fn labels_of(b: usize, k: usize) -> Vec<usize> {
    (0..b).map(|i| (37 * i + 11) % k).collect()
}

fn as_f32(labels: &[usize]) -> Vec<f32> {
    labels
        .iter()
        .map(|&y| f32::from(u16::try_from(y).unwrap()))
        .collect()
}

fn check(b: usize, k: usize, width: f32, smoothing: f32, scale: Option<f32>) -> Report {
    let logits = random((b * 10_000 + k) as u64, b * k, width, 3.0);
    let labels = labels_of(b, k);
    let wide: Vec<f64> = logits.iter().map(|&z| f64::from(z)).collect();
    let (exact, mut gradient) = cross_entropy(&wide, &labels, f64::from(smoothing));
    let factor = f64::from(scale.unwrap_or(1.0));
    for g in &mut gradient {
        *g *= factor;
    }
    let (loss, dlogits, report) = run(&logits, &as_f32(&labels), smoothing, scale);
    let place = format!("{b}x{k}, {smoothing}, {scale:?}");
    let off = (f64::from(loss) - exact).abs();
    assert!(
        off <= TOLERANCE * exact.abs().max(0.1),
        "{place}: {loss}, {exact}"
    );
    let error = rel_l2(&dlogits, &gradient);
    assert!(error < TOLERANCE, "{place}: {error:e}");
    for row in dlogits.chunks(k) {
        let sum: f64 = row.iter().map(|&g| f64::from(g)).sum();
        let size: f64 = row.iter().map(|&g| f64::from(g.abs())).sum();
        assert!(
            sum.abs() <= 2e-6 * size,
            "{place}: the row adds up to {sum}"
        );
    }
    report
}

#[test]
fn matches_f64_for_any_number_of_images_and_classes() {
    for k in [2, 7, 10, 127, 128, 129, 1000, 1024, 1025, 1500] {
        for b in [1, 3] {
            check(b, k, 6.0, 0.1, None);
        }
    }
    check(129, 10, 6.0, 0.0, None);
    check(300, 3, 20.0, 0.1, Some(65536.0));
    check(5, 1000, 60.0, 0.1, Some(1024.0));
    check(4, 21_843, 10.0, 0.1, None);
}

#[test]
fn one_class_has_no_loss() {
    let (loss, dlogits, _) = run(&[4.0, -3.0], &[0.0, 0.0], 0.1, None);
    assert!(
        loss.abs() < 1e-7 && dlogits == [0.0, 0.0],
        "{loss} {dlogits:?}"
    );
}

/// Logits far apart and far from zero neither overflow nor lose the loss.
#[test]
fn large_logits_are_no_trouble() {
    let (loss, dlogits, _) = run(&[1000.0, 0.0, -1000.0, 30.0], &[3.0], 0.0, None);
    assert!((loss - 970.0).abs() < 1e-3, "{loss}");
    assert_eq!(dlogits, [1.0, 0.0, 0.0, -1.0]);
    let (loss, dlogits, _) = run(&[f32::NEG_INFINITY, 0.0], &[1.0], 0.0, None);
    assert_eq!((loss, dlogits), (0.0, vec![0.0, 0.0]));
}

/// They touch neither memory nor the gradient of other images.
#[test]
fn a_label_that_is_no_class_is_told_by_the_loss() {
    let logits = random(5, 3 * 10, 6.0, 0.0);
    let (_, expected, _) = run(&logits, &[1.0, 2.0, 3.0], 0.1, None);
    for wrong in [-1.0, 10.0, 2.5, 1e30, f32::NAN, f32::INFINITY, -0.5] {
        let (loss, dlogits, _) = run(&logits, &[1.0, wrong, 3.0], 0.1, None);
        assert!(loss.is_nan(), "{wrong}: {loss}");
        assert!(dlogits[10..20].iter().all(|&g| g == 0.0), "{wrong}");
        assert_eq!(dlogits[..10], expected[..10]);
        assert_eq!(dlogits[20..], expected[20..]);
    }
}

/// A power of two of images alike: their gradient is that of one of them, to the bit.
#[test]
fn an_image_has_the_same_gradient_in_a_batch() {
    let logits = random(6, 4 * 1000, 6.0, 0.0);
    let (_, all, _) = run(&logits, &[1.0, 2.0, 3.0, 4.0], 0.1, None);
    let (_, alone, _) = run(&logits[..1000], &[1.0], 0.1, None);
    assert!(
        all.iter()
            .zip(&alone)
            .all(|(a, b)| (a * 4.0).to_bits() == b.to_bits())
    );
}

#[test]
fn logits_are_read_once() {
    for (b, k) in [(32, 1000), (8, 1024)] {
        let report = check(b, k, 6.0, 0.1, None);
        let counters = &report.counters;
        let tensor = (b * k * 4) as u64;
        let vector = (b * 4) as u64;
        // the loss and the counter of arrivals are sectors of their own
        assert!(counters.distinct_bytes_read <= tensor + 2 * vector + 64);
        assert!(counters.distinct_bytes_written <= tensor + vector + 64);
        let sectors = |of: u64| of * 32 * 100 / tensor;
        assert!(sectors(counters.global_loads.sectors) <= 115);
        assert!(sectors(counters.global_stores.sectors) <= 115);
        let banks = counters.shared();
        assert!(banks.conflicts() * 100 <= banks.wavefronts * 3, "{banks:?}");
    }
}
