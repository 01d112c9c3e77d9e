//! Files of a run, each of which is whole at every moment.
//!
//! A file is written under another name in the same folder, flushed to the disk and renamed. The
//! state of a run is one such file, so that it always is of one moment:
//!
//! | tensors of `state.safetensors` | |
//! | --- | --- |
//! | the parameters | under the keys of the published checkpoints |
//! | `m.` and a key, `v.` and a key | moments of the optimiser |
//! | `ema.` and a key | the moving average of the weights |
//!
//! Everything else stands in its metadata, as JSON under `pvt-train`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tensors::{self, Entry};
use super::{Change, LearnerState, Moments, ParamState, TrainError};
use crate::error::Result;
use crate::weights::TensorFile;

/// Key of the metadata.
const METADATA: &str = "pvt-train";
/// Layout of the file; another number is refused.
const VERSION: u32 = 1;

/// How well a model does on the pictures to test with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Pictures whose best class is theirs.
    pub correct: usize,
    /// Pictures tested.
    pub pictures: usize,
}

impl Evaluation {
    /// Share of the pictures that were right.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.pictures.max(1) as f64
    }

    /// Whether this is the better result: more right, or as many at a lower loss.
    pub fn beats(&self, other: &Self) -> bool {
        self.correct > other.correct || self.correct == other.correct && self.loss < other.loss
    }
}

/// A finished epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: u32,
    /// Steps made by its end.
    pub step: u64,
    /// Mean training loss of its steps, label smoothing included.
    pub loss: f64,
    /// Result on the pictures to test with, where there are any.
    pub test: Option<Evaluation>,
}

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps made.
    pub step: u64,
    /// Sum of the losses of this epoch's steps so far.
    pub loss_sum: f64,
    /// Steps in a row that were left out for gradients beyond the range.
    pub skipped: u32,
    /// The finished epochs.
    pub epochs: Vec<Epoch>,
    /// The epoch, from 1, that the saved model is of.
    pub best: Option<u32>,
}

impl Progress {
    /// Result of the epoch that the saved model is of.
    pub fn best(&self) -> Option<&Epoch> {
        self.epochs.iter().find(|e| Some(e.epoch) == self.best)
    }
}

/// All that the rest of a run depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The learner's.
    pub learner: LearnerState,
    /// The moving average, in the order of the learner's parameters.
    pub ema: Option<Vec<Vec<f32>>>,
    /// How far the run is.
    pub progress: Progress,
    /// Every setting that the result depends on, by name.
    pub settings: BTreeMap<String, Value>,
}

/// What the metadata of a state says.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    version: u32,
    progress: Progress,
    settings: BTreeMap<String, Value>,
    optimizer_steps: u64,
    loss_scale: f32,
    clean_steps: u32,
    has_average: bool,
    /// Keys of the parameters, in order.
    parameters: Vec<String>,
}

/// Writes the parameters of `state` alone, as every loader of published checkpoints reads them.
///
/// # Errors
/// [`TrainError::Io`].
pub fn save_weights(path: &Path, state: &LearnerState) -> Result<(), TrainError> {
    let params = state.params.iter();
    let tensors = params.map(|p| values(p, p.name.clone(), &p.value));
    write(path, &tensors.collect::<Vec<_>>(), ("format", "pt"))
}

/// Writes a state.
///
/// # Errors
/// [`TrainError::Io`].
pub fn save(path: &Path, state: &State) -> Result<(), TrainError> {
    let learner = &state.learner;
    let about = About {
        version: VERSION,
        progress: state.progress.clone(),
        settings: state.settings.clone(),
        optimizer_steps: learner.steps,
        loss_scale: learner.loss_scale,
        clean_steps: learner.clean_steps,
        has_average: state.ema.is_some(),
        parameters: learner.params.iter().map(|p| p.name.clone()).collect(),
    };
    let about = serde_json::to_string(&about).map_err(|e| io(path, "written")(e.into()))?;
    let mut tensors = Vec::new();
    for param in &learner.params {
        let name = &param.name;
        tensors.push(values(param, name.clone(), &param.value));
        if let Some(moments) = &param.moments {
            tensors.push(values(param, format!("m.{name}"), &moments.first));
            tensors.push(values(param, format!("v.{name}"), &moments.second));
        }
    }
    for (param, average) in learner.params.iter().zip(state.ema.iter().flatten()) {
        tensors.push(values(param, format!("ema.{}", param.name), average));
    }
    write(path, &tensors, (METADATA, &about))
}

