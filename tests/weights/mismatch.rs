//! Checkpoints that are sound files and not the model's.

use pvt_cuda::config::{Mode, PvtConfig, Variant};
use pvt_cuda::weights::{KeyScheme, LoadOptions, Mismatch, TensorFile, Weights, WeightsError};

use crate::support::{
    Raw, Raws, config, file_with, load, mmdetection, official, reference, renamed,
};

fn mismatch(tensors: &Raws, mode: Mode) -> (Box<Mismatch>, String) {
    let error = load(tensors, mode).unwrap_err();
    let text = error.to_string();
    match error {
        WeightsError::Mismatch(mismatch) => (mismatch, text),
        other => panic!("{other:?}"),
    }
}

fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn everything_wrong_is_in_one_error() {
    let mut tensors = official();
    let q = tensors.remove("block1.0.attn.q.weight").unwrap();
    tensors.insert("block1.0.attn.qq.weight".to_owned(), q);
    tensors.insert("extra\u{1b}[31m".to_owned(), Raw::f32(&[1], &[0.0]));
    tensors.insert("norm.bias".to_owned(), Raw::f32(&[63], &[0.0; 63]));
    tensors.insert(
        "norm.weight".to_owned(),
        Raw::new("F64", &[64], vec![0; 512]),
    );
    let (mismatch, text) = mismatch(&tensors, Mode::Classify);
    assert_eq!(mismatch.scheme, KeyScheme::Official);
    assert_eq!(mismatch.missing[0].key, "block1.0.attn.q.weight");
    assert_eq!(
        mismatch.missing[0].closest.as_deref(),
        Some("block1.0.attn.qq.weight")
    );
    assert_eq!(mismatch.unexpected.len(), 2);
    assert_eq!(
        mismatch.unexpected[0].closest.as_deref(),
        Some("block1.0.attn.q.weight")
    );
    assert_eq!(
        (
            &*mismatch.misshaped[0].found,
            &*mismatch.misshaped[0].expected
        ),
        (&[63][..], &[64][..])
    );
    assert_eq!(mismatch.wrong_dtype[0].0, "norm.weight");
    assert!(!mismatch.backbone_only);
    contains(
        &text,
        &[
            "made.safetensors",
            "official scheme",
            "missing (1): `block1.0.attn.q.weight` (did you mean `block1.0.attn.qq.weight`?)",
            "unexpected (2): `block1.0.attn.qq.weight`",
            "`extra\\u{1b}[31m`",
            "`norm.bias` is [63], expected [64]",
            "`norm.weight` is F64, expected F32, F16 or BF16",
        ],
    );
}

#[test]
fn long_lists_are_counted() {
    let config = Variant::Tiny.config();
    let options = LoadOptions::default();
    let error = Weights::open(
        reference("model.safetensors"),
        &config,
        Mode::Classify,
        &options,
    );
    let error = error.unwrap_err();
    let WeightsError::Mismatch(mismatch) = &error else {
        panic!("{error:?}");
    };
    // The larger model has one more block in stages 1, 2 and 4; every shared tensor is too small.
    assert_eq!(mismatch.missing.len(), 18 + 18 + 14);
    assert_eq!(mismatch.unexpected.len(), 0);
    assert_eq!(mismatch.misshaped.len(), 111);
    contains(
        &error.to_string(),
        &[
            "missing (50):",
            "and 40 more",
            "wrong shape (111):",
            "and 101 more",
            "configuration",
        ],
    );
}

