//! Sizes of the stages for an image.

use pvt_cuda::config::{ConfigError, MAX_IMAGE_SIDE, Mode, Variant};
use pvt_cuda::shape::ImageSize;

const fn image(height: usize, width: usize) -> ImageSize {
    ImageSize { height, width }
}

#[test]
fn stages_have_the_published_sizes() {
    let rows = [
        (
            image(224, 224),
            Mode::Classify,
            [(56, 56), (28, 28), (14, 14), (7, 7)],
            [(7, 7), (7, 7), (7, 7), (7, 7)],
            [3136, 784, 196, 50],
            [49, 49, 49, 50],
        ),
        (
            image(224, 224),
            Mode::Backbone,
            [(56, 56), (28, 28), (14, 14), (7, 7)],
            [(7, 7), (7, 7), (7, 7), (7, 7)],
            [3136, 784, 196, 49],
            [49; 4],
        ),
        (
            image(100, 130),
            Mode::Classify,
            [(25, 32), (12, 16), (6, 8), (3, 4)],
            [(3, 4), (3, 4), (3, 4), (3, 4)],
            [800, 192, 48, 13],
            [12, 12, 12, 13],
        ),
        (
            image(800, 1280),
            Mode::Backbone,
            [(200, 320), (100, 160), (50, 80), (25, 40)],
            [(25, 40), (25, 40), (25, 40), (25, 40)],
            [64_000, 16_000, 4_000, 1_000],
            [1_000; 4],
        ),
        (
            image(32, 32),
            Mode::Classify,
            [(8, 8), (4, 4), (2, 2), (1, 1)],
            [(1, 1), (1, 1), (1, 1), (1, 1)],
            [64, 16, 4, 2],
            [1, 1, 1, 2],
        ),
    ];
    for (image, mode, grids, reduced, tokens, keys) in rows {
        let shapes = Variant::Small.config().stage_shapes(image, mode).unwrap();
        assert_eq!(shapes.map(|s| s.grid), grids, "{image}");
        assert_eq!(shapes.map(|s| s.reduced_grid), reduced, "{image}");
        assert_eq!(shapes.map(|s| s.tokens), tokens, "{image}");
        assert_eq!(shapes.map(|s| s.keys), keys, "{image}");
        assert_eq!(shapes.map(|s| s.channels), [64, 128, 320, 512]);
        assert_eq!(shapes.map(|s| s.heads), [1, 2, 5, 8]);
        assert_eq!(shapes.map(|s| s.head_dim), [64; 4]);
    }
}

#[test]
fn position_tables_belong_to_the_training_size() {
    let mut config = Variant::Tiny.config();
    let grids = [0, 1, 2, 3, 4].map(|s| config.native_grid(s));
    assert_eq!(grids, [(56, 56), (28, 28), (14, 14), (7, 7), (0, 0)]);
    config.img_size = image(96, 64);
    let grids = [0, 1, 2, 3].map(|s| config.native_grid(s));
    assert_eq!(grids, [(24, 16), (12, 8), (6, 4), (3, 2)]);
}

#[test]
fn images_below_the_smallest_are_refused() {
    let config = Variant::Tiny.config();
    assert_eq!(config.min_side(), 32);
    for (image, stage) in [
        (image(31, 64), 1),
        (image(64, 31), 1),
        (image(28, 28), 1),
        (image(0, 224), 1),
        (image(3, 3), 1),
    ] {
        let error = config.stage_shapes(image, Mode::Backbone).unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, ConfigError::ImageTooSmall { stage: s, min_side: 32, .. } if s == stage),
            "{text}"
        );
        for part in [
            image.to_string(),
            format!("stage {stage}"),
            "32 pixels".to_owned(),
        ] {
            assert!(text.contains(&part), "{text}");
        }
    }
}

#[test]
fn the_smallest_side_is_exact_for_any_pyramid() {
    let mut config = Variant::Tiny.config();
    config.img_size = ImageSize::square(640);
    for (ratios, stage, least) in [
        ([8, 4, 2, 1], 1, 32),
        ([1, 1, 1, 1], 4, 32),
        ([4, 8, 1, 1], 2, 64),
        ([1, 1, 5, 1], 3, 80),
    ] {
        for (s, ratio) in ratios.into_iter().enumerate() {
            config.stages[s].sr_ratio = ratio;
        }
        assert_eq!(config.min_side(), least, "{ratios:?}");
        config
            .stage_shapes(ImageSize::square(least), Mode::Classify)
            .unwrap();
        let error = config
            .stage_shapes(ImageSize::square(least - 1), Mode::Classify)
            .unwrap_err();
        let refused = matches!(error, ConfigError::ImageTooSmall { stage: s, .. } if s == stage);
        assert!(refused, "{ratios:?}: {error}");
    }
}

#[test]
fn images_above_the_largest_are_refused() {
    let config = Variant::Tiny.config();
    let largest = ImageSize::square(MAX_IMAGE_SIDE);
    let shapes = config.stage_shapes(largest, Mode::Backbone).unwrap();
    assert_eq!(shapes[0].tokens, 4096 * 4096);
    for image in [image(16_385, 224), image(224, usize::MAX)] {
        let error = config.stage_shapes(image, Mode::Classify).unwrap_err();
        assert!(matches!(
            error,
            ConfigError::ImageTooLarge { limit: 16_384, .. }
        ));
        assert!(error.to_string().contains(&image.to_string()), "{error}");
        assert!(error.to_string().contains("16384"), "{error}");
    }
}
