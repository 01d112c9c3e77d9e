//! What can be wrong with a picture.

use std::io;

use crate::shape::ImageSize;

/// A picture that cannot be decoded or prepared. `name` is the path, or the name given with the
/// bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The file cannot be read.
    #[error("{name}: cannot be read ({source}); check the path and its permissions")]
    Read {
        /// Path of the file.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A picture cannot be written.
    #[error("{}: cannot be written ({source}); check the folder and its permissions", path.display())]
    Write {
        /// Path of the file.
        path: std::path::PathBuf,
        /// What the encoder or the system said.
        source: image::ImageError,
    },
    /// The path is a directory.
    #[error("{name}: is a directory; give the path of one JPEG or PNG file")]
    Directory {
        /// The path.
        name: String,
    },
    /// The file is larger than [`MAX_FILE_BYTES`](super::MAX_FILE_BYTES).
    #[error("{name}: has {found}, at most {limit} bytes are read; save the picture smaller")]
    FileTooLarge {
        /// Name of the picture.
        name: String,
        /// Its length in words: exact, or a lower bound where reading stopped early.
        found: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file has no bytes.
    #[error("{name}: is empty (0 bytes), expected a JPEG or PNG file; fetch or save it again")]
    Empty {
        /// Name of the picture.
        name: String,
    },
    /// The bytes are neither JPEG nor PNG, whatever the file is called.
    #[error("{name}: looks like {found}, expected JPEG or PNG; convert it")]
    Format {
        /// Name of the picture.
        name: String,
        /// What the first bytes look like.
        found: String,
    },
    /// The file ends before the picture does.
    #[error(
        "{name}: the {format} data stops after {bytes} bytes, before {expected}; fetch or save it again"
    )]
    Truncated {
        /// Name of the picture.
        name: String,
        /// `JPEG` or `PNG`.
        format: &'static str,
        /// Length of the file.
        bytes: usize,
        /// The part that is missing.
        expected: &'static str,
    },
    /// The bytes break the rules of their format.
    #[error("{name}: the {format} data is damaged ({reason}); fetch or save it again")]
    Damaged {
        /// Name of the picture.
        name: String,
        /// `JPEG` or `PNG`.
        format: &'static str,
        /// What the decoder found.
        reason: String,
    },
    /// A part of the format that is not decoded.
    #[error("{name}: {found} is not supported in {format} files; save it as an 8-bit RGB {format}")]
    Unsupported {
        /// Name of the picture.
        name: String,
        /// `JPEG` or `PNG`.
        format: &'static str,
        /// What the file uses.
        found: String,
    },
    /// A side is longer than [`MAX_SIDE`](super::MAX_SIDE), by the header: nothing was decoded.
    #[error(
        "{name}: has {found} pixels (height x width), at most {limit}x{limit} are decoded; save the picture smaller"
    )]
    TooManyPixels {
        /// Name of the picture.
        name: String,
        /// Size of the picture.
        found: ImageSize,
        /// Longest side allowed.
        limit: usize,
    },
    /// Decoding would take more than [`MAX_BYTES`](super::MAX_BYTES): nothing was decoded.
    #[error(
        "{name}: decoding {found} pixels takes {bytes} bytes, at most {limit} are used; save the picture smaller"
    )]
    TooMuchMemory {
        /// Name of the picture.
        name: String,
        /// Size of the picture.
        found: ImageSize,
        /// Bytes that decoding needs.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A picture size that cannot be used.
    #[error("a picture of {found} pixels (height x width): each side must be 1 to {most}")]
    Size {
        /// The size asked for.
        found: ImageSize,
        /// Longest side allowed.
        most: usize,
    },
    /// Pixels that do not fit the size given with them.
    #[error(
        "RGB pixels of a {size} picture: {found} bytes given, {expected} expected (height x width x 3)"
    )]
    RgbLength {
        /// The size given.
        size: ImageSize,
        /// Bytes given.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// A resizing with a result or an intermediate above the limits.
    #[error(
        "resizing {from} pixels (height x width) to {to} takes {bytes} bytes; each side must be 1 to {most_side} and \
         the memory at most {most_bytes} bytes; ask for a smaller size"
    )]
    Resize {
        /// Size of the picture.
        from: ImageSize,
        /// Size asked for.
        to: ImageSize,
        /// Bytes of the intermediate and the result.
        bytes: u64,
        /// Longest side allowed.
        most_side: usize,
        /// Most memory allowed, in bytes.
        most_bytes: u64,
    },
    /// A crop that is empty or larger than the resized picture.
    #[error(
        "a centre crop of {crop}x{crop} cannot be cut from {resized} pixels (height x width, after resizing); \
         use a crop from 1 to the shorter side, or resize to more pixels"
    )]
    Crop {
        /// Side of the crop.
        crop: usize,
        /// Size of the picture when it is cut.
        resized: ImageSize,
    },
    /// An output slice of the wrong length.
    #[error(
        "prepared picture of {size}: {found} values given for the output, {expected} expected (3 x height x width)"
    )]
    OutputLength {
        /// Size of the prepared picture.
        size: ImageSize,
        /// Length of the slice given.
        found: usize,
        /// Length expected.
        expected: usize,
    },
    /// Means or standard deviations that give no finite values.
    #[error("mean {mean:?} and std {std:?}: each must be finite and each std above 0")]
    Normalisation {
        /// Mean per channel.
        mean: [f32; 3],
        /// Standard deviation per channel.
        std: [f32; 3],
    },
}
