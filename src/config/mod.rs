//! What a model is: sizes per stage, norms, classes, and how its pictures are prepared.
//!
//! A [`PvtConfig`] comes from a [`Variant`] (the published sizes), from a `config.json`
//! ([`PvtConfig::from_file`]) or is written out in code. It says nothing about the input image:
//! [`PvtConfig::stage_shapes`] adds that and gives the sizes of every stage.

mod error;
mod geometry;
mod json;
mod preprocess;
pub(crate) mod text;
mod variants;

pub use error::ConfigError;
pub use geometry::{MAX_IMAGE_SIDE, Mode, StageShape};
pub use json::MAX_JSON_BYTES;
pub use preprocess::{IMAGENET_MEAN, IMAGENET_STD, Interpolation, Preprocess, Preset, Resize};
pub use variants::Variant;

use crate::shape::ImageSize;

/// Number of stages, and of feature maps, of every Pyramid Vision Transformer.
pub const STAGES: usize = 4;

/// One Pyramid Vision Transformer, first version.
#[derive(Debug, Clone, PartialEq)]
pub struct PvtConfig {
    /// Channels of the input image, 3 for RGB.
    pub in_chans: usize,
    /// Image size of training, which the position tables belong to.
    pub img_size: ImageSize,
    /// Number of classes.
    pub num_classes: usize,
    /// Whether the query, key and value projections have a bias.
    pub qkv_bias: bool,
    /// Epsilon of each kind of layer norm.
    pub ln_eps: LnEps,
    /// The four stages, finest grid first.
    pub stages: [StageConfig; STAGES],
    /// How a picture becomes an input, where the model says so.
    pub preprocess: Option<Preprocess>,
    /// Class names by class index, where the model says so.
    pub labels: Option<Vec<String>>,
}

/// Sizes of one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageConfig {
    /// Channels C of the tokens.
    pub embed_dim: usize,
    /// Attention heads; each has `embed_dim / num_heads` channels.
    pub num_heads: usize,
    /// Transformer blocks.
    pub depth: usize,
    /// Hidden channels of the MLP, as a multiple of `embed_dim`.
    pub mlp_ratio: usize,
    /// Side of the square windows that keys and values are reduced by; 1 for no reduction.
    pub sr_ratio: usize,
    /// Kernel and stride of the patch embedding, in positions of the grid before it.
    pub patch_size: usize,
}

impl StageConfig {
    /// Channels of one head, d; 0 where there are no heads.
    pub const fn head_dim(&self) -> usize {
        match self.embed_dim.checked_div(self.num_heads) {
            Some(channels) => channels,
            None => 0,
        }
    }

    /// Hidden channels of the MLP, E.
    pub const fn hidden_dim(&self) -> usize {
        self.embed_dim.saturating_mul(self.mlp_ratio)
    }
}

/// Epsilon of each kind of layer norm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LnEps {
    /// After each patch embedding.
    pub patch_embed: f32,
    /// After the spatial reduction of keys and values.
    pub sr: f32,
    /// Before the attention and before the MLP of each block.
    pub block: f32,
    /// Before the head.
    pub final_norm: f32,
}

impl LnEps {
    /// What the published weights were trained with.
    pub const OFFICIAL: Self = Self {
        patch_embed: 1e-5,
        sr: 1e-5,
        block: 1e-6,
        final_norm: 1e-6,
    };

    /// The same epsilon in every norm, as Hugging Face's implementation has it.
    pub const fn uniform(eps: f32) -> Self {
        Self {
            patch_embed: eps,
            sr: eps,
            block: eps,
            final_norm: eps,
        }
    }
}

/// Largest value accepted for each size: far above any model that exists, and small enough that
/// no product of a model's sizes overflows 64 bits.
mod most {
    pub(super) const DIMS: usize = 65_536;
    pub(super) const DEPTH: usize = 1_024;
    pub(super) const CLASSES: usize = 1_000_000;
    pub(super) const RATIO: usize = 64;
}

impl PvtConfig {
    /// Checks that a model can be built from these sizes.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] for the first size that is zero, too large or does not fit the
    /// others; [`ConfigError::ImageTooSmall`] or [`ConfigError::ImageTooLarge`] where `img_size`
    /// does not suit the pyramid.
    pub fn validate(&self) -> Result<(), ConfigError> {
        within("in_chans", self.in_chans, most::DIMS)?;
        within("num_classes", self.num_classes, most::CLASSES)?;
        for (index, stage) in self.stages.iter().enumerate() {
            stage.validate(index + 1)?;
        }
        if self.stages[STAGES - 1].sr_ratio != 1 {
            return Err(ConfigError::out_of_range(
                "sr_ratio of stage 4",
                self.stages[STAGES - 1].sr_ratio,
                "1: the class token of the last stage has no place in a reduced grid",
            ));
        }
        self.ln_eps.validate()?;
        self.grids(self.img_size)?;
        if let Some(labels) = &self.labels
            && labels.len() != self.num_classes
        {
            return Err(ConfigError::out_of_range(
                "number of labels",
                labels.len(),
                format!("one for each of the {} classes", self.num_classes),
            ));
        }
        if let Some(preprocess) = &self.preprocess {
            preprocess.validate()?;
            if self.in_chans != 3 {
                return Err(ConfigError::out_of_range(
                    "in_chans",
                    self.in_chans,
                    "3 where preprocess is given: pictures are prepared as RGB",
                ));
            }
        }
        Ok(())
    }
}

impl StageConfig {
    fn validate(&self, number: usize) -> Result<(), ConfigError> {
        for (name, value, most) in [
            ("embed_dim", self.embed_dim, most::DIMS),
            ("num_heads", self.num_heads, most::DIMS),
            ("depth", self.depth, most::DEPTH),
            ("mlp_ratio", self.mlp_ratio, most::RATIO),
            ("sr_ratio", self.sr_ratio, most::RATIO),
            ("patch_size", self.patch_size, most::RATIO),
        ] {
            within(&format!("{name} of stage {number}"), value, most)?;
        }
        if !self.embed_dim.is_multiple_of(self.num_heads) {
            return Err(ConfigError::out_of_range(
                format!("embed_dim of stage {number}"),
                self.embed_dim,
                format!("a multiple of its num_heads, {}", self.num_heads),
            ));
        }
        Ok(())
    }
}

impl LnEps {
    fn validate(&self) -> Result<(), ConfigError> {
        for (name, eps) in [
            ("patch_embed", self.patch_embed),
            ("sr", self.sr),
            ("block", self.block),
            ("final", self.final_norm),
        ] {
            if !eps.is_finite() || eps < 0.0 {
                return Err(ConfigError::out_of_range(
                    format!("ln_eps.{name}"),
                    eps,
                    "a finite number that is not negative",
                ));
            }
        }
        Ok(())
    }
}

/// `value` in `1..=most`, or an error that says so.
fn within(field: &str, value: usize, most: usize) -> Result<(), ConfigError> {
    if (1..=most).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::out_of_range(
            field,
            value,
            format!("1 to {most}"),
        ))
    }
}
