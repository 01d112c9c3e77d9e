//! How a picture becomes the input of a model.

use std::fmt;
use std::str::FromStr;

use super::{ConfigError, MAX_IMAGE_SIDE};
use crate::shape::ImageSize;

/// Mean of the red, green and blue channel over `ImageNet`, for channels in 0..=1.
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation of the red, green and blue channel over `ImageNet`, for channels in 0..=1.
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// Steps from a picture to an input: resize, crop, then (x − mean) / std with x in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preprocess {
    /// Target of the resizing.
    pub resize: Resize,
    /// Side in pixels of the square cut from the centre; none keeps the whole picture.
    pub crop: Option<usize>,
    /// Filter of the resizing.
    pub interpolation: Interpolation,
    /// Subtracted from each channel, in 0..=1 units.
    pub mean: [f32; 3],
    /// Each channel is divided by it.
    pub std: [f32; 3],
}

/// Target of a resizing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resize {
    /// The picture keeps its size.
    None,
    /// The shorter side gets this many pixels; the longer one follows.
    ShorterSide(usize),
    /// Height and width are set, whatever becomes of the proportions.
    Exact(ImageSize),
}

/// Filter of a resizing, antialiased as in Pillow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// Triangle filter.
    Bilinear,
    /// Cubic filter with a = −0.5.
    Bicubic,
}

/// A way of preparing pictures, by the name of who uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// [`Preprocess::official`].
    Official,
    /// [`Preprocess::timm`].
    Timm,
    /// [`Preprocess::hf`].
    Hf,
    /// What the model's configuration says.
    Model,
}

impl Preprocess {
    /// The published evaluation: shorter side ⌊side · 256 / 224⌋, bicubic, crop to `side`.
    pub const fn official(side: usize) -> Self {
        Self {
            resize: Resize::ShorterSide(side.saturating_mul(8) / 7),
            crop: Some(side),
            interpolation: Interpolation::Bicubic,
            mean: IMAGENET_MEAN,
            std: IMAGENET_STD,
        }
    }

    /// As timm evaluates: shorter side ⌊side / 0.9⌋, bicubic, crop to `side`.
    pub const fn timm(side: usize) -> Self {
        Self {
            resize: Resize::ShorterSide(side.saturating_mul(10) / 9),
            ..Self::official(side)
        }
    }

    /// As Hugging Face's image processor: squashed to `side` × `side`, bilinear, no crop.
    pub const fn hf(side: usize) -> Self {
        Self {
            resize: Resize::Exact(ImageSize::square(side)),
            crop: None,
            interpolation: Interpolation::Bilinear,
            mean: IMAGENET_MEAN,
            std: IMAGENET_STD,
        }
    }

    /// Checks that a picture can be prepared this way.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] for a side that is 0 or above [`MAX_IMAGE_SIDE`], a crop that
    /// does not fit the resized picture, a mean that is not finite, or a standard deviation that
    /// is not finite and positive.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let side = |field: &str, value: usize| {
            if (1..=MAX_IMAGE_SIDE).contains(&value) {
                Ok(())
            } else {
                let expected = format!("1 to {MAX_IMAGE_SIDE} pixels");
                Err(ConfigError::out_of_range(field, value, expected))
            }
        };
        let resized = match self.resize {
            Resize::None => MAX_IMAGE_SIDE,
            Resize::ShorterSide(shorter) => {
                side("preprocess.resize", shorter)?;
                shorter
            }
            Resize::Exact(size) => {
                side("preprocess.resize[0]", size.height)?;
                side("preprocess.resize[1]", size.width)?;
                size.height.min(size.width)
            }
        };
        if let Some(crop) = self.crop {
            side("preprocess.crop", crop)?;
            if crop > resized {
                return Err(ConfigError::out_of_range(
                    "preprocess.crop",
                    crop,
                    format!("at most the {resized} pixels that resizing leaves"),
                ));
            }
        }
        for (c, (&mean, &std)) in self.mean.iter().zip(&self.std).enumerate() {
            if !mean.is_finite() {
                let field = format!("preprocess.mean[{c}]");
                return Err(ConfigError::out_of_range(field, mean, "a finite number"));
            }
            if !std.is_finite() || std <= 0.0 {
                let field = format!("preprocess.std[{c}]");
                let expected = "a finite number above 0";
                return Err(ConfigError::out_of_range(field, std, expected));
            }
        }
        Ok(())
    }
}

impl Interpolation {
    const ALL: [Self; 2] = [Self::Bilinear, Self::Bicubic];

    const fn name(self) -> &'static str {
        match self {
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
        }
    }
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 4] = [Self::Official, Self::Timm, Self::Hf, Self::Model];

    /// Name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Official => "official",
            Self::Timm => "timm",
            Self::Hf => "hf",
            Self::Model => "model",
        }
    }
}

impl fmt::Display for Interpolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Interpolation {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let spelled = name.to_lowercase();
        let found = Self::ALL.into_iter().find(|i| i.name() == spelled);
        found.ok_or_else(|| {
            let valid = Self::ALL.map(Self::name);
            ConfigError::unknown_name("interpolation", name, &spelled, &valid)
        })
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Preset {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let spelled = name.to_lowercase();
        let found = Self::ALL.into_iter().find(|p| p.name() == spelled);
        found.ok_or_else(|| {
            let valid = Self::ALL.map(Self::name);
            ConfigError::unknown_name("preset", name, &spelled, &valid)
        })
    }
}
