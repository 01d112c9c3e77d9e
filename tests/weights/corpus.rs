//! The seeds of the fuzz target for weights.

#[path = "../../fuzz/entries.rs"]
mod entries;

use std::path::Path;

use pvt_cuda::config::Mode;
use pvt_cuda::weights::{KeyScheme, LoadOptions, TensorFile, Weights};

#[test]
fn seeds_of_the_fuzz_target_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/weights");
    let mut schemes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        entries::weights(&bytes);
        let file = TensorFile::from_bytes(bytes, path.display().to_string());
        let options = LoadOptions::default();
        let loaded = file.and_then(|file| {
            Weights::from_file(file, &entries::smallest(), Mode::Backbone, &options)
        });
        schemes.extend(loaded.ok().map(|weights| weights.scheme()));
    }
    // The seeds lead past every check: there is a whole checkpoint of each scheme.
    for scheme in KeyScheme::ALL {
        assert!(schemes.contains(&scheme), "{scheme}: {schemes:?}");
    }
}
