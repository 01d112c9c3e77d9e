//! Prepared pictures are those of Pillow, numpy and torchvision's rules.

use pvt_cuda::config::{Preprocess, Resize};
use pvt_cuda::picture::{PictureError, output_size, prepare, prepare_into, resize_and_crop};
use pvt_cuda::shape::ImageSize;
use serde::Deserialize;

use crate::support::{Source, cases, crc32, image_size, noise};

#[derive(Deserialize)]
struct Case {
    source: Source,
    preset: String,
    size: [usize; 2],
    bytes_crc32: u32,
    values_crc32: u32,
    samples: Vec<(usize, f32)>,
}

fn preset(name: &str) -> Preprocess {
    match name {
        "official" => Preprocess::official(224),
        "timm" => Preprocess::timm(224),
        "hf" => Preprocess::hf(224),
        "none" => Preprocess {
            resize: Resize::None,
            crop: None,
            ..Preprocess::hf(224)
        },
        other => panic!("no preset {other}"),
    }
}

#[test]
fn values_are_those_of_torchvision() {
    for case in cases::<Case>("prepare.json") {
        let about = format!("{:?} {}", case.source, case.preset);
        let picture = case.source.picture();
        let preprocess = preset(&case.preset);
        let size = output_size(picture.size(), &preprocess).unwrap();
        assert_eq!(size, image_size(case.size), "{about}");

        let got = prepare(&picture, &preprocess).unwrap();
        for (at, expected) in case.samples {
            assert_eq!(got[at].to_bits(), expected.to_bits(), "{about}: value {at}");
        }
        // Scaling by 1/255 alone gives the bytes back.
        let identity = Preprocess {
            mean: [0.0; 3],
            std: [1.0; 3],
            ..preprocess
        };
        let planes = prepare(&picture, &identity).unwrap();
        assert_eq!(
            crc32(&interleave(&planes)),
            case.bytes_crc32,
            "{about}: bytes"
        );
        let bytes: Vec<u8> = got.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(crc32(&bytes), case.values_crc32, "{about}: values");
    }
}

#[test]
fn preparing_in_two_parts_gives_the_same() {
    for size in [[300, 400], [257, 224], [224, 224], [99, 31]] {
        let picture = noise(image_size(size));
        for name in ["official", "timm", "hf", "none"] {
            let whole = preset(name);
            let part = resize_and_crop(&picture, &whole).unwrap();
            assert_eq!(part.size(), output_size(picture.size(), &whole).unwrap());
            let rest = Preprocess {
                resize: Resize::None,
                crop: None,
                ..whole
            };
            assert_eq!(
                prepare(&part, &rest).unwrap(),
                prepare(&picture, &whole).unwrap()
            );
        }
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0..=255 by the assertion"
)]
fn interleave(planes: &[f32]) -> Vec<u8> {
    let plane = planes.len() / 3;
    let values = (0..planes.len()).map(|i| planes[i % 3 * plane + i / 3]);
    values
        .map(|v| {
            let level = (v * 255.0).round();
            assert!((0.0..=255.0).contains(&level));
            level as u8
        })
        .collect()
}

#[test]
fn sizes_follow_torchvision() {
    let shorter = |side| Preprocess {
        resize: Resize::ShorterSide(side),
        crop: None,
        ..Preprocess::hf(1)
    };
    // int(256 * long / short)
    for (from, side, to) in [
        ([427, 640], 256, [256, 383]),
        ([640, 427], 256, [383, 256]),
        ([3, 3], 248, [248, 248]),
        ([100, 199], 50, [50, 99]),
        ([7, 1], 3, [21, 3]),
    ] {
        assert_eq!(
            output_size(image_size(from), &shorter(side)).unwrap(),
            image_size(to)
        );
    }
    let free = Preprocess {
        resize: Resize::None,
        crop: None,
        ..Preprocess::hf(224)
    };
    assert_eq!(
        output_size(image_size([5, 9]), &free).unwrap(),
        image_size([5, 9])
    );
}

#[test]
fn crop_is_centred_with_halves_to_even() {
    // The value of a pixel is its row; a crop of 4 from 4 + n rows starts at round(n / 2).
    for (rows, top) in [(4, 0), (5, 0), (6, 1), (7, 2), (8, 2), (9, 2), (11, 4)] {
        let size = ImageSize {
            height: rows,
            width: 4,
        };
        let rgb: Vec<u8> = (0..11).take(rows).flat_map(|y| [y; 12]).collect();
        let picture = pvt_cuda::picture::Picture::from_rgb(size, rgb).unwrap();
        let crop = Preprocess {
            resize: Resize::None,
            crop: Some(4),
            mean: [0.0; 3],
            std: [1.0; 3],
            ..preset("hf")
        };
        let got = prepare(&picture, &crop).unwrap();
        let first = u8::try_from(top).map(f32::from).unwrap() / 255.0;
        assert_eq!(got[0].to_bits(), first.to_bits(), "{rows} rows");
    }
}

#[test]
fn rejects_crops_beyond_the_picture() {
    let picture = noise(image_size([20, 40]));
    for crop in [0, 21, usize::MAX] {
        let preprocess = Preprocess {
            resize: Resize::None,
            crop: Some(crop),
            ..preset("hf")
        };
        let error = prepare(&picture, &preprocess).unwrap_err();
        assert!(matches!(error, PictureError::Crop { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("{crop}x{crop}")) && text.contains("20x40"),
            "{text}"
        );
    }
}

#[test]
fn rejects_targets_beyond_the_limits() {
    let thin = image_size([1, 16_384]);
    for resize in [
        Resize::ShorterSide(256),
        Resize::ShorterSide(0),
        Resize::ShorterSide(usize::MAX),
        Resize::Exact(image_size([0, 7])),
        Resize::Exact(image_size([usize::MAX, 1])),
    ] {
        let preprocess = Preprocess {
            resize,
            crop: None,
            ..preset("hf")
        };
        let error = prepare(&noise(thin), &preprocess).unwrap_err();
        assert!(matches!(error, PictureError::Resize { .. }), "{error:?}");
        assert!(error.to_string().contains("1x16384"), "{error}");
    }
    for from in [[0, 0], [0, 5], [5, 0], [usize::MAX, 1]] {
        let error = output_size(image_size(from), &Preprocess::official(224)).unwrap_err();
        assert!(matches!(error, PictureError::Size { .. }), "{error:?}");
    }
}

#[test]
fn rejects_outputs_of_another_length() {
    let picture = noise(image_size([20, 40]));
    for length in [0, 3 * 224 * 224 - 1, 3 * 224 * 224 + 1] {
        let error = prepare_into(&picture, &preset("hf"), &mut vec![0.0; length]).unwrap_err();
        assert!(
            matches!(error, PictureError::OutputLength { .. }),
            "{error:?}"
        );
        let text = error.to_string();
        assert!(
            text.contains(&length.to_string()) && text.contains("150528"),
            "{text}"
        );
    }
}

#[test]
fn rejects_normalisations_without_finite_values() {
    let picture = noise(image_size([2, 2]));
    let base = preset("none");
    for (mean, std) in [
        ([0.0, f32::NAN, 0.0], base.std),
        ([f32::INFINITY, 0.0, 0.0], base.std),
        (base.mean, [0.2, 0.0, 0.2]),
        (base.mean, [0.2, -1.0, 0.2]),
        (base.mean, [0.2, 0.2, f32::INFINITY]),
    ] {
        let error = prepare(&picture, &Preprocess { mean, std, ..base }).unwrap_err();
        assert!(
            matches!(error, PictureError::Normalisation { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("std"), "{error}");
    }
}
