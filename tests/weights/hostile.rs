//! Headers that break the rules of the format, or use them against the reader.

use std::fmt::Write as _;

use pvt_cuda::config::Mode;
use pvt_cuda::weights::{TensorFile, WeightsError};

use crate::support::{Raw, Raws, file_of, load, official};

pub(crate) type Kind = fn(&WeightsError) -> bool;
pub(crate) const OTHER_KIND: Kind = |e| matches!(e, WeightsError::NotSafetensors { .. });
pub(crate) const HEADER: Kind = |e| matches!(e, WeightsError::HeaderTooLong { .. });
pub(crate) const TRUNCATED: Kind = |e| matches!(e, WeightsError::Truncated { .. });
const TOO_MANY: Kind = |e| matches!(e, WeightsError::TooMany { .. });
const DUPLICATE: Kind = |e| matches!(e, WeightsError::DuplicateKey { .. });
const RANK: Kind = |e| matches!(e, WeightsError::Rank { .. });
pub(crate) const FORMAT: Kind = |e| matches!(e, WeightsError::Format { .. });

pub(crate) fn refused(bytes: Vec<u8>, kind: Kind, parts: &[&str], case: &str) {
    let error = TensorFile::from_bytes(bytes, "hostile.bin").expect_err(case);
    assert!(kind(&error), "{case}: {error:?}");
    let text = error.to_string();
    assert!(
        text.len() < 1000,
        "{case}: a message of {} bytes",
        text.len()
    );
    assert!(
        !text.chars().any(|c| c.is_control() && c != '\n'),
        "{case}: {text:?}"
    );
    for part in [&["hostile.bin"], parts].concat() {
        assert!(text.contains(part), "{case}: `{part}` is not in: {text}");
    }
}

