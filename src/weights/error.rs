//! What can be wrong with a weights file.

use std::fmt;

use safetensors::Dtype;

use super::file::{MAX_FILE_BYTES, MAX_HEADER_BYTES, MAX_RANK, MAX_TENSORS};
use super::names::KeyScheme;
use crate::config::ConfigError;
use crate::config::text::{clipped, did_you_mean, shown};

/// A weights file that is damaged or does not belong to the model. `file` is its path, or the
/// name given with its bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file could not be read.
    #[error("{file}: cannot be read: {source}")]
    Io {
        /// File asked for.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The path leads to something else than a file of safetensors.
    #[error("{file}: {found}; {advice}")]
    NotSafetensors {
        /// File asked for.
        file: String,
        /// What it is instead.
        found: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// The file is longer than is read.
    #[error(
        "{file}: {bytes} bytes long, at most {MAX_FILE_BYTES} are read; give one model per file"
    )]
    TooLong {
        /// File asked for.
        file: String,
        /// Its length.
        bytes: u64,
    },
    /// The header length in the first eight bytes is not credible.
    #[error(
        "{file}: the header claims {bytes} bytes, at most {MAX_HEADER_BYTES} are read; \
         the file is damaged or is not safetensors"
    )]
    HeaderTooLong {
        /// File asked for.
        file: String,
        /// Length claimed.
        bytes: u64,
    },
    /// The file ends before what its header describes.
    #[error(
        "{file}: {what} ends at byte {end}, but the file holds {bytes}; it is cut short, fetch it again"
    )]
    Truncated {
        /// File asked for.
        file: String,
        /// What is cut.
        what: String,
        /// Where it should end, in bytes from the start of the file.
        end: u128,
        /// Length of the file.
        bytes: usize,
    },
    /// More tensors, or more entries of metadata, than any model has.
    #[error(
        "{file}: the header has more than {MAX_TENSORS} {what}, more than any model; check where it comes from"
    )]
    TooMany {
        /// File asked for.
        file: String,
        /// What there is too much of.
        what: &'static str,
    },
    /// The same key twice in the header.
    #[error(
        "{file}: key `{}` is in the header twice; which one is meant cannot be known, write the file again",
        shown(key)
    )]
    DuplicateKey {
        /// File asked for.
        file: String,
        /// The key.
        key: String,
    },
    /// A tensor with more dimensions than any parameter.
    #[error(
        "{file}: `{}` has {rank} dimensions, expected at most {MAX_RANK}",
        shown(key)
    )]
    Rank {
        /// File asked for.
        file: String,
        /// The tensor.
        key: String,
        /// Its number of dimensions.
        rank: usize,
    },
    /// The header breaks a rule of the format.
    #[error(
        "{file}: not valid safetensors: {}; the file is damaged, fetch it again",
        clipped(detail, 300)
    )]
    Format {
        /// File asked for.
        file: String,
        /// Which rule.
        detail: String,
    },
    /// A tensor of another element type than asked for.
    #[error("`{}` is stored as {found}, expected {expected}", shown(key))]
    Dtype {
        /// The tensor.
        key: String,
        /// Type in the file.
        found: Dtype,
        /// Types that can be read.
        expected: &'static str,
    },
    /// A buffer of another length than the tensor to be read into it.
    #[error(
        "`{}` has {expected} values, but the buffer given has {found}",
        shown(key)
    )]
    Length {
        /// The tensor or parameter.
        key: String,
        /// Length of the buffer.
        found: usize,
        /// Length needed.
        expected: usize,
    },
    /// A name that is no parameter of the model.
    #[error("no parameter `{}`{}", shown(name), did_you_mean(closest.as_deref()))]
    NoSuchParameter {
        /// The name asked for.
        name: String,
        /// A parameter of almost the same name.
        closest: Option<String>,
    },
    /// A value that is NaN or infinite.
    #[error(
        "{file}: `{}` has the value {value} at flat index {index}, expected finite numbers; \
         the training diverged or the file is damaged (allow_non_finite loads it all the same)",
        shown(key)
    )]
    NonFinite {
        /// File asked for.
        file: String,
        /// The tensor.
        key: String,
        /// Index in the tensor, row-major.
        index: usize,
        /// The value.
        value: f32,
    },
    /// Keys that follow no scheme.
    #[error("{file}: {}", unknown_scheme(keys, *count))]
    UnknownScheme {
        /// File asked for.
        file: String,
        /// The first keys of the file.
        keys: Vec<String>,
        /// Number of keys in the file.
        count: usize,
    },
    /// A checkpoint of a model family that is known but cannot be run.
    #[error(
        "{file}: a checkpoint of PVT v2 (it has `{}`), which is not supported yet; use one of the first version",
        shown(key)
    )]
    NotYetSupported {
        /// File asked for.
        file: String,
        /// A key that shows it.
        key: String,
    },
    /// Keys or shapes that do not fit the model.
    #[error(transparent)]
    Mismatch(Box<Mismatch>),
    /// The configuration to load for cannot be built.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Everything in which a file does not fit the model; each list is sorted.
