//! From a file or its bytes to RGB pixels, with limits checked before any pixel is decoded.

use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::Path;

use image::error::ImageError;
use image::{ColorType, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::header::{Flaw, Format, Header, describe};
use super::{CHANNELS, MAX_BYTES, MAX_FILE_BYTES, MAX_SIDE, Picture, PictureError};
use crate::shape::ImageSize;

impl Picture {
    /// Decodes a JPEG or PNG file; see [`Picture::decode`].
    ///
    /// # Errors
    /// [`PictureError::Read`] and [`PictureError::Directory`] where there is no file to read, and
    /// those of [`Picture::decode`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PictureError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let read = |source| PictureError::Read {
            name: name.clone(),
            source,
        };
        let about = fs::metadata(path).map_err(read)?;
        if about.is_dir() {
            return Err(PictureError::Directory { name });
        }
        if about.len() > MAX_FILE_BYTES {
            return Err(file_too_large(&name, format!("{} bytes", about.len())));
        }
        // The length of a pipe is not known beforehand, so reading is limited as well.
        let mut bytes = Vec::new();
        let mut file = File::open(path).map_err(read)?.take(MAX_FILE_BYTES + 1);
        file.read_to_end(&mut bytes).map_err(read)?;
        Self::decode(&bytes, &name)
    }

    /// Decodes the bytes of a JPEG or PNG file; `name` stands for the picture in errors.
    ///
    /// Pixels are those of Pillow's `convert("RGB")`, which keeps numbers and interprets nothing:
    /// - grey becomes three equal channels, a palette its colours;
    /// - alpha and transparent colours are dropped, not blended;
    /// - 16-bit samples keep their high byte (Pillow does so for colour, and clips 16-bit grey at
    ///   255 instead, which turns nearly all of it white);
    /// - colour profiles, gamma and EXIF orientation are ignored;
    /// - of an animated PNG the default image is taken, the one viewers without animation show;
    /// - CMYK and YCCK become RGB as ink that absorbs light; both need the Adobe marker, without
    ///   which nothing tells whether values are inverted.
    ///
    /// JPEG decoders round differently: values can be a few levels of 255 from those of libjpeg.
    ///
    /// # Errors
    /// [`PictureError::Empty`] and [`PictureError::Format`] for bytes that are no JPEG or PNG;
    /// [`PictureError::FileTooLarge`], [`PictureError::TooManyPixels`] and
    /// [`PictureError::TooMuchMemory`] above [`MAX_FILE_BYTES`], [`MAX_SIDE`] and [`MAX_BYTES`];
    /// [`PictureError::Truncated`], [`PictureError::Damaged`] and [`PictureError::Unsupported`]
    /// for what cannot be decoded.
    pub fn decode(bytes: &[u8], name: &str) -> Result<Self, PictureError> {
        if bytes.is_empty() {
            return Err(PictureError::Empty {
                name: name.to_owned(),
            });
        }
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(file_too_large(
                name,
                format!("{} bytes or more", bytes.len()),
            ));
        }
        let format = Format::of(bytes).ok_or_else(|| PictureError::Format {
            name: name.to_owned(),
            found: describe(bytes),
        })?;
        let source = Source {
            bytes,
            name,
            format,
        };
        let header = source.header()?;
        source.pixels(&header)
    }
}

fn file_too_large(name: &str, found: String) -> PictureError {
    PictureError::FileTooLarge {
        name: name.to_owned(),
        found,
        limit: MAX_FILE_BYTES,
    }
}

/// Bytes of a known format.
struct Source<'a> {
    bytes: &'a [u8],
    name: &'a str,
    format: Format,
}

