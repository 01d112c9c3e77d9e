//! The published models.

use std::fmt;
use std::str::FromStr;

use super::{ConfigError, LnEps, PvtConfig, STAGES, StageConfig};
use crate::shape::ImageSize;

/// A published model of the first version; all are for 224×224 images and 1,000 classes.
///
/// Sizes: Wang et al., "Pyramid Vision Transformer", 2021, table 1, with the four blocks that the
/// second stage of the released small and medium models has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variant {
    /// `pvt_tiny`, 13.2 million parameters.
    Tiny,
    /// `pvt_small`, 24.5 million parameters.
    Small,
    /// `pvt_medium`, 44.2 million parameters.
    Medium,
    /// `pvt_large`, 61.4 million parameters.
    Large,
    /// `pvt_huge_v2`, 304.9 million parameters; of the first version in spite of its name.
    Huge,
}

/// Second-version models, known by name only.
const SECOND_VERSION: [&str; 8] = ["b0", "b1", "b2", "b2_li", "b2_linear", "b3", "b4", "b5"];

impl Variant {
    /// Every variant, smallest first.
    pub const ALL: [Self; 5] = [
        Self::Tiny,
        Self::Small,
        Self::Medium,
        Self::Large,
        Self::Huge,
    ];

    /// Name in the published code.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tiny => "pvt_tiny",
            Self::Small => "pvt_small",
            Self::Medium => "pvt_medium",
            Self::Large => "pvt_large",
            Self::Huge => "pvt_huge_v2",
        }
    }

    /// Sizes of the model; no class names and no preparation of pictures.
    pub fn config(self) -> PvtConfig {
        let (embed_dims, num_heads) = match self {
            Self::Huge => ([128, 256, 512, 768], [2, 4, 8, 12]),
            _ => ([64, 128, 320, 512], [1, 2, 5, 8]),
        };
        let depths = match self {
            Self::Tiny => [2, 2, 2, 2],
            Self::Small => [3, 4, 6, 3],
            Self::Medium => [3, 4, 18, 3],
            Self::Large => [3, 8, 27, 3],
            Self::Huge => [3, 10, 60, 3],
        };
        PvtConfig {
            in_chans: 3,
            img_size: ImageSize::square(224),
            num_classes: 1000,
            qkv_bias: true,
            ln_eps: LnEps::OFFICIAL,
            stages: stages(
                embed_dims,
                num_heads,
                depths,
                [8, 8, 4, 4],
                [8, 4, 2, 1],
                [4, 2, 2, 2],
            ),
            preprocess: None,
            labels: None,
        }
    }
}

/// Lists by field, as models are usually written down, turned into a list by stage.
pub(super) fn stages(
    embed_dims: [usize; STAGES],
    num_heads: [usize; STAGES],
    depths: [usize; STAGES],
    mlp_ratios: [usize; STAGES],
    sr_ratios: [usize; STAGES],
    patch_sizes: [usize; STAGES],
) -> [StageConfig; STAGES] {
    std::array::from_fn(|s| StageConfig {
        embed_dim: embed_dims[s],
        num_heads: num_heads[s],
        depth: depths[s],
        mlp_ratio: mlp_ratios[s],
        sr_ratio: sr_ratios[s],
        patch_size: patch_sizes[s],
    })
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Variant {
    type Err = ConfigError;

    /// Reads `tiny`, `pvt_tiny` or `pvt-tiny`, whatever the case.
    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let spelled = name.to_lowercase().replace('-', "_");
        let short = spelled.strip_prefix("pvt_").unwrap_or(&spelled);
        if let Some(variant) = Self::ALL
            .into_iter()
            .find(|v| v.name() == spelled || v.name() == format!("pvt_{short}"))
        {
            return Ok(variant);
        }
        if short == "huge" {
            return Ok(Self::Huge);
        }
        if SECOND_VERSION.contains(&short.strip_prefix("v2_").unwrap_or(short)) {
            return Err(ConfigError::NotYetSupported {
                what: name.to_owned(),
            });
        }
        Err(ConfigError::unknown_name(
            "model",
            name,
            &format!("pvt_{short}"),
            &Self::ALL.map(Self::name),
        ))
    }
}
