//! Gradients of the whole network: against float64 results of another implementation, and against differences.

use std::sync::Arc;

use pvt_cuda::config::Mode;
use pvt_cuda::executor::{Executor, Params, Real};
use pvt_cuda::model::{Keep, PlanSpec, Train};
use pvt_cuda::plan::Plan;
use pvt_cuda::target::cpu::CpuTarget;
use pvt_cuda::weights::{LoadOptions, Weights};

use crate::case::{Case, folder};

const CASES: [&str; 4] = [
    "v1-micro",
    "v1-micro-rect",
    "v1-micro-d64",
    "v1-micro-lowvar",
];

const KEEPS: [Keep; 3] = [Keep::Everything, Keep::Recompute, Keep::Blocks];

/// ‖found − exact‖² and ‖exact‖²
fn squares<T: Real>(found: &[T], exact: &[f32]) -> (f64, f64) {
    assert_eq!(found.len(), exact.len());
    found
        .iter()
        .zip(exact)
        .fold((0.0, 0.0), |(error, norm), (&f, &e)| {
            let (f, e): (f64, f64) = (f.into(), f64::from(e));
            (error + (f - e).powi(2), norm + e * e)
        })
}

/// Every gradient of the case within `worst`, relative, and all of them together within `all`.
fn check<T: Real>(name: &str, keep: Keep, (worst, all): (f64, f64)) {
    let case = Case::open(name);
    let train = Train {
        keep,
        input_gradient: true,
        ..Train::default()
    };
    let executor = case.run::<T>(train, 2);
    let (mut sum, mut largest) = ((0.0, 0.0), (0.0, String::new()));
    for tensor in case.reference.names().filter(|n| n.starts_with("grad.")) {
        let exact = case.reference.get(tensor).unwrap();
        let output = executor.plan().output(tensor);
        let output = output.unwrap_or_else(|| panic!("{name}: no {tensor}"));
        assert_eq!(output.view.shape, exact.shape, "{name}: {tensor}");
        let (mut found, mut exact) = (executor.read(&output.view), exact.to_f32().unwrap());
        if tensor.ends_with("attn.kv.bias") {
            // a constant added to all keys changes nothing: that gradient is rounding alone
            let half = found.len() / 2;
            let noise = squares(&found[..half], &vec![0.0; half]).0.sqrt();
            let norm = squares(&found[half..], &exact[half..]).1.sqrt();
            assert!(
                noise < 0.1 * worst * norm,
                "{name}: {tensor}: {noise:e} of {norm:e}"
            );
            (found, exact) = (found.split_off(half), exact.split_off(half));
        }
        let (error, norm) = squares(&found, &exact);
        let relative = (error / norm).sqrt();
        assert!(relative <= worst, "{name} {keep:?}: {tensor} {relative:e}");
        if relative > largest.0 {
            largest = (relative, tensor.to_owned());
        }
        sum = (sum.0 + error, sum.1 + norm);
    }
    let together = (sum.0 / sum.1).sqrt();
    println!(
        "{name} {keep:?} {}: all {together:.2e}, worst {:.2e} {}",
        std::any::type_name::<T>(),
        largest.0,
        largest.1
    );
    assert!(together <= all, "{name} {keep:?}: {together:e}");
    let loss: f64 = executor.output("loss").unwrap()[0].into();
    let exact: f64 = case.values::<f64>("loss")[0];
    assert!(
        (loss / exact - 1.0).abs() <= all,
        "{name}: loss {loss}, {exact}"
    );
}

#[test]
fn f64_gradients_match_the_reference() {
    for case in CASES {
        for keep in KEEPS {
            check::<f64>(case, keep, (1e-6, 1e-6));
        }
    }
}

#[test]
fn f32_gradients_match_the_reference() {
    for case in CASES {
        for keep in KEEPS {
            check::<f32>(case, keep, (1e-4, 1e-5));
        }
    }
}

/// Keeping less computes the same once more, in the same order.
#[test]
fn what_is_kept_changes_no_bit() {
    let case = Case::open("v1-micro");
    let gradients = |keep, threads| {
        let train = Train {
            keep,
            ..Train::default()
        };
        case.run::<f32>(train, threads).gradients().to_vec()
    };
    let first = gradients(Keep::Everything, 1);
    for keep in KEEPS {
        for threads in [1, 3] {
            let same = first.iter().zip(gradients(keep, threads));
            assert!(
                same.into_iter().all(|(a, b)| a.to_bits() == b.to_bits()),
                "{keep:?} {threads}"
            );
        }
    }
}