impl Source<'_> {
    /// The header of a file that is whole and within the limits on its sides.
    fn header(&self) -> Result<Header, PictureError> {
        let header = self.format.header(self.bytes).map_err(|flaw| match flaw {
            Flaw::Truncated(expected) => PictureError::Truncated {
                name: self.name.to_owned(),
                format: self.format.name(),
                bytes: self.bytes.len(),
                expected,
            },
            Flaw::Damaged(reason) => self.damaged(reason),
        })?;
        let ImageSize { height, width } = header.size;
        if height > MAX_SIDE || width > MAX_SIDE {
            return Err(PictureError::TooManyPixels {
                name: self.name.to_owned(),
                found: header.size,
                limit: MAX_SIDE,
            });
        }
        if height == 0 || width == 0 {
            return Err(self.damaged(format!("its size is {height}x{width}")));
        }
        if header.unmarked_cmyk {
            return Err(self.unsupported("CMYK colour without an Adobe marker"));
        }
        Ok(header)
    }

    fn pixels(&self, header: &Header) -> Result<Picture, PictureError> {
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_BYTES);
        let format = match self.format {
            Format::Jpeg => ImageFormat::Jpeg,
            Format::Png => ImageFormat::Png,
        };
        let mut reader = ImageReader::with_format(Cursor::new(self.bytes), format);
        reader.limits(limits);
        let decoder = reader.into_decoder().map_err(|e| self.refused(&e))?;

        let (width, height) = decoder.dimensions();
        if [height as usize, width as usize] != [header.size.height, header.size.width] {
            return Err(self.damaged(format!(
                "it holds both {} and {height}x{width} as its size",
                header.size
            )));
        }

        let color = decoder.color_type();
        let output = decoder.total_bytes();
        let pixels = (header.size.height * header.size.width) as u64;
        let copy = if color == ColorType::Rgb8 {
            0
        } else {
            pixels * CHANNELS as u64
        };
        let needed = output.saturating_add(copy + pixels * header.working_bytes);
        let length = usize::try_from(output).ok().filter(|_| needed <= MAX_BYTES);
        let Some(length) = length else {
            return Err(PictureError::TooMuchMemory {
                name: self.name.to_owned(),
                found: header.size,
                bytes: needed,
                limit: MAX_BYTES,
            });
        };

        let mut samples = vec![0; length];
        decoder
            .read_image(&mut samples)
            .map_err(|e| self.refused(&e))?;
        let rgb =
            rgb(samples, color).ok_or_else(|| self.unsupported(&format!("{color:?} colour")))?;
        Picture::from_rgb(header.size, rgb)
    }

    fn refused(&self, error: &ImageError) -> PictureError {
        match error {
            ImageError::Unsupported(e) => self.unsupported(&e.to_string()),
            e => self.damaged(e.to_string()),
        }
    }

    fn unsupported(&self, found: &str) -> PictureError {
        PictureError::Unsupported {
            name: self.name.to_owned(),
            format: self.format.name(),
            found: found.to_owned(),
        }
    }

    fn damaged(&self, reason: impl Into<String>) -> PictureError {
        PictureError::Damaged {
            name: self.name.to_owned(),
            format: self.format.name(),
            reason: reason.into(),
        }
    }
}

/// Three 8-bit channels per pixel: grey repeated, alpha dropped, the high byte of 16 bits kept.
fn rgb(samples: Vec<u8>, color: ColorType) -> Option<Vec<u8>> {
    let (channels, bytes) = match color {
        ColorType::Rgb8 => return Some(samples),
        ColorType::L8 => (1, 1),
        ColorType::La8 => (2, 1),
        ColorType::Rgba8 => (4, 1),
        ColorType::L16 => (1, 2),
        ColorType::La16 => (2, 2),
        ColorType::Rgb16 => (3, 2),
        ColorType::Rgba16 => (4, 2),
        _ => return None,
    };
    let high = if cfg!(target_endian = "little") {
        bytes - 1
    } else {
        0
    };
    let [r, g, b] = if channels < CHANNELS {
        [0, 0, 0]
    } else {
        [0, 1, 2]
    };
    let pixels = samples.chunks_exact(channels * bytes);
    let mut rgb = Vec::with_capacity(pixels.len() * CHANNELS);
    for p in pixels {
        rgb.extend([r, g, b].map(|c| p[c * bytes + high]));
    }
    Some(rgb)
}
