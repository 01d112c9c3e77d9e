//! Whatever a checkpoint calls its parameters, the same values come out.

use half::{bf16, f16};
use pvt_cuda::config::{Mode, PvtConfig};
use pvt_cuda::weights::{Dtype, KeyScheme, LoadOptions, Manifest, Weights};

use crate::support::{Raw, Raws, config, load, mmdetection, official, reference, renamed};

/// A value after a trip through a narrower type.
type Rounded = fn(f32) -> f32;

fn open(file: &str, mode: Mode) -> Weights {
    Weights::open(reference(file), &config(), mode, &LoadOptions::default()).unwrap()
}

/// Checks every parameter of the mode against the official tensors, bit for bit.
fn assert_official(weights: &Weights, mode: Mode, case: &str) {
    let official = official();
    let manifest = Manifest::for_config(&config(), mode).unwrap();
    assert_eq!(weights.names().len(), manifest.params().len(), "{case}");
    for param in manifest.params() {
        let raw = &official[&param.name];
        let mut expected = raw.values();
        if mode == Mode::Backbone && param.name == "pos_embed4" {
            expected.drain(..raw.shape[2]);
        } else {
            assert_eq!(param.shape, raw.shape, "{case}: {}", param.name);
        }
        assert_eq!(param.elements(), expected.len(), "{case}: {}", param.name);
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let mut values = vec![f32::NAN; expected.len()];
        weights.read(&param.name, &mut values).unwrap();
        assert!(
            bits(&values) == bits(&expected),
            "{case}: {} differs",
            param.name
        );
        assert!(bits(&weights.to_vec(&param.name).unwrap()) == bits(&expected));
    }
}

#[test]
fn official_and_hugging_face_agree() {
    for mode in [Mode::Classify, Mode::Backbone] {
        let weights = open("model.safetensors", mode);
        assert_eq!(weights.scheme(), KeyScheme::Official);
        assert_official(&weights, mode, "official");
        let weights = open("model.hf.safetensors", mode);
        assert_eq!(weights.scheme(), KeyScheme::HuggingFace);
        assert_official(&weights, mode, "Hugging Face");
    }
    let weights = open("model.safetensors", Mode::Classify);
    assert_eq!(weights.num_bytes(), 4 * 214_378);
    assert_eq!(
        weights.dtypes().into_iter().collect::<Vec<_>>(),
        [(Dtype::F32, 111)]
    );
    assert!(weights.ignored().is_empty());
}

#[test]
fn backbones_ignore_the_head() {
    let weights = open("model.safetensors", Mode::Backbone);
    assert_eq!(
        weights.ignored(),
        [
            "cls_token",
            "head.bias",
            "head.weight",
            "norm.bias",
            "norm.weight"
        ]
    );
    // The class token's row of the position table is left in the file too.
    assert_eq!(weights.num_bytes(), 4 * (214_378 - 64 - 64 - 128 - 650));
    let weights = open("model.hf.safetensors", Mode::Backbone);
    assert_eq!(
        weights.ignored(),
        [
            "classifier.bias",
            "classifier.weight",
            "pvt.encoder.layer_norm.bias",
            "pvt.encoder.layer_norm.weight",
            "pvt.encoder.patch_embeddings.3.cls_token",
        ]
    );
}

#[test]
fn mmdetection_backbones_are_read() {
    let plain = mmdetection();
    assert_eq!(plain.len(), 111 - 5 - 2 * 5);
    let flat = |(key, mut raw): (String, Raw)| {
        if raw.shape.ends_with(&[1, 1]) {
            raw.shape.truncate(2);
        }
        (key, raw)
    };
    let linear: Raws = plain.clone().into_iter().map(flat).collect();
    for (case, tensors) in [("1x1 convolutions", plain), ("linear", linear)] {
        let weights = load(&tensors, Mode::Backbone).unwrap();
        assert_eq!(weights.scheme(), KeyScheme::Mmdetection);
        assert_official(&weights, Mode::Backbone, case);
        assert!(weights.ignored().is_empty());
        assert_eq!(weights.dtypes()[&Dtype::F32], 96);
    }
}

