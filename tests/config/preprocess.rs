//! Preparation of pictures: presets and Hugging Face's image processor.

use pvt_cuda::config::{
    ConfigError, IMAGENET_MEAN, IMAGENET_STD, Interpolation, Preprocess, Preset, Resize,
};
use pvt_cuda::shape::ImageSize;

#[test]
fn presets_follow_their_sources() {
    let official = Preprocess::official(224);
    assert_eq!(official.resize, Resize::ShorterSide(256));
    assert_eq!(official.crop, Some(224));
    assert_eq!(official.interpolation, Interpolation::Bicubic);
    assert_eq!((official.mean, official.std), (IMAGENET_MEAN, IMAGENET_STD));
    assert_eq!(Preprocess::official(64).resize, Resize::ShorterSide(73));

    let timm = Preprocess::timm(224);
    assert_eq!(timm.resize, Resize::ShorterSide(248));
    assert_eq!(timm.crop, Some(224));
    assert_eq!(timm.interpolation, Interpolation::Bicubic);

    let hf = Preprocess::hf(224);
    assert_eq!(hf.resize, Resize::Exact(ImageSize::square(224)));
    assert_eq!(hf.crop, None);
    assert_eq!(hf.interpolation, Interpolation::Bilinear);

    for side in [1, 32, 224, 384] {
        for preset in [
            Preprocess::official(side),
            Preprocess::timm(side),
            Preprocess::hf(side),
        ] {
            preset.validate().unwrap();
        }
    }
    assert!(Preprocess::official(usize::MAX).validate().is_err());
}

#[test]
fn preset_names_are_read_and_printed() {
    for preset in Preset::ALL {
        assert_eq!(preset.to_string().parse::<Preset>().unwrap(), preset);
    }
    assert_eq!("HF".parse::<Preset>().unwrap(), Preset::Hf);
    let error = "offical".parse::<Preset>().unwrap_err();
    assert!(matches!(
        error,
        ConfigError::UnknownName {
            closest: Some("official"),
            ..
        }
    ));
    for part in ["offical", "official, timm, hf, model"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn hub_files_are_read() {
    let zetatech = r#"{"do_normalize": true, "do_resize": true,
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "size": 224}"#;
    assert_eq!(
        Preprocess::from_hf_json(zetatech).unwrap(),
        Preprocess::hf(224)
    );

    let opengvlab = r#"{"do_normalize": true, "do_rescale": true, "do_resize": true,
        "image_mean": [0.485, 0.456, 0.406], "image_processor_type": "PvtImageProcessor",
        "image_std": [0.229, 0.224, 0.225], "resample": 2,
        "rescale_factor": 0.00392156862745098, "size": {"height": 224, "width": 224}}"#;
    assert_eq!(
        Preprocess::from_hf_json(opengvlab).unwrap(),
        Preprocess::hf(224)
    );

    let cropped = r#"{"size": {"shortest_edge": 256}, "resample": 3, "do_center_crop": true,
        "crop_size": {"height": 224, "width": 224}}"#;
    assert_eq!(
        Preprocess::from_hf_json(cropped).unwrap(),
        Preprocess::official(224)
    );

    let nothing = r#"{"do_resize": false, "do_normalize": false}"#;
    let preprocess = Preprocess::from_hf_json(nothing).unwrap();
    assert_eq!(preprocess.resize, Resize::None);
    assert_eq!((preprocess.mean, preprocess.std), ([0.0; 3], [1.0; 3]));
}

#[test]
fn processors_that_cannot_be_followed_are_refused() {
    type Kind = fn(&ConfigError) -> bool;
    let out_of_range: Kind = |e| matches!(e, ConfigError::OutOfRange { .. });
    let missing: Kind = |e| matches!(e, ConfigError::MissingKey { .. });
    let unknown: Kind = |e| matches!(e, ConfigError::UnknownKey { .. });
    let wrong_type: Kind = |e| matches!(e, ConfigError::WrongType { .. });
    let wrong_length: Kind = |e| matches!(e, ConfigError::WrongLength { .. });
    for (json, kind, parts) in [
        (
            r#"{"size": 224, "resample": 1}"#,
            out_of_range,
            ["resample", "2 (bilinear)"],
        ),
        (r#"{"size": 0}"#, out_of_range, ["resize", "1 to 16384"]),
        (
            r#"{"size": 224, "do_rescale": false}"#,
            out_of_range,
            ["do_rescale", "true"],
        ),
        (
            r#"{"size": 224, "rescale_factor": 1}"#,
            out_of_range,
            ["rescale_factor", "1/255"],
        ),
        (
            r#"{"size": 224, "image_std": [0, 1, 1]}"#,
            out_of_range,
            ["std[0]", "above 0"],
        ),
        (
            r#"{"size": 224, "image_mean": [1e99, 1, 1]}"#,
            out_of_range,
            ["mean[0]", "finite"],
        ),
        (
            r#"{"size": 224, "image_mean": [1, 1]}"#,
            wrong_length,
            ["image_mean", "expected 3"],
        ),
        (r#"{"size": "224"}"#, wrong_type, ["size", "224"]),
        (
            r#"{"size": {"height": 224}}"#,
            missing,
            ["size.width", "missing"],
        ),
        (
            r#"{"size": {"hight": 224}}"#,
            unknown,
            ["size.hight", "`height`"],
        ),
        (r"{}", missing, ["size", "missing"]),
        (
            r#"{"size": 224, "do_center_crop": true}"#,
            missing,
            ["crop_size", "missing"],
        ),
        (
            r#"{"size": 224, "do_center_crop": true, "crop_size": {"height": 9, "width": 8}}"#,
            out_of_range,
            ["crop_size", "9x8"],
        ),
        (
            r#"{"size": 224, "do_center_crop": true, "crop_size": 256}"#,
            out_of_range,
            ["crop is 256", "224"],
        ),
    ] {
        let error = Preprocess::from_hf_json(json).unwrap_err();
        assert!(kind(&error), "{json}: {error:?}");
        for part in parts {
            assert!(error.to_string().contains(part), "{json}: {error}");
        }
    }
}
