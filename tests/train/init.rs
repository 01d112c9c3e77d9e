//! Parameters at the start.

use pvt_cuda::Error;
use pvt_cuda::config::{Mode, PvtConfig, Variant};
use pvt_cuda::shape::ImageSize;
use pvt_cuda::train::{LearnerState, ParamState, TrainError, init, recipe};
use pvt_cuda::weights::{LoadOptions, Manifest, TensorFile, Weights};

use crate::support::config;

fn digits() -> (PvtConfig, Weights) {
    let config = PvtConfig::from_file("assets/digits/config.json").unwrap();
    let file = TensorFile::open("assets/digits/model.safetensors").unwrap();
    let weights = Weights::from_file(file, &config, Mode::Classify, &LoadOptions::default());
    (config, weights.unwrap())
}

fn param<'a>(state: &'a LearnerState, name: &str) -> &'a ParamState {
    state.params.iter().find(|p| p.name == name).unwrap()
}

/// Mean, standard deviation, and largest distance from 0.
fn statistics(values: &[f32]) -> (f64, f64, f64) {
    let values: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
    let largest = values.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    (mean, variance.sqrt(), largest)
}

#[test]
fn every_parameter_has_the_published_distribution() {
    let config = Variant::Tiny.config();
    let state = init::scratch(&config, 1).unwrap();
    let manifest = Manifest::for_config(&config, Mode::Classify).unwrap();
    assert_eq!(state.params.len(), manifest.params().len());
    for (found, expected) in state.params.iter().zip(manifest.params()) {
        let ParamState { name, value, .. } = found;
        assert_eq!((name, &found.shape), (&expected.name, &expected.shape));
        assert_eq!(value.len(), expected.elements());
        assert!(found.moments.is_none());
        let convolution = name.starts_with("patch_embed") && name.contains(".proj.")
            || name.contains(".attn.sr.");
        let count = value.len() as f64;
        let (mean, deviation, largest) = statistics(value);
        if convolution {
            let weight = name.replace(".bias", ".weight");
            let fan_in: usize = param(&state, &weight).shape[1..].iter().product();
            let bound = 1.0 / (fan_in as f64).sqrt();
            assert!(
                largest <= bound * (1.0 + 1e-6),
                "{name}: {largest} above {bound}"
            );
            let expected = bound / 3f64.sqrt();
            assert!(
                mean.abs() < 5.0 * expected / count.sqrt(),
                "{name}: mean {mean}"
            );
            // the variance of a uniform square: 4/45 of bound^4, so 0.447 of the deviation over √n
            let most = 5.0 * expected * 0.447 / count.sqrt();
            assert!(
                (deviation - expected).abs() < most.max(0.3 * f64::from(u8::from(count < 99.0))),
                "{name}: {deviation}"
            );
        } else if name.split('.').next_back() == Some("bias") {
            assert!(value.iter().all(|v| v.to_bits() == 0), "{name}");
        } else if found.shape.len() == 1 {
            assert!(name.contains("norm"), "{name}");
            assert!(
                value.iter().all(|v| v.to_bits() == 1f32.to_bits()),
                "{name}"
            );
        } else {
            assert!(
                mean.abs() < 5.0 * 0.02 / count.sqrt(),
                "{name}: mean {mean}"
            );
            let most = 5.0 * 0.02 / (2.0 * count).sqrt();
            assert!((deviation - 0.02).abs() < most, "{name}: {deviation}");
            assert!(largest < 0.02 * 8.3, "{name}: {largest}");
        }
    }
    // a normal distribution, not only its two moments: shares within 1, 2 and 3 deviations
    let values = &param(&state, "head.weight").value;
    for (deviations, share) in [(1.0, 0.682_689), (2.0, 0.954_500), (3.0, 0.997_300)] {
        let inside = values
            .iter()
            .filter(|v| f64::from(v.abs()) <= 0.02 * deviations);
        let found = inside.count() as f64 / values.len() as f64;
        assert!((found - share).abs() < 0.005, "{deviations}: {found}");
    }
}

#[test]
fn values_depend_on_the_seed_and_the_name_alone() {
    let state = init::scratch(&config(10), 1).unwrap();
    assert_eq!(state, init::scratch(&config(10), 1).unwrap());
    let other = init::scratch(&config(10), 2).unwrap();
    assert_ne!(
        param(&state, "head.weight").value,
        param(&other, "head.weight").value
    );
    let [a, b] = ["block1.0.attn.q.weight", "block2.0.attn.q.weight"].map(|n| param(&state, n));
    assert_eq!(a.shape, b.shape);
    assert_ne!(a.value, b.value);
    // another model: what has the same name and shape has the same values
    let wider = init::scratch(&config(12), 1).unwrap();
    let name = "block4.0.mlp.fc1.weight";
    assert_eq!(param(&state, name), param(&wider, name));
}

