//! Files made by hand: nothing here uses the reader under test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pvt_cuda::config::{Mode, PvtConfig};
use pvt_cuda::weights::{LoadOptions, TensorFile, Weights, WeightsError};
use serde_json::Value;

/// A tensor to be written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Raw {
    pub(crate) dtype: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

/// Tensors by key.
pub(crate) type Raws = BTreeMap<String, Raw>;

impl Raw {
    pub(crate) fn new(dtype: &str, shape: &[usize], bytes: Vec<u8>) -> Self {
        let (dtype, shape) = (dtype.to_owned(), shape.to_vec());
        Self {
            dtype,
            shape,
            bytes,
        }
    }

    pub(crate) fn f32(shape: &[usize], values: &[f32]) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len());
        Self::new(
            "F32",
            shape,
            values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        )
    }

    pub(crate) fn values(&self) -> Vec<f32> {
        assert_eq!(self.dtype, "F32");
        let (chunks, _) = self.bytes.as_chunks();
        chunks.iter().map(|&c| f32::from_le_bytes(c)).collect()
    }
}

/// A file with this header and these values.
pub(crate) fn file_of(header: &str, values: &[u8]) -> Vec<u8> {
    let length = header.len() as u64;
    [&length.to_le_bytes(), header.as_bytes(), values].concat()
}

/// A file with these tensors, in the order of their keys.
pub(crate) fn file_with(tensors: &Raws) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut values = Vec::new();
    for (key, raw) in tensors {
        let start = values.len();
        values.extend_from_slice(&raw.bytes);
        let entry = serde_json::json!({
            "dtype": raw.dtype, "shape": raw.shape, "data_offsets": [start, values.len()],
        });
        header.insert(key.clone(), entry);
    }
    file_of(&Value::Object(header).to_string(), &values)
}

/// The tensors of a file that is known to be sound.
pub(crate) fn tensors_of(bytes: &[u8]) -> Raws {
    let (length, rest) = bytes.split_first_chunk().unwrap();
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap();
    let (header, values) = rest.split_at(length);
    let header: BTreeMap<String, Value> = serde_json::from_slice(header).unwrap();
    let entries = header.into_iter().filter(|(key, _)| key != "__metadata__");
    entries
        .map(|(key, entry)| {
            let numbers = |field: &str| -> Vec<usize> {
                serde_json::from_value(entry[field].clone()).unwrap()
            };
            let offsets = numbers("data_offsets");
            let bytes = values[offsets[0]..offsets[1]].to_vec();
            let dtype = entry["dtype"].as_str().unwrap();
            (key, Raw::new(dtype, &numbers("shape"), bytes))
        })
        .collect()
}

/// A file of the reference model.
pub(crate) fn reference(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/reference/v1-micro")
        .join(file)
}

/// The reference model.
pub(crate) fn config() -> PvtConfig {
    PvtConfig::from_file(reference("config.json")).unwrap()
}

/// Its tensors, by official names.
pub(crate) fn official() -> Raws {
    tensors_of(&std::fs::read(reference("model.safetensors")).unwrap())
}

/// Loads the reference model from `tensors`.
pub(crate) fn load(tensors: &Raws, mode: Mode) -> Result<Weights, WeightsError> {
    let file = TensorFile::from_bytes(file_with(tensors), "made.safetensors")?;
    Weights::from_file(file, &config(), mode, &LoadOptions::default())
}

/// `tensors` with another name for each; none leaves a tensor out.
pub(crate) fn renamed(tensors: &Raws, name: impl Fn(&str) -> Option<String>) -> Raws {
    let named = tensors
        .iter()
        .filter_map(|(key, raw)| Some((name(key)?, raw.clone())));
    named.collect()
}

/// The reference backbone as mmdetection writes it, converted key by key.
pub(crate) fn mmdetection() -> Raws {
    let official = official();
    let mut out = Raws::new();
    for (key, raw) in &official {
        let (head, rest) = key.split_once('.').unwrap_or((key, ""));
        let digit = head.chars().last().and_then(|c| c.to_digit(10));
        let Some(stage) = digit.map(|s| s - 1) else {
            continue; // class token, final norm and head
        };
        let mut raw = raw.clone();
        let name = if head.starts_with("patch_embed") {
            let rest = rest.replace("proj", "projection");
            format!("layers.{stage}.0.{rest}")
        } else if head.starts_with("pos_embed") {
            if stage == 3 {
                raw.bytes.drain(..raw.shape[2] * 4);
                raw.shape[1] -= 1;
            }
            format!("layers.{stage}.1.0.pos_embed")
        } else {
            let (block, rest) = rest.split_once('.').unwrap();
            let block: u32 = block.parse().unwrap();
            let leaf = rest.rsplit('.').next().unwrap();
            let rest = if rest.starts_with("attn.kv.") {
                continue; // joined to the query
            } else if rest.starts_with("attn.q.") {
                let kv = &official[&key.replace(".q.", ".kv.")];
                raw.bytes.extend_from_slice(&kv.bytes);
                raw.shape[0] *= 3;
                format!("attn.attn.in_proj_{leaf}")
            } else if rest.starts_with("attn.proj.") {
                format!("attn.attn.out_proj.{leaf}")
            } else if let Some(layer) = rest.strip_prefix("mlp.fc") {
                if leaf == "weight" {
                    raw.shape.extend([1, 1]);
                }
                let index = if layer.starts_with('1') { 0 } else { 3 };
                format!("ffn.layers.{index}.{leaf}")
            } else {
                rest.to_owned()
            };
            format!("layers.{stage}.1.{}.{rest}", block + 1)
        };
        out.insert(name, raw);
    }
    out
}
