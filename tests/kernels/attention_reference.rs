//! The stored cases of attention: inputs, result and gradients in tokens, from f64.

use std::path::Path;

use pvt_cuda::weights::TensorFile;

use crate::attention::Size;

/// One case, [B, heads, tokens, d] brought to tokens [B, tokens, heads · d].
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) size: Size,
    pub(crate) scale: f32,
    pub(crate) q: Vec<f32>,
    /// Keys in the first half of a row, values in the second.
    pub(crate) kv: Vec<f32>,
    pub(crate) y: Vec<f32>,
    pub(crate) lse: Vec<f32>,
    pub(crate) dy: Vec<f32>,
    pub(crate) dq: Vec<f32>,
    pub(crate) dkv: Vec<f32>,
}

/// All of them.
pub(crate) fn references() -> Vec<Reference> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference");
    let file = TensorFile::open(path.join("sra-op.safetensors")).unwrap();
    let names = file.names().filter_map(|name| name.strip_suffix(".out"));
    let cases: Vec<_> = names.map(|name| reference(&file, name)).collect();
    assert_eq!(cases.len(), 7);
    cases
}

fn reference(file: &TensorFile, name: &str) -> Reference {
    let stored = |key: &str| {
        let tensor = file.get(&format!("{name}.{key}")).unwrap();
        (tensor.to_f32().unwrap(), tensor.shape.to_vec())
    };
    let joined = |key: &str| {
        let (stored, shape) = stored(key);
        let &[b, heads, tokens, d] = &shape[..] else {
            panic!("{name}.{key} has shape {shape:?}")
        };
        let place = |i: usize| {
            let (row, head, k) = (i / (heads * d), i / d % heads, i % d);
            let (image, token) = (row / tokens, row % tokens);
            stored[((image * heads + head) * tokens + token) * d + k]
        };
        let joined: Vec<f32> = (0..stored.len()).map(place).collect();
        (joined, [b, heads, tokens, d])
    };
    let (q, [b, heads, n, d]) = joined("q");
    let m = joined("k").1[2];
    let both = |keys: &str, values: &str| -> Vec<f32> {
        let (keys, values) = (joined(keys).0, joined(values).0);
        let rows = keys.chunks(heads * d).zip(values.chunks(heads * d));
        rows.flat_map(|(k, v)| [k, v].concat()).collect()
    };
    Reference {
        name: name.to_owned(),
        size: [b, n, m, heads, d],
        scale: stored("scale").0[0],
        q,
        kv: both("k", "v"),
        y: joined("out").0,
        lse: stored("lse").0,
        dy: joined("dout").0,
        dq: joined("dq").0,
        dkv: both("dk", "dv"),
    }
}
