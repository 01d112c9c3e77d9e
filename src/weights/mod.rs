//! Parameters of a model, read from safetensors.
//!
//! A [`TensorFile`] is a file whose structure has been checked; [`Weights`] is one whose tensors
//! are those of a model, whatever checkpoint they come from: [`KeyScheme`] lists the ways of
//! naming them, and a [`Manifest`] the parameters themselves.

mod error;
mod file;
mod float;
mod header;
mod load;
mod manifest;
mod names;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

pub use error::{Mismatch, Misshaped, Unmatched, WeightsError};
pub use file::{MAX_FILE_BYTES, MAX_HEADER_BYTES, MAX_RANK, MAX_TENSORS, Tensor, TensorFile};
pub use manifest::{Manifest, Param};
pub use names::{Form, KeyScheme, Piece};
pub use safetensors::Dtype;

use crate::config::text::closest;
use crate::config::{Mode, PvtConfig};

/// What to tolerate when loading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// Load weights with NaN or infinite values.
    pub allow_non_finite: bool,
}

/// The parameters of a model, in memory as their file has them. [`read`](Self::read) gives them
/// under their official names and as `f32`.
#[derive(Debug)]
pub struct Weights {
    file: TensorFile,
    scheme: KeyScheme,
    params: BTreeMap<String, Vec<Span>>,
    ignored: Vec<String>,
}

/// Values of a tensor of the file.
#[derive(Debug)]
struct Span {
    key: String,
    /// Flat indices.
    elements: Range<usize>,
}

impl Weights {
    /// Loads the parameters of `config` from the safetensors file at `path`.
    ///
    /// # Errors
    /// Those of [`TensorFile::open`] and [`from_file`](Self::from_file).
    pub fn open(
        path: impl AsRef<Path>,
        config: &PvtConfig,
        mode: Mode,
        options: &LoadOptions,
    ) -> Result<Self, WeightsError> {
        Self::from_file(TensorFile::open(path)?, config, mode, options)
    }

    /// Finds the parameters of `config` in `file`. No values are copied.
    ///
    /// # Errors
    /// [`WeightsError::Config`] for a configuration that cannot be built;
    /// [`WeightsError::UnknownScheme`] and [`WeightsError::NotYetSupported`] for checkpoints of
    /// something else; [`WeightsError::Mismatch`] with everything that is missing, unexpected, or
    /// of the wrong shape or type; [`WeightsError::NonFinite`] unless `options` allow it.
    pub fn from_file(
        file: TensorFile,
        config: &PvtConfig,
        mode: Mode,
        options: &LoadOptions,
    ) -> Result<Self, WeightsError> {
        let weights = load::load(file, config, mode)?;
        if !options.allow_non_finite {
            weights.check_finite()?;
        }
        Ok(weights)
    }

    /// Writes the values of the parameter `name` to `out`, in row-major order. Names and shapes
    /// are those of the [`Manifest`] for the same configuration and mode.
    ///
    /// # Errors
    /// [`WeightsError::NoSuchParameter`], and [`WeightsError::Length`] where `out` is of another
    /// length.
    pub fn read(&self, name: &str, out: &mut [f32]) -> Result<(), WeightsError> {
        let spans = self.spans(name)?;
        let expected = count(spans);
        let length = |found| WeightsError::Length {
            key: name.to_owned(),
            found,
            expected,
        };
        if out.len() != expected {
            return Err(length(out.len()));
        }
        let mut rest = out;
        for span in spans {
            let (part, after) = rest
                .split_at_mut_checked(span.elements.len())
                .ok_or_else(|| length(0))?;
            rest = after;
            self.tensor(span).copy_f32_into(part)?;
        }
        Ok(())
    }

    /// The values of the parameter `name`.
    ///
    /// # Errors
    /// [`WeightsError::NoSuchParameter`].
    pub fn to_vec(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let mut values = vec![0.0; count(self.spans(name)?)];
        self.read(name, &mut values)?;
        Ok(values)
    }

    /// How the file names its parameters.
    pub fn scheme(&self) -> KeyScheme {
        self.scheme
    }

    /// Official names of the parameters, sorted.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.params.keys().map(String::as_str)
    }

    /// Keys of the file that the model has no use for and that belong there all the same, sorted:
    /// the class token and head in [`Mode::Backbone`], and the rest of a detector.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Number of tensors of the file by type, of those that are used.
    pub fn dtypes(&self) -> BTreeMap<Dtype, usize> {
        let keys: BTreeMap<&str, Dtype> = self
            .params
            .values()
            .flatten()
            .map(|span| (span.key.as_str(), self.tensor(span).dtype))
            .collect();
        let mut counts = BTreeMap::new();
        for dtype in keys.into_values() {
            *counts.entry(dtype).or_default() += 1;
        }
        counts
    }

    /// Bytes that the parameters take in the file.
    pub fn num_bytes(&self) -> usize {
        let spans = self.params.values().flatten();
        spans.map(|span| self.tensor(span).bytes.len()).sum()
    }

    fn spans(&self, name: &str) -> Result<&[Span], WeightsError> {
        match self.params.get(name) {
            Some(spans) => Ok(spans),
            None => Err(WeightsError::NoSuchParameter {
                name: name.to_owned(),
                closest: closest(name, self.names()).map(str::to_owned),
            }),
        }
    }

    /// The tensor of the file cut to `span`.
    fn tensor(&self, span: &Span) -> Tensor<'_> {
        let tensor = self.file.get(&span.key);
        let tensor = tensor.expect("a span is made of a tensor that the file has");
        tensor.flat(span.elements.clone())
    }

    /// One pass over every value that is used.
    fn check_finite(&self) -> Result<(), WeightsError> {
        for span in self.params.values().flatten() {
            let tensor = self.tensor(span);
            if let Some((index, value)) = float::first_non_finite(tensor.dtype, tensor.bytes) {
                return Err(WeightsError::NonFinite {
                    file: self.file.name().to_owned(),
                    key: span.key.clone(),
                    index: span.elements.start + index,
                    value,
                });
            }
        }
        Ok(())
    }
}

fn count(spans: &[Span]) -> usize {
    spans.iter().map(|span| span.elements.len()).sum()
}