#[test]
fn prefixes_are_taken_off() {
    for (name, tensors, scheme) in [
        ("official", official(), KeyScheme::Official),
        ("mmdetection", mmdetection(), KeyScheme::Mmdetection),
    ] {
        for prefix in [
            "module.",
            "backbone.",
            "module.backbone.",
            "backbone.module.",
        ] {
            let mut named = renamed(&tensors, |key| Some(format!("{prefix}{key}")));
            let weights = load(&named, Mode::Backbone).unwrap();
            assert_eq!(weights.scheme(), scheme);
            assert_official(&weights, Mode::Backbone, &format!("{prefix}{name}"));
            if prefix.contains("backbone") {
                for key in [
                    "neck.lateral_convs.0.conv.weight",
                    "bbox_head.retina_cls.bias",
                ] {
                    named.insert(key.to_owned(), Raw::f32(&[1], &[f32::NAN]));
                }
                let weights = load(&named, Mode::Backbone).unwrap();
                assert!(weights.ignored().iter().any(|key| key.starts_with("neck.")));
                assert!(
                    weights
                        .ignored()
                        .iter()
                        .any(|key| key.starts_with("bbox_head."))
                );
            }
        }
    }
    let module = renamed(&official(), |key| Some(format!("module.{key}")));
    assert_official(
        &load(&module, Mode::Classify).unwrap(),
        Mode::Classify,
        "module.",
    );
}

#[test]
fn hugging_face_variations_are_read() {
    let bytes = std::fs::read(reference("model.hf.safetensors")).unwrap();
    let tensors = crate::support::tensors_of(&bytes);
    let bare = |key: &str| key.strip_prefix("pvt.").unwrap_or(key).to_owned();
    let older = |key: &str| key.replace("self.sequence_reduction.", "self.sr.");
    assert!(tensors.keys().any(|key| older(key) != *key));
    for (case, renamed) in [
        ("bare", renamed(&tensors, |key| Some(bare(key)))),
        ("older", renamed(&tensors, |key| Some(older(key)))),
        (
            "module",
            renamed(&tensors, |key| Some(format!("module.{}", older(key)))),
        ),
    ] {
        let weights = load(&renamed, Mode::Classify).unwrap();
        assert_eq!(weights.scheme(), KeyScheme::HuggingFace, "{case}");
        assert_official(&weights, Mode::Classify, case);
    }
}

#[test]
fn half_precision_is_widened_exactly() {
    let official = official();
    let narrow = |dtype: &str, bits: fn(f32) -> u16| -> Raws {
        let narrowed = official.iter().map(|(key, raw)| {
            let bytes = raw
                .values()
                .iter()
                .flat_map(|&v| bits(v).to_le_bytes())
                .collect();
            (key.clone(), Raw::new(dtype, &raw.shape, bytes))
        });
        narrowed.collect()
    };
    let cases: [(Raws, Dtype, Rounded); 2] = [
        (
            narrow("F16", |v| f16::from_f32(v).to_bits()),
            Dtype::F16,
            |v| f16::from_f32(v).to_f32(),
        ),
        (
            narrow("BF16", |v| bf16::from_f32(v).to_bits()),
            Dtype::BF16,
            |v| bf16::from_f32(v).to_f32(),
        ),
    ];
    for (tensors, dtype, rounded) in cases {
        let weights = load(&tensors, Mode::Classify).unwrap();
        assert_eq!(weights.dtypes()[&dtype], 111);
        assert_eq!(weights.num_bytes(), 2 * 214_378);
        for (key, raw) in &official {
            let expected: Vec<f32> = raw.values().into_iter().map(rounded).collect();
            assert!(weights.to_vec(key).unwrap() == expected, "{key} as {dtype}");
        }
    }
}

#[test]
fn models_without_query_bias_are_read() {
    let config = PvtConfig {
        qkv_bias: false,
        ..config()
    };
    let biases = |key: &str| key.ends_with("attn.q.bias") || key.ends_with("attn.kv.bias");
    let tensors = renamed(&official(), |key| (!biases(key)).then(|| key.to_owned()));
    assert_eq!(tensors.len(), 111 - 2 * 5);
    let bytes = crate::support::file_with(&tensors);
    let file = pvt_cuda::weights::TensorFile::from_bytes(bytes, "made").unwrap();
    let weights =
        Weights::from_file(file, &config, Mode::Classify, &LoadOptions::default()).unwrap();
    assert_eq!(weights.names().len(), tensors.len());
    assert_eq!(
        weights.num_bytes(),
        4 * (214_378 - 3 * (16 + 32 + 48 + 48 + 64))
    );
}

#[test]
fn weight_decay_spares_vectors_and_the_class_token() {
    let manifest = Manifest::for_config(&config(), Mode::Classify).unwrap();
    for param in manifest.params() {
        let spared = param.name == "cls_token"
            || param.name.split('.').next_back() == Some("bias")
            || param.name.contains("norm");
        assert_eq!(param.decay, !spared, "{}", param.name);
    }
    assert!(
        manifest
            .params()
            .iter()
            .any(|p| p.name == "pos_embed4" && p.decay)
    );
}
