//! The easy API on the digits model.

use pvt_cuda::Error;
use pvt_cuda::config::{Mode, PvtConfig};
use pvt_cuda::session::{MapLayout, Session, top_k};
use pvt_cuda::shape::ImageSize;
use pvt_cuda::target::cpu::CpuTarget;
use pvt_cuda::weights::{LoadOptions, Weights};

fn session(mode: Mode) -> Session {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/digits/");
    let config = PvtConfig::from_file(format!("{folder}config.json")).unwrap();
    let file = format!("{folder}model.safetensors");
    let weights = Weights::open(file, &config, mode, &LoadOptions::default()).unwrap();
    Session::new(config, mode, weights, CpuTarget::new(2).unwrap())
}

fn pixels(batch: usize, size: ImageSize) -> Vec<f32> {
    (0..batch * 3 * size.height * size.width)
        .map(|i| ((i * 37 % 101) as f32 - 50.0) / 25.0)
        .collect()
}

#[test]
fn sizes_may_change_from_call_to_call() {
    let mut session = session(Mode::Classify);
    let (small, wide) = (
        ImageSize::square(64),
        ImageSize {
            height: 40,
            width: 96,
        },
    );
    let first = session.classify(1, small, &pixels(1, small)).unwrap();
    let other = session.classify(2, wide, &pixels(2, wide)).unwrap();
    assert_eq!((first.len(), other.len()), (10, 20));
    assert_eq!(
        session.classify(1, small, &pixels(1, small)).unwrap(),
        first
    );
}

#[test]
fn maps_have_the_stride_and_shape_they_state() {
    let mut session = session(Mode::Backbone);
    let size = ImageSize {
        height: 70,
        width: 101,
    };
    for (layout, axes) in [(MapLayout::Nchw, [1, 2, 3]), (MapLayout::Nhwc, [3, 1, 2])] {
        let maps = session.features(2, size, &pixels(2, size), layout).unwrap();
        for (map, channels) in maps.iter().zip([32, 64, 96, 128]) {
            let stride = 4 << (map.stage - 1);
            let [c, h, w] = axes.map(|axis| map.shape[axis]);
            assert_eq!(
                (map.stride, c, h, w),
                (stride, channels, 70 / stride, 101 / stride)
            );
            assert_eq!(map.data.len(), map.shape.iter().product::<usize>());
        }
        assert_eq!(maps.len(), 4);
    }
}

#[test]
fn a_session_gives_only_what_it_was_made_for() {
    let size = ImageSize::square(64);
    let error = session(Mode::Backbone)
        .classify(1, size, &pixels(1, size))
        .unwrap_err();
    assert!(matches!(
        error,
        Error::Mode {
            expected: Mode::Classify,
            ..
        }
    ));
    assert!(
        error.to_string().contains("Mode::Classify for logits"),
        "{error}"
    );
    let maps = session(Mode::Classify).features(1, size, &pixels(1, size), MapLayout::Nchw);
    let error = maps.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("Mode::Backbone for feature maps"),
        "{error}"
    );
}

#[test]
fn top_classes_are_sorted_and_ties_go_to_the_lower_index() {
    let top = top_k(&[0.0, 2.0, 1.0, 2.0], 3);
    assert_eq!(top.iter().map(|t| t.0).collect::<Vec<_>>(), [1, 3, 2]);
    let total = 1.0 + 2.0 * 2f64.exp() + 1f64.exp();
    assert!((top[0].1 - 2f64.exp() / total).abs() < 1e-12);
    assert_eq!(top_k(&[1.0], 5).len(), 1);
    assert!(top_k(&[], 5).is_empty());
}
