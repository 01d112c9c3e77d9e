//! Resizing gives the bytes of Pillow.

use pvt_cuda::config::Interpolation;
use pvt_cuda::picture::{MAX_SIDE, Picture, PictureError};
use pvt_cuda::shape::ImageSize;
use serde::Deserialize;

use crate::support::{Source, cases, crc32, filter, image_size, noise, open};

#[derive(Deserialize)]
struct Case {
    source: Source,
    filter: String,
    size: [usize; 2],
    crc32: u32,
    first: Vec<u8>,
}

#[test]
fn bytes_are_those_of_pillow() {
    let mut wrong = Vec::new();
    let cases: Vec<Case> = cases("resize.json");
    for case in &cases {
        let to = image_size(case.size);
        let got = case
            .source
            .picture()
            .resize(to, filter(&case.filter))
            .unwrap();
        assert_eq!(got.size(), to);
        assert_eq!(got.rgb().len(), to.height * to.width * 3);
        if crc32(got.rgb()) != case.crc32 {
            let got = &got.rgb()[..case.first.len()];
            wrong.push(format!(
                "{:?} {} to {to}: {got:?}, Pillow {:?}",
                case.source, case.filter, case.first
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[derive(Deserialize)]
struct Whole {
    source: String,
    filter: String,
    file: String,
}

#[test]
fn whole_pictures_are_those_of_pillow() {
    for Whole {
        source,
        filter: name,
        file,
    } in cases::<Whole>("whole.json")
    {
        let expected = open(&file);
        let got = open(&format!("{source}.png"))
            .resize(expected.size(), filter(&name))
            .unwrap();
        let differ = got
            .rgb()
            .iter()
            .zip(expected.rgb())
            .position(|(a, b)| a != b);
        assert_eq!(differ, None, "first byte that differs from {file}");
    }
}

#[test]
fn same_size_keeps_every_byte() {
    let picture = noise(image_size([31, 17]));
    for filter in [Interpolation::Bilinear, Interpolation::Bicubic] {
        assert_eq!(picture.resize(picture.size(), filter).unwrap(), picture);
    }
}

#[test]
fn flat_colour_stays_flat() {
    let rgb: Vec<u8> = [0, 127, 255].repeat(33 * 20);
    let picture = Picture::from_rgb(image_size([33, 20]), rgb).unwrap();
    for (height, width) in [(1, 1), (7, 300), (400, 3), (32, 21)] {
        let to = ImageSize { height, width };
        let got = picture.resize(to, Interpolation::Bicubic).unwrap();
        assert!(got.rgb().chunks(3).all(|p| p == [0, 127, 255]), "{to}");
    }
}

#[test]
fn longest_sides_shrink_and_grow() {
    for (from, to) in [
        ([MAX_SIDE, 1], [1, MAX_SIDE]),
        ([1, MAX_SIDE], [MAX_SIDE, 1]),
    ] {
        let picture = Picture::from_rgb(image_size(from), vec![255; MAX_SIDE * 3]).unwrap();
        let got = picture
            .resize(image_size(to), Interpolation::Bicubic)
            .unwrap();
        assert!(got.rgb().iter().all(|&v| v == 255));
    }
}

#[test]
fn rejects_sizes_beyond_the_limits() {
    let picture = noise(image_size([4, 5]));
    let large = image_size([MAX_SIDE, MAX_SIDE]);
    let error = picture.resize(large, Interpolation::Bilinear).unwrap_err();
    // 4 x 16384 and 16384 x 16384 pixels of 3 bytes.
    assert!(error.to_string().contains("805502976 bytes"), "{error}");
    for to in [
        [0, 5],
        [4, 0],
        [MAX_SIDE + 1, 5],
        [4, usize::MAX],
        [usize::MAX, usize::MAX],
    ] {
        let to = image_size(to);
        let error = picture.resize(to, Interpolation::Bilinear).unwrap_err();
        assert!(matches!(error, PictureError::Resize { .. }), "{error:?}");
        let text = error.to_string();
        for part in [to.to_string(), "4x5".to_owned(), "16384".to_owned()] {
            assert!(text.contains(&part), "{text} lacks {part}");
        }
    }
}
