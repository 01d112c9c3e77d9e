//! A run: steps, and what is written after them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use super::evaluate::evaluate;
use super::{Event, Job, Start, settings};
use crate::error::Result;
use crate::train::checkpoint::{self, Epoch, Evaluation, Progress, State, io};
use crate::train::data::Dataset;
use crate::train::ema::Ema;
use crate::train::log::{Log, Row};
use crate::train::{Batch, Learner, Recipe, StepOptions, TrainError, curve, drop_path, loader};

/// Steps in a row without finite gradients after which no loss scale is left to try: from 65,536
/// halved down to 2^-24.
const MOST_SKIPPED: u32 = 40;

const CONFIG: &str = "config.json";
const STATE: &str = "state.safetensors";
const CURVE: &str = "curve.svg";

/// A run between two steps.
pub(super) struct Run<'a> {
    learner: &'a mut dyn Learner,
    job: &'a Job<'a>,
    pool: Arc<rayon::ThreadPool>,
    settings: BTreeMap<String, Value>,
    ema: Option<Ema>,
    pub(super) progress: Progress,
    steps_per_epoch: u64,
    pub(super) total: u64,
}

impl<'a> Run<'a> {
    pub(super) fn begin(learner: &'a mut dyn Learner, job: &'a Job<'_>) -> Result<Self> {
        let folder = job.folder;
        let settings = settings::settings(job)?;
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
            Start::Anew
                if [STATE, super::MODEL]
                    .iter()
                    .any(|f| folder.join(f).exists()) =>
            {
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

    pub(super) fn steps(
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
        let is_end = step.is_multiple_of(self.steps_per_epoch);
        if is_end {
            row.test = self.finish_epoch(row.epoch, row.lr)?;
        }
        log.add(&row)?;
        let is_due = self
            .job
            .save_every
            .is_some_and(|every| step.is_multiple_of(every.max(1)));
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
    fn finish_epoch(&mut self, number: u32, lr: f32) -> Result<Option<Evaluation>> {
        let state = self.learner.state()?;
        let averaged = self.ema.as_ref().map(|ema| ema.applied(&state));
        let test = match (self.job.test, &averaged) {
            (None, _) => None,
            (Some(data), None) => Some(self.evaluate(data, lr)?),
            (Some(data), Some(averaged)) => {
                self.learner.restore(averaged)?;
                let result = self.evaluate(data, lr);
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
            checkpoint::save_weights(&self.job.folder.join(super::MODEL), saved)?;
            self.progress.best = Some(number);
        }
        self.progress.loss_sum = 0.0;
        self.progress.epochs.push(epoch);
        Ok(test)
    }

    fn evaluate(&mut self, data: &Dataset, lr: f32) -> Result<Evaluation> {
        let sizes = (self.job.recipe.batch, self.job.config.num_classes);
        let at = (self.progress.step, lr);
        evaluate(self.learner, data, &self.pool, sizes, at)
    }

    pub(super) fn save(&mut self, log: &mut Log) -> Result<()> {
        log.sync()?; // rows of steps that the state has made must not be lost
        let state = State {
            learner: self.learner.state()?,
            ema: self.ema.as_ref().map(|ema| ema.values().to_vec()),
            progress: self.progress.clone(),
            settings: self.settings.clone(),
        };
        Ok(checkpoint::save(&self.job.folder.join(STATE), &state)?)
    }

    pub(super) fn draw(&self) -> Result<()> {
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
