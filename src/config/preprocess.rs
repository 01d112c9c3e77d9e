//! How a picture becomes the input of a model.

use crate::shape::ImageSize;

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

impl Preprocess {
    /// The published evaluation: shorter side ⌊side · 256 / 224⌋, bicubic, crop to `side`.
    pub const fn official(side: usize) -> Self {
        Self {
            resize: Resize::ShorterSide(side.saturating_mul(8) / 7),
            crop: Some(side),
            interpolation: Interpolation::Bicubic,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
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
            ..Self::official(side)
        }
    }
}
