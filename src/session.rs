//! The easy way: a model with its weights on a target, for images of any size and number.

use std::sync::Arc;

use crate::config::{Mode, PvtConfig};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::executor::{Backend, Random, Run, backend};
use crate::model::PlanSpec;
use crate::plan::Plan;
use crate::shape::ImageSize;
use crate::target::Target;
use crate::weights::Weights;

/// Order of the axes of a feature map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MapLayout {
    /// [B, C, H, W], as PyTorch has it.
    #[default]
    Nchw,
    /// [B, H, W, C], as it lies in memory.
    Nhwc,
}

/// The feature map at the end of a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureMap {
    /// Stage, 1 to 4.
    pub stage: usize,
    /// Pixels per position: 4, 8, 16, 32 in the published models.
    pub stride: usize,
    /// Sizes in the order of the layout asked for.
    pub shape: [usize; 4],
    /// Elements, row-major.
    pub data: Vec<f32>,
}

/// A model with its weights on a target. Keeps the plan of the latest image size and batch.
#[derive(Debug)]
pub struct Session {
    config: PvtConfig,
    mode: Mode,
    params: Source,
    kernels: Option<DType>,
    backend: Box<dyn Backend>,
    latest: Option<(PlanSpec, Box<dyn Run>)>,
}

/// Parameters, or where they come from when the first plan asks for them.
#[derive(Debug)]
enum Source {
    File(Box<Weights>),
    Random,
    /// They are with the target.
    Loaded,
}

impl Session {
    /// A session on the parameters of `weights`, which must have been loaded for the same `mode`.
    pub fn new(config: PvtConfig, mode: Mode, weights: Weights, target: impl Into<Target>) -> Self {
        let source = Source::File(Box::new(weights));
        Self::from_source(config, mode, source, target.into())
    }

    fn from_source(config: PvtConfig, mode: Mode, params: Source, target: Target) -> Self {
        Self {
            config,
            mode,
            params,
            kernels: target.kernels(),
            backend: backend(target),
            latest: None,
        }
    }

    /// A session on random parameters, for measuring: uniform with standard deviation 0.02, norms
    /// at identity. The same on every machine.
    pub fn random(config: PvtConfig, mode: Mode, target: impl Into<Target>) -> Self {
        Self::from_source(config, mode, Source::Random, target.into())
    }

    /// The model.
    pub fn config(&self) -> &PvtConfig {
        &self.config
    }

    /// The executor for `batch` images of size `image`; planned anew where the latest one was for
    /// other sizes.
    ///
    /// # Errors
    /// As [`Plan::new`], and what reading the weights gives.
    pub fn executor(&mut self, batch: usize, image: ImageSize) -> Result<&mut dyn Run> {
        let spec = PlanSpec {
            kernels: self.kernels,
            ..PlanSpec::infer(batch, image, self.mode)
        };
        let executor = match self.latest.take() {
            Some((known, executor)) if known == spec => executor,
            _ => self.plan(spec)?,
        };
        Ok(&mut *self.latest.insert((spec, executor)).1)
    }

    fn plan(&mut self, spec: PlanSpec) -> Result<Box<dyn Run>> {
        let plan = Arc::new(Plan::new(&self.config, spec)?);
        match &self.params {
            Source::Loaded => {}
            Source::File(weights) => self
                .backend
                .load(&plan, &mut |p, out| Ok(weights.read(&p.name, out)?))?,
            Source::Random => {
                let mut random = Random::new();
                self.backend.load(&plan, &mut |p, out| {
                    random.fill(p, out);
                    Ok(())
                })?;
            }
        }
        self.params = Source::Loaded; // a file's bytes are not needed twice
        self.backend.bind(plan)
    }

    /// Refuses a session that was made for another mode.
    fn must_give(&self, expected: Mode) -> Result<()> {
        let results = |mode| match mode {
            Mode::Classify => "logits",
            Mode::Backbone => "feature maps",
        };
        if self.mode == expected {
            return Ok(());
        }
        let (asked, found) = (results(expected), results(self.mode));
        Err(Error::Mode {
            asked,
            found,
            expected,
        })
    }

    /// Logits [batch, classes] of `pixels` [batch, in_chans, H, W], normalised.
    ///
    /// # Errors
    /// As [`Session::executor`] and [`Run::run`]; [`Error::Mode`] in [`Mode::Backbone`].
    pub fn classify(&mut self, batch: usize, image: ImageSize, pixels: &[f32]) -> Result<Vec<f32>> {
        self.must_give(Mode::Classify)?;
        let executor = self.executor(batch, image)?;
        executor.run(pixels)?;
        Ok(executor.output("logits")?.unwrap_or_default())
    }

    /// The four feature maps of `pixels` [batch, in_chans, H, W], normalised.
    ///
    /// # Errors
    /// As [`Session::executor`] and [`Run::run`]; [`Error::Mode`] in [`Mode::Classify`].
    pub fn features(
        &mut self,
        batch: usize,
        image: ImageSize,
        pixels: &[f32],
        layout: MapLayout,
    ) -> Result<Vec<FeatureMap>> {
        self.must_give(Mode::Backbone)?;
        let patches: Vec<usize> = self.config.stages.iter().map(|s| s.patch_size).collect();
        let executor = self.executor(batch, image)?;
        executor.run(pixels)?;
        let mut maps = Vec::new();
        for stage in 1..=patches.len() {
            let Some(output) = executor.plan().output(&format!("feature{stage}")) else {
                continue;
            };
            let view = match layout {
                MapLayout::Nchw => output.view.clone(),
                MapLayout::Nhwc => output.view.permuted(&[0, 2, 3, 1]),
            };
            let Ok(shape) = view.shape.clone().try_into() else {
                continue;
            };
            maps.push(FeatureMap {
                stage,
                stride: patches[..stage].iter().product(),
                shape,
                data: executor.read(&view)?,
            });
        }
        Ok(maps)
    }
}

/// The `k` most probable classes of one row of logits with their softmax probabilities, best first;
/// the lower class index first among equals.
pub fn top_k(logits: &[f32], k: usize) -> Vec<(usize, f64)> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = logits.iter().map(|&v| f64::from(v - top).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mut classes: Vec<usize> = (0..logits.len()).collect();
    classes.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    classes.truncate(k);
    classes
        .into_iter()
        .map(|c| (c, weights[c] / total))
        .collect()
}