#[test]
fn backbones_are_told_from_classifiers() {
    let missing = [
        "cls_token",
        "norm.weight",
        "norm.bias",
        "head.weight",
        "head.bias",
    ];
    let headless = renamed(&official(), |key| {
        (!missing.contains(&key)).then(|| key.to_owned())
    });
    let mut rowless = headless.clone();
    let pos = rowless.get_mut("pos_embed4").unwrap();
    pos.bytes.drain(..64 * 4);
    pos.shape = vec![1, 4, 64];
    for tensors in [&headless, &rowless] {
        let (mismatch, text) = mismatch(tensors, Mode::Classify);
        assert!(mismatch.backbone_only);
        assert_eq!(mismatch.missing.len(), 5);
        contains(
            &text,
            &["cls_token", "backbone-only checkpoint", "`pvt features`"],
        );
        load(tensors, Mode::Backbone).unwrap();
    }
    let only_row = {
        let mut tensors = official();
        tensors.insert("pos_embed4".to_owned(), rowless["pos_embed4"].clone());
        tensors
    };
    assert!(mismatch(&only_row, Mode::Classify).0.backbone_only);
    let (found, text) = mismatch(&mmdetection(), Mode::Classify);
    assert!(found.backbone_only);
    contains(
        &text,
        &[
            "mmdetection scheme",
            "cls_token",
            "[1, 4, 64], expected [1, 5, 64]",
            "backbone-only",
        ],
    );

    // What has more wrong than the head is not usable in either mode.
    let bias = || headless["patch_embed1.norm.bias"].clone();
    for (key, raw) in [
        ("patch_embed1.norm.bias", None),
        (
            "patch_embed1.norm.bias",
            Some(Raw::f32(&[1, 16], &bias().values())),
        ),
        (
            "patch_embed1.norm.bias",
            Some(Raw::new("F64", &[16], vec![0; 128])),
        ),
        ("patch_embed1.norm.gain", Some(bias())),
    ] {
        let mut broken = headless.clone();
        broken.remove(key);
        broken.extend(raw.map(|raw| (key.to_owned(), raw)));
        let (found, text) = mismatch(&broken, Mode::Classify);
        assert!(!found.backbone_only, "{text}");
        contains(&text, &[key, "configuration belongs"]);
        contains(&mismatch(&broken, Mode::Backbone).1, &[key]);
    }
}

#[test]
fn position_tables_of_backbones_have_two_forms() {
    let mut tensors = official();
    let whole = tensors["pos_embed4"].values();
    let weights = load(&tensors, Mode::Backbone).unwrap();
    assert_eq!(weights.to_vec("pos_embed4").unwrap(), whole[64..]);
    tensors.insert("pos_embed4".to_owned(), Raw::f32(&[1, 4, 64], &whole[64..]));
    let weights = load(&tensors, Mode::Backbone).unwrap();
    assert_eq!(weights.to_vec("pos_embed4").unwrap(), whole[64..]);
    tensors.insert(
        "pos_embed4".to_owned(),
        Raw::f32(&[1, 3, 64], &whole[128..]),
    );
    let (_, text) = mismatch(&tensors, Mode::Backbone);
    contains(&text, &["`pos_embed4` is [1, 3, 64], expected [1, 5, 64]"]);
}

#[test]
fn one_key_in_two_spellings_is_one_too_many() {
    let bytes = std::fs::read(reference("model.hf.safetensors")).unwrap();
    let mut tensors = crate::support::tensors_of(&bytes);
    let key = "pvt.encoder.block.0.0.attention.self.sequence_reduction.bias";
    let older = "pvt.encoder.block.0.0.attention.self.sr.bias";
    tensors.insert(older.to_owned(), tensors[key].clone());
    let (mismatch, text) = mismatch(&tensors, Mode::Classify);
    assert_eq!(mismatch.unexpected.len(), 1);
    contains(
        &text,
        &["Hugging Face scheme", "unexpected (1)", "attention.self.s"],
    );
}

#[test]
fn second_version_is_named() {
    for key in [
        "pvt_v2.encoder.layers.0.patch_embedding.proj.weight",
        "encoder.layers.0.patch_embedding.proj.weight",
        "stages.0.blocks.0.norm1.weight",
        "layers.0.1.0.ffn.layers.4.weight",
        "module.block1.0.mlp.dwconv.dwconv.weight",
        "patch_embed1.proj.weight",
        "backbone.patch_embed1.proj.weight",
    ] {
        let tensors = Raws::from([(key.to_owned(), Raw::f32(&[1], &[0.0]))]);
        let error = load(&tensors, Mode::Classify).unwrap_err();
        assert!(
            matches!(error, WeightsError::NotYetSupported { .. }),
            "{key}: {error:?}"
        );
        contains(&error.to_string(), &[key, "PVT v2", "not supported yet"]);
    }
}

