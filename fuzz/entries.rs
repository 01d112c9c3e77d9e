//! What the fuzz targets do with their input; the tests replay the corpus through the same.
#![allow(dead_code, reason = "each target uses one of the two")]

use pvt_cuda::config::{LnEps, Mode, Preprocess, Preset, PvtConfig, StageConfig, Variant};
use pvt_cuda::shape::ImageSize;
use pvt_cuda::weights::{LoadOptions, Manifest, TensorFile, Weights};

/// The smallest model: a corpus of whole checkpoints stays small, and damage to them reaches far.
pub(crate) fn smallest() -> PvtConfig {
    let stage = |patch_size, sr_ratio| StageConfig {
        embed_dim: 1,
        num_heads: 1,
        depth: 1,
        mlp_ratio: 1,
        sr_ratio,
        patch_size,
    };
    PvtConfig {
        in_chans: 1,
        img_size: ImageSize::square(2),
        num_classes: 2,
        qkv_bias: true,
        ln_eps: LnEps::OFFICIAL,
        stages: [stage(1, 2), stage(1, 1), stage(1, 1), stage(2, 1)],
        preprocess: None,
        labels: None,
    }
}

/// Opens `data` as a file of the smallest model and reads every parameter.
pub(crate) fn weights(data: &[u8]) {
    let config = smallest();
    for (mode, allow_non_finite) in [(Mode::Classify, false), (Mode::Backbone, true)] {
        let file = match TensorFile::from_bytes(data.to_vec(), "input") {
            Ok(file) => file,
            Err(error) => return drop(error.to_string()),
        };
        for tensor in file.names().filter_map(|name| file.get(name)) {
            let _ = (tensor.to_f32(), tensor.to_i64());
        }
        let options = LoadOptions { allow_non_finite };
        let weights = match Weights::from_file(file, &config, mode, &options) {
            Ok(weights) => weights,
            Err(error) => {
                let _ = error.to_string();
                continue;
            }
        };
        let manifest = Manifest::for_config(&config, mode).expect("the smallest model is sound");
        for param in manifest.params() {
            let values = weights
                .to_vec(&param.name)
                .expect("a loaded model is complete");
            assert_eq!(values.len(), param.elements(), "{}", param.name);
            assert!(allow_non_finite || values.iter().all(|v| v.is_finite()));
        }
        let _ = (
            weights.dtypes(),
            weights.num_bytes(),
            weights.ignored().len(),
        );
    }
}

/// Reads `data` as each kind of description, and uses those that are accepted.
pub(crate) fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match PvtConfig::from_json(&text) {
        Err(error) => drop(error.to_string()),
        Ok(config) => {
            config.validate().expect("what was accepted is sound");
            for mode in [Mode::Classify, Mode::Backbone] {
                for image in [config.img_size, ImageSize::square(config.min_side())] {
                    if let Ok(shapes) = config.stage_shapes(image, mode) {
                        assert!(shapes.iter().all(|s| s.keys > 0 && s.tokens > 0));
                    }
                }
                // Thousands of blocks are sound and slow.
                if config.stages.iter().all(|s| s.depth < 8) {
                    let manifest = Manifest::for_config(&config, mode).expect("a sound model");
                    assert!(manifest.num_parameters() > 0);
                }
            }
        }
    }
    if let Err(error) = Preprocess::from_hf_json(&text) {
        let _ = error.to_string();
    }
    if let Err(error) = text.parse::<Variant>() {
        let _ = error.to_string();
    }
    let _ = text.parse::<Preset>();
}
