//! A feature map as a picture: its three principal components as red, green and blue.

use std::path::Path;

use image::{ExtendedColorType, ImageFormat};

use super::{Picture, PictureError};
use crate::config::Interpolation;
use crate::shape::ImageSize;

/// Colours of a picture.
const COMPONENTS: usize = 3;
/// Steps of the power iteration; the gap between components need not be large for a picture.
const STEPS: usize = 60;
/// Share of values at either end that is clipped, so that a few outliers do not grey the rest.
const CLIPPED: f64 = 0.02;

/// Paints `map` [H, W, C]: the strongest principal component in red, the next in green and blue,
/// each stretched to the full range between its 2 % and 98 % values. Deterministic, signs included:
/// the heaviest channel of a component is positive.
///
/// # Errors
/// [`PictureError::RgbLength`] where the map does not have H·W·C values, or as
/// [`Picture::from_rgb`].
pub fn principal_colours(
    map: &[f32],
    (height, width): (usize, usize),
    channels: usize,
) -> Result<Picture, PictureError> {
    let size = ImageSize { height, width };
    let positions = height * width;
    if channels == 0 || map.len() != positions * channels {
        return Err(PictureError::RgbLength {
            size,
            found: map.len(),
            expected: positions * channels,
        });
    }
    let mut mean = vec![0.0; channels];
    for row in map.chunks_exact(channels) {
        mean.iter_mut()
            .zip(row)
            .for_each(|(m, &v)| *m += f64::from(v) / positions as f64);
    }
    let centred: Vec<f64> = map
        .chunks_exact(channels)
        .flat_map(|row| row.iter().zip(&mean).map(|(&v, m)| f64::from(v) - m))
        .collect();

    let mut rgb = vec![0u8; positions * COMPONENTS];
    let mut axes: Vec<Vec<f64>> = Vec::new();
    for component in 0..COMPONENTS.min(channels) {
        let axis = next_axis(&centred, channels, &axes);
        let along: Vec<f64> = centred
            .chunks_exact(channels)
            .map(|row| dot(row, &axis))
            .collect();
        for (pixel, level) in rgb.chunks_exact_mut(COMPONENTS).zip(levels(&along)) {
            pixel[component] = level;
        }
        axes.push(axis);
    }
    Picture::from_rgb(size, rgb)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The strongest direction of `rows` orthogonal to `axes`, by power iteration on XᵀX.
fn next_axis(rows: &[f64], channels: usize, axes: &[Vec<f64>]) -> Vec<f64> {
    // a start that no symmetry of the data is likely to be orthogonal to
    let mut axis: Vec<f64> = (0..channels)
        .map(|c| 1.0 + (c as f64 * 0.618).fract())
        .collect();
    for _ in 0..STEPS {
        for known in axes {
            let share = dot(&axis, known);
            axis.iter_mut()
                .zip(known)
                .for_each(|(a, k)| *a -= share * k);
        }
        let length = dot(&axis, &axis).sqrt();
        if length < f64::MIN_POSITIVE {
            return vec![0.0; channels]; // nothing varies in the directions that are left
        }
        for a in &mut axis {
            *a /= length;
        }
        let mut next = vec![0.0; channels];
        for row in rows.chunks_exact(channels) {
            let along = dot(row, &axis);
            next.iter_mut().zip(row).for_each(|(n, v)| *n += along * v);
        }
        axis = next;
    }
    let length = dot(&axis, &axis).sqrt().max(f64::MIN_POSITIVE);
    let heaviest = axis
        .iter()
        .copied()
        .max_by(|a, b| a.abs().total_cmp(&b.abs()))
        .unwrap_or(1.0);
    for a in &mut axis {
        *a /= length * heaviest.signum();
    }
    axis
}

/// Values as levels 0 to 255 between their clipped ends.
fn levels(values: &[f64]) -> impl Iterator<Item = u8> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small share of a length"
    )]
    let clipped = (last as f64 * CLIPPED) as usize;
    let (low, high) = (sorted[clipped], sorted[last - clipped]);
    let range = if high > low { high - low } else { 1.0 };
    values.iter().map(move |v| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 0..=255"
        )]
        let level = (255.0 * (v - low) / range).round().clamp(0.0, 255.0) as u8;
        level
    })
}

impl Picture {
    /// The picture at `size`, smoothly enlarged (or reduced).
    ///
    /// # Errors
    /// As [`Picture::resize`].
    pub fn enlarged(&self, size: ImageSize) -> Result<Self, PictureError> {
        self.resize(size, Interpolation::Bicubic)
    }

    /// Writes the picture as a PNG file.
    ///
    /// # Errors
    /// [`PictureError::Write`] where the file cannot be written.
    pub fn save_png(&self, path: impl AsRef<Path>) -> Result<(), PictureError> {
        let path = path.as_ref();
        let ImageSize { height, width } = self.size();
        let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        image::save_buffer_with_format(
            path,
            self.rgb(),
            side(width),
            side(height),
            ExtendedColorType::Rgb8,
            ImageFormat::Png,
        )
        .map_err(|source| PictureError::Write {
            path: path.to_owned(),
            source,
        })
    }
}
