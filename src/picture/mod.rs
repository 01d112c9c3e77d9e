//! Pictures: decoding with limits, resizing as Pillow does, and normalisation.
//!
//! A [`Picture`] is what Pillow's `Image.open(path).convert("RGB")` would give; [`prepare()`] turns
//! it into the planar `[3, H, W]` input of a model. Resizing gives the same bytes as Pillow
//! 13.0, so the only stage that can differ from a Python pipeline is the decoding of JPEG files,
//! where decoders are free to round differently (a few levels of 255).

mod components;
mod decode;
mod error;
mod header;
mod prepare;
mod resize;

pub use components::principal_colours;
pub use error::PictureError;
pub use prepare::{output_size, prepare, prepare_into, resize_and_crop};

use crate::shape::ImageSize;

/// Largest file that is read, in bytes (64 MiB).
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// Longest side of a picture, decoded or resized, in pixels.
pub const MAX_SIDE: usize = 16_384;

/// Most memory that decoding or resizing one picture may take, in bytes (512 MiB).
pub const MAX_BYTES: u64 = 512 << 20;

/// Endings of the files that are looked for in folders.
pub const ENDINGS: [&str; 3] = ["jpg", "jpeg", "png"];

/// Red, green and blue.
const CHANNELS: usize = 3;

/// An RGB picture with 8 bits per channel. Grey pictures have three equal channels.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    size: ImageSize,
    /// `[H, W, 3]`, row-major.
    rgb: Vec<u8>,
}

impl Picture {
    /// A picture from its pixels: `rgb` is `[H, W, 3]`, row-major, one byte per channel.
    ///
    /// # Errors
    /// [`PictureError::Size`] for a side of 0 or above [`MAX_SIDE`]; [`PictureError::RgbLength`]
    /// where `rgb` has another length than height × width × 3.
    pub fn from_rgb(size: ImageSize, rgb: Vec<u8>) -> Result<Self, PictureError> {
        check_size(size)?;
        let expected = size.height * size.width * CHANNELS;
        if rgb.len() != expected {
            return Err(PictureError::RgbLength {
                size,
                found: rgb.len(),
                expected,
            });
        }
        Ok(Self { size, rgb })
    }

    /// Height and width in pixels.
    pub const fn size(&self) -> ImageSize {
        self.size
    }

    /// The pixels: `[H, W, 3]`, row-major, one byte per channel.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The pixels, without copying them.
    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }
}

/// Whether the file at `path` is called like a picture, whatever is in it.
pub fn has_picture_ending(path: impl AsRef<std::path::Path>) -> bool {
    let ending = path.as_ref().extension();
    let ending = ending.map(|e| e.to_string_lossy().to_lowercase());
    ending.is_some_and(|e| ENDINGS.contains(&e.as_str()))
}

fn check_size(size: ImageSize) -> Result<(), PictureError> {
    let sides = 1..=MAX_SIDE;
    if sides.contains(&size.height) && sides.contains(&size.width) {
        return Ok(());
    }
    Err(PictureError::Size {
        found: size,
        most: MAX_SIDE,
    })
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
