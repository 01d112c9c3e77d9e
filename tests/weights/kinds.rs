//! Files that are something else, or did not arrive whole.

use pvt_cuda::weights::{MAX_HEADER_BYTES, TensorFile, WeightsError};

use crate::hostile::{FORMAT, HEADER, Kind, OTHER_KIND, TRUNCATED, refused};
use crate::support::{file_of, reference};

#[test]
fn other_kinds_of_file() {
    let cases: &[(&str, &[u8], Kind, &[&str])] = &[
        ("empty", b"", OTHER_KIND, &["empty"]),
        (
            "zip",
            b"PK\x03\x04 archive/data.pkl",
            OTHER_KIND,
            &["python3 scripts/convert_pth.py IN.pth OUT.safetensors"],
        ),
        (
            "pickle",
            b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
            OTHER_KIND,
            &["convert_pth.py", "pickle"],
        ),
        (
            "pickle, two bytes",
            b"\x80\x02",
            OTHER_KIND,
            &["convert_pth.py"],
        ),
        (
            "lfs",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            OTHER_KIND,
            &["git lfs pull"],
        ),
        (
            "html",
            b"<!DOCTYPE html><html>404</html>",
            OTHER_KIND,
            &["web page"],
        ),
        (
            "html after a line",
            b"\n  <html>404</html>",
            OTHER_KIND,
            &["web page"],
        ),
        (
            "json",
            b"{\"family\": \"pvt_v1\"}",
            OTHER_KIND,
            &["config.json", "model.safetensors"],
        ),
        (
            "seven bytes",
            b"\x02\0\0\0\0\0\0",
            TRUNCATED,
            &["byte 8", "holds 7"],
        ),
        (
            "length only",
            b"\x02\0\0\0\0\0\0\0",
            TRUNCATED,
            &["header", "byte 10"],
        ),
        ("length zero", b"\0\0\0\0\0\0\0\0", FORMAT, &["EOF"]),
        (
            "length beyond the file",
            b"\xff\0\0\0\0\0\0\0{}",
            TRUNCATED,
            &["byte 263", "holds 10"],
        ),
        (
            "length of 2^64 - 1",
            b"\xff\xff\xff\xff\xff\xff\xff\xff{}",
            HEADER,
            &["18446744073709551615", "8388608"],
        ),
        (
            "random",
            b"\x13\x37\xca\xfe\xba\xbe\xde\xad\xbe\xef",
            HEADER,
            &["damaged"],
        ),
    ];
    for (case, bytes, kind, parts) in cases {
        refused(bytes.to_vec(), *kind, parts, case);
    }
    let just_over = MAX_HEADER_BYTES + 1;
    refused(
        just_over.to_le_bytes().to_vec(),
        HEADER,
        &["8388609"],
        "one byte over",
    );
    let most = [&MAX_HEADER_BYTES.to_le_bytes()[..], b"{"].concat();
    refused(most, TRUNCATED, &["8388616"], "the most");
}

#[test]
fn header_lengths_may_look_like_other_kinds() {
    // Lengths whose low bytes are `PK` or a pickle's first bytes.
    for length in [0x4b50usize, 0x0280, 0x80] {
        let header = format!("{{}}{}", " ".repeat(length - 2));
        let file = TensorFile::from_bytes(file_of(&header, b""), "made").unwrap();
        assert_eq!(file.names().len(), 0);
    }
}

#[test]
fn paths_that_are_not_files() {
    let folder = tempfile::tempdir().unwrap();
    let error = TensorFile::open(folder.path()).unwrap_err();
    assert!(OTHER_KIND(&error), "{error:?}");
    assert!(error.to_string().contains("not a file"), "{error}");
    let error = TensorFile::open(folder.path().join("absent.safetensors")).unwrap_err();
    assert!(matches!(error, WeightsError::Io { .. }));
    assert!(error.to_string().contains("absent.safetensors"), "{error}");
    let long = folder.path().join("long.safetensors");
    std::fs::File::create(&long)
        .unwrap()
        .set_len((16 << 30) + 1)
        .unwrap();
    let error = TensorFile::open(&long).unwrap_err();
    assert!(
        matches!(
            error,
            WeightsError::TooLong {
                bytes: 17_179_869_185,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("17179869185"), "{error}");
}

#[test]
fn every_truncation_of_a_model_is_refused() {
    let whole = std::fs::read(reference("model.safetensors")).unwrap();
    let header = u64::from_le_bytes(*whole.first_chunk().unwrap());
    let header = usize::try_from(header).unwrap() + 8;
    let short = (0..header + 64)
        .step_by(97)
        .chain([header - 1, header, header + 1]);
    for length in short.chain([whole.len() / 2, whole.len() - 1]) {
        let error = TensorFile::from_bytes(whole[..length].to_vec(), "cut").unwrap_err();
        let expected = if length == 0 { OTHER_KIND } else { TRUNCATED };
        assert!(expected(&error), "{length}: {error:?}");
        let named = length == 0 || error.to_string().contains(&length.to_string());
        assert!(named, "{length}: {error}");
    }
}
