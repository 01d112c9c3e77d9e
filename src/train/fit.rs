//! The loop: epochs of steps, tests, a saved model, a log and a curve.
//!
//! | file in the folder of a run | what |
//! | --- | --- |
//! | `model.safetensors`, `config.json` | the best model so far, ready to classify with |
//! | `state.safetensors` | all that the rest of the run depends on ([`checkpoint`]) |
//! | `log.csv` | a row per step ([`log`](super::log)) |
//! | `curve.svg` | losses and accuracy over the epochs ([`curve`]) |
//!
//! At the end of an epoch they are written in the order model, log, state, curve. A run that was
//! ended in between is continued from the state, and writes what came after it once more.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::checkpoint::{self, Epoch, Evaluation, Progress, State, io};
use super::data::Dataset;
use super::ema::Ema;
use super::log::{Log, Row};
use super::{Batch, DataError, Learner, Recipe, StepOptions, TrainError, curve, drop_path, loader};
use crate::config::PvtConfig;
use crate::error::Result;

/// Steps in a row without finite gradients after which no loss scale is left to try: from 65,536
/// halved down to 2^-24.
const MOST_SKIPPED: u32 = 40;

/// Files of a run.
const MODEL: &str = "model.safetensors";
const CONFIG: &str = "config.json";
const STATE: &str = "state.safetensors";
const LOG: &str = "log.csv";
const CURVE: &str = "curve.svg";
const LOCK: &str = ".lock";

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
/// [`TrainError`] for settings, folders and states that do not fit and for losses that are no
/// numbers; [`DataError`](super::DataError) for pictures; what the learner gives.
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
    let _lock = lock(job.folder)?;
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