#[derive(Debug)]
pub struct Mismatch {
    /// File asked for.
    pub file: String,
    /// How the file names its parameters.
    pub scheme: KeyScheme,
    /// What stands before every key.
    pub prefix: &'static str,
    /// Keys that the model needs and the file lacks.
    pub missing: Vec<Unmatched>,
    /// Keys of the file that the model has no use for.
    pub unexpected: Vec<Unmatched>,
    /// Tensors of another shape than the model's.
    pub misshaped: Vec<Misshaped>,
    /// Tensors that are not F32, F16 or BF16.
    pub wrong_dtype: Vec<(String, Dtype)>,
    /// Whether the file would do in [`Mode::Backbone`](crate::config::Mode::Backbone).
    pub backbone_only: bool,
}

/// A key with no counterpart on the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmatched {
    /// The key.
    pub key: String,
    /// A key of the other side, itself without counterpart or known, spelled almost the same.
    /// Looked for only for the first few keys.
    pub closest: Option<String>,
}

/// A tensor of another shape than the model's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misshaped {
    /// Key in the file.
    pub key: String,
    /// Shape in the file.
    pub found: Vec<usize>,
    /// Shape the model needs.
    pub expected: Vec<usize>,
}

/// Entries of each list that a message shows.
pub(super) const SHOWN: usize = 10;

impl std::error::Error for Mismatch {}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, scheme) = (&self.file, self.scheme);
        write!(
            f,
            "{file}: does not fit the model (keys of the {scheme} scheme"
        )?;
        if !self.prefix.is_empty() {
            write!(f, ", prefix `{}`", self.prefix)?;
        }
        f.write_str(")")?;
        let unmatched =
            |u: &Unmatched| format!("`{}`{}", shown(&u.key), did_you_mean(u.closest.as_deref()));
        list(f, "missing", &self.missing, unmatched)?;
        list(f, "unexpected", &self.unexpected, unmatched)?;
        list(f, "wrong shape", &self.misshaped, |m| {
            format!(
                "`{}` is {:?}, expected {:?}",
                shown(&m.key),
                m.found,
                m.expected
            )
        })?;
        list(f, "wrong type", &self.wrong_dtype, |(key, dtype)| {
            format!("`{}` is {dtype}, expected F32, F16 or BF16", shown(key))
        })?;
        if self.backbone_only {
            f.write_str(
                "\nThis is a backbone-only checkpoint: it has no classification head; \
                 use it in backbone mode (`pvt features`)",
            )
        } else {
            f.write_str("\nCheck that the configuration belongs to this file")
        }
    }
}

/// `title (count): first, second, …` on a line of its own, or nothing for an empty list.
fn list<T>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    items: &[T],
    text: impl Fn(&T) -> String,
) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = items.iter().take(SHOWN).map(text).collect();
    write!(f, "\n  {title} ({}): {}", items.len(), lines.join(", "))?;
    if items.len() > SHOWN {
        write!(f, ", … and {} more", items.len() - SHOWN)?;
    }
    Ok(())
}

fn unknown_scheme(keys: &[String], count: usize) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("`{}`", shown(key))).collect();
    let found = match keys.len() {
        0 => "it has no tensors".to_owned(),
        _ => format!("its {count} keys begin with {}", keys.join(", ")),
    };
    format!(
        "not a PVT checkpoint, {found}; expected keys such as \
         `patch_embed1.proj.weight` (official), \
         `pvt.encoder.patch_embeddings.0.projection.weight` (Hugging Face) or \
         `layers.0.0.projection.weight` (mmdetection)"
    )
}
