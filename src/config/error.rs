//! What can be wrong with a model description.

use std::fmt::Display;
use std::path::PathBuf;

use super::text::{clipped, closest, did_you_mean, shown};
use crate::shape::{ImageSize, ShapeError};

/// A model description that cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Io {
        /// File asked for.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is longer than any configuration.
    #[error("{}: holds more than {limit} bytes, expected a config.json of a few kilobytes", path.display())]
    TooLong {
        /// File asked for.
        path: PathBuf,
        /// Most bytes that are read.
        limit: u64,
    },
    /// The text is not JSON.
    #[error("not valid JSON: {}", clipped(detail, 300))]
    Syntax {
        /// What the parser said, with line and column.
        detail: String,
    },
    /// The same key stands twice in one object.
    #[error("key `{}` is given twice; keep one", shown(key))]
    DuplicateKey {
        /// Path of the key from the top of the document.
        key: String,
    },
    /// A key that has no default is absent.
    #[error("key `{key}` is missing; expected {expected}")]
    MissingKey {
        /// Path of the key.
        key: String,
        /// What its value should be.
        expected: &'static str,
    },
    /// A key that means nothing here.
    #[error("unknown key `{}`{}; remove it or correct its spelling", shown(key), did_you_mean(closest.as_deref()))]
    UnknownKey {
        /// Path of the key.
        key: String,
        /// A known key spelled almost the same.
        closest: Option<String>,
    },
    /// A value of the wrong type.
    #[error("`{key}` is {}; expected {expected}", shown(found))]
    WrongType {
        /// Path of the key.
        key: String,
        /// The value found.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A list of the wrong length.
    #[error("`{key}` has {found} entries; expected {expected}")]
    WrongLength {
        /// Path of the key.
        key: String,
        /// Entries found.
        found: usize,
        /// Entries needed.
        expected: usize,
    },
    /// A value of the right type that no model can have, or that contradicts another.
    #[error("{field} is {}; expected {expected}", shown(found))]
    OutOfRange {
        /// Which value.
        field: String,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// An image with too few pixels for the pyramid.
    #[error(
        "image {image} is too small: stage {stage} would be left with no keys on its {}x{} grid \
         (spatial reduction {sr_ratio}); both sides must be at least {min_side} pixels",
        grid.0, grid.1
    )]
    ImageTooSmall {
        /// Size of the image.
        image: ImageSize,
        /// First stage that would be empty, counted from 1.
        stage: usize,
        /// Grid (height, width) of that stage.
        grid: (usize, usize),
        /// Spatial reduction of that stage.
        sr_ratio: usize,
        /// Shortest side the model accepts, in pixels.
        min_side: usize,
    },
    /// An image with more pixels than are accepted.
    #[error("image {image} is too large: a side may have at most {limit} pixels; resize it first")]
    ImageTooLarge {
        /// Size of the image.
        image: ImageSize,
        /// Longest side accepted, in pixels.
        limit: usize,
    },
    /// A model family that is known but cannot be run.
    #[error(
        "{}: PVT v2 is not supported yet; use a first-version model: \
         pvt_tiny, pvt_small, pvt_medium, pvt_large or pvt_huge_v2",
        shown(what)
    )]
    NotYetSupported {
        /// What asked for it.
        what: String,
    },
    /// A name outside a fixed list.
    #[error(
        "unknown {kind} `{}`{}; expected one of {}",
        shown(found), did_you_mean(*closest), valid.join(", ")
    )]
    UnknownName {
        /// What kind of thing is named.
        kind: &'static str,
        /// The name given.
        found: String,
        /// The names that exist.
        valid: Vec<&'static str>,
        /// One spelled almost the same.
        closest: Option<&'static str>,
    },
    /// Sizes whose product does not fit the address space.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

impl ConfigError {
    pub(super) fn out_of_range(
        field: impl Into<String>,
        found: impl Display,
        expected: impl Into<String>,
    ) -> Self {
        Self::OutOfRange {
            field: field.into(),
            found: found.to_string(),
            expected: expected.into(),
        }
    }

    /// `spelled` is `found` as the valid names are spelled: in lower case, with a prefix …
    pub(super) fn unknown_name(
        kind: &'static str,
        found: &str,
        spelled: &str,
        valid: &[&'static str],
    ) -> Self {
        Self::UnknownName {
            kind,
            found: found.to_owned(),
            valid: valid.to_vec(),
            closest: closest(spelled, valid.iter().copied()),
        }
    }
}