/// Σ over outputs and values of weight · output.
fn weighted<T: Real>(values: &[T], weights: &[T]) -> f64 {
    let products = values.iter().zip(weights).map(|(&v, &w)| v * w);
    products.sum::<T>().into()
}

/// Values in (-1, 1) that depend on a name alone.
fn noise(name: &str, len: usize) -> Vec<f64> {
    let mut state = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
    });
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// The derivative of `loss` along random directions of all parameters and pixels together, by differences of fourth
/// order, against the gradients that `executor` has found.
fn check_directions(
    case: &Case,
    mut executor: Executor<f64>,
    inputs: &[Vec<f64>],
    loss: impl Fn(&Executor<f64>) -> f64,
) {
    const STEP: f64 = 1e-5;
    let plan = Arc::new(executor.plan().clone());
    let names: Vec<(String, Vec<usize>)> = plan
        .gradients()
        .iter()
        .map(|g| (g.name.clone(), g.shape.clone()))
        .collect();
    let start: Vec<(String, Vec<f64>)> = plan
        .params()
        .iter()
        .map(|p| {
            let mut value = vec![0.0; p.len()];
            case.weights.read(&p.name, &mut value).unwrap();
            (p.name.clone(), value.into_iter().map(f64::from).collect())
        })
        .collect();
    let views: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
    executor.zero_gradients();
    executor.run_inputs(&views).unwrap();
    let gradient = |name: &str| executor.output(&format!("grad.{name}")).unwrap();
    let gradients: Vec<Vec<f64>> = names.iter().map(|(name, _)| gradient(name)).collect();
    let pixels = gradient("pixel_values");
    for turn in 0..3 {
        let direction = |name: &str, len| noise(&format!("{name} {turn}"), len);
        let mut expected = weighted(&pixels, &direction("pixels", pixels.len()));
        for ((name, _), gradient) in names.iter().zip(&gradients) {
            expected += weighted(gradient, &direction(name, gradient.len()));
        }
        let mut at = |steps: f64| {
            let moved = |name: &str, values: &[f64]| -> Vec<f64> {
                let along = direction(name, values.len());
                values
                    .iter()
                    .zip(along)
                    .map(|(v, d)| v + steps * STEP * d)
                    .collect()
            };
            let params: Vec<(String, Vec<f64>)> = start
                .iter()
                .map(|(name, v)| (name.clone(), moved(name, v)))
                .collect();
            let find = |name: &str| params.iter().find(|p| p.0 == name).unwrap().1.as_slice();
            executor.update_params(find).unwrap();
            let mut inputs = inputs.to_vec();
            inputs[0] = moved("pixels", &inputs[0]);
            let views: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
            executor.run_inputs(&views).unwrap();
            loss(&executor)
        };
        let slope = (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (12.0 * STEP);
        let error = (slope / expected - 1.0).abs();
        assert!(
            error < 1e-6,
            "direction {turn}: {expected} found, {slope} by differences"
        );
    }
}

#[test]
fn directions_match_differences_with_drop_path_and_smoothing() {
    for keep in KEEPS {
        let case = Case::open("v1-micro-rect");
        let train = Train {
            keep,
            label_smoothing: 0.1,
            drop_path: true,
            input_gradient: true,
            ..Train::default()
        };
        let executor = case.executor::<f64>(train, 2);
        let factors = executor.plan().inputs()[2].len();
        let factors = (0..factors)
            .map(|i| [1.25, 0.0, 1.25, 1.0][i % 4])
            .collect();
        let inputs = [case.values("pixel_values"), case.labels(), factors];
        check_directions(&case, executor, &inputs, |e| e.output("loss").unwrap()[0]);
    }
}

/// Gradients in at the four feature maps, gradients out at parameters and pixels.
#[test]
fn a_backbone_takes_gradients_of_its_maps() {
    let mut case = Case::open("v1-micro-rect");
    let path = folder("v1-micro-rect").join("model.safetensors");
    let options = LoadOptions::default();
    case.weights = Weights::open(&path, &case.config, Mode::Backbone, &options).unwrap();
    let train = Train {
        input_gradient: true,
        ..Train::default()
    };
    let spec = PlanSpec::train(case.batch, case.image, Mode::Backbone, train);
    let plan = Arc::new(Plan::new(&case.config, spec).unwrap());
    let params = Params::<f64>::load_as(&plan, |p, out| case.weights.read(&p.name, out)).unwrap();
    let maps: Vec<Vec<f64>> = plan.inputs()[1..]
        .iter()
        .map(|i| noise(&i.name, i.len()))
        .collect();
    let executor = Executor::new(plan, params, CpuTarget::new(2).unwrap()).unwrap();
    let inputs = [vec![case.values("pixel_values")], maps.clone()].concat();
    check_directions(&case, executor, &inputs, |e| {
        let each = maps.iter().enumerate().map(|(i, map)| {
            let view = &e.plan().output(&format!("feature{}", i + 1)).unwrap().view;
            weighted(&e.read(&view.permuted(&[0, 2, 3, 1])), map)
        });
        each.sum()
    });
}

/// The backward pass ends behind frozen stages; what is left has the same bits.
#[test]
fn frozen_stages_have_no_gradients_and_change_none() {
    let case = Case::open("v1-micro");
    let run = |frozen_stages| {
        let train = Train {
            frozen_stages,
            ..Train::default()
        };
        case.run::<f32>(train, 2)
    };
    let all = run(0);
    let steps = all.plan().steps().len();
    for frozen in 1..=4 {
        let part = run(frozen);
        assert!(part.plan().steps().len() < steps);
        for gradient in all.plan().gradients() {
            let name = &gradient.name;
            let digit = |prefix: &str| name.strip_prefix(prefix)?.chars().next()?.to_digit(10);
            let stage = ["block", "patch_embed", "pos_embed"]
                .iter()
                .find_map(|p| digit(p));
            let stage = stage.unwrap_or(if name == "cls_token" { 4 } else { 5 });
            let output = format!("grad.{name}");
            let kept = part.output(&output);
            if stage as usize <= frozen {
                assert!(kept.is_none(), "{frozen} frozen: {name}");
                continue;
            }
            let (kept, whole) = (kept.unwrap(), all.output(&output).unwrap());
            assert!(
                kept.iter()
                    .zip(&whole)
                    .all(|(a, b)| a.to_bits() == b.to_bits()),
                "{name}"
            );
        }
    }
}

#[test]
fn gradients_add_up_over_runs() {
    let case = Case::open("v1-micro");
    let mut executor = case.run::<f64>(Train::default(), 1);
    let once = executor.gradients().to_vec();
    executor
        .run_inputs(&[&case.values("pixel_values"), &case.labels()])
        .unwrap();
    let twice = executor.gradients();
    assert!(
        once.iter()
            .zip(twice)
            .all(|(a, b)| (2.0 * a - b).abs() <= 1e-12 * a.abs().max(1e-3))
    );
    executor.zero_gradients();
    assert!(executor.gradients().iter().all(|&g| g == 0.0));
}

#[test]
fn odd_inputs_and_settings_are_refused() {
    let case = Case::open("v1-micro");
    let mut executor = case.executor::<f32>(Train::default(), 1);
    let (pixels, labels) = (case.values::<f32>("pixel_values"), case.labels::<f32>());
    let refused = |result: pvt_cuda::Result<()>, words: &str| {
        let text = result.unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    };
    refused(executor.run_inputs(&[&pixels]), "reads 2: pixels, labels");
    let short = executor.run_inputs(&[&pixels, &labels[1..]]);
    refused(short, "input `labels` holds 1 values, the plan reads [2]");
    refused(executor.run(&pixels), "plan for this batch");
    let none: &[f32] = &[];
    let missing = executor.update_params(|_| none);
    refused(missing, "holds 0 values");
    let plan = |train| {
        let spec = PlanSpec::train(2, case.image, Mode::Classify, train);
        Plan::new(&case.config, spec).map(|_| ())
    };
    let smoothing = Train {
        label_smoothing: 1.0,
        ..Train::default()
    };
    refused(plan(smoothing), "label smoothing is 1");
    let frozen = Train {
        frozen_stages: 5,
        ..Train::default()
    };
    refused(plan(frozen), "5 stages are to be frozen");
}
