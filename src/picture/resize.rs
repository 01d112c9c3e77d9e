//! Resizing with the same bytes as Pillow's `Image.resize` on an RGB picture.
//!
//! The scheme is that of Pillow's `src/libImaging/Resample.c`. Each axis is a pass of weighted
//! sums; an axis that keeps its size has no pass. The horizontal pass comes first, except where the
//! height shrinks much more than the width: Pillow begins with the vertical one there since release
//! 13.0, and so does this module (before, values differ by rounding, at most 1 on noise).
//!
//! The filter is stretched by the ratio where the picture shrinks (antialiasing), its weights are
//! computed and normalised in f64 and rounded to fixed point, and each sum is rounded and clipped
//! to 0..=255. The order of the passes and both roundings are visible in the result.

use std::ops::Range;

use rayon::prelude::*;

use super::{CHANNELS, MAX_BYTES, MAX_SIDE, Picture, PictureError};
use crate::config::Interpolation;
use crate::shape::{ImageSize, elements};

/// Fraction bits of a weight: 32 less 8 for the result and 2 for sums below 0 and above 255
/// (`PRECISION_BITS` in `Resample.c`).
const FRACTION_BITS: u32 = 32 - 8 - 2;

/// Free parameter of the cubic filter (`bicubic_filter` in `Resample.c`).
const CUBIC_A: f64 = -0.5;

impl Picture {
    /// The picture resized to `to`, as Pillow's `resize` with `BILINEAR` or `BICUBIC`.
    ///
    /// # Errors
    /// [`PictureError::Resize`] for a side of 0 or above [`MAX_SIDE`], or where the result and
    /// the intermediate picture would take more than [`MAX_BYTES`].
    pub fn resize(&self, to: ImageSize, filter: Interpolation) -> Result<Self, PictureError> {
        check_resize(self.size, to)?;
        let from = self.size;
        let (from_stride, stride) = (from.width * CHANNELS, to.width * CHANNELS);
        let columns = (to.width != from.width).then(|| Weights::new(from.width, to.width, filter));
        let rows = (to.height != from.height).then(|| Weights::new(from.height, to.height, filter));
        let rgb = match (columns, rows) {
            (None, None) => self.rgb.clone(),
            (Some(columns), None) => columns.along_rows(&self.rgb, from_stride),
            (None, Some(rows)) => rows.across_rows(&self.rgb, stride),
            (Some(columns), Some(rows)) if vertical_first(from, to) => {
                let low = rows.across_rows(&self.rgb, from_stride);
                columns.along_rows(&low, from_stride)
            }
            (Some(columns), Some(rows)) => {
                let narrow = columns.along_rows(&self.rgb, from_stride);
                rows.across_rows(&narrow, stride)
            }
        };
        Ok(Self { size: to, rgb })
    }
}

/// Whether the vertical pass comes first: where more than twice as many rows as columns go away
/// (`ImagingResampleInner`, since Pillow 13.0).
const fn vertical_first(from: ImageSize, to: ImageSize) -> bool {
    let rows = from.height.saturating_sub(to.height);
    let columns = from.width.saturating_sub(to.width);
    rows > 2 * columns
}

/// Refuses sizes and memory above the limits.
pub(super) fn check_resize(from: ImageSize, to: ImageSize) -> Result<(), PictureError> {
    let bytes = |height, width| {
        let n = elements("resized picture", &[height, width, CHANNELS]);
        n.map_or(u64::MAX, |n| n as u64)
    };
    let between = if vertical_first(from, to) {
        bytes(to.height, from.width)
    } else {
        bytes(from.height, to.width)
    };
    let bytes = between.saturating_add(bytes(to.height, to.width));
    let sides = 1..=MAX_SIDE;
    if sides.contains(&to.height) && sides.contains(&to.width) && bytes <= MAX_BYTES {
        return Ok(());
    }
    Err(PictureError::Resize {
        from,
        to,
        bytes,
        most_side: MAX_SIDE,
        most_bytes: MAX_BYTES,
    })
}

/// For each output position of one axis, the inputs it reads and their fixed-point weights.
struct Weights {
    /// Index of the first input, and the range of its weights in `fixed`.
    taps: Vec<(usize, Range<usize>)>,
    fixed: Vec<i32>,
}

