//! Checks a model against a case folder of reference tensors.
//!
//! A case holds `config.json`, `model.safetensors` and `reference.safetensors`, the latter with
//! `pixel_values` [B, C, H, W], `labels`, one class per image, and any tensors of the forward pass under the names that
//! a traced plan gives its outputs. The model runs three times: traced (every intermediate tensor),
//! plain (logits) and as a backbone (feature maps, stage 4 without a class token); and once forward and back
//! where the case has gradients (`grad.<name>`, or `gradnorm.<name>` and `gradsample.<name>`). A tensor that
//! more than one run produces is judged by the worst; `grad.*` is the distance of all gradients together.

use std::path::{Path, PathBuf};

use crate::config::{Mode, PvtConfig};
use crate::error::Result;
use crate::executor::backend;
use crate::model::{PlanSpec, loss};
use crate::shape::ImageSize;
use crate::target::{DType, TargetKind};
use crate::weights::{LoadOptions, TensorFile, Weights};

mod produced;

use produced::Produced;

/// Names in a reference file that are input, not result.
const INPUTS: [&str; 2] = ["pixel_values", "labels"];

/// What to check, and with which files.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Folder of the case.
    pub case: PathBuf,
    /// Weights instead of the case's own.
    pub weights: Option<PathBuf>,
    /// Configuration instead of the case's own.
    pub config: Option<PathBuf>,
    /// Where to run.
    pub target: TargetKind,
    /// Arithmetic, which decides the tolerances.
    pub dtype: DType,
    /// CPU threads, 0 for one per core.
    pub threads: usize,
}

/// A reference case that cannot be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The reference file lacks an input or has it in another form.
    #[error("{file}: `{tensor}` is {found}; expected {expected}")]
    Input {
        /// The file.
        file: String,
        /// Name of the tensor.
        tensor: &'static str,
        /// What there is.
        found: String,
        /// What there should be.
        expected: String,
    },
}

/// Outcome for one reference tensor.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TensorReport {
    /// Name in the reference file.
    pub name: String,
    /// Shape in the reference file.
    pub shape: Vec<usize>,
    /// ‖found − reference‖ / ‖reference‖; infinite where the shapes differ or a value is not finite.
    pub rel_l2: f64,
    /// Largest absolute difference.
    pub max_abs: f64,
    /// Largest `rel_l2` that passes.
    pub tolerance: f64,
    /// Whether it passed.
    pub pass: bool,
}

/// Outcome for a case.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Report {
    /// Name of the case folder.
    pub case: String,
    /// Where it ran.
    pub target: String,
    /// Arithmetic.
    pub dtype: String,
    /// Key scheme of the weights.
    pub scheme: String,
    /// Whether every produced tensor passed and there was at least one.
    pub pass: bool,
    /// Every reference tensor that was produced, by name.
    pub tensors: Vec<TensorReport>,
    /// Reference tensors that the model has no output for.
    pub not_produced: Vec<String>,
}

/// Largest relative L2 error against float64 that passes: what a careful implementation in that
/// arithmetic reaches on models of this family, with some room.
pub fn tolerance(dtype: DType, tensor: &str) -> f64 {
    let end = matches!(tensor, "logits" | "loss" | "head_input" | "final_norm");
    match dtype {
        DType::F32 => 5e-6,
        DType::Tf32 => 3e-3,
        DType::F16 => 4e-3,
        DType::Bf16 if end => 2e-2,
        DType::Bf16 => 3e-2,
    }
}

/// Largest relative L2 error of a gradient that passes, and of all of them together.
pub fn gradient_tolerance(dtype: DType) -> (f64, f64) {
    match dtype {
        DType::F32 => (1e-4, 1e-5),
        DType::Tf32 => (3e-2, 5e-3),
        DType::F16 => (5e-2, 5e-3),
        DType::Bf16 => (0.1, 3e-2),
    }
}

/// Runs the case and compares every reference tensor.
///
/// # Errors
/// Files that cannot be read, weights that do not fit the configuration, a target that cannot be
/// had. Tensors out of tolerance are not an error: see [`Report::pass`].
pub fn verify(options: &VerifyOptions) -> Result<Report> {
    let target = options.target.open(options.dtype, options.threads)?;
    let file =
        |own: &Option<PathBuf>, name: &str| own.clone().unwrap_or_else(|| options.case.join(name));
    let config = PvtConfig::from_file(file(&options.config, "config.json"))?;
    let reference = TensorFile::open(options.case.join("reference.safetensors"))?;
    let weights_path = file(&options.weights, "model.safetensors");

    let (spec, pixels) = input(&reference, &config)?;
    let spec = PlanSpec {
        kernels: target.kernels(),
        ..spec
    };
    let mut produced = Produced::default();
    let load = |mode| Weights::open(&weights_path, &config, mode, &LoadOptions::default());
    let weights = load(Mode::Classify)?;
    let scheme = weights.scheme().to_string();
    let trace = PlanSpec {
        trace: true,
        ..spec
    };
    let mut classify = backend(target.clone());
    produced.run(&config, &[trace, spec], &weights, &mut *classify, &pixels)?;
    let gradients = reference.names().any(|name| name.starts_with("grad"));
    if gradients || reference.get("labels").is_some() {
        let labels = labels(&reference, &config, spec.batch)?;
        for logits in produced.0.get("logits").cloned().unwrap_or_default() {
            if let Some(loss) = loss::cross_entropy(&logits.1, &labels) {
                #[expect(clippy::cast_possible_truncation, reason = "the loss is stored in f32")]
                produced.add("loss".to_owned(), vec![1], vec![loss as f32]);
            }
        }
        if gradients {
            let labels: Vec<f32> = labels.iter().map(|&l| l as f32).collect();
            let inputs = [pixels.as_slice(), &labels];
            let backend = &mut *backend(target.clone());
            produced.gradients(&config, spec, &weights, backend, &inputs)?;
        }
    }
    let backbone = PlanSpec {
        mode: Mode::Backbone,
        ..spec
    };
    produced.run(
        &config,
        &[backbone],
        &load(Mode::Backbone)?,
        &mut *backend(target.clone()),
        &pixels,
    )?;
    report(options, (target.name(), scheme), &reference, &produced)
}

