//! The loop: epochs of steps, tests, a saved model, a log and a curve.
//!
//! | file in the folder of a run | what |
//! | --- | --- |
//! | `model.safetensors`, `config.json` | the best model so far, ready to classify with |
//! | `state.safetensors` | all that the rest of the run depends on ([`checkpoint`](super::checkpoint)) |
//! | `log.csv` | a row per step ([`log`](super::log)) |
//! | `curve.svg` | losses and accuracy over the epochs ([`curve`](super::curve)) |
//!
//! At the end of an epoch they are written in the order model, log, state, curve. A run that was
//! ended in between is continued from the state, and writes what came after it once more.

mod evaluate;
mod run;
mod settings;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::config::PvtConfig;
use crate::error::Result;
use crate::train::checkpoint::{Epoch, Progress};
use crate::train::data::Dataset;
use crate::train::log::{Log, Row};
use crate::train::{DataError, Learner, Recipe};
use run::Run;

/// Files that are named in results.
const MODEL: &str = "model.safetensors";
const LOG: &str = "log.csv";

/// Whether a run begins or goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// From the learner's parameters as they are, in a folder without a run.
    Anew,
    /// From the state in the folder.
    Resume,
}

/// What to train on, how, and where to.
#[derive(Debug)]
pub struct Job<'a> {
    /// The model, with the names of its classes.
    pub config: &'a PvtConfig,
    /// Pictures to train on.
    pub train: &'a Dataset,
    /// Pictures to test with at the end of each epoch.
    pub test: Option<&'a Dataset>,
    /// Settings that decide the result.
    pub recipe: &'a Recipe,
    /// What else decides it and must be the same when the run goes on, by name: the pictures, the
    /// type of the arithmetic, the parameters at the start.
    pub identity: &'a BTreeMap<String, String>,
    /// Folder for the files of the run, made where it is not there.
    pub folder: &'a Path,
    /// Whether to go on with the run in the folder.
    pub start: Start,
    /// Save the state every so many steps, besides the end of each epoch.
    pub save_every: Option<u64>,
    /// Threads that prepare pictures, 0 for one per core.
    pub threads: usize,
}

/// What happens, as it happens.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run begins, or goes on.
    Started {
        /// Steps made before.
        step: u64,
        /// Steps of the whole run.
        total: u64,
    },
    /// A step was made.
    Stepped(&'a Row),
    /// An epoch is over.
    Finished(&'a Epoch),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How far it came.
    pub progress: Progress,
    /// Whether all epochs are done.
    pub is_finished: bool,
    /// Steps of the whole run.
    pub total: u64,
    /// The saved model; none where no epoch is over.
    pub model: Option<PathBuf>,
    /// Time of this call.
    pub took: Duration,
}

/// Trains `learner` and tells `watch` of every step; where that breaks, the state is saved and the
/// run ends early.
///
/// # Errors
/// [`TrainError`](super::TrainError) for settings, folders and states that do not fit and for losses that are no
/// numbers; [`DataError`] for pictures; what the learner gives.
pub fn fit(
    learner: &mut dyn Learner,
    job: &Job<'_>,
    watch: &mut dyn FnMut(&Event<'_>) -> ControlFlow<()>,
) -> Result<Outcome> {
    let began = Instant::now();
    job.recipe.validate()?;
    let batch = job.recipe.batch;
    let pictures = job.train.len();
    if pictures < batch {
        let found = pictures;
        return Err(DataError::TooFew { found, batch }.into());
    }
    let _lock = settings::lock(job.folder)?;
    let mut run = Run::begin(learner, job)?;
    let total = run.total;
    let mut log = Log::open(&job.folder.join(LOG), run.progress.step)?;
    if job.start == Start::Anew {
        run.save(&mut log)?; // from here on there is something to resume
    }
    run.draw()?;
    let step = run.progress.step;
    let ended = match watch(&Event::Started { step, total }) {
        ControlFlow::Continue(()) => run.steps(&mut log, watch)?,
        ControlFlow::Break(()) => ControlFlow::Break(()),
    };
    if ended.is_break() {
        run.save(&mut log)?;
    }
    Ok(Outcome {
        is_finished: run.progress.step == total,
        model: run.progress.best.map(|_| job.folder.join(MODEL)),
        progress: run.progress,
        total,
        took: began.elapsed(),
    })
}