fn values<'a>(param: &'a ParamState, name: String, values: &'a [f32]) -> Entry<'a> {
    Entry {
        name,
        shape: &param.shape,
        values,
    }
}

fn write(path: &Path, tensors: &[Entry<'_>], metadata: (&str, &str)) -> Result<(), TrainError> {
    replace(path, |file| tensors::write(file, tensors, metadata))
}

/// Reads a state.
///
/// # Errors
/// [`TrainError::NothingToResume`] where there is no file, [`TrainError::Damaged`] for one that is
/// no state, and the loader's own for one that is no safetensors.
pub fn load(path: &Path) -> Result<State> {
    if !path.exists() {
        return Err(TrainError::NothingToResume {
            file: path.to_owned(),
        }
        .into());
    }
    let file = TensorFile::open(path)?;
    let damaged = |detail: String| TrainError::Damaged {
        file: path.to_owned(),
        detail,
    };
    let text = file.metadata().get(METADATA);
    let text = text.ok_or_else(|| damaged(format!("it has no `{METADATA}` in its metadata")))?;
    let version = serde_json::from_str::<Value>(text).map_err(|e| damaged(e.to_string()))?;
    if version["version"] != VERSION {
        let found = &version["version"];
        return Err(damaged(format!("its layout is {found}, expected {VERSION}")).into());
    }
    let about: About = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
    let mut learner = LearnerState {
        params: Vec::new(),
        steps: about.optimizer_steps,
        loss_scale: about.loss_scale,
        clean_steps: about.clean_steps,
    };
    let mut averages = Vec::new();
    for name in about.parameters {
        let tensor = |key: &str| {
            file.get(key)
                .ok_or_else(|| damaged(format!("it lacks `{key}`")))
        };
        let weight = tensor(&name)?;
        let beside = |key: String| -> Result<Vec<f32>> {
            let found = tensor(&key)?;
            if found.shape != weight.shape {
                let (found, expected) = (found.shape, weight.shape);
                return Err(damaged(format!("`{key}` is {found:?}, expected {expected:?}")).into());
            }
            Ok(found.to_f32()?)
        };
        let moments = match file.get(&format!("m.{name}")) {
            None => None,
            Some(_) => Some(Moments {
                first: beside(format!("m.{name}"))?,
                second: beside(format!("v.{name}"))?,
            }),
        };
        if about.has_average {
            averages.push(beside(format!("ema.{name}"))?);
        }
        learner.params.push(ParamState {
            shape: weight.shape.to_vec(),
            value: weight.to_f32()?,
            name,
            moments,
        });
    }
    Ok(State {
        learner,
        ema: about.has_average.then_some(averages),
        progress: about.progress,
        settings: about.settings,
    })
}

/// Settings that are not the same in both.
pub fn changes(before: &BTreeMap<String, Value>, now: &BTreeMap<String, Value>) -> Vec<Change> {
    let names: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    let text = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    let differ = names
        .into_iter()
        .filter(|name| before.get(*name) != now.get(*name));
    let change = differ.map(|name| Change {
        setting: name.clone(),
        before: text(before.get(name)),
        now: text(now.get(name)),
    });
    change.collect()
}

/// Writes `text` to the file at `path`, whole or not at all.
///
/// # Errors
/// [`TrainError::Io`].
pub fn save_text(path: &Path, text: &str) -> Result<(), TrainError> {
    replace(path, |file| file.write_all(text.as_bytes()))
}

/// Lets `write` make a file beside `path`, and puts it in its place when it is on the disk.
fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), TrainError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let all = || {
        let mut file = File::create(&temporary)?;
        write(&mut file)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_folder(path)
    };
    all().map_err(io(path, "written"))
}

/// Makes a renaming last: on Unix it is the folder that has to reach the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// An error of the file at `path`.
pub(super) fn io(path: &Path, doing: &'static str) -> impl Fn(io::Error) -> TrainError {
    let path = PathBuf::from(path);
    move |source| TrainError::Io {
        path: path.clone(),
        doing,
        source,
    }
}
