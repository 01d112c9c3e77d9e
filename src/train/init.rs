//! Parameters at the start: from scratch, or from a checkpoint.
//!
//! From scratch, as the published code does it:
//!
//! | parameter | values |
//! | --- | --- |
//! | weights of linear layers, position tables, class token | normal, standard deviation 0.02 |
//! | their biases | 0 |
//! | weights and biases of convolutions | uniform in ±1/√fan_in, fan_in = C_in · k · k |
//! | layer norms | 1 and 0 |
//!
//! The published code truncates its normal values at ±2, a hundred standard deviations; values here
//! reach at most 8.3 of them, so that nothing is left to truncate. A parameter's values depend on
//! the seed, its name and its shape, and are the same on every machine.

use rayon::prelude::*;

use super::exact::normal_quantile;
use super::random::{Purpose, Stream};
use super::{LearnerState, ParamState, TrainError};
use crate::config::{Mode, PvtConfig, STAGES};
use crate::error::Result;
use crate::ops::pos_embed;
use crate::weights::{Manifest, Param, Weights};

/// Standard deviation of the normal values.
const STD: f64 = 0.02;

/// Dimensions of a convolution's weight.
const CONVOLUTION: usize = 4;

/// Every parameter of `config`, from scratch.
///
/// # Errors
/// Those of [`Manifest::for_config`].
pub fn scratch(config: &PvtConfig, seed: u64) -> Result<LearnerState> {
    let manifest = Manifest::for_config(config, Mode::Classify)?;
    let params = manifest.params().par_iter();
    let params = params.map(|p| state(p, initial(p, &manifest, seed)));
    Ok(LearnerState::new(params.collect()))
}

/// Parameters of another model for this one, and what became of them.
#[derive(Debug)]
pub struct FineTune {
    /// Parameters to start from.
    pub state: LearnerState,
    /// Parameters that were made from scratch, as the checkpoint has none of their shape.
    pub anew: Vec<String>,
    /// Position tables that were resized.
    pub resized: Vec<String>,
}

/// Parameters for `config` from `weights` of the model `from`, which may have other classes and
/// another image size. Position tables are resized; the head is taken over only with `keep_head`
/// and where the number of classes is the same.
///
/// # Errors
/// [`TrainError::OtherModel`] where another parameter has another shape, and those of
/// [`Manifest::for_config`] and [`Weights::read`].
pub fn fine_tune(
    config: &PvtConfig,
    weights: &Weights,
    from: &PvtConfig,
    keep_head: bool,
    seed: u64,
) -> Result<FineTune> {
    let manifest = Manifest::for_config(config, Mode::Classify)?;
    let theirs = Manifest::for_config(from, Mode::Classify)?;
    let (mut params, mut anew, mut resized) = (Vec::new(), Vec::new(), Vec::new());
    for param in manifest.params() {
        let other = |found: &[usize]| TrainError::OtherModel {
            name: param.name.clone(),
            found: found.to_vec(),
            expected: param.shape.clone(),
        };
        let stored = theirs.params().iter().find(|p| p.name == param.name);
        let stored = stored.ok_or_else(|| other(&[]))?;
        let is_head = param.name.starts_with("head.");
        let values = if is_head && !(keep_head && stored.shape == param.shape) {
            anew.push(param.name.clone());
            initial(param, &manifest, seed)
        } else if stored.shape == param.shape {
            weights.to_vec(&param.name)?
        } else if param.name.starts_with("pos_embed") && stored.shape[2] == param.shape[2] {
            resized.push(param.name.clone());
            let stage = param.stage();
            let class_rows = usize::from(stage + 1 == STAGES);
            let mut values = vec![0.0; param.elements()];
            pos_embed::resize(
                class_rows,
                from.native_grid(stage),
                config.native_grid(stage),
                param.shape[2],
                &weights.to_vec(&param.name)?,
                &mut values,
            );
            values
        } else {
            return Err(other(&stored.shape).into());
        };
        params.push(state(param, values));
    }
    Ok(FineTune {
        state: LearnerState::new(params),
        anew,
        resized,
    })
}

fn state(param: &Param, value: Vec<f32>) -> ParamState {
    ParamState {
        name: param.name.clone(),
        shape: param.shape.clone(),
        value,
        moments: None,
    }
}

/// Values of `param` from scratch.
fn initial(param: &Param, manifest: &Manifest, seed: u64) -> Vec<f32> {
    let (layer, leaf) = param.name.rsplit_once('.').unwrap_or((&param.name, ""));
    let mut stream = Stream::new(seed, Purpose::Init, 0, hash(&param.name));
    let count = param.elements();
    if let Some(fan_in) = fan_in(layer, manifest) {
        let bound = 1.0 / (fan_in as f64).sqrt();
        return fill(count, || bound * (2.0 * stream.open_uniform() - 1.0));
    }
    match (leaf, param.shape.len()) {
        ("bias", _) => vec![0.0; count],
        ("weight", 1) => vec![1.0; count],
        _ => fill(count, || STD * normal_quantile(stream.open_uniform())),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounded to f32 on purpose")]
fn fill(count: usize, mut value: impl FnMut() -> f64) -> Vec<f32> {
    (0..count).map(|_| value() as f32).collect()
}

/// Inputs of one output of the convolution called `layer`; none where it is something else.
fn fan_in(layer: &str, manifest: &Manifest) -> Option<usize> {
    let weight = format!("{layer}.weight");
    let weight = manifest.params().iter().find(|p| p.name == weight)?;
    (weight.shape.len() == CONVOLUTION).then(|| weight.shape[1..].iter().product())
}

/// 64-bit FNV-1a hash of a name.
pub(super) fn hash(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}
