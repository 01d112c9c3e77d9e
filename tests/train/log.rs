//! The log and the curve.

use std::fs;

use pvt_cuda::train::TrainError;
use pvt_cuda::train::checkpoint::{Epoch, Evaluation};
use pvt_cuda::train::curve::svg;
use pvt_cuda::train::fit::Start;
use pvt_cuda::train::log::{HEADER, Log, Row};

use crate::support::{Digits, Setting, log};

fn row(step: u64) -> Row {
    Row {
        step,
        epoch: 1,
        lr: 1e-3,
        loss: 2.5,
        grad_norm: 0.75,
        images_per_s: 1234.56,
        test: (step == 3).then_some(Evaluation {
            loss: 0.5,
            correct: 3,
            pictures: 4,
        }),
    }
}

#[test]
fn rows_are_added_and_those_after_the_state_taken_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv");
    let mut log = Log::open(&path, 0).unwrap();
    (1..=5).for_each(|step| log.add(&row(step)).unwrap());
    log.sync().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[0], HEADER);
    assert_eq!(lines[1], "1,1,0.001,2.5,0.75,1234.6,,");
    assert_eq!(lines[3], "3,1,0.001,2.5,0.75,1234.6,0.5,0.75");
    drop(log);

    // killed in the middle of a row, after more steps than the state has
    fs::write(&path, format!("{text}6,1,0.0")).unwrap();
    let mut log = Log::open(&path, 4).unwrap();
    log.add(&row(5)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    // killed in the middle of a number: `12` must not be taken for step 1
    fs::write(&path, format!("{HEADER}\n1,1,0.001,2.5,0.75,1.0,,\n2")).unwrap();
    Log::open(&path, 1).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!("{HEADER}\n1,1,0.001,2.5,0.75,1.0,,\n")
    );
}

#[test]
fn a_log_that_lacks_rows_is_refused_and_one_that_was_deleted_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv");
    let mut log = Log::open(&path, 0).unwrap();
    (1..=3).for_each(|step| log.add(&row(step)).unwrap());
    let error = Log::open(&path, 5).unwrap_err();
    assert!(matches!(
        error,
        TrainError::Log {
            found: 3,
            expected: 5,
            ..
        }
    ));
    for word in ["log.csv", "step 3", "step 5", "delete it"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    fs::remove_file(&path).unwrap();
    let mut log = Log::open(&path, 5).unwrap();
    log.add(&row(6)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 2);
    Log::open(&path, 6).unwrap();
    // a run that begins has no use for what an older one left
    Log::open(&path, 0).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{HEADER}\n"));
}

#[test]
fn the_log_of_a_run_says_what_happened() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let setting = Setting::new(folder.path());
    let outcome = setting.finish(&digits, Start::Anew);
    let rows = log(folder.path());
    assert_eq!(rows[0].join(","), HEADER);
    assert_eq!(rows.len(), 25);
    let schedule = setting.recipe.schedule(24);
    for (step, row) in (1..).zip(&rows[1..]) {
        assert_eq!(row[0].parse::<u64>().unwrap(), step);
        assert_eq!(row[1].parse::<u64>().unwrap(), (step - 1) / 6 + 1);
        assert_eq!(
            row[2].parse::<f32>().unwrap().to_bits(),
            schedule.at(step - 1).to_bits()
        );
        assert!(
            row[3..6]
                .iter()
                .all(|field| field.parse::<f64>().unwrap() > 0.0)
        );
        assert_eq!(row[7].is_empty(), step % 6 != 0);
    }
    for epoch in &outcome.progress.epochs {
        let of_epoch = |row: &&Vec<String>| row[1] == epoch.epoch.to_string();
        let losses = rows
            .iter()
            .filter(of_epoch)
            .map(|row| row[3].parse::<f64>().unwrap());
        assert!((losses.sum::<f64>() / 6.0 - epoch.loss).abs() < 1e-6);
        let last = rows.iter().rfind(of_epoch).unwrap();
        let accuracy: f64 = last[7].parse().unwrap();
        assert!((accuracy - epoch.test.unwrap().accuracy()).abs() < 1e-12);
    }
}

fn epochs(count: u32, tested: bool) -> Vec<Epoch> {
    let epoch = |epoch: u32| Epoch {
        epoch,
        step: u64::from(epoch) * 10,
        loss: 0.5 + 1.8 / f64::from(epoch),
        test: tested.then(|| Evaluation {
            loss: 0.1 + 2.0 / f64::from(epoch),
            correct: 180 - 100 / epoch as usize,
            pictures: 180,
        }),
    };
    (1..=count).map(epoch).collect()
}

/// What stands in the picture.
fn texts(svg: &str) -> Vec<&str> {
    let texts = svg.split("<text ").skip(1);
    texts
        .map(|t| &t[t.find('>').unwrap() + 1..t.find("</text>").unwrap()])
        .collect()
}

#[test]
fn a_curve_names_its_axes_units_and_lines() {
    let picture = svg(&epochs(24, true), "Digits & <others>");
    let texts = texts(&picture);
    for text in [
        "Digits &amp; &lt;others&gt;",
        "epoch",
        "loss (nats per picture)",
        "accuracy (% of test pictures)",
        "training",
        "test",
        "best 97.78 % in epoch 24",
        "100",
    ] {
        assert!(texts.contains(&text), "{text} in {texts:?}");
    }
    // a line of 24 points each for two losses and the accuracy
    let lines: Vec<usize> = picture
        .lines()
        .filter(|l| l.contains("stroke-width=\"2\"") && l.contains('L'))
        .map(|l| l.matches('L').count())
        .collect();
    assert_eq!(lines, [23, 23, 23]);
    // everything lies in the picture
    for attribute in [" cx=\"", " x=\""] {
        for part in picture.split(attribute).skip(1) {
            let value: f64 = part[..part.find('"').unwrap()].parse().unwrap();
            assert!((0.0..=720.0).contains(&value), "{attribute}{value}");
        }
    }
    for part in picture.split("cy=\"").skip(1) {
        let value: f64 = part[..part.find('"').unwrap()].parse().unwrap();
        assert!((60.0..=502.0).contains(&value), "{value}");
    }
    assert_eq!(picture.matches('<').count(), picture.matches('>').count());
}

#[test]
fn a_curve_of_one_epoch_or_without_tests_is_drawn_too() {
    let one = svg(&epochs(1, true), "one");
    assert!(!one.contains("NaN") && !one.contains("inf"), "{one}");
    let untested = svg(&epochs(300, false), "untested");
    assert!(texts(&untested).contains(&"no pictures to test with"));
    assert!(!texts(&untested).contains(&"test"));
    assert!(!svg(&[], "none").contains("NaN"));
}
