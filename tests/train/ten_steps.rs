//! Ten steps of AdamW on a reference case, and what PyTorch in float64 made of them.

use std::path::Path;

use pvt_cuda::config::{Mode, PvtConfig};
use pvt_cuda::model::Keep;
use pvt_cuda::train::{Batch, LearnerSpec, LearnerState, Optimizer, ParamState, StepOptions};
use pvt_cuda::weights::{LoadOptions, Manifest, TensorFile, Weights};
use serde_json::Value;

const CASE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/reference/v1-micro"
);

pub(crate) const STEPS: usize = 10;

/// The case.
pub(crate) struct TenSteps {
    pub(crate) config: PvtConfig,
    pub(crate) spec: LearnerSpec,
    pub(crate) state: LearnerState,
    pixels: Vec<f32>,
    labels: Vec<i64>,
    expected: Value,
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

impl TenSteps {
    pub(crate) fn new(keep: Keep) -> Self {
        let file = |name: &str| Path::new(CASE).join(name);
        let expected: Value =
            serde_json::from_slice(&std::fs::read(file("training.json")).unwrap()).unwrap();
        let config = PvtConfig::from_file(file("config.json")).unwrap();
        let path = file("model.safetensors");
        let weights =
            Weights::open(&path, &config, Mode::Classify, &LoadOptions::default()).unwrap();
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
        assert_eq!(settings["lr"].as_array().unwrap().len(), STEPS);
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
        let reference = TensorFile::open(file("reference.safetensors")).unwrap();
        Self {
            state: LearnerState::new(params.collect()),
            config,
            spec,
            pixels: reference.get("pixel_values").unwrap().to_f32().unwrap(),
            labels: reference.get("labels").unwrap().to_i64().unwrap(),
            expected,
        }
    }

    /// What step `step`, from 0, is given.
    pub(crate) fn step(&self, step: usize) -> (Batch, StepOptions) {
        let classes = u32::try_from(self.config.num_classes).unwrap();
        let turn = u32::try_from(step).unwrap();
        let label = |&l: &i64| (u32::try_from(l).unwrap() + turn) % classes;
        let batch = Batch {
            pixels: self.pixels.clone(),
            labels: self.labels.iter().map(label).collect(),
        };
        #[expect(clippy::cast_possible_truncation, reason = "rates are f32")]
        let options = StepOptions {
            lr: number(&self.expected["settings"]["lr"][step]) as f32,
            drop_path: Vec::new(),
        };
        (batch, options)
    }

    /// Holds the loss and the norm of the gradient of a step within `most`, relative.
    pub(crate) fn check_step(&self, step: usize, (loss, norm): (f64, f64), most: f64) {
        for (name, found) in [("loss", loss), ("grad_norm", norm)] {
            let exact = number(&self.expected[name][step]);
            let error = (found / exact - 1.0).abs();
            println!("{step} {name} {found} {error:.1e}");
            assert!(
                error < most,
                "step {step}: {name} {found}, {exact} expected: {error:e}"
            );
        }
    }

    /// The same for the norms of all parameters behind the last step.
    pub(crate) fn check_norms<T: Into<f64> + Copy>(
        &self,
        value: impl Fn(&str) -> Vec<T>,
        most: f64,
    ) {
        for (name, norm) in self.expected["norms"].as_object().unwrap() {
            let value = value(name);
            let mut value = value.as_slice();
            if name.ends_with("attn.kv.bias") {
                value = &value[value.len() / 2..]; // that of keys has no gradient but rounding
            }
            let wide = value.iter().map(|&v| -> f64 { v.into() });
            let found = wide.map(|v| v * v).sum::<f64>().sqrt();
            let error = (found / number(norm) - 1.0).abs();
            assert!(error < most, "{name}: {found}, {norm} expected: {error:e}");
        }
    }
}
