//! Decoded pixels are those of Pillow's `convert("RGB")`.

use pvt_cuda::picture::Picture;
use serde::Deserialize;

use crate::support::{cases, crc32, fixture, hex, image_size, open, photo};

#[derive(Deserialize)]
struct Png {
    name: String,
    hex: String,
    size: [usize; 2],
    crc32: u32,
    first: Vec<u8>,
}

#[test]
fn every_kind_of_png_is_that_of_pillow() {
    for case in cases::<Png>("decode.json") {
        let got = Picture::decode(&hex(&case.hex), &case.name).unwrap();
        assert_eq!(got.size(), image_size(case.size), "{}", case.name);
        assert_eq!(got.rgb()[..case.first.len()], case.first, "{}", case.name);
        assert_eq!(crc32(got.rgb()), case.crc32, "{}", case.name);
    }
}

/// Largest and mean distance between bytes.
fn distance(a: &[u8], b: &[u8]) -> (u8, f64) {
    assert_eq!(a.len(), b.len());
    let apart = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
    let total: u64 = apart.clone().map(u64::from).sum();
    (apart.max().unwrap(), total as f64 / a.len() as f64)
}

#[derive(Deserialize)]
struct Part {
    photo: String,
    file: String,
    left: usize,
    top: usize,
}

#[test]
fn photographs_are_close_to_pillow() {
    for Part {
        photo: name,
        file,
        left,
        top,
    } in cases::<Part>("jpeg.json")
    {
        let got = Picture::open(photo(&name)).unwrap();
        assert_eq!(got.size(), image_size([427, 640]), "{name}");
        let expected = open(&file);
        let rows = got
            .rgb()
            .chunks(got.size().width * 3)
            .skip(top)
            .take(expected.size().height);
        let part = rows.flat_map(|row| row[left * 3..].iter().take(expected.size().width * 3));
        let (most, mean) = distance(&part.copied().collect::<Vec<_>>(), expected.rgb());
        println!("{name}: at most {most}, mean {mean}");
        assert!(
            most <= 4 && mean < 0.5,
            "{name}: at most {most}, mean {mean}"
        );
    }
}

#[test]
fn every_kind_of_jpeg_is_close_to_pillow() {
    for name in [
        "grey",
        "progressive",
        "restart",
        "full_chroma",
        "cmyk",
        "ycck",
    ] {
        let got = Picture::open(fixture(&format!("{name}.jpg"))).unwrap();
        let expected = open(&format!("{name}.png"));
        assert_eq!(got.size(), expected.size(), "{name}");
        let (most, mean) = distance(got.rgb(), expected.rgb());
        println!("{name}: at most {most}, mean {mean}");
        assert!(
            most <= 4 && mean < 0.5,
            "{name}: at most {most}, mean {mean}"
        );
    }
}

#[test]
fn orientation_is_ignored() {
    // An EXIF segment that says "rotate by 90 degrees", put after the start-of-image marker.
    let exif =
        b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let plain = std::fs::read(fixture("full_chroma.jpg")).unwrap();
    let turned = [&plain[..2], exif, &plain[2..]].concat();
    assert_eq!(
        Picture::decode(&turned, "turned").unwrap(),
        open("full_chroma.jpg")
    );
}

#[test]
fn bytes_after_the_picture_are_ignored() {
    for file in ["photo.png", "full_chroma.jpg"] {
        let mut bytes = std::fs::read(fixture(file)).unwrap();
        bytes.extend(b"appended \xff\xd8\xff\xc2");
        assert_eq!(Picture::decode(&bytes, file).unwrap(), open(file));
    }
}