/// On a machine with another library of mathematics this is the same number.
#[test]
fn values_are_the_same_on_every_machine() {
    let state = init::scratch(&config(10), 1).unwrap();
    let bits = state
        .params
        .iter()
        .flat_map(|p| &p.value)
        .map(|v| v.to_bits());
    let hash = bits.fold(0xCBF2_9CE4_8422_2325u64, |hash, bits| {
        (hash ^ u64::from(bits)).wrapping_mul(0x0100_0000_01B3)
    });
    assert_eq!(format!("{hash:016x}"), "bf43f1527dc3f4a6");
    // by Python: its own Philox, and `statistics.NormalDist().inv_cdf`
    let first = param(&state, "cls_token").value[..2].iter();
    let bits: Vec<u32> = first.map(|v| v.to_bits()).collect();
    assert_eq!(bits, [0xbb8a_474e, 0xbbbd_2124]);
}

#[test]
fn fine_tuning_takes_everything_but_the_head() {
    let (config, weights) = digits();
    let tuned = init::fine_tune(&config, &weights, &config, true, 1).unwrap();
    assert!(tuned.anew.is_empty() && tuned.resized.is_empty());
    for p in &tuned.state.params {
        assert_eq!(p.value, weights.to_vec(&p.name).unwrap(), "{}", p.name);
    }
    let mut other = PvtConfig {
        num_classes: 7,
        labels: None,
        ..config.clone()
    };
    let tuned = init::fine_tune(&other, &weights, &config, true, 1).unwrap();
    assert_eq!(tuned.anew, ["head.weight", "head.bias"]);
    assert_eq!(param(&tuned.state, "head.weight").shape, [7, 128]);
    assert_eq!(
        param(&tuned.state, "norm.weight").value,
        weights.to_vec("norm.weight").unwrap()
    );
    // on request with the same number of classes too
    let tuned = init::fine_tune(&config, &weights, &config, false, 1).unwrap();
    assert_eq!(tuned.anew, ["head.weight", "head.bias"]);

    other.img_size = ImageSize::square(96);
    let tuned = init::fine_tune(&other, &weights, &config, false, 1).unwrap();
    assert_eq!(
        tuned.resized,
        ["pos_embed1", "pos_embed2", "pos_embed3", "pos_embed4"]
    );
    let table = param(&tuned.state, "pos_embed4");
    assert_eq!(table.shape, [1, 10, 128]);
    // the row of the class token is copied, and so is the middle of 2 x 2 in 3 x 3: its mean
    let before = weights.to_vec("pos_embed4").unwrap();
    assert_eq!(table.value[..128], before[..128]);
    for c in 0..128 {
        let mean = (1..5).map(|row| before[row * 128 + c]).sum::<f32>() / 4.0;
        assert!(
            (table.value[5 * 128 + c] - mean).abs() < 1e-6,
            "channel {c}"
        );
    }
}

#[test]
fn fine_tuning_another_architecture_is_refused() {
    let (config, weights) = digits();
    let mut other = config.clone();
    other.stages[1].mlp_ratio = 2;
    let error = init::fine_tune(&other, &weights, &config, true, 1).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, Error::Train(TrainError::OtherModel { .. })),
        "{text}"
    );
    for word in ["block2.0.mlp.fc1.weight", "[256, 64]", "[128, 64]"] {
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn frozen_stages_are_whole_and_leave_the_head() {
    let manifest = Manifest::for_config(&Variant::Tiny.config(), Mode::Classify).unwrap();
    let mut frozen = 0;
    for stage in 1..=4 {
        let recipe = recipe::Recipe {
            freeze: vec![stage],
            ..Default::default()
        };
        let optimizer = recipe.optimizer();
        for param in manifest.params() {
            let is_top = param.name.starts_with("head.") || param.name.starts_with("norm.");
            let expected = param.stage() + 1 == stage && !is_top;
            assert_eq!(optimizer.is_frozen(&param.name), expected, "{}", param.name);
            frozen += usize::from(expected);
        }
    }
    assert_eq!(frozen, manifest.params().len() - 4);
}
