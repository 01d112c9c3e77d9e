//! What a run starts from: a model description, or a checkpoint.

use std::path::PathBuf;

use anyhow::Result;
use pvt_cuda::config::{Mode, Preprocess, PvtConfig, Resize, Variant};
use pvt_cuda::shape::ImageSize;
use pvt_cuda::train::{LearnerState, init};
use pvt_cuda::weights::{LoadOptions, Weights};

use crate::model::{UsageError, config_file, weights_file};
use crate::output::note;

#[derive(clap::Args)]
pub(super) struct ModelArgs {
    /// Model description; alone: train from scratch
    #[arg(long, value_name = "FILE", conflicts_with = "variant")]
    config: Option<PathBuf>,
    /// Published model: tiny, small, medium, large, huge; alone: train from scratch
    #[arg(long, value_name = "NAME")]
    variant: Option<Variant>,
    /// Checkpoint to start from: a safetensors file with its config.json beside it, or their folder
    #[arg(long, value_name = "FILE|DIR")]
    weights: Option<PathBuf>,
    /// Train a new head for the classes of the folders, whatever classes the checkpoint has
    #[arg(long)]
    new_head: bool,
}

/// A model before the classes of the pictures are known.
pub(super) struct Described {
    config: PvtConfig,
    checkpoint: Option<Checkpoint>,
    new_head: bool,
}

/// Parameters to start from, and the model that they are of.
struct Checkpoint {
    weights: Weights,
    config: PvtConfig,
}

/// The model to train, and its parameters at the start.
pub(super) struct Start {
    pub(super) config: PvtConfig,
    pub(super) state: LearnerState,
}

impl ModelArgs {
    /// The model for images of `size`, or of its own size.
    pub(super) fn read(&self, size: Option<ImageSize>) -> Result<Described> {
        let file = self.weights.as_deref().map(weights_file);
        let beside = file.as_ref().map(|file| file.with_file_name("config.json"));
        let known = match (&self.config, self.variant, beside.filter(|p| p.is_file())) {
            (Some(path), _, _) => config_file(path)?,
            (None, Some(variant), _) => variant.config(),
            (None, None, Some(beside)) => config_file(&beside)?,
            (None, None, None) => {
                let text = "no model given; add --config FILE or --variant NAME to train from scratch, or --weights \
                            with a config.json beside it";
                return Err(UsageError(text.to_owned()).into());
            }
        };
        let checkpoint = match file {
            None => None,
            Some(file) => Some(Checkpoint {
                weights: Weights::open(file, &known, Mode::Classify, &LoadOptions::default())?,
                config: known.clone(),
            }),
        };
        Ok(Described {
            config: sized(known, size)?,
            checkpoint,
            new_head: self.new_head,
        })
    }
}

impl Described {
    /// Names that the folders of pictures must have, where the model says so.
    pub(super) fn labels(&self) -> Option<&[String]> {
        self.config.labels.as_deref().filter(|_| !self.new_head)
    }

    /// The model for `classes`, which are those of [`labels`](Self::labels) where there are any.
    pub(super) fn start(self, classes: &[String], seed: u64) -> Result<Start> {
        let Self {
            mut config,
            checkpoint,
            new_head,
        } = self;
        let before = config.num_classes;
        config.num_classes = classes.len();
        config.labels = Some(classes.to_vec());
        config.validate()?;
        let Some(Checkpoint {
            weights,
            config: from,
        }) = checkpoint
        else {
            return Ok(Start {
                state: init::scratch(&config, seed)?,
                config,
            });
        };
        let keep_head = !new_head && before == classes.len();
        let tuned = init::fine_tune(&config, &weights, &from, keep_head, seed)?;
        if !tuned.anew.is_empty() {
            let count = classes.len();
            note(&format!(
                "the head is new, for {count} classes (the checkpoint has one for {before})"
            ));
        } else if from.labels.is_none() {
            note(
                "the checkpoint does not name its classes; the folders are taken to be in their order",
            );
        }
        if !tuned.resized.is_empty() {
            note(&format!(
                "position tables resized from images of {} to {}",
                from.img_size, config.img_size
            ));
        }
        Ok(Start {
            config,
            state: tuned.state,
        })
    }
}

/// `config` for images of `size`, and saying how pictures come to have it.
fn sized(mut config: PvtConfig, size: Option<ImageSize>) -> Result<PvtConfig> {
    let before = config.img_size;
    let size = size.unwrap_or(before);
    config.img_size = size;
    let is_square = size.height == size.width;
    let exact = Resize::Exact(size);
    config.preprocess = Some(match config.preprocess {
        None if is_square => Preprocess::official(size.height),
        None => Preprocess {
            resize: exact,
            crop: None,
            ..Preprocess::official(size.height)
        },
        Some(own) if size == before => own,
        // the same share of the shorter side is cut away
        Some(own)
            if is_square
                && let (Resize::ShorterSide(side), Some(crop)) = (own.resize, own.crop) =>
        {
            Preprocess {
                resize: Resize::ShorterSide((side * size.height).div_ceil(crop)),
                crop: Some(size.height),
                ..own
            }
        }
        Some(own) => Preprocess {
            resize: exact,
            crop: None,
            ..own
        },
    });
    config.validate()?;
    Ok(config)
}
