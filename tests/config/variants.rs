//! Published models and their names.

use pvt_cuda::config::{ConfigError, LnEps, Mode, Variant};
use pvt_cuda::shape::ImageSize;
use pvt_cuda::weights::Manifest;

#[test]
fn sizes_are_the_published_ones() {
    let rows = [
        (
            Variant::Tiny,
            [64, 128, 320, 512],
            [1, 2, 5, 8],
            [2, 2, 2, 2],
        ),
        (
            Variant::Small,
            [64, 128, 320, 512],
            [1, 2, 5, 8],
            [3, 4, 6, 3],
        ),
        (
            Variant::Medium,
            [64, 128, 320, 512],
            [1, 2, 5, 8],
            [3, 4, 18, 3],
        ),
        (
            Variant::Large,
            [64, 128, 320, 512],
            [1, 2, 5, 8],
            [3, 8, 27, 3],
        ),
        (
            Variant::Huge,
            [128, 256, 512, 768],
            [2, 4, 8, 12],
            [3, 10, 60, 3],
        ),
    ];
    assert_eq!(rows.map(|row| row.0), Variant::ALL);
    for (variant, embed_dims, num_heads, depths) in rows {
        let config = variant.config();
        config.validate().unwrap();
        assert_eq!(config.in_chans, 3);
        assert_eq!(config.img_size, ImageSize::square(224));
        assert_eq!(config.num_classes, 1000);
        assert!(config.qkv_bias);
        assert_eq!(config.ln_eps, LnEps::OFFICIAL);
        assert_eq!(config.stages.map(|s| s.embed_dim), embed_dims, "{variant}");
        assert_eq!(config.stages.map(|s| s.num_heads), num_heads, "{variant}");
        assert_eq!(config.stages.map(|s| s.depth), depths, "{variant}");
        assert_eq!(config.stages.map(|s| s.mlp_ratio), [8, 8, 4, 4]);
        assert_eq!(config.stages.map(|s| s.sr_ratio), [8, 4, 2, 1]);
        assert_eq!(config.stages.map(|s| s.patch_size), [4, 2, 2, 2]);
        assert_eq!(config.stages.map(|s| s.head_dim()), [64; 4]);
    }
    let hidden = Variant::Tiny.config().stages.map(|s| s.hidden_dim());
    assert_eq!(hidden, [512, 1024, 1280, 2048]);
}

#[test]
fn parameters_are_as_many_as_published() {
    let rows = [
        (
            Variant::Tiny,
            161,
            13_229_288,
            12_714_752,
            [894_656, 1_318_272, 3_514_560, 7_501_800],
        ),
        (
            Variant::Small,
            301,
            24_485_864,
            23_971_328,
            [1_240_000, 2_503_040, 10_088_640, 10_654_184],
        ),
        (
            Variant::Medium,
            517,
            44_208_104,
            43_693_568,
            [1_240_000, 2_503_040, 29_810_880, 10_654_184],
        ),
        (
            Variant::Large,
            751,
            61_369_320,
            60_854_784,
            [1_240_000, 4_872_576, 44_602_560, 10_654_184],
        ),
        (
            Variant::Huge,
            1_381,
            304_945_512,
            304_174_208,
            [4_544_384, 23_976_704, 252_775_936, 23_648_488],
        ),
    ];
    for (variant, tensors, classify, backbone, per_stage) in rows {
        let config = variant.config();
        let manifest = Manifest::for_config(&config, Mode::Classify).unwrap();
        assert_eq!(manifest.params().len(), tensors, "{variant}");
        assert_eq!(manifest.num_parameters(), classify, "{variant}");
        assert_eq!(manifest.num_parameters_per_stage(), per_stage, "{variant}");
        let manifest = Manifest::for_config(&config, Mode::Backbone).unwrap();
        assert_eq!(manifest.params().len(), tensors - 5, "{variant}");
        // The published count of backbones still has the position of the class token.
        let class_row = config.stages[3].embed_dim;
        assert_eq!(manifest.num_parameters(), backbone - class_row, "{variant}");
    }
}

#[test]
fn names_are_read_in_every_spelling() {
    for variant in Variant::ALL {
        assert_eq!(variant.name().parse::<Variant>().unwrap(), variant);
        assert_eq!(variant.to_string(), variant.name());
        let kebab = variant.name().replace('_', "-").to_uppercase();
        assert_eq!(kebab.parse::<Variant>().unwrap(), variant, "{kebab}");
    }
    for (name, variant) in [
        ("tiny", Variant::Tiny),
        ("Small", Variant::Small),
        ("pvt-medium", Variant::Medium),
        ("PVT_LARGE", Variant::Large),
        ("huge", Variant::Huge),
        ("pvt_huge", Variant::Huge),
        ("huge_v2", Variant::Huge),
        ("pvt_huge_v2", Variant::Huge),
    ] {
        assert_eq!(name.parse::<Variant>().unwrap(), variant, "{name}");
    }
}

#[test]
fn second_version_names_are_known_and_refused() {
    for name in [
        "b0",
        "b5",
        "v2_b1",
        "pvt_v2_b2",
        "pvt-v2-b3",
        "PVT_V2_B2_LI",
        "pvt_v2_b2_linear",
    ] {
        let error = name.parse::<Variant>().unwrap_err();
        assert!(
            matches!(error, ConfigError::NotYetSupported { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains(name), "{error}");
        assert!(error.to_string().contains("not supported yet"), "{error}");
    }
}

#[test]
fn other_names_get_the_list_and_the_closest() {
    for (name, closest) in [
        ("tinny", Some("pvt_tiny")),
        ("pvt_smal", Some("pvt_small")),
        ("pvt_v2_b9", None),
        ("resnet50", None),
        ("", None),
    ] {
        let error = name.parse::<Variant>().unwrap_err();
        let text = error.to_string();
        match error {
            ConfigError::UnknownName { closest: found, .. } => assert_eq!(found, closest, "{name}"),
            other => panic!("{name}: {other}"),
        }
        for variant in Variant::ALL {
            assert!(text.contains(variant.name()), "{text}");
        }
    }
}