#[test]
fn other_models_are_not_taken_for_this_one() {
    let one = || Raw::f32(&[1], &[0.0]);
    let keys = [
        "conv1.weight",
        "layer1.0.bn1.bias",
        "head.weight",
        "norm.weight",
    ];
    let resnet: Raws = keys.map(|key| (key.to_owned(), one())).into();
    let error = load(&resnet, Mode::Classify).unwrap_err();
    assert!(
        matches!(error, WeightsError::UnknownScheme { count: 4, .. }),
        "{error:?}"
    );
    contains(
        &error.to_string(),
        &[
            "4 keys",
            "`conv1.weight`",
            "official",
            "Hugging Face",
            "mmdetection",
        ],
    );
    let error = load(&Raws::new(), Mode::Classify).unwrap_err();
    assert!(
        matches!(error, WeightsError::UnknownScheme { count: 0, .. }),
        "{error:?}"
    );
    contains(&error.to_string(), &["no tensors"]);
}

#[test]
fn impossible_configurations_are_refused_first() {
    let config = PvtConfig {
        num_classes: 0,
        ..config()
    };
    let file = TensorFile::from_bytes(file_with(&official()), "made").unwrap();
    let error = Weights::from_file(file, &config, Mode::Classify, &LoadOptions::default());
    assert!(matches!(error, Err(WeightsError::Config(_))), "{error:?}");
}

#[test]
fn values_that_are_not_finite_are_found() {
    let hf = std::fs::read(reference("model.hf.safetensors")).unwrap();
    let hf = crate::support::tensors_of(&hf);
    let value_key = "pvt.encoder.block.1.0.attention.self.value.bias";
    let cases = [
        (official(), "head.bias", 9, f32::NAN),
        (official(), "patch_embed1.proj.weight", 0, f32::INFINITY),
        (
            official(),
            "block4.0.mlp.fc2.weight",
            16_383,
            f32::NEG_INFINITY,
        ),
        (hf, value_key, 31, f32::NAN),
        (
            mmdetection(),
            "layers.2.1.2.attn.attn.in_proj_weight",
            48 * 48 + 7,
            f32::NAN,
        ),
    ];
    for (mut tensors, key, index, value) in cases {
        let raw = tensors.get_mut(key).unwrap();
        raw.bytes[4 * index..4 * index + 4].copy_from_slice(&value.to_le_bytes());
        let mode = if key.starts_with("layers") {
            Mode::Backbone
        } else {
            Mode::Classify
        };
        let error = load(&tensors, mode).unwrap_err();
        assert!(
            matches!(&error, WeightsError::NonFinite { key: k, index: i, .. } if k == key && *i == index),
            "{error}"
        );
        contains(
            &error.to_string(),
            &[key, &format!("index {index}"), &value.to_string()],
        );
        let options = LoadOptions {
            allow_non_finite: true,
        };
        let file = TensorFile::from_bytes(file_with(&tensors), "made").unwrap();
        Weights::from_file(file, &config(), mode, &options).unwrap();
    }
    for (dtype, bits) in [
        ("F16", 0x7c00u16),
        ("F16", 0xfe00),
        ("BF16", 0x7f80),
        ("BF16", 0xffc0),
    ] {
        let mut tensors = official();
        let mut bytes = vec![0; 128];
        bytes[126..].copy_from_slice(&bits.to_le_bytes());
        tensors.insert("norm.weight".to_owned(), Raw::new(dtype, &[64], bytes));
        let error = load(&tensors, Mode::Classify).unwrap_err();
        assert!(
            matches!(error, WeightsError::NonFinite { index: 63, .. }),
            "{dtype} {error:?}"
        );
    }
    // What the mode does not use is not looked at.
    let mut tensors = official();
    tensors.insert("head.bias".to_owned(), Raw::f32(&[10], &[f32::NAN; 10]));
    load(&tensors, Mode::Backbone).unwrap();
}

#[test]
fn reading_checks_the_name_and_the_buffer() {
    let weights = load(&official(), Mode::Classify).unwrap();
    let error = weights.read("head.bia", &mut [0.0; 10]).unwrap_err();
    assert!(matches!(error, WeightsError::NoSuchParameter { .. }));
    contains(&error.to_string(), &["head.bia", "`head.bias`"]);
    for length in [0, 9, 11] {
        let error = weights
            .read("head.bias", &mut vec![0.0; length])
            .unwrap_err();
        assert!(matches!(error, WeightsError::Length { expected: 10, .. }));
        contains(
            &error.to_string(),
            &["head.bias", "10 values", &length.to_string()],
        );
    }
}
