//! Random damage: an error or a model, never a panic.

use pvt_cuda::config::Mode;
use pvt_cuda::weights::{LoadOptions, Manifest, TensorFile, Weights};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::support::{config, reference};

#[test]
fn damaged_files_never_panic() {
    let config = config();
    let mut rng = StdRng::seed_from_u64(7);
    let (mut files, mut models) = (0, 0);
    for name in ["model.safetensors", "model.hf.safetensors"] {
        let whole = std::fs::read(reference(name)).unwrap();
        let header = u64::from_le_bytes(*whole.first_chunk().unwrap());
        let header = usize::try_from(header).unwrap() + 8;
        for round in 0..400 {
            let mut bytes = whole.clone();
            for _ in 0..rng.random_range(1..4) {
                // Most damage goes where the structure is.
                let end = if round % 8 == 0 { bytes.len() } else { header };
                let at = rng.random_range(0..end);
                match rng.random_range(0..4) {
                    0 => bytes[at] = rng.random(),
                    1 => bytes[at] = b"0123456789,:[]{}\"-"[rng.random_range(0..18)],
                    2 => bytes[at] ^= 1 << rng.random_range(0..8),
                    _ => drop(bytes.remove(at)),
                }
            }
            let Ok(file) = TensorFile::from_bytes(bytes, "damaged") else {
                continue;
            };
            files += 1;
            let mode = [Mode::Classify, Mode::Backbone][round % 2];
            let Ok(weights) = Weights::from_file(file, &config, mode, &LoadOptions::default())
            else {
                continue;
            };
            models += 1;
            for param in Manifest::for_config(&config, mode).unwrap().params() {
                assert_eq!(weights.to_vec(&param.name).unwrap().len(), param.elements());
            }
        }
    }
    assert!(
        files > 50 && models > 10,
        "{files} files and {models} models got through"
    );
}
