//! The two schemas of `config.json`.

use std::path::Path;

use pvt_cuda::config::{
    ConfigError, Interpolation, LnEps, MAX_JSON_BYTES, Preprocess, PvtConfig, Resize, Variant,
};
use pvt_cuda::shape::ImageSize;

fn reference(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/reference/v1-micro")
        .join(file)
}

/// `pvt_tiny` in this project's schema, without what is optional.
pub(crate) const TINY: &str = r#"{
    "family": "pvt_v1", "img_size": 224, "num_classes": 1000,
    "embed_dims": [64, 128, 320, 512], "num_heads": [1, 2, 5, 8], "depths": [2, 2, 2, 2],
    "mlp_ratios": [8, 8, 4, 4], "sr_ratios": [8, 4, 2, 1]
}"#;

/// `pvt_tiny` in Hugging Face's schema, without what is optional.
pub(crate) const TINY_HF: &str = r#"{
    "model_type": "pvt", "depths": [2, 2, 2, 2],
    "hidden_sizes": [64, 128, 320, 512], "num_attention_heads": [1, 2, 5, 8]
}"#;

#[test]
fn defaults_are_the_published_models() {
    assert_eq!(PvtConfig::from_json(TINY).unwrap(), Variant::Tiny.config());
    let mut tiny = Variant::Tiny.config();
    tiny.ln_eps = LnEps::uniform(1e-6);
    assert_eq!(PvtConfig::from_json(TINY_HF).unwrap(), tiny);
}

#[test]
fn what_is_written_is_read_back() {
    let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/digits/config.json");
    let mut configs = vec![PvtConfig::from_file(digits).unwrap()];
    configs.extend(Variant::ALL.map(Variant::config));
    let mut odd = Variant::Tiny.config();
    odd.img_size = ImageSize {
        height: 96,
        width: 160,
    };
    odd.qkv_bias = false;
    odd.ln_eps.sr = 1.1e-7;
    odd.stages[2].patch_size = 3;
    for resize in [Resize::None, Resize::Exact(odd.img_size)] {
        odd.preprocess = Some(Preprocess {
            resize,
            crop: None,
            ..Preprocess::hf(96)
        });
        configs.push(odd.clone());
    }
    odd.preprocess = Some(Preprocess::official(224));
    odd.num_classes = 2;
    odd.labels = Some(vec!["a \"b\"\n".to_owned(), "ü".to_owned()]);
    configs.push(odd);
    for config in configs {
        let text = config.to_json();
        assert_eq!(PvtConfig::from_json(&text).unwrap(), config, "{text}");
    }
    let text = Variant::Tiny.config().to_json();
    assert!(text.contains("1e-5") || text.contains("0.00001"), "{text}");
}

#[test]
fn both_files_of_a_model_agree() {
    let own = PvtConfig::from_file(reference("config.json")).unwrap();
    let hugging_face = PvtConfig::from_file(reference("config.hf.json")).unwrap();
    assert_eq!(own.ln_eps, LnEps::OFFICIAL);
    assert_eq!(hugging_face.ln_eps, LnEps::uniform(1e-6));
    assert_eq!(
        own,
        PvtConfig {
            ln_eps: LnEps::OFFICIAL,
            ..hugging_face
        }
    );
    assert_eq!(own.img_size, ImageSize::square(64));
    assert_eq!(own.num_classes, 10);
    assert_eq!(own.stages.map(|s| s.embed_dim), [16, 32, 48, 64]);
    assert_eq!(own.stages.map(|s| s.num_heads), [1, 2, 3, 4]);
    assert_eq!(own.stages.map(|s| s.depth), [1, 1, 2, 1]);
    assert_eq!(own.stages.map(|s| s.mlp_ratio), [8, 8, 4, 4]);
    assert_eq!(own.stages.map(|s| s.sr_ratio), [8, 4, 2, 1]);
    assert_eq!(own.labels, None);
}

