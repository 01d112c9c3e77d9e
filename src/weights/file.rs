//! A safetensors file, checked before any of it is used.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use super::WeightsError;
use super::float;
use super::header;

/// Longest file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 16 << 30;
/// Longest header that is parsed, in bytes.
pub const MAX_HEADER_BYTES: u64 = 8 << 20;
/// Most tensors in a file.
pub const MAX_TENSORS: usize = 20_000;
/// Most dimensions of a tensor.
pub const MAX_RANK: usize = 4;

/// A safetensors file in memory. Offsets, sizes and keys have been checked; the values have not.
#[derive(Debug)]
pub struct TensorFile {
    name: String,
    bytes: Vec<u8>,
    index: BTreeMap<String, Entry>,
    metadata: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    /// Bytes of the file.
    range: Range<usize>,
}

/// A tensor of a [`TensorFile`].
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    /// Key in the file.
    pub name: &'a str,
    /// Sizes, outermost first.
    pub shape: &'a [usize],
    /// Type of the values.
    pub dtype: Dtype,
    /// The values, little-endian and row-major, at any alignment.
    pub bytes: &'a [u8],
}

impl TensorFile {
    /// Reads the file at `path` into memory and checks it.
    ///
    /// # Errors
    /// [`WeightsError::Io`] and [`WeightsError::TooLong`], and those of
    /// [`from_bytes`](Self::from_bytes).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let io = |source| WeightsError::Io {
            file: name.clone(),
            source,
        };
        let about = std::fs::metadata(path).map_err(io)?;
        if !about.is_file() {
            return Err(WeightsError::NotSafetensors {
                file: name,
                found: "not a file",
                advice: "give the path of the model.safetensors itself",
            });
        }
        if about.len() > MAX_FILE_BYTES {
            return Err(WeightsError::TooLong {
                file: name,
                bytes: about.len(),
            });
        }
        let mut bytes = Vec::new();
        let length = usize::try_from(about.len()).unwrap_or(usize::MAX);
        let reserved = bytes.try_reserve_exact(length);
        reserved.map_err(|_| io(std::io::ErrorKind::OutOfMemory.into()))?;
        // A file that grows while it is read stays within what was reserved for it.
        let file = File::open(path).map_err(io)?;
        file.take(about.len()).read_to_end(&mut bytes).map_err(io)?;
        Self::from_bytes(bytes, name)
    }

    /// Checks a file that is in memory already; `name` stands for it in messages.
    ///
    /// # Errors
    /// The first rule broken: [`WeightsError::NotSafetensors`] for other kinds of file,
    /// [`WeightsError::HeaderTooLong`], [`WeightsError::Truncated`], [`WeightsError::TooMany`],
    /// [`WeightsError::DuplicateKey`], [`WeightsError::Rank`], or [`WeightsError::Format`] for
    /// everything else the format asks for, such as offsets without holes and overlaps.
    pub fn from_bytes(bytes: Vec<u8>, name: impl Into<String>) -> Result<Self, WeightsError> {
        let name = name.into();
        let start = header::check(&bytes, &name)?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| WeightsError::Format {
            file: name.clone(),
            detail: e.to_string(),
        })?;
        let mut index = BTreeMap::new();
        for (key, info) in header.tensors() {
            let (from, to) = info.data_offsets;
            let entry = Entry {
                dtype: info.dtype,
                shape: info.shape.clone(),
                range: start + from..start + to,
            };
            index.insert(key, entry);
        }
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Self {
            name,
            bytes,
            index,
            metadata: metadata.into_iter().collect(),
        })
    }

    /// Path of the file, or the name given with its bytes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tensor called `name`.
    pub fn get(&self, name: &str) -> Option<Tensor<'_>> {
        let (name, entry) = self.index.get_key_value(name)?;
        Some(Tensor {
            name,
            shape: &entry.shape,
            dtype: entry.dtype,
            bytes: &self.bytes[entry.range.clone()],
        })
    }

    /// Keys of the tensors, sorted.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }

    /// What the file says about itself.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }
}

impl Tensor<'_> {
    /// The values at `elements` of a tensor of whole-byte values, as a vector. No values for
    /// indices that it does not have.
    pub(super) fn flat(&self, elements: Range<usize>) -> Self {
        let width = self.dtype.bitsize() / 8;
        let range = elements.start * width..elements.end * width;
        let bytes = self.bytes.get(range).unwrap_or_default();
        Self { bytes, ..*self }
    }

    /// Number of values; those of types narrower than a byte are counted too.
    pub fn elements(&self) -> usize {
        self.shape.iter().fold(1, |n, &size| n.saturating_mul(size))
    }

    /// The values as `f32`.
    ///
    /// # Errors
    /// [`WeightsError::Dtype`] unless they are F32, F16 or BF16.
    pub fn to_f32(&self) -> Result<Vec<f32>, WeightsError> {
        self.check_dtype(&float::FLOATS, "F32, F16 or BF16")?;
        let mut values = vec![0.0; self.elements()];
        self.copy_f32_into(&mut values)?;
        Ok(values)
    }

    /// Writes the values to `out`.
    ///
    /// # Errors
    /// [`WeightsError::Dtype`] unless they are F32, F16 or BF16, [`WeightsError::Length`] unless
    /// `out` has as many.
    pub fn copy_f32_into(&self, out: &mut [f32]) -> Result<(), WeightsError> {
        self.check_dtype(&float::FLOATS, "F32, F16 or BF16")?;
        let found = out.len();
        if float::widen(self.dtype, self.bytes, out) {
            Ok(())
        } else {
            Err(WeightsError::Length {
                key: self.name.to_owned(),
                found,
                expected: self.elements(),
            })
        }
    }

    /// The values as `i64`, for class indices.
    ///
    /// # Errors
    /// [`WeightsError::Dtype`] unless they are I64.
    pub fn to_i64(&self) -> Result<Vec<i64>, WeightsError> {
        self.check_dtype(&[Dtype::I64], "I64")?;
        let (values, _) = self.bytes.as_chunks();
        Ok(values.iter().map(|&v| i64::from_le_bytes(v)).collect())
    }

    fn check_dtype(&self, valid: &[Dtype], expected: &'static str) -> Result<(), WeightsError> {
        if valid.contains(&self.dtype) {
            return Ok(());
        }
        Err(WeightsError::Dtype {
            key: self.name.to_owned(),
            found: self.dtype,
            expected,
        })
    }
}
