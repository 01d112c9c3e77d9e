//! Checks of a safetensors header that come before it is parsed as such.
//!
//! The parser keeps the last of two equal keys, spends gigabytes on a million empty tensors and
//! adds up offsets without bounds; all of that is refused here.

use std::collections::HashSet;
use std::fmt;

use safetensors::Dtype;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::WeightsError;
use super::file::{MAX_HEADER_BYTES, MAX_RANK, MAX_TENSORS};

/// Bytes before the header: its length.
const LENGTH_BYTES: usize = 8;

/// Checks `bytes` of the file called `file`, and gives the byte at which the values start.
pub(super) fn check(bytes: &[u8], file: &str) -> Result<usize, WeightsError> {
    let file = || file.to_owned();
    if let Some((found, advice)) = other_kind(bytes) {
        return Err(WeightsError::NotSafetensors {
            file: file(),
            found,
            advice,
        });
    }
    let truncated = |what: String, end: u128| WeightsError::Truncated {
        file: file(),
        what,
        end,
        bytes: bytes.len(),
    };
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        return Err(truncated("the length of the header".to_owned(), 8));
    };
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER_BYTES {
        return Err(WeightsError::HeaderTooLong {
            file: file(),
            bytes: length,
        });
    }
    let text = usize::try_from(length).ok().and_then(|n| rest.get(..n));
    let Some(text) = text else {
        return Err(truncated("the header".to_owned(), u128::from(length) + 8));
    };
    let start = LENGTH_BYTES + text.len();
    let format = |detail: String| WeightsError::Format {
        file: file(),
        detail,
    };
    let scan: Scan = serde_json::from_slice(text).map_err(|e| format(format!("header: {e}")))?;
    if scan.tensors > MAX_TENSORS || scan.metadata > MAX_TENSORS {
        return Err(WeightsError::TooMany {
            file: file(),
            what: if scan.tensors > MAX_TENSORS {
                "tensors"
            } else {
                "entries of metadata"
            },
        });
    }
    if let Some(key) = scan.duplicate {
        return Err(WeightsError::DuplicateKey { file: file(), key });
    }
    if let Some((key, rank)) = scan.rank {
        return Err(WeightsError::Rank {
            file: file(),
            key,
            rank,
        });
    }
    match scan.last {
        Some((key, end)) if end > bytes.len() - start => {
            let what = format!("`{}`", crate::config::text::shown(&key));
            Err(truncated(what, end as u128 + start as u128))
        }
        _ => Ok(start),
    }
}

/// What a file is that is not safetensors, and what to do with it.
fn other_kind(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    // The length of a header can have the first bytes of any other kind of file.
    if bytes.get(LENGTH_BYTES) == Some(&b'{') {
        return None;
    }
    let text = bytes.trim_ascii_start();
    if bytes.is_empty() {
        Some(("the file is empty", "fetch it again"))
    } else if bytes.starts_with(b"PK") || bytes.starts_with(b"\x80") {
        Some((
            "a PyTorch checkpoint (.pth), a pickle that can run any code",
            "convert it with `python3 scripts/convert_pth.py IN.pth OUT.safetensors`",
        ))
    } else if bytes.starts_with(b"version https://git-lfs") {
        Some((
            "a Git LFS pointer, not the file it stands for",
            "run `git lfs pull` where it was cloned, or fetch the file itself",
        ))
    } else if text.starts_with(b"<") {
        Some((
            "a web page",
            "the download went wrong, fetch the file again",
        ))
    } else if text.starts_with(b"{") {
        Some((
            "JSON text, such as a config.json",
            "give the model.safetensors",
        ))
    } else {
        None
    }
}

/// What one pass over the header finds.
#[derive(Default)]
struct Scan {
    tensors: usize,
    metadata: usize,
    duplicate: Option<String>,
    /// First tensor with too many dimensions, and how many.
    rank: Option<(String, usize)>,
    /// Tensor that ends last, and the byte of the values at which it does.
    last: Option<(String, usize)>,
}

impl<'de> Deserialize<'de> for Scan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ScanVisitor)
    }
}

struct ScanVisitor;

impl<'de> Visitor<'de> for ScanVisitor {
    type Value = Scan;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with an entry for each tensor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scan, A::Error> {
        let mut scan = Scan::default();
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if scan.tensors > MAX_TENSORS {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if key == "__metadata__" {
                scan.metadata += map.next_value::<Count>()?.0;
            } else {
                let entry: Entry = map.next_value()?;
                scan.tensors += 1;
                if entry.shape.0 > MAX_RANK && scan.rank.is_none() {
                    scan.rank = Some((key.clone(), entry.shape.0));
                }
                let end = entry.data_offsets.1;
                if scan.last.as_ref().is_none_or(|&(_, last)| end > last) {
                    scan.last = Some((key.clone(), end));
                }
            }
            if let Some(key) = seen.replace(key) {
                scan.duplicate.get_or_insert(key);
            }
        }
        Ok(scan)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[expect(dead_code, reason = "read so that an unknown type is refused here")]
    dtype: Dtype,
    shape: Count,
    data_offsets: (usize, usize),
}

/// Number of entries in a list or an object, whatever they are; 0 for null.
struct Count(usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_unit<E>(self) -> Result<Count, E> {
        Ok(Count(0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Count, A::Error> {
        let mut count = 0;
        while items.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Count(count))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Count, A::Error> {
        let mut count = 0;
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Count(count))
    }
}
