//! Learning rates, and the average of the weights.

use pvt_cuda::train::ema::Ema;
use pvt_cuda::train::schedule::Schedule;
use pvt_cuda::train::{Recipe, TrainError};

/// The setting that is refused, and what makes it senseless.
type Senseless = (&'static str, fn(&mut Recipe));

fn close(found: f32, expected: f64) {
    assert!(
        (f64::from(found) - expected).abs() < 1e-7 * expected.max(1e-6),
        "{found}, {expected}"
    );
}

#[test]
fn warm_up_is_a_line_and_the_rest_half_a_cosine() {
    let schedule = Schedule {
        lr: 1e-3,
        min_lr: 1e-5,
        warmup: 10,
        total: 110,
    };
    for step in 0..10 {
        close(schedule.at(step), 1e-3 * (step + 1) as f64 / 10.0);
    }
    for step in 10..110u64 {
        let angle = std::f64::consts::PI * (step - 10) as f64 / 100.0;
        close(
            schedule.at(step),
            1e-5 + 0.99e-3 * 0.5 * (1.0 + angle.cos()),
        );
    }
    close(schedule.at(10), 1e-3);
    close(schedule.at(110), 1e-5);
    close(schedule.at(u64::MAX), 1e-5);
    let rates: Vec<f32> = (9..110).map(|step| schedule.at(step)).collect();
    assert!(rates.windows(2).all(|w| w[0] >= w[1]), "never rises again");
}

#[test]
fn short_runs_have_rates_too() {
    let without = Schedule {
        lr: 1e-3,
        min_lr: 0.0,
        warmup: 0,
        total: 4,
    };
    close(without.at(0), 1e-3);
    let all_warmup = Schedule {
        lr: 1e-3,
        min_lr: 0.0,
        warmup: 10,
        total: 4,
    };
    close(all_warmup.at(3), 4e-4);
}

#[test]
fn the_average_follows_the_weights() {
    let mut ema = Ema::new(0.75, vec![vec![1.0, 2.0], vec![0.0]]);
    ema.update(&[vec![5.0, 2.0], vec![4.0]]).unwrap();
    ema.update(&[vec![2.0, -2.0], vec![4.0]]).unwrap();
    assert_eq!(ema.values(), [vec![2.0, 1.0], vec![1.75]]);
    let error = ema.update(&[vec![1.0]]).unwrap_err();
    assert!(matches!(error, TrainError::State { .. }));
    assert!(error.to_string().contains("another model"), "{error}");
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let with = |change: fn(&mut Recipe)| {
        let mut recipe = Recipe::default();
        change(&mut recipe);
        recipe.validate()
    };
    with(|_| ()).unwrap();
    let table: [Senseless; 13] = [
        ("epochs", |r| r.epochs = 0),
        ("batch", |r| r.batch = 0),
        ("lr", |r| r.lr = f64::NAN),
        ("lr", |r| r.lr = 0.0),
        ("min-lr", |r| r.min_lr = 1.0),
        ("weight-decay", |r| r.weight_decay = -1.0),
        ("label-smoothing", |r| r.label_smoothing = 1.0),
        ("drop-path", |r| r.drop_path = f64::NAN),
        ("clip", |r| r.clip = Some(-1.0)),
        ("ema", |r| r.ema = Some(1.0)),
        ("crop", |r| r.augment.crop = Some(0.0)),
        ("freeze", |r| r.freeze = vec![1, 5]),
        ("freeze", |r| r.freeze = vec![0]),
    ];
    for (expected, change) in table {
        let error = with(change).unwrap_err();
        let TrainError::Setting { option, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(option, expected);
        assert!(error.to_string().contains("expected"), "{error}");
    }
}
