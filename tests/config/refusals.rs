//! Descriptions that are refused, by kind and by what the message says.

use pvt_cuda::config::{ConfigError, PvtConfig};

use crate::json::{TINY, TINY_HF};

pub(crate) type Kind = fn(&ConfigError) -> bool;
const SYNTAX: Kind = |e| matches!(e, ConfigError::Syntax { .. });
const DUPLICATE: Kind = |e| matches!(e, ConfigError::DuplicateKey { .. });
const MISSING: Kind = |e| matches!(e, ConfigError::MissingKey { .. });
const UNKNOWN_KEY: Kind = |e| matches!(e, ConfigError::UnknownKey { .. });
const WRONG_TYPE: Kind = |e| matches!(e, ConfigError::WrongType { .. });
const WRONG_LENGTH: Kind = |e| matches!(e, ConfigError::WrongLength { .. });
pub(crate) const OUT_OF_RANGE: Kind = |e| matches!(e, ConfigError::OutOfRange { .. });
pub(crate) const TOO_SMALL: Kind = |e| matches!(e, ConfigError::ImageTooSmall { .. });
pub(crate) const TOO_LARGE: Kind = |e| matches!(e, ConfigError::ImageTooLarge { .. });
const NOT_YET: Kind = |e| matches!(e, ConfigError::NotYetSupported { .. });
const UNKNOWN_NAME: Kind = |e| matches!(e, ConfigError::UnknownName { .. });

pub(crate) fn refused(error: &ConfigError, kind: Kind, parts: &[&str], case: &str) {
    assert!(kind(error), "{case}: {error:?}");
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{case}: `{part}` is not in: {text}");
    }
}

#[test]
fn own_schema() {
    let more = |entry: &str| TINY.replacen('{', &format!("{{{entry},"), 1);
    let other = |from: &str, to: &str| {
        assert!(TINY.contains(from), "{from}");
        TINY.replacen(from, to, 1)
    };
    let cases: &[(String, Kind, &[&str])] = &[
        (String::new(), SYNTAX, &["not valid JSON"]),
        ("{".to_owned(), SYNTAX, &["line 1"]),
        (format!("{TINY}x"), SYNTAX, &["trailing"]),
        ("[".repeat(100_000), SYNTAX, &["recursion"]),
        (more("\"ln_eps\": 1e999"), SYNTAX, &["out of range"]),
        (more("\"ln_eps\": NaN"), SYNTAX, &["expected"]),
        ("[]".to_owned(), WRONG_TYPE, &["a list", "an object"]),
        ("{}".to_owned(), MISSING, &["family", "model_type"]),
        (
            more("\"depths\": [1, 1, 1, 1]"),
            DUPLICATE,
            &["depths", "twice"],
        ),
        (
            more("\"ln_eps\": {\"sr\": 1, \"sr\": 1}"),
            DUPLICATE,
            &["ln_eps.sr"],
        ),
        (
            more("\"versions\": {\"a\": 1, \"a\": 1}"),
            DUPLICATE,
            &["versions.a"],
        ),
        (
            more("\"embed_dim\": 3"),
            UNKNOWN_KEY,
            &["`embed_dim`", "`embed_dims`"],
        ),
        (more("\"\\u001b[2J\": 3"), UNKNOWN_KEY, &["\\u{1b}[2J"]),
        (
            more("\"ln_eps\": {\"fina\": 1}"),
            UNKNOWN_KEY,
            &["ln_eps.fina", "`final`"],
        ),
        (
            more("\"preprocess\": {\"size\": 1}"),
            UNKNOWN_KEY,
            &["preprocess.size", "resize"],
        ),
        (
            other("\"num_classes\": 1000,", ""),
            MISSING,
            &["num_classes"],
        ),
        (other("\"img_size\": 224,", ""), MISSING, &["img_size"]),
        (
            other("\"depths\": [2, 2, 2, 2],", ""),
            MISSING,
            &["depths", "four"],
        ),
        (
            other("\"num_classes\": 1000", "\"num_classes\": null"),
            MISSING,
            &["num_classes"],
        ),
        (
            other("\"num_classes\": 1000", "\"num_classes\": \"1000\""),
            WRONG_TYPE,
            &["num_classes", "\"1000\""],
        ),
        (
            other("\"num_classes\": 1000", "\"num_classes\": 10.5"),
            WRONG_TYPE,
            &["num_classes", "10.5", "whole"],
        ),
        (
            other("\"num_classes\": 1000", "\"num_classes\": -1"),
            WRONG_TYPE,
            &["num_classes", "-1"],
        ),
        (
            other("\"num_classes\": 1000", "\"num_classes\": 1e300"),
            WRONG_TYPE,
            &["num_classes", "2^53"],
        ),
        (
            other("\"img_size\": 224", "\"img_size\": true"),
            WRONG_TYPE,
            &["img_size", "true"],
        ),
        (
            other("\"img_size\": 224", "\"img_size\": [224]"),
            WRONG_LENGTH,
            &["img_size", "1 entries", "2"],
        ),
        (
            other("[2, 2, 2, 2]", "[2, 2, 2]"),
            WRONG_LENGTH,
            &["depths", "3 entries", "expected 4"],
        ),
        (
            other("[2, 2, 2, 2]", "[2, 2, 2, 2, 2]"),
            WRONG_LENGTH,
            &["depths", "5 entries"],
        ),
        (
            other("[2, 2, 2, 2]", "[2, \"2\", 2, 2]"),
            WRONG_TYPE,
            &["depths[1]"],
        ),
        (other("[2, 2, 2, 2]", "2"), WRONG_TYPE, &["depths", "list"]),
        (
            more("\"qkv_bias\": 1"),
            WRONG_TYPE,
            &["qkv_bias", "true or false"],
        ),
        (more("\"labels\": {}"), WRONG_TYPE, &["labels", "list"]),
        (
            more("\"labels\": [1]"),
            WRONG_TYPE,
            &["labels[0]", "string"],
        ),
        (
            more("\"labels\": [\"a\"]"),
            OUT_OF_RANGE,
            &["labels is 1", "1000"],
        ),
        (more("\"ln_eps\": []"), WRONG_TYPE, &["ln_eps"]),
        (
            more("\"ln_eps\": {\"block\": -1}"),
            OUT_OF_RANGE,
            &["ln_eps.block", "-1"],
        ),
        (
            more("\"ln_eps\": 1e60"),
            OUT_OF_RANGE,
            &["ln_eps.patch_embed", "finite"],
        ),
        (
            more("\"preprocess\": {\"std\": [1, 0, 1]}"),
            OUT_OF_RANGE,
            &["std[1]", "above 0"],
        ),
        (
            more("\"preprocess\": {\"mean\": [1, 0]}"),
            WRONG_LENGTH,
            &["preprocess.mean", "2 entries"],
        ),
        (
            more("\"preprocess\": {\"interpolation\": \"bicubik\"}"),
            UNKNOWN_NAME,
            &["bicubik", "`bicubic`"],
        ),
        (
            more("\"preprocess\": {\"crop\": 0}"),
            OUT_OF_RANGE,
            &["crop is 0"],
        ),
        (
            more("\"preprocess\": {\"resize\": 32, \"crop\": 33}"),
            OUT_OF_RANGE,
            &["crop is 33", "32"],
        ),
        (
            more("\"preprocess\": {}, \"in_chans\": 1"),
            OUT_OF_RANGE,
            &["in_chans is 1", "3"],
        ),
        (other("pvt_v1", "pvt_v2"), NOT_YET, &["pvt_v2", "pvt_tiny"]),
        (
            other("pvt_v1", "pvt_v3"),
            UNKNOWN_NAME,
            &["pvt_v3", "pvt_v1"],
        ),
        (more("\"linear\": true"), NOT_YET, &["linear"]),
        (
            other("\"img_size\": 224", "\"img_size\": 31"),
            TOO_SMALL,
            &["31x31", "32"],
        ),
        (
            other("\"img_size\": 224", "\"img_size\": 16385"),
            TOO_LARGE,
            &["16385"],
        ),
    ];
    for (json, kind, parts) in cases {
        let case: String = json.chars().take(200).collect();
        let error = PvtConfig::from_json(json).expect_err(&case);
        refused(&error, *kind, parts, &case);
    }
}

