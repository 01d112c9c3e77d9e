//! Bad files are refused with an error that says what is wrong, and never panic.

use std::fs;

use pvt_cuda::picture::{Picture, PictureError};
use pvt_cuda::shape::ImageSize;

use crate::support::{cases, crc32, fixture, hex};

/// The error for `bytes`, after checking that its text names the picture and each of `parts`.
#[track_caller]
fn refused(bytes: &[u8], parts: &[&str]) -> PictureError {
    let error = Picture::decode(bytes, "dir/cat.jpg").unwrap_err();
    names(&error, parts);
    names(&error, &["dir/cat.jpg"]);
    error
}

#[track_caller]
fn names(error: &PictureError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
}

fn png() -> Vec<u8> {
    fs::read(fixture("edges.png")).unwrap()
}

fn jpeg() -> Vec<u8> {
    fs::read(fixture("full_chroma.jpg")).unwrap()
}

/// `png()` with another size in its header, and a checksum that fits.
fn png_of_size(height: u32, width: u32) -> Vec<u8> {
    let mut bytes = png();
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// `jpeg()` with another size in its frame header.
fn jpeg_of_size(height: u16, width: u16) -> Vec<u8> {
    let mut bytes = jpeg();
    let frame = bytes.windows(2).position(|m| m == [0xff, 0xc0]).unwrap();
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

#[test]
fn other_formats_are_named() {
    assert!(matches!(
        refused(b"", &["0 bytes"]),
        PictureError::Empty { .. }
    ));
    for (bytes, found) in [
        (&b"GIF89a\x01\0\x01\0"[..], "GIF"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "WebP"),
        (b"BM\x46\0\0\0", "BMP"),
        (b"II*\0\x08\0\0\0", "TIFF"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04\0\0", "zip"),
        (b"\n <!DOCTYPE html><html>Not Found</html>", "HTML"),
        (b"\0\0\0\x1cftypavif", "AVIF"),
        (b"version https://git-lfs", "version "),
        (b"\x01\x02\xfe", "01 02 fe"),
        (b"\xff\xd8", "ff d8"),
        (b"\x89PNG", "89 50 4e 47"),
    ] {
        let error = refused(bytes, &[found, "expected JPEG or PNG"]);
        assert!(matches!(error, PictureError::Format { .. }), "{error:?}");
    }
}

#[test]
fn every_cut_is_refused() {
    for (bytes, format) in [(png(), "PNG"), (jpeg(), "JPEG")] {
        for length in 8..bytes.len() {
            let error = refused(&bytes[..length], &[format, &format!("{length} bytes")]);
            assert!(
                matches!(error, PictureError::Truncated { .. }),
                "{length}: {error:?}"
            );
        }
    }
}

#[test]
fn damage_is_refused() {
    let mut checksum = png();
    checksum[32] ^= 1;
    let mut first = png();
    first[12..16].copy_from_slice(b"CgBI");
    let mut data = png();
    let at = data.windows(4).position(|w| w == b"IDAT").unwrap();
    data[at + 20] ^= 0x40;
    let mut frame = jpeg();
    let at = frame.windows(2).position(|m| m == [0xff, 0xc0]).unwrap();
    frame[at + 1] = 0xe5;
    for bytes in [checksum, first, data, frame, b"\xff\xd8\xff\xd9".to_vec()] {
        let error = refused(&bytes, &["damaged", "again"]);
        assert!(matches!(error, PictureError::Damaged { .. }), "{error:?}");
    }
    for bytes in [
        png_of_size(0, 5),
        png_of_size(5, 0),
        jpeg_of_size(0, 5),
        jpeg_of_size(5, 0),
    ] {
        let error = refused(&bytes, &["size is"]);
        assert!(matches!(error, PictureError::Damaged { .. }), "{error:?}");
    }
}

#[test]
fn small_files_of_huge_pictures_are_refused_undecoded() {
    for (bytes, size) in [
        (png_of_size(16_385, 1), "16385x1"),
        (png_of_size(1, u32::MAX), "1x4294967295"),
        (
            png_of_size(0x7fff_ffff, 0x7fff_ffff),
            "2147483647x2147483647",
        ),
        (jpeg_of_size(65_500, 65_500), "65500x65500"),
        (jpeg_of_size(1, 16_385), "1x16385"),
    ] {
        let error = refused(&bytes, &[size, "16384x16384"]);
        assert!(
            matches!(error, PictureError::TooManyPixels { .. }),
            "{error:?}"
        );
    }
    for bytes in [png_of_size(16_384, 16_384), jpeg_of_size(16_384, 16_384)] {
        let error = refused(&bytes, &["16384x16384", "805306368", "536870912"]);
        assert!(
            matches!(error, PictureError::TooMuchMemory { .. }),
            "{error:?}"
        );
    }
}

#[test]
fn progressive_jpeg_counts_its_coefficients() {
    let mut bytes = jpeg_of_size(10_000, 10_000);
    let frame = bytes.windows(2).position(|m| m == [0xff, 0xc0]).unwrap();
    bytes[frame + 1] = 0xc2;
    let error = refused(&bytes, &["10000x10000", "900000000"]);
    assert!(
        matches!(error, PictureError::TooMuchMemory { .. }),
        "{error:?}"
    );
}

#[test]
fn cmyk_without_its_marker_is_not_supported() {
    let mut bytes = fs::read(fixture("cmyk.jpg")).unwrap();
    let at = bytes.windows(5).position(|w| w == b"Adobe").unwrap();
    bytes[at] = b'a';
    let error = refused(&bytes, &["CMYK", "Adobe", "RGB JPEG"]);
    assert!(
        matches!(error, PictureError::Unsupported { .. }),
        "{error:?}"
    );
}

#[test]
fn paths_without_a_picture_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.png");
    let error = Picture::open(&missing).unwrap_err();
    assert!(matches!(error, PictureError::Read { .. }), "{error:?}");
    names(&error, &["missing.png", "check the path"]);

    let error = Picture::open(dir.path()).unwrap_err();
    assert!(matches!(error, PictureError::Directory { .. }), "{error:?}");
    names(
        &error,
        &[&dir.path().display().to_string(), "is a directory"],
    );

    // A file with a hole: its length is told without reading it.
    let large = dir.path().join("large.png");
    let file = fs::File::create(&large).unwrap();
    file.set_len(3 << 30).unwrap();
    let error = Picture::open(&large).unwrap_err();
    assert!(
        matches!(error, PictureError::FileTooLarge { .. }),
        "{error:?}"
    );
    names(&error, &["large.png", "3221225472", "67108864"]);
    assert!(matches!(
        Picture::decode(&vec![0; (64 << 20) + 1], "x").unwrap_err(),
        PictureError::FileTooLarge { .. }
    ));
}

#[test]
fn pixels_must_fit_their_size() {
    let size = ImageSize {
        height: 2,
        width: 3,
    };
    let error = Picture::from_rgb(size, vec![0; 17]).unwrap_err();
    assert!(matches!(error, PictureError::RgbLength { .. }), "{error:?}");
    names(&error, &["2x3", "17", "18"]);
    for (height, width) in [(0, 3), (2, 0), (16_385, 1), (usize::MAX, usize::MAX)] {
        let size = ImageSize { height, width };
        let error = Picture::from_rgb(size, Vec::new()).unwrap_err();
        assert!(matches!(error, PictureError::Size { .. }), "{error:?}");
        names(&error, &[&size.to_string(), "16384"]);
    }
}

/// Changed bytes give a picture or an error; what is checked is that nothing panics.
#[test]
fn changed_bytes_never_panic() {
    #[derive(serde::Deserialize)]
    struct Kind {
        hex: String,
    }
    let pngs = cases::<Kind>("decode.json")
        .into_iter()
        .map(|kind| hex(&kind.hex));
    let jpegs = [
        "grey",
        "progressive",
        "restart",
        "full_chroma",
        "cmyk",
        "ycck",
    ];
    let jpegs = jpegs.map(|name| fs::read(fixture(&format!("{name}.jpg"))).unwrap());
    let mut state = 1u32;
    let mut next = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let mut decoded = 0;
    for file in pngs.chain(jpegs) {
        for _ in 0..400 {
            let mut bytes = file.clone();
            for _ in 0..=next(4) {
                // Half of the changes go to the headers.
                let end = if next(2) == 0 { 64 } else { bytes.len() };
                let at = next(end.min(bytes.len()));
                bytes[at] = next(256).to_le_bytes()[0];
            }
            decoded += usize::from(Picture::decode(&bytes, "changed").is_ok());
        }
    }
    assert!(
        decoded > 0,
        "no changed file was decoded, the changes are too coarse"
    );
}
