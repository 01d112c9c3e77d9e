//! From a picture to the input of a model: resize, centre crop, scale, normalise.
//!
//! The rules are those of torchvision's `Resize`, `CenterCrop`, `ToTensor` and `Normalize` on a
//! Pillow picture.

use std::borrow::Cow;

use super::resize::check_resize;
use super::{CHANNELS, Picture, PictureError, check_size};
use crate::config::{Preprocess, Resize};
use crate::shape::ImageSize;

/// Largest value of a channel, mapped to 1.0.
const WHITE: f32 = 255.0;

/// Values of a channel.
const LEVELS: usize = 256;

/// Height and width that [`prepare`] gives for a picture of `from` pixels.
///
/// # Errors
/// [`PictureError::Size`] for a picture that [`Picture::from_rgb`] would refuse;
/// [`PictureError::Resize`] where [`Picture::resize`] would refuse; [`PictureError::Crop`] for a
/// crop of 0 or beyond the resized picture, where torchvision would pad with black.
pub fn output_size(from: ImageSize, preprocess: &Preprocess) -> Result<ImageSize, PictureError> {
    check_size(from)?;
    let resized = resized_size(from, preprocess.resize);
    if resized != from {
        check_resize(from, resized)?;
    }
    let Some(crop) = preprocess.crop else {
        return Ok(resized);
    };
    if crop == 0 || crop > resized.height.min(resized.width) {
        return Err(PictureError::Crop { crop, resized });
    }
    Ok(ImageSize::square(crop))
}

/// The input of a model: planar `[3, H, W]` in the order red, green, blue, with H and W by
/// [`output_size`] and values (x / 255 − mean) / std in f32.
///
/// # Errors
/// Those of [`output_size`], and [`PictureError::Normalisation`] where `mean` or `std` would give
/// values that are not finite.
pub fn prepare(picture: &Picture, preprocess: &Preprocess) -> Result<Vec<f32>, PictureError> {
    let size = output_size(picture.size, preprocess)?;
    let mut out = vec![0.0; CHANNELS * size.height * size.width];
    prepare_into(picture, preprocess, &mut out)?;
    Ok(out)
}

/// [`prepare`] into `out`, whose length must be 3 × H × W.
///
/// # Errors
/// Those of [`prepare`], and [`PictureError::OutputLength`] where `out` has another length.
pub fn prepare_into(
    picture: &Picture,
    preprocess: &Preprocess,
    out: &mut [f32],
) -> Result<(), PictureError> {
    let size = output_size(picture.size, preprocess)?;
    let expected = CHANNELS * size.height * size.width;
    if out.len() != expected {
        return Err(PictureError::OutputLength {
            size,
            found: out.len(),
            expected,
        });
    }
    let levels = levels(preprocess)?;
    let resized = resized(picture, preprocess)?;
    let cut = centre(&resized, size);

    let planes = out.chunks_exact_mut(size.height * size.width);
    for (channel, (plane, levels)) in planes.zip(&levels).enumerate() {
        for (out, row) in plane.chunks_exact_mut(size.width).zip(cut.clone()) {
            for (out, pixel) in out.iter_mut().zip(row) {
                *out = levels[usize::from(pixel[channel])];
            }
        }
    }
    Ok(())
}

/// `picture` resized and cropped, still in bytes: [`prepare`] of the result without `resize` and
/// `crop` gives what it gives of `picture` with them.
///
/// # Errors
/// Those of [`output_size`].
pub fn resize_and_crop<'a>(
    picture: &'a Picture,
    preprocess: &Preprocess,
) -> Result<Cow<'a, Picture>, PictureError> {
    let size = output_size(picture.size, preprocess)?;
    let resized = resized(picture, preprocess)?;
    if resized.size == size {
        return Ok(resized);
    }
    let rgb = centre(&resized, size).flat_map(<[[u8; CHANNELS]]>::as_flattened);
    let rgb = rgb.copied().collect();
    Picture::from_rgb(size, rgb).map(Cow::Owned)
}

fn resized<'a>(
    picture: &'a Picture,
    preprocess: &Preprocess,
) -> Result<Cow<'a, Picture>, PictureError> {
    let to = resized_size(picture.size, preprocess.resize);
    Ok(if to == picture.size {
        Cow::Borrowed(picture)
    } else {
        Cow::Owned(picture.resize(to, preprocess.interpolation)?)
    })
}

/// Rows of the middle of `picture`, which is at least `size` large.
fn centre(
    picture: &Picture,
    size: ImageSize,
) -> impl Iterator<Item = &[[u8; CHANNELS]]> + Clone + use<'_> {
    let top = half_to_even(picture.size.height - size.height);
    let left = half_to_even(picture.size.width - size.width);
    let (pixels, _) = picture.rgb.as_chunks::<CHANNELS>();
    let rows = pixels.chunks_exact(picture.size.width);
    let rows = rows.skip(top).take(size.height);
    rows.map(move |row| &row[left..left + size.width])
}

/// torchvision's `Resize`: an integer sets the shorter side and the longer one follows, truncated
/// (`_compute_resized_output_size`); a pair sets both.
fn resized_size(from: ImageSize, resize: Resize) -> ImageSize {
    match resize {
        Resize::None => from,
        Resize::Exact(size) => size,
        Resize::ShorterSide(side) => {
            let follow = |long: usize, short: usize| side.saturating_mul(long) / short;
            if from.width <= from.height {
                ImageSize {
                    height: follow(from.height, from.width),
                    width: side,
                }
            } else {
                ImageSize {
                    height: side,
                    width: follow(from.width, from.height),
                }
            }
        }
    }
}

/// Margin before a centre crop: half of what is cut away, a half rounded to even as Python's
/// `round` does in torchvision's `center_crop`.
const fn half_to_even(surplus: usize) -> usize {
    let half = surplus / 2;
    if surplus.is_multiple_of(2) {
        half
    } else {
        half + half % 2
    }
}

/// The value of each level of each channel: one f32 division, subtraction and division, as
/// `ToTensor` and `Normalize` compute them.
fn levels(preprocess: &Preprocess) -> Result<[[f32; LEVELS]; CHANNELS], PictureError> {
    let Preprocess { mean, std, .. } = *preprocess;
    let usable = |s: &f32| s.is_finite() && *s > 0.0;
    if !mean.iter().all(|m| m.is_finite()) || !std.iter().all(usable) {
        return Err(PictureError::Normalisation { mean, std });
    }
    let mut levels = [[0.0; LEVELS]; CHANNELS];
    for ((levels, mean), std) in levels.iter_mut().zip(mean).zip(std) {
        for (level, byte) in levels.iter_mut().zip(0..=u8::MAX) {
            *level = (f32::from(byte) / WHITE - mean) / std;
        }
    }
    Ok(levels)
}
