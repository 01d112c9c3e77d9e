//! Ten steps of AdamW on a reference case, against PyTorch in float64.

use std::path::Path;

use pvt_cuda::config::{Mode, PvtConfig};
use pvt_cuda::executor::Real;
use pvt_cuda::model::Keep;
use pvt_cuda::target::cpu::CpuTarget;
use pvt_cuda::train::{
    Batch, CpuLearner, LearnerSpec, LearnerState, Optimizer, ParamState, StepOptions,
};
use pvt_cuda::weights::{LoadOptions, Manifest, TensorFile, Weights};
use serde_json::Value;

const CASE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/reference/v1-micro"
);

/// Trains on the case, and holds every loss and norm within `most`, relative.
fn check<T: Real>(keep: Keep, most: f64) {
    let file = |name: &str| Path::new(CASE).join(name);
    let expected: Value =
        serde_json::from_slice(&std::fs::read(file("training.json")).unwrap()).unwrap();
    let config = PvtConfig::from_file(file("config.json")).unwrap();
    let path = file("model.safetensors");
    let weights = Weights::open(&path, &config, Mode::Classify, &LoadOptions::default()).unwrap();
    let manifest = Manifest::for_config(&config, Mode::Classify).unwrap();
    let params = manifest.params().iter().map(|p| {
        let mut value = vec![0.0; p.elements()];
        weights.read(&p.name, &mut value).unwrap();
        ParamState {
            name: p.name.clone(),
            shape: p.shape.clone(),
            value,
            moments: None,
        }
    });
    let settings = &expected["settings"];
    let number = |value: &Value| value.as_f64().unwrap();
    let spec = LearnerSpec {
        batch: 2,
        image: config.img_size,
        keep,
        drop_path: false,
        optimizer: Optimizer {
            beta1: number(&settings["betas"][0]),
            beta2: number(&settings["betas"][1]),
            eps: number(&settings["eps"]),
            weight_decay: number(&settings["weight_decay"]),
            label_smoothing: number(&settings["label_smoothing"]),
            clip: settings["clip"].as_f64(),
            frozen: Vec::new(),
        },
    };
    let classes = u32::try_from(config.num_classes).unwrap();
    let state = LearnerState::new(params.collect());
    let target = CpuTarget::new(2).unwrap();
    let mut learner = CpuLearner::<T>::new(config, spec, &state, target).unwrap();

    let reference = TensorFile::open(file("reference.safetensors")).unwrap();
    let pixels = reference.get("pixel_values").unwrap().to_f32().unwrap();
    let labels = reference.get("labels").unwrap().to_i64().unwrap();
    let steps = settings["lr"].as_array().unwrap();
    assert_eq!(steps.len(), 10);
    for (step, lr) in steps.iter().enumerate() {
        let turn = u32::try_from(step).unwrap();
        let label = |&l: &i64| (u32::try_from(l).unwrap() + turn) % classes;
        let batch = Batch {
            pixels: pixels.clone(),
            labels: labels.iter().map(label).collect(),
        };
        #[expect(clippy::cast_possible_truncation, reason = "rates are f32")]
        let options = StepOptions {
            lr: number(lr) as f32,
            drop_path: Vec::new(),
        };
        let (loss, norm) = learner.train(&batch, &options).unwrap();
        for (name, found) in [("loss", loss), ("grad_norm", norm)] {
            let exact = number(&expected[name][step]);
            let error = (found / exact - 1.0).abs();
            println!("{step} {name} {found} {error:.1e}");
            assert!(
                error < most,
                "step {step}: {name} {found}, {exact} expected: {error:e}"
            );
        }
    }
    for (name, norm) in expected["norms"].as_object().unwrap() {
        let mut value = learner.parameter(name).unwrap();
        if name.ends_with("attn.kv.bias") {
            value = &value[value.len() / 2..]; // that of keys has no gradient but rounding
        }
        let wide = value.iter().map(|&v| -> f64 { v.into() });
        let found = wide.map(|v| v * v).sum::<f64>().sqrt();
        let error = (found / number(norm) - 1.0).abs();
        assert!(error < most, "{name}: {found}, {norm} expected: {error:e}");
    }
}

#[test]
fn ten_steps_in_f64_follow_pytorch() {
    for keep in [Keep::Everything, Keep::Recompute, Keep::Blocks] {
        check::<f64>(keep, 1e-6);
    }
}

#[test]
fn ten_steps_in_f32_follow_pytorch() {
    check::<f32>(Keep::Everything, 1e-5);
}