#[test]
fn hugging_face_schema() {
    let more = |entry: &str| TINY_HF.replacen('{', &format!("{{{entry},"), 1);
    let cases: &[(String, Kind, &[&str])] = &[
        (
            TINY_HF.replace("\"pvt\"", "\"pvt_v2\""),
            NOT_YET,
            &["pvt_v2"],
        ),
        (
            TINY_HF.replace("\"pvt\"", "\"vit\""),
            UNKNOWN_NAME,
            &["vit", "pvt"],
        ),
        (
            TINY_HF.replace("hidden_sizes", "other"),
            MISSING,
            &["hidden_sizes"],
        ),
        (
            more("\"hidden_act\": \"relu\""),
            OUT_OF_RANGE,
            &["hidden_act", "relu", "gelu"],
        ),
        (
            more("\"num_encoder_blocks\": 5"),
            OUT_OF_RANGE,
            &["num_encoder_blocks is 5", "4"],
        ),
        (
            more("\"strides\": [4, 2, 2, 1]"),
            OUT_OF_RANGE,
            &["strides", "[4, 2, 2, 1]", "patch_sizes"],
        ),
        (
            more("\"num_labels\": 3, \"id2label\": {\"0\": \"a\"}"),
            OUT_OF_RANGE,
            &["num_labels is 3", "1"],
        ),
        (
            more("\"id2label\": {\"one\": \"a\"}"),
            OUT_OF_RANGE,
            &["id2label", "one"],
        ),
        (
            more("\"id2label\": {\"1\": \"a\"}"),
            OUT_OF_RANGE,
            &["id2label", "is 1", "0"],
        ),
        (
            more("\"id2label\": {\"0\": \"a\", \"00\": \"b\"}"),
            OUT_OF_RANGE,
            &["id2label", "1"],
        ),
        (
            more("\"id2label\": {\"0\": 1}"),
            WRONG_TYPE,
            &["id2label.0"],
        ),
        (
            more("\"id2label\": {}"),
            OUT_OF_RANGE,
            &["num_classes is 0"],
        ),
        (
            more("\"layer_norm_eps\": \"1e-6\""),
            WRONG_TYPE,
            &["layer_norm_eps"],
        ),
    ];
    for (json, kind, parts) in cases {
        let error = PvtConfig::from_json(json).expect_err(json);
        refused(&error, *kind, parts, json);
    }
}
