//! Random changes of a picture, a pure function of seed, epoch and picture.

use std::borrow::Cow;

use super::random::{Purpose, Stream};
use super::recipe::{Augment, Fill};
use crate::config::Interpolation;
use crate::picture::{Picture, PictureError};
use crate::shape::ImageSize;

/// Tries to find a part of the picture before the middle is taken.
const TRIES: usize = 10;

/// Red, green and blue.
const CHANNELS: usize = 3;

/// Streams of a picture; each change has its own, so that one option does not move the others.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Change {
    Crop,
    Shift,
    Flip,
}

/// A part of a picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    top: usize,
    left: usize,
    size: ImageSize,
}

/// `picture` changed as `augment` says, as the picture `index` of the epoch `epoch`.
///
/// # Errors
/// Those of [`Picture::resize`], where a part of it is resized.
pub fn augment<'a>(
    picture: Cow<'a, Picture>,
    augment: &Augment,
    (size, filter): (ImageSize, Interpolation),
    seed: u64,
    (epoch, index): (u32, u32),
) -> Result<Cow<'a, Picture>, PictureError> {
    let at = u64::from(epoch) << 32 | u64::from(index);
    let stream = |change: Change| Stream::new(seed, Purpose::Augment, change as u32, at);
    let mut picture = picture;
    if let Some(smallest) = augment.crop {
        let part = random_part(picture.size(), smallest, &mut stream(Change::Crop));
        picture = Cow::Owned(cut(&picture, part)?.resize(size, filter)?);
    }
    if augment.shift > 0 {
        let mut stream = stream(Change::Shift);
        let choices = augment.shift.saturating_mul(2).saturating_add(1);
        let signed = |value: u32| isize::try_from(value).unwrap_or(isize::MAX);
        let mut draw = || signed(stream.below(choices)) - signed(augment.shift);
        let (down, right) = (draw(), draw());
        picture = Cow::Owned(shifted(&picture, down, right, augment.fill)?);
    }
    if augment.flip && stream(Change::Flip).below(2) == 1 {
        picture = Cow::Owned(mirrored(&picture)?);
    }
    Ok(picture)
}

/// A part of at least `smallest` of the area with sides in a ratio of 3/4 to 4/3: the ratio or its
/// inverse is uniform in 3/4 to 1. The largest square in the middle where no try fits.
fn random_part(from: ImageSize, smallest: f64, stream: &mut Stream) -> Part {
    let area = (from.height * from.width) as f64;
    for _ in 0..TRIES {
        let part_area = area * (smallest + (1.0 - smallest) * stream.open_uniform());
        let ratio = 0.75 + 0.25 * stream.open_uniform();
        let ratio = if stream.below(2) == 1 {
            1.0 / ratio
        } else {
            ratio
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the root of an area, positive"
        )]
        let side = |squared: f64| squared.sqrt().round() as usize;
        let (width, height) = (side(part_area * ratio), side(part_area / ratio));
        if (1..=from.width).contains(&width) && (1..=from.height).contains(&height) {
            let mut below = |n: usize| stream.below(u32::try_from(n).unwrap_or(u32::MAX)) as usize;
            return Part {
                top: below(from.height - height + 1),
                left: below(from.width - width + 1),
                size: ImageSize { height, width },
            };
        }
    }
    let side = from.height.min(from.width);
    Part {
        top: (from.height - side) / 2,
        left: (from.width - side) / 2,
        size: ImageSize::square(side),
    }
}

fn cut(picture: &Picture, part: Part) -> Result<Picture, PictureError> {
    let line = picture.size().width * CHANNELS;
    let rows = picture.rgb().chunks_exact(line);
    let rows = rows.skip(part.top).take(part.size.height);
    let rgb = rows.flat_map(|row| &row[part.left * CHANNELS..][..part.size.width * CHANNELS]);
    Picture::from_rgb(part.size, rgb.copied().collect())
}

/// The pixel at (y, x) is that of `picture` at (y - down, x - right).
fn shifted(
    picture: &Picture,
    down: isize,
    right: isize,
    fill: Fill,
) -> Result<Picture, PictureError> {
    let ImageSize { height, width } = picture.size();
    let (pixels, _) = picture.rgb().as_chunks::<CHANNELS>();
    // index of the source along an axis; none where it lies outside and black stands there
    let source = |at: usize, by: isize, length: usize| match fill {
        Fill::Black => at.checked_add_signed(-by).filter(|at| *at < length),
        Fill::Edge => Some(at.saturating_add_signed(-by).min(length - 1)),
    };
    let mut rgb = Vec::with_capacity(picture.rgb().len());
    for y in 0..height {
        let row = source(y, down, height).map(|y| &pixels[y * width..][..width]);
        for x in 0..width {
            let pixel = row.and_then(|row| Some(row[source(x, right, width)?]));
            rgb.extend(pixel.unwrap_or_default());
        }
    }
    Picture::from_rgb(picture.size(), rgb)
}

fn mirrored(picture: &Picture) -> Result<Picture, PictureError> {
    let (pixels, _) = picture.rgb().as_chunks::<CHANNELS>();
    let rows = pixels.chunks_exact(picture.size().width);
    let rgb = rows.flat_map(|row| row.iter().rev().flatten().copied());
    Picture::from_rgb(picture.size(), rgb.collect())
}