impl Weights {
    /// `precompute_coeffs` and `normalize_coeffs_8bpc` of `Resample.c`.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positions are within 0..=MAX_SIDE after clamping, weights within ±2; both are \
                  truncated after half is added, which is how Pillow rounds"
    )]
    fn new(from: usize, to: usize, filter: Interpolation) -> Self {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let support = stretch * support(filter);
        let shrink = 1.0 / stretch;

        let mut weights = Self {
            taps: Vec::with_capacity(to),
            fixed: Vec::new(),
        };
        let mut exact = Vec::new();
        for position in 0..to {
            let center = (position as f64 + 0.5) * scale;
            let first = (center - support + 0.5).max(0.0) as usize;
            let last = ((center + support + 0.5) as usize).min(from);
            exact.clear();
            exact.extend((first..last).map(|input| {
                // The order of these operations decides the last bit.
                weight(filter, (input as f64 - center + 0.5) * shrink)
            }));
            let total: f64 = exact.iter().sum();
            let start = weights.fixed.len();
            weights.fixed.extend(exact.iter().map(|&w| {
                let scaled = w / total * f64::from(1 << FRACTION_BITS);
                (scaled + 0.5f64.copysign(scaled)) as i32
            }));
            weights.taps.push((first, start..weights.fixed.len()));
        }
        weights
    }

    /// Horizontal pass: `rows` has `stride` bytes per row.
    fn along_rows(&self, rows: &[u8], stride: usize) -> Vec<u8> {
        let out_stride = self.taps.len() * CHANNELS;
        let mut out = vec![0; rows.len() / stride * out_stride];
        let pairs = out
            .par_chunks_exact_mut(out_stride)
            .zip(rows.par_chunks_exact(stride));
        pairs.for_each(|(out, row)| {
            let (pixels, _) = row.as_chunks::<CHANNELS>();
            let (outs, _) = out.as_chunks_mut::<CHANNELS>();
            for (out, (first, range)) in outs.iter_mut().zip(&self.taps) {
                let mut sums = [HALF; CHANNELS];
                for (pixel, &weight) in pixels[*first..].iter().zip(&self.fixed[range.clone()]) {
                    for (sum, &value) in sums.iter_mut().zip(pixel) {
                        *sum += i32::from(value) * weight;
                    }
                }
                *out = sums.map(clip);
            }
        });
        out
    }

    /// Vertical pass: `rows` has `stride` bytes per row.
    fn across_rows(&self, rows: &[u8], stride: usize) -> Vec<u8> {
        let mut out = vec![0; self.taps.len() * stride];
        let pairs = out.par_chunks_exact_mut(stride).zip(&self.taps);
        pairs.for_each_init(
            || vec![HALF; stride],
            |sums, (out, (first, range))| {
                sums.fill(HALF);
                let rows = rows[first * stride..].chunks_exact(stride);
                for (row, &weight) in rows.zip(&self.fixed[range.clone()]) {
                    for (sum, &value) in sums.iter_mut().zip(row) {
                        *sum += i32::from(value) * weight;
                    }
                }
                for (out, &sum) in out.iter_mut().zip(&*sums) {
                    *out = clip(sum);
                }
            },
        );
        out
    }
}

/// One half in fixed point, so that the shift in [`clip`] rounds.
const HALF: i32 = 1 << (FRACTION_BITS - 1);

/// The fixed-point sum as a byte. Sums cannot overflow: the weights of one output add up to 1 and
/// the negative ones to -1/8 at least, so 255 · (1 + 1/8) in fixed point is the most.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=255"
)]
fn clip(sum: i32) -> u8 {
    (sum >> FRACTION_BITS).clamp(0, 255) as u8
}

/// Half the width of the filter, in input pixels at ratio 1.
fn support(filter: Interpolation) -> f64 {
    match filter {
        Interpolation::Bilinear => 1.0,
        Interpolation::Bicubic => 2.0,
    }
}

/// The filter at distance `x`: a triangle, or Keys' cubic convolution.
/// Operations in the order of `Resample.c`, which the last bit depends on.
fn weight(filter: Interpolation, x: f64) -> f64 {
    let x = x.abs();
    match filter {
        Interpolation::Bilinear if x < 1.0 => 1.0 - x,
        Interpolation::Bicubic if x < 1.0 => ((CUBIC_A + 2.0) * x - (CUBIC_A + 3.0)) * x * x + 1.0,
        Interpolation::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * CUBIC_A,
        _ => 0.0,
    }
}