#[test]
fn everything_optional_is_read() {
    let json = TINY.replace(
        "\"num_classes\": 1000,",
        r#""num_classes": 2.0, "in_chans": 3, "patch_size": 4, "qkv_bias": false, "linear": false,
        "ln_eps": {"patch_embed": 1e-4, "sr": 2e-4, "block": 3e-4, "final": 0},
        "labels": ["cat", "dog"], "name": "any", "seed": 1, "versions": {},
        "preprocess": {"resize": 64, "crop": 60, "interpolation": "bicubic",
                       "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.5, 1]},"#,
    );
    let config = PvtConfig::from_json(&json).unwrap();
    assert!(!config.qkv_bias);
    assert_eq!(config.num_classes, 2);
    let expected = LnEps {
        patch_embed: 1e-4,
        sr: 2e-4,
        block: 3e-4,
        final_norm: 0.0,
    };
    assert_eq!(config.ln_eps, expected);
    assert_eq!(config.labels.unwrap(), ["cat", "dog"]);
    let expected = Preprocess {
        resize: Resize::ShorterSide(64),
        crop: Some(60),
        interpolation: Interpolation::Bicubic,
        mean: [0.5; 3],
        std: [0.25, 0.5, 1.0],
    };
    assert_eq!(config.preprocess, Some(expected));
}

#[test]
fn short_forms_are_read() {
    for (from, to, check) in [
        (
            "\"img_size\": 224",
            "\"img_size\": [96, 64]",
            (|c| {
                c.img_size
                    == ImageSize {
                        height: 96,
                        width: 64,
                    }
            }) as fn(&PvtConfig) -> bool,
        ),
        (
            "\"img_size\": 224",
            "\"img_size\": 224.0, \"ln_eps\": 1e-3",
            |c| c.ln_eps == LnEps::uniform(1e-3),
        ),
        (
            "\"img_size\": 224",
            "\"img_size\": 224, \"patch_size\": 2",
            |c| c.stages.map(|s| s.patch_size) == [2, 2, 2, 2],
        ),
        (
            "\"img_size\": 224",
            "\"img_size\": 224, \"patch_size\": [4, 2, 2, 1]",
            |c| c.stages.map(|s| s.patch_size) == [4, 2, 2, 1],
        ),
        (
            "\"img_size\": 224",
            "\"img_size\": 224, \"preprocess\": {\"resize\": [32, 64]}",
            |c| {
                c.preprocess.unwrap().resize
                    == Resize::Exact(ImageSize {
                        height: 32,
                        width: 64,
                    })
            },
        ),
        (
            "\"img_size\": 224",
            "\"img_size\": 224, \"preprocess\": {}",
            |c| {
                let p = c.preprocess.unwrap();
                (p.resize, p.crop) == (Resize::None, None)
            },
        ),
        (
            "\"img_size\": 224",
            "\"img_size\": 224, \"labels\": null",
            |c| c.labels.is_none(),
        ),
        ("{\n", "\u{feff}{\n", |c| c.num_classes == 1000),
    ] {
        let json = TINY.replacen(from, to, 1);
        assert!(check(&PvtConfig::from_json(&json).unwrap()), "{to}");
    }
}

#[test]
fn hugging_face_class_names_are_sorted_by_index() {
    let with = |entries: &str| {
        let json = TINY_HF.replacen('{', &format!("{{{entries},"), 1);
        PvtConfig::from_json(&json).unwrap()
    };
    let config = with(
        r#""id2label": {"1": "b", "10": "k", "0": "a", "2": "c", "3": "d", "4": "e",
        "5": "f", "6": "g", "7": "h", "8": "i", "9": "j"}"#,
    );
    assert_eq!(config.num_classes, 11);
    assert_eq!(config.labels.unwrap().concat(), "abcdefghijk");
    let config = with(r#""id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "num_labels": 2"#);
    assert_eq!((config.num_classes, config.labels), (2, None));
    let config = with(r#""num_labels": 7"#);
    assert_eq!((config.num_classes, config.labels), (7, None));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.json");
    let error = PvtConfig::from_file(&absent).unwrap_err();
    assert!(matches!(error, ConfigError::Io { .. }));
    assert!(error.to_string().contains("absent.json"), "{error}");

    let error = PvtConfig::from_file(folder.path()).unwrap_err();
    assert!(matches!(error, ConfigError::Io { .. }), "{error:?}");

    let long = folder.path().join("long.json");
    let spaces = usize::try_from(MAX_JSON_BYTES).unwrap() + 1 - TINY.len();
    std::fs::write(&long, format!("{TINY}{}", " ".repeat(spaces))).unwrap();
    let error = PvtConfig::from_file(&long).unwrap_err();
    assert!(matches!(
        error,
        ConfigError::TooLong {
            limit: MAX_JSON_BYTES,
            ..
        }
    ));
    for part in ["long.json", "1048576"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    std::fs::write(&long, format!("{TINY}{}", " ".repeat(spaces - 1))).unwrap();
    assert_eq!(PvtConfig::from_file(&long).unwrap(), Variant::Tiny.config());

    std::fs::write(&long, b"\xff\xfe{}").unwrap();
    assert!(matches!(
        PvtConfig::from_file(&long),
        Err(ConfigError::Io { .. })
    ));
}