/// Batch and image size, and the pixels themselves.
fn input(reference: &TensorFile, config: &PvtConfig) -> Result<(PlanSpec, Vec<f32>)> {
    let wrong = |found| VerifyError::Input {
        file: reference.name().to_owned(),
        tensor: "pixel_values",
        found,
        expected: format!("[batch, {}, height, width]", config.in_chans),
    };
    let pixels = reference
        .get("pixel_values")
        .ok_or_else(|| wrong("missing".to_owned()))?;
    match *pixels.shape {
        [batch, channels, height, width] if channels == config.in_chans => {
            let spec = PlanSpec::infer(batch, ImageSize { height, width }, Mode::Classify);
            Ok((spec, pixels.to_f32()?))
        }
        ref shape => Err(wrong(format!("{shape:?}")).into()),
    }
}

/// A class of the model for each image.
fn labels(reference: &TensorFile, config: &PvtConfig, batch: usize) -> Result<Vec<i64>> {
    let wrong = |found| VerifyError::Input {
        file: reference.name().to_owned(),
        tensor: "labels",
        found,
        expected: format!("{batch} classes in 0..{}", config.num_classes),
    };
    let labels = reference
        .get("labels")
        .ok_or_else(|| wrong("missing".to_owned()))?;
    let labels = labels.to_i64()?;
    let classes = 0..config.num_classes.cast_signed() as i64;
    if labels.len() != batch || !labels.iter().all(|l| classes.contains(l)) {
        return Err(wrong(format!("{labels:?}")).into());
    }
    Ok(labels)
}

fn report(
    options: &VerifyOptions,
    (target, scheme): (&str, String),
    reference: &TensorFile,
    produced: &Produced,
) -> Result<Report> {
    let mut tensors = Vec::new();
    let mut not_produced = Vec::new();
    let (each, together) = gradient_tolerance(options.dtype);
    // of all gradients: squares of distance and of length, and the largest distance
    let mut all = (0.0, 0.0, 0.0f64);
    for name in reference.names().filter(|name| !INPUTS.contains(name)) {
        let (Some(want), Some(found)) = (reference.get(name), produced.0.get(name)) else {
            not_produced.push(name.to_owned());
            continue;
        };
        let exact = want.to_f32()?;
        let distances = found.iter().map(|(shape, values)| {
            if shape == want.shape {
                distance(values, &exact)
            } else {
                (f64::INFINITY, f64::INFINITY)
            }
        });
        let (rel_l2, max_abs) =
            distances.fold((0.0f64, 0.0f64), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        let tolerance = if name.starts_with("grad") {
            each
        } else {
            tolerance(options.dtype, name)
        };
        if name.starts_with("grad.") {
            let length = exact.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
            all = (
                all.0 + rel_l2.powi(2) * length,
                all.1 + length,
                all.2.max(max_abs),
            );
        }
        let pass = rel_l2 <= tolerance;
        let shape = want.shape.to_vec();
        tensors.push(TensorReport {
            name: name.to_owned(),
            shape,
            rel_l2,
            max_abs,
            tolerance,
            pass,
        });
    }
    if all.1 > 0.0 {
        let rel_l2 = (all.0 / all.1).sqrt();
        tensors.push(TensorReport {
            name: "grad.*".to_owned(),
            shape: Vec::new(),
            rel_l2,
            max_abs: all.2,
            tolerance: together,
            pass: rel_l2 <= together,
        });
    }
    Ok(Report {
        case: case_name(&options.case),
        target: target.to_owned(),
        dtype: options.dtype.to_string(),
        scheme,
        pass: !tensors.is_empty() && tensors.iter().all(|t| t.pass),
        tensors,
        not_produced,
    })
}

/// Relative L2 and largest absolute difference; infinite where a value is not finite.
fn distance(found: &[f32], exact: &[f32]) -> (f64, f64) {
    let (mut error, mut norm, mut max) = (0.0, 0.0, 0.0f64);
    for (&f, &e) in found.iter().zip(exact) {
        let difference = f64::from(f) - f64::from(e);
        if !difference.is_finite() {
            return (f64::INFINITY, f64::INFINITY);
        }
        error += difference * difference;
        norm += f64::from(e) * f64::from(e);
        max = max.max(difference.abs());
    }
    let norm = if norm > 0.0 { norm } else { 1.0 };
    ((error / norm).sqrt(), max)
}

fn case_name(case: &Path) -> String {
    let last = case.components().next_back();
    last.map_or_else(String::new, |c| {
        c.as_os_str().to_string_lossy().into_owned()
    })
}
