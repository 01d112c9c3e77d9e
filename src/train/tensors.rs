//! Writing safetensors to a file, tensor by tensor, without a copy of all of them in memory.
//!
//! The writer of the `safetensors` crate makes a file of a random name first and renames it itself,
//! so that one of them is left behind by each process that is killed.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};

use serde_json::{Map, json};

/// The header is filled up with spaces to a multiple of this, so that data is aligned.
const ALIGNMENT: usize = 8;

/// A tensor to be written.
pub(super) struct Entry<'a> {
    pub(super) name: String,
    pub(super) shape: &'a [usize],
    pub(super) values: &'a [f32],
}

/// Writes `tensors` in their order, and one entry of metadata.
pub(super) fn write(
    file: &mut File,
    tensors: &[Entry<'_>],
    (key, text): (&str, &str),
) -> io::Result<()> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({ key: text }));
    let mut end = 0;
    for tensor in tensors {
        let start = end;
        end += size_of_val(tensor.values);
        let about = json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end] });
        header.insert(tensor.name.clone(), about);
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    let mut out = BufWriter::new(file);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for tensor in tensors {
        if cfg!(target_endian = "little") {
            out.write_all(bytemuck::cast_slice(tensor.values))?;
        } else {
            for value in tensor.values {
                out.write_all(&value.to_le_bytes())?;
            }
        }
    }
    out.flush()
}
