//! The settings of a run that decide its result.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::TrainError;
use super::schedule::Schedule;
use crate::config::STAGES;

/// Settings of a run. Two runs with the same settings on the same pictures give the same bits on
/// the same target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Times that every picture is seen.
    pub epochs: u32,
    /// Pictures per step; pictures that do not fill a batch are left out of an epoch.
    pub batch: usize,
    /// Highest learning rate.
    pub lr: f64,
    /// Learning rate at the end.
    pub min_lr: f64,
    /// Steps until the highest learning rate.
    pub warmup_steps: u64,
    /// Weight decay of matrices and position tables.
    pub weight_decay: f64,
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// Drop path of the last block; it grows from 0 at the first.
    pub drop_path: f64,
    /// Norm that gradients are scaled down to where theirs is greater.
    pub clip: Option<f64>,
    /// Seed of everything random.
    pub seed: u64,
    /// Random changes of pictures.
    pub augment: Augment,
    /// Stages, from 1, whose parameters do not change.
    pub freeze: Vec<usize>,
    /// Decay of the moving average of the weights.
    pub ema: Option<f64>,
}

/// Random changes of training pictures, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// A random part of the picture, of at least this share of its area and a ratio of sides from
    /// 3/4 to 4/3, resized to the size of the model.
    pub crop: Option<f64>,
    /// Shift by up to this many pixels in each direction: the same as padding by as many on every
    /// side and cutting out a random part.
    pub shift: u32,
    /// What a shift moves in.
    pub fill: Fill,
    /// Mirror every other picture, left to right.
    pub flip: bool,
}

/// What stands outside of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fill {
    /// Black.
    #[default]
    Black,
    /// The nearest pixel of the picture.
    Edge,
}

impl FromStr for Fill {
    type Err = TrainError;

    fn from_str(text: &str) -> Result<Self, TrainError> {
        match text {
            "black" => Ok(Self::Black),
            "edge" => Ok(Self::Edge),
            _ => Err(TrainError::Setting {
                option: "fill",
                found: text.to_owned(),
                expected: "black or edge".to_owned(),
            }),
        }
    }
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Black => "black",
            Self::Edge => "edge",
        })
    }
}

impl Default for Augment {
    /// No change at all.
    fn default() -> Self {
        Self {
            crop: None,
            shift: 0,
            fill: Fill::Black,
            flip: false,
        }
    }
}

impl Default for Recipe {
    /// What the digits model was trained with.
    fn default() -> Self {
        Self {
            epochs: 24,
            batch: 64,
            lr: 1e-3,
            min_lr: 0.0,
            warmup_steps: 60,
            weight_decay: 0.05,
            label_smoothing: 0.1,
            drop_path: 0.0,
            clip: Some(1.0),
            seed: 0,
            augment: Augment::default(),
            freeze: Vec::new(),
            ema: None,
        }
    }
}

/// What the optimiser of a learner is made with: AdamW on a cross-entropy with label smoothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Optimizer {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the latter.
    pub eps: f64,
    /// Weight decay, of parameters whose [`decay`](crate::weights::Param::decay) says so.
    pub weight_decay: f64,
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// Norm that gradients are scaled down to where theirs is greater.
    pub clip: Option<f64>,
    /// Parameters whose names begin with one of these do not change.
    pub frozen: Vec<String>,
}

impl Optimizer {
    /// Whether the parameter `name` stays as it is.
    pub fn is_frozen(&self, name: &str) -> bool {
        self.frozen.iter().any(|prefix| name.starts_with(prefix))
    }
}

/// What the names of the parameters of a stage, from 1, begin with. The class token belongs to the
/// last stage; the final norm and the head belong to none, and are always trained.
pub fn stage_prefixes(stage: usize) -> Vec<String> {
    let mut prefixes = vec![
        format!("patch_embed{stage}."),
        format!("pos_embed{stage}"),
        format!("block{stage}."),
    ];
    if stage == STAGES {
        prefixes.push("cls_token".to_owned());
    }
    prefixes
}

impl Recipe {
    /// Checks every setting by itself.
    ///
    /// # Errors
    /// [`TrainError::Setting`] for the first that makes no sense.
    pub fn validate(&self) -> Result<(), TrainError> {
        let refuse = |option, found: &dyn fmt::Display, expected: &str| {
            Err(TrainError::Setting {
                option,
                found: found.to_string(),
                expected: expected.to_owned(),
            })
        };
        if self.epochs == 0 {
            return refuse("epochs", &self.epochs, "1 or more");
        }
        if self.batch == 0 {
            return refuse("batch", &self.batch, "1 or more");
        }
        if !(self.lr.is_finite() && self.lr > 0.0) {
            return refuse("lr", &self.lr, "a finite number above 0");
        }
        if !(0.0..=self.lr).contains(&self.min_lr) {
            return refuse("min-lr", &self.min_lr, "0 to the value of --lr");
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return refuse("weight-decay", &self.weight_decay, "0 or more");
        }
        for (option, value) in [
            ("label-smoothing", self.label_smoothing),
            ("drop-path", self.drop_path),
        ] {
            if !(0.0..1.0).contains(&value) {
                return refuse(option, &value, "0 or more and below 1");
            }
        }
        if let Some(clip) = self.clip.filter(|c| !(c.is_finite() && *c > 0.0)) {
            return refuse("clip", &clip, "a finite number above 0");
        }
        if let Some(ema) = self.ema.filter(|e| !(0.0..1.0).contains(e)) {
            return refuse("ema", &ema, "0 or more and below 1, such as 0.999");
        }
        if let Some(crop) = self.augment.crop.filter(|c| !(*c > 0.0 && *c <= 1.0)) {
            return refuse("crop", &crop, "a share of the area above 0 and up to 1");
        }
        if let Some(stage) = self.freeze.iter().find(|s| !(1..=STAGES).contains(s)) {
            return refuse("freeze", stage, "stages from 1 to 4, such as 1,2");
        }
        Ok(())
    }

    /// The learning rates of a run of `total` steps.
    pub fn schedule(&self, total: u64) -> Schedule {
        Schedule {
            lr: self.lr,
            min_lr: self.min_lr,
            warmup: self.warmup_steps,
            total,
        }
    }

    /// What a learner is made with.
    pub fn optimizer(&self) -> Optimizer {
        Optimizer {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: self.weight_decay,
            label_smoothing: self.label_smoothing,
            clip: self.clip,
            frozen: self
                .freeze
                .iter()
                .flat_map(|&s| stage_prefixes(s))
                .collect(),
        }
    }
}