/// Makes the folder and keeps other processes out of it until the file is closed, by whatever ends
/// the process.
fn lock(folder: &Path) -> Result<File, TrainError> {
    fs::create_dir_all(folder).map_err(io(folder, "made"))?;
    let path = folder.join(LOCK);
    let file = File::create(&path).map_err(io(&path, "written"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(TrainError::Busy {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(io(&path, "locked")(error)),
    }
}

/// A run between two steps.
struct Run<'a> {
    learner: &'a mut dyn Learner,
    job: &'a Job<'a>,
    pool: Arc<rayon::ThreadPool>,
    settings: BTreeMap<String, Value>,
    ema: Option<Ema>,
    progress: Progress,
    steps_per_epoch: u64,
    total: u64,
}

impl<'a> Run<'a> {
    fn begin(learner: &'a mut dyn Learner, job: &'a Job<'_>) -> Result<Self> {
        let folder = job.folder;
        let settings = settings(job)?;
        let path = folder.join(STATE);
        let state = match job.start {
            Start::Resume => {
                let state = checkpoint::load(&path)?;
                let changed = checkpoint::changes(&state.settings, &settings);
                if !changed.is_empty() {
                    return Err(TrainError::Changed {
                        file: path,
                        changed,
                    }
                    .into());
                }
                learner.restore(&state.learner)?;
                Some(state)
            }
            Start::Anew if [STATE, MODEL].iter().any(|f| folder.join(f).exists()) => {
                return Err(TrainError::Exists {
                    folder: folder.to_owned(),
                }
                .into());
            }
            Start::Anew => None,
        };
        let (progress, averages) = state.map_or_else(Default::default, |s| (s.progress, s.ema));
        #[expect(clippy::cast_possible_truncation, reason = "rounded to f32 on purpose")]
        let ema = match job.recipe.ema.map(|decay| decay as f32) {
            None => None,
            Some(decay) => Some(match averages {
                Some(averages) => Ema::new(decay, averages),
                None => Ema::new(decay, learner.weights()?),
            }),
        };
        checkpoint::save_text(&folder.join(CONFIG), &job.config.to_json())?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(job.threads);
        let pool = pool
            .build()
            .map_err(|e| io(folder, "prepared for")(std::io::Error::other(e)))?;
        let steps_per_epoch = (job.train.len() / job.recipe.batch) as u64;
        Ok(Self {
            learner,
            job,
            pool: Arc::new(pool),
            settings,
            ema,
            progress,
            steps_per_epoch,
            total: steps_per_epoch * u64::from(job.recipe.epochs),
        })
    }

    fn steps(
        &mut self,
        log: &mut Log,
        watch: &mut dyn FnMut(&Event<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let (job, per_epoch) = (self.job, self.steps_per_epoch);
        let Recipe { batch, seed, .. } = *job.recipe;
        let data = job.train;
        // the pictures of each step that is left; an epoch's order is made when its turn comes
        let mut known = (None, Vec::new());
        let steps = (self.progress.step..self.total).map(move |step| {
            let (epoch, at) = (step / per_epoch, step % per_epoch);
            let epoch = u32::try_from(epoch).unwrap_or(u32::MAX);
            if known.0 != Some(epoch) {
                known = (Some(epoch), loader::order(data.len(), seed, epoch));
            }
            let from = usize::try_from(at).unwrap_or(usize::MAX) * batch;
            (epoch, known.1[from..from + batch].to_vec())
        });
        let make = |(epoch, indices): (u32, Vec<usize>)| {
            loader::training_batch(data, &job.recipe.augment, seed, epoch, &indices)
        };
        let pool = Arc::clone(&self.pool);
        loader::ahead(&pool, steps, make, |batches| {
            for batch in batches {
                let ended = self.step(&batch?, log, watch)?;
                if ended.is_break() {
                    return Ok(ended);
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// One step and what follows it.
    fn step(
        &mut self,
        batch: &Batch,
        log: &mut Log,
        watch: &mut dyn FnMut(&Event<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let began = Instant::now();
        let recipe = self.job.recipe;
        let index = self.progress.step;
        let blocks = self.job.config.stages.iter().map(|s| s.depth).sum();
        let options = StepOptions {
            lr: recipe.schedule(self.total).at(index),
            drop_path: drop_path::factors(
                recipe.drop_path,
                blocks,
                recipe.batch,
                recipe.seed,
                index,
            ),
        };
        let report = self.learner.step(batch, &options)?;
        let step = index + 1;
        let value = |what, value: f32| TrainError::NonFinite {
            what,
            value,
            step,
            lr: options.lr,
        };
        if !report.loss.is_finite() {
            return Err(value("loss", report.loss).into());
        }
        if report.skipped {
            self.progress.skipped += 1;
            if self.progress.skipped >= MOST_SKIPPED {
                return Err(TrainError::Overflow {
                    steps: self.progress.skipped,
                    step,
                    loss_scale: report.loss_scale,
                }
                .into());
            }
        } else if !report.grad_norm.is_finite() {
            return Err(value("gradient norm", report.grad_norm).into());
        } else {
            self.progress.skipped = 0;
        }
        if let Some(ema) = &mut self.ema {
            ema.update(&self.learner.weights()?)?;
        }
        self.progress.step = step;
        self.progress.loss_sum += f64::from(report.loss);
        let mut row = Row {
            step,
            epoch: u32::try_from(index / self.steps_per_epoch).unwrap_or(u32::MAX) + 1,
            lr: options.lr,
            loss: report.loss,
            grad_norm: report.grad_norm,
            images_per_s: recipe.batch as f64 / began.elapsed().as_secs_f64().max(1e-9),
            test: None,
        };
        let is_end = step % self.steps_per_epoch == 0;
        if is_end {
            row.test = self.finish_epoch(row.epoch)?;
        }
        log.add(&row)?;
        let is_due = self
            .job
            .save_every
            .is_some_and(|every| step % every.max(1) == 0);
        if is_end || is_due {
            self.save(log)?;
        }
        let mut told = watch(&Event::Stepped(&row));
        if is_end {
            self.draw()?;
            if let Some(epoch) = self.progress.epochs.last()
                && watch(&Event::Finished(epoch)).is_break()
            {
                told = ControlFlow::Break(());
            }
        }
        Ok(told)
    }

    /// Tests the model, and saves it where it is the best so far.
    fn finish_epoch(&mut self, number: u32) -> Result<Option<Evaluation>> {
        let state = self.learner.state()?;
        let averaged = self.ema.as_ref().map(|ema| ema.applied(&state));
        let test = match (self.job.test, &averaged) {
            (None, _) => None,
            (Some(data), None) => Some(self.evaluate(data)?),
            (Some(data), Some(averaged)) => {
                self.learner.restore(averaged)?;
                let result = self.evaluate(data);
                self.learner.restore(&state)?; // also where testing failed
                Some(result?)
            }
        };
        let epoch = Epoch {
            epoch: number,
            step: self.progress.step,
            loss: self.progress.loss_sum / self.steps_per_epoch as f64,
            test,
        };
        let best = self.progress.best().and_then(|best| best.test);
        let is_better = match (test, best) {
            (Some(test), Some(best)) => test.beats(&best),
            _ => true, // without pictures to test with, the last
        };
        if is_better {
            let saved = averaged.as_ref().unwrap_or(&state);
            checkpoint::save_weights(&self.job.folder.join(MODEL), saved)?;
            self.progress.best = Some(number);
        }
        self.progress.loss_sum = 0.0;
        self.progress.epochs.push(epoch);
        Ok(test)
    }

    /// Loss and accuracy on `data`.
    fn evaluate(&mut self, data: &Dataset) -> Result<Evaluation> {
        let indices: Vec<usize> = (0..data.len()).collect();
        let groups = indices.chunks(self.job.recipe.batch);
        let make = |group: &[usize]| loader::testing_batch(data, group);
        let classes = self.job.config.num_classes;
        let step = self.progress.step;
        let learner = &mut *self.learner;
        loader::ahead(&self.pool, groups, make, |batches| {
            let (mut loss, mut correct) = (0.0, 0);
            for batch in batches {
                let batch = batch?;
                let logits = learner.logits(&batch.pixels, batch.labels.len())?;
                for (row, &label) in logits.chunks_exact(classes).zip(&batch.labels) {
                    if let Some(&value) = row.iter().find(|v| !v.is_finite()) {
                        let (what, lr) = ("logit of a test picture", 0.0);
                        return Err(TrainError::NonFinite {
                            what,
                            value,
                            step,
                            lr,
                        }
                        .into());
                    }
                    let (nats, is_right) = judge(row, label);
                    loss += nats;
                    correct += usize::from(is_right);
                }
            }
            Ok(Evaluation {
                loss: loss / data.len().max(1) as f64,
                correct,
                pictures: data.len(),
            })
        })
    }

    fn save(&mut self, log: &mut Log) -> Result<()> {
        log.sync()?; // rows of steps that the state has made must not be lost
        let state = State {
            learner: self.learner.state()?,
            ema: self.ema.as_ref().map(|ema| ema.values().to_vec()),
            progress: self.progress.clone(),
            settings: self.settings.clone(),
        };
        Ok(checkpoint::save(&self.job.folder.join(STATE), &state)?)
    }

    fn draw(&self) -> Result<()> {
        if self.progress.epochs.is_empty() {
            return Ok(());
        }
        let title = format!(
            "Training: {} pictures, {} classes",
            self.job.train.len(),
            self.job.config.num_classes
        );
        let svg = curve::svg(&self.progress.epochs, &title);
        Ok(checkpoint::save_text(&self.job.folder.join(CURVE), &svg)?)
    }
}

/// Cross-entropy of one row of logits, and whether its greatest value (the first of several) is at
/// `label`.
fn judge(row: &[f32], label: u32) -> (f64, bool) {
    let at = |index: usize| f64::from(row[index]);
    let mut best = 0;
    for index in 1..row.len() {
        if row[index] > row[best] {
            best = index;
        }
    }
    let sum: f64 = (0..row.len()).map(|k| (at(k) - at(best)).exp()).sum();
    let label = label as usize;
    (sum.ln() + at(best) - at(label), best == label)
}

/// Everything that the result of a run depends on, by name.
fn settings(job: &Job<'_>) -> Result<BTreeMap<String, Value>> {
    let describe = |error: serde_json::Error| TrainError::State {
        detail: error.to_string(),
    };
    let mut settings = BTreeMap::new();
    let recipe = serde_json::to_value(job.recipe).map_err(describe)?;
    flatten("", &recipe, &mut settings);
    let config = serde_json::from_str(&job.config.to_json()).map_err(describe)?;
    flatten("config", &config, &mut settings);
    for (name, value) in job.identity {
        settings.insert(name.clone(), Value::String(value.clone()));
    }
    Ok(settings)
}

/// Entries of objects under their paths, with dots between.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    if let Value::Object(entries) = value {
        for (key, value) in entries {
            let path = match path {
                "" => key.clone(),
                _ => format!("{path}.{key}"),
            };
            flatten(&path, value, into);
        }
    } else {
        into.insert(path.to_owned(), value.clone());
    }
}
