//! Fixtures and checksums for the tests of pictures.

use std::path::PathBuf;

use pvt_cuda::config::Interpolation;
use pvt_cuda::picture::Picture;
use pvt_cuda::shape::ImageSize;
use serde::de::DeserializeOwned;

pub(crate) fn fixture(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/picture")
        .join(file)
}

pub(crate) fn photo(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("assets/photos/{name}.jpg"))
}

pub(crate) fn open(file: &str) -> Picture {
    Picture::open(fixture(file)).unwrap()
}

pub(crate) fn cases<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let text = std::fs::read_to_string(fixture(file)).unwrap();
    let cases: Vec<T> = serde_json::from_str(&text).unwrap();
    assert!(!cases.is_empty(), "{file} has no cases");
    cases
}

/// A picture by name, or hash noise by height and width.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum Source {
    Named(String),
    Noise([usize; 2]),
}

impl Source {
    pub(crate) fn picture(&self) -> Picture {
        match self {
            Self::Named(name) => open(&format!("{name}.png")),
            Self::Noise(size) => noise(image_size(*size)),
        }
    }
}

pub(crate) const fn image_size([height, width]: [usize; 2]) -> ImageSize {
    ImageSize { height, width }
}

pub(crate) fn filter(name: &str) -> Interpolation {
    match name {
        "bilinear" => Interpolation::Bilinear,
        "bicubic" => Interpolation::Bicubic,
        other => panic!("no filter {other}"),
    }
}

/// Bytes from a hash of their index, as in `make_goldens.py`.
pub(crate) fn noise(size: ImageSize) -> Picture {
    let bytes = (0u32..).take(size.height * size.width * 3).map(|i| {
        let mut x = i.wrapping_mul(0x9E37_79B1);
        x ^= x >> 15;
        x = x.wrapping_mul(0x85EB_CA77);
        x ^= x >> 13;
        x.to_be_bytes()[0]
    });
    Picture::from_rgb(size, bytes.collect()).unwrap()
}

/// CRC-32 of zlib and PNG.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| {
            (c >> 1) ^ (0xEDB8_8320 & (c & 1).wrapping_neg())
        })
    })
}

/// Bytes of the hexadecimal text in a fixture.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits = text
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    digits
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}