/// A header entry for `key`, of `shape` and up to `end`.
fn entry(key: &str, dtype: &str, shape: &str, start: u64, end: u64) -> String {
    format!(r#""{key}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}"#)
}

#[test]
fn headers() {
    let a = entry("a", "F32", "[1]", 0, 4);
    let vast = (1u64 << 61) - 1;
    let wrapping: Vec<String> = (0..8)
        .map(|i| {
            entry(
                &format!("t{i}"),
                "BOOL",
                &format!("[{vast}]"),
                i * vast,
                (i + 1) * vast,
            )
        })
        .collect();
    let many = (0..20_001).map(|i| entry(&i.to_string(), "F32", "[0]", 0, 0));
    let many = many.collect::<Vec<_>>().join(",");
    let metadata = (0..20_001).fold(String::new(), |mut text, i| {
        let comma = if i == 0 { "" } else { "," };
        write!(text, "{comma}\"{i}\":\"\"").unwrap();
        text
    });
    let deep = format!("[{}]", vec!["1"; 100_001].join(","));
    let cases: &[(&str, String, usize, Kind, &[&str])] = &[
        (
            "not JSON",
            "{nonsense}".to_owned(),
            0,
            FORMAT,
            &["header", "line 1"],
        ),
        ("not an object", "[1]".to_owned(), 0, FORMAT, &["object"]),
        (
            "text after the header",
            format!("{{{a}}} x"),
            4,
            FORMAT,
            &["trailing"],
        ),
        (
            "same key, same range",
            format!("{{{a},{a}}}"),
            4,
            DUPLICATE,
            &["`a`", "twice"],
        ),
        (
            "same key, other range",
            format!("{{{a},{}}}", entry("a", "F32", "[1]", 4, 8)),
            8,
            DUPLICATE,
            &["`a`"],
        ),
        (
            "same key, escaped",
            format!("{{{a},{}}}", entry("\\u0061", "F32", "[1]", 0, 4)),
            4,
            DUPLICATE,
            &["`a`"],
        ),
        (
            "metadata twice",
            "{\"__metadata__\":{},\"__metadata__\":{}}".to_owned(),
            0,
            DUPLICATE,
            &["__metadata__"],
        ),
        (
            "100,001 dimensions",
            format!("{{{}}}", entry("a", "F32", &deep, 0, 4)),
            4,
            RANK,
            &["`a`", "100001", "4"],
        ),
        (
            "five dimensions",
            format!("{{{}}}", entry("a", "F32", "[1,1,1,1,1]", 0, 4)),
            4,
            RANK,
            &["5 dimensions"],
        ),
        (
            "20,001 tensors",
            format!("{{{many}}}"),
            0,
            TOO_MANY,
            &["20000 tensors"],
        ),
        (
            "20,001 notes",
            format!("{{\"__metadata__\":{{{metadata}}}}}"),
            0,
            TOO_MANY,
            &["20000 entries of metadata"],
        ),
        (
            "values missing",
            format!("{{{a}}}"),
            3,
            TRUNCATED,
            &["`a`", "cut short"],
        ),
        (
            "offset beyond the file",
            format!("{{{}}}", entry("a", "F32", "[9]", 0, 36)),
            4,
            TRUNCATED,
            &["`a`"],
        ),
        (
            "offsets that wrap around",
            format!("{{{}}}", wrapping.join(",")),
            0,
            TRUNCATED,
            &["`t7`"],
        ),
        (
            "values left over",
            format!("{{{a}}}"),
            5,
            FORMAT,
            &["not fully covered"],
        ),
        (
            "hole",
            format!("{{{}}}", entry("a", "F32", "[1]", 4, 8)),
            8,
            FORMAT,
            &["offset", "`a`"],
        ),
        (
            "overlap",
            format!("{{{a},{}}}", entry("b", "F32", "[1]", 2, 6)),
            6,
            FORMAT,
            &["offset", "`b`"],
        ),
        (
            "reversed",
            format!("{{{}}}", entry("a", "F32", "[1]", 4, 0)),
            4,
            FORMAT,
            &["offset"],
        ),
        (
            "negative offset",
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}".to_owned(),
            4,
            FORMAT,
            &["-4"],
        ),
        (
            "three offsets",
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}".to_owned(),
            8,
            FORMAT,
            &["header"],
        ),
        (
            "size against shape",
            format!("{{{}}}", entry("a", "F32", "[2]", 0, 4)),
            4,
            FORMAT,
            &["shape"],
        ),
        (
            "shape that overflows",
            format!("{{{}}}", entry("a", "F32", "[4294967296,4294967296]", 0, 4)),
            4,
            FORMAT,
            &["overflow"],
        ),
        (
            "unknown type",
            format!("{{{}}}", entry("a", "F33", "[1]", 0, 4)),
            4,
            FORMAT,
            &["F33"],
        ),
        (
            "long unknown type",
            format!("{{{}}}", entry("a", &"x".repeat(9999), "[1]", 0, 4)),
            4,
            FORMAT,
            &["xxx"],
        ),
        (
            "half a byte",
            format!("{{{}}}", entry("a", "F4", "[1]", 0, 1)),
            1,
            FORMAT,
            &["safetensors"],
        ),
        (
            "metadata not a string",
            "{\"__metadata__\":{\"a\":1}}".to_owned(),
            0,
            FORMAT,
            &["integer"],
        ),
        (
            "metadata not an object",
            "{\"__metadata__\":7}".to_owned(),
            0,
            FORMAT,
            &["list or an object"],
        ),
        (
            "field unknown",
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":[]}}".to_owned(),
            4,
            FORMAT,
            &["`x`"],
        ),
        (
            "field missing",
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}".to_owned(),
            4,
            FORMAT,
            &["data_offsets"],
        ),
        (
            "field twice",
            "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"
                .to_owned(),
            4,
            FORMAT,
            &["dtype"],
        ),
        (
            "nesting",
            format!("{{\"a\":{}", "[".repeat(200_000)),
            0,
            FORMAT,
            &["header"],
        ),
        (
            "control characters",
            format!("{{{},{a}}}", entry("\\u0000\\u001b[2J", "F32", "[]", 4, 9)),
            4,
            TRUNCATED,
            &["\\0\\u{1b}[2J"],
        ),
    ];
    for (case, header, values, kind, parts) in cases {
        refused(file_of(header, &vec![0; *values]), *kind, parts, case);
    }
    refused(
        file_of("{\"\u{fffd}", b"")
            .into_iter()
            .map(|b| if b > 0x7f { 0xff } else { b })
            .collect(),
        FORMAT,
        &["header"],
        "bad UTF-8",
    );
}

#[test]
fn empty_shapes_do_not_reach_arithmetic() {
    let shape = "[0,18446744073709551615]";
    let header = format!(
        "{{{}}}",
        entry("patch_embed1.norm.bias", "F32", shape, 0, 0)
    );
    let file = TensorFile::from_bytes(file_of(&header, b""), "made").unwrap();
    let tensor = file.get("patch_embed1.norm.bias").unwrap();
    assert_eq!(tensor.to_f32().unwrap(), [0.0f32; 0]);
    let mut tensors = official();
    tensors.insert(
        "norm.bias".to_owned(),
        Raw::new("F32", &[0, usize::MAX], Vec::new()),
    );
    let error = load(&tensors, Mode::Classify).unwrap_err();
    assert!(matches!(&error, WeightsError::Mismatch(m) if m.misshaped.len() == 1));
    assert!(
        error.to_string().contains("18446744073709551615"),
        "{error}"
    );
}

#[test]
fn names_are_never_paths() {
    let key = "../../etc/passwd\0";
    let mut tensors = Raws::new();
    tensors.insert(key.to_owned(), Raw::f32(&[1], &[1.0]));
    let error = load(&tensors, Mode::Classify).unwrap_err();
    assert!(error.to_string().contains("../../etc/passwd\\0"), "{error}");
}
