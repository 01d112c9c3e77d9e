use std::sync::Arc;

use pvt_cuda::Error;
use pvt_cuda::executor::{Executor, Params};
use pvt_cuda::plan::{Builder, Elements, View};
use pvt_cuda::target::cpu::CpuTarget;

use crate::harness::wide;

/// Loss and gradient of `logits`.
fn run(logits: &[f64], labels: &[f64], smoothing: f32) -> (f64, Vec<f64>) {
    scaled(logits, labels, smoothing, None)
}

/// The same, with a gradient times a factor.
fn scaled(logits: &[f64], labels: &[f64], smoothing: f32, scale: Option<f64>) -> (f64, Vec<f64>) {
    let (batch, classes) = (labels.len(), logits.len() / labels.len());
    let mut b = Builder::new();
    let x = b.named_input("logits", &[batch, classes], Elements::F32);
    let y = b.named_input("labels", &[batch], Elements::F32);
    let factor = scale.map(|_| b.named_input("scale", &[1], Elements::F32));
    let (loss, gradient) = b
        .cross_entropy((x, y), (batch, classes), smoothing, factor)
        .unwrap();
    b.output("loss", View::contiguous(loss, &[1])).unwrap();
    b.output("d", View::contiguous(gradient, &[batch, classes]))
        .unwrap();
    let plan = Arc::new(b.finish().unwrap());
    let params = Params::<f64>::load_as(&plan, |_, _| Ok::<_, Error>(())).unwrap();
    let mut executor = Executor::new(plan, params, CpuTarget::new(1).unwrap()).unwrap();
    let scale = scale.map(|s| [s]);
    let mut inputs = vec![logits, labels];
    inputs.extend(scale.as_ref().map(<[f64; 1]>::as_slice));
    executor.run_inputs(&inputs).unwrap();
    (
        executor.output("loss").unwrap()[0],
        executor.output("d").unwrap(),
    )
}

#[test]
fn a_factor_scales_the_gradient_and_not_the_loss() {
    let (logits, labels) = ([0.5, -1.0, 2.0, 0.0, 3.0, 1.0], [2.0, 0.0]);
    let (loss, gradient) = run(&logits, &labels, 0.1);
    let wanted: Vec<f64> = gradient.iter().map(|d| 8.0 * d).collect();
    assert_eq!(scaled(&logits, &labels, 0.1, Some(8.0)), (loss, wanted));
}

/// The definition, term by term.
fn exact(logits: &[f64], labels: &[f64], smoothing: f64) -> f64 {
    let classes = logits.len() / labels.len();
    let mut sum = 0.0;
    for (row, &label) in logits.chunks_exact(classes).zip(labels) {
        let total: f64 = row.iter().map(|v| v.exp()).sum();
        for (class, logit) in row.iter().enumerate() {
            let own = if (class as f64 - label).abs() < 0.5 {
                1.0 - smoothing
            } else {
                0.0
            };
            sum -= (own + smoothing / classes as f64) * (logit.exp() / total).ln();
        }
    }
    sum / labels.len() as f64
}

#[test]
fn loss_matches_its_definition_and_the_gradient_differences() {
    const STEP: f64 = 1e-4;
    for (batch, classes) in [(1, 1), (1, 2), (3, 10), (5, 1000)] {
        for smoothing in [0.0, 0.125] {
            let logits = wide("logits", batch * classes);
            let labels: Vec<f64> = (0..batch).map(|b| ((b * 7 + 1) % classes) as f64).collect();
            let (loss, gradient) = run(&logits, &labels, smoothing);
            let definition = exact(&logits, &labels, f64::from(smoothing));
            assert!(
                (loss - definition).abs() < 1e-13 * definition.max(1.0),
                "{loss} {definition}"
            );
            for at in (0..logits.len()).step_by(classes / 3 + 1) {
                let moved = |by: f64| {
                    let mut logits = logits.clone();
                    logits[at] += by;
                    run(&logits, &labels, smoothing).0
                };
                let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                assert!(
                    (slope - gradient[at]).abs() < 1e-9,
                    "{at}: {slope} {}",
                    gradient[at]
                );
            }
        }
    }
}

#[test]
fn huge_logits_give_no_infinity() {
    let (loss, gradient) = run(&[1e4, -1e4, 0.0], &[1.0], 0.0);
    assert!((loss - 2e4).abs() < 1e-8);
    assert!(gradient.iter().all(|g| g.is_finite()));
}

#[test]
fn a_label_that_is_no_class_shows() {
    for label in [3.0, -1.0, 0.5, f64::NAN] {
        let (loss, gradient) = run(&[1.0, 2.0, 3.0, 3.0, 2.0, 1.0], &[label, 1.0], 0.0);
        assert!(loss.is_nan());
        assert!(
            gradient[..3].iter().all(|g| g.abs() < 1e-300)
                && gradient[3..].iter().all(|g| g.abs() > 0.0)
        );
    }
}
