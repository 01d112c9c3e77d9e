//! Runs that cannot start, go on or be continued.

use std::fs;
use std::ops::ControlFlow;

use pvt_cuda::Error;
use pvt_cuda::train::fit::{Event, Start};
use pvt_cuda::train::{DataError, StepReport, TrainError};

use crate::support::{Digits, Setting};

const GO_ON: ControlFlow<()> = ControlFlow::Continue(());

fn refused(setting: &Setting<'_>, digits: &Digits, start: Start, words: &[&str]) -> TrainError {
    let result = setting.run(digits, &mut setting.learner(), start, &mut |_| GO_ON);
    let Err(Error::Train(error)) = result else {
        panic!("{result:?}");
    };
    let text = error.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    error
}

#[test]
fn a_batch_of_more_pictures_than_there_are() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let mut setting = Setting::new(folder.path());
    setting.recipe.batch = 1000;
    let error = refused(&setting, &digits, Start::Anew, &["1000", "--batch"]);
    assert!(matches!(error, TrainError::Data(DataError::TooFew { .. })));
}

#[test]
fn a_folder_with_a_run_and_one_without() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let setting = Setting::new(folder.path());
    let error = refused(
        &setting,
        &digits,
        Start::Resume,
        &["state.safetensors", "leave --resume out"],
    );
    assert!(matches!(error, TrainError::NothingToResume { .. }));
    setting.finish(&digits, Start::Anew);
    let error = refused(
        &setting,
        &digits,
        Start::Anew,
        &["--resume", "another folder"],
    );
    assert!(matches!(error, TrainError::Exists { .. }));
    // a model that something else put there is not overwritten either
    fs::remove_file(folder.path().join("state.safetensors")).unwrap();
    let error = refused(&setting, &digits, Start::Anew, &["another folder"]);
    assert!(matches!(error, TrainError::Exists { .. }));
}

#[test]
fn a_folder_that_cannot_be_made() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = refused(
        &Setting::new(&file),
        &digits,
        Start::Anew,
        &["file", "cannot be made"],
    );
    assert!(matches!(error, TrainError::Io { .. }));
}

#[test]
fn two_processes_in_one_folder() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let setting = Setting::new(folder.path());
    let mut tried = false;
    let watch = &mut |_: &Event<'_>| {
        if !tried {
            tried = true;
            let error = refused(&setting, &digits, Start::Resume, &["another process"]);
            assert!(matches!(error, TrainError::Busy { .. }));
        }
        GO_ON
    };
    setting
        .run(&digits, &mut setting.learner(), Start::Anew, watch)
        .unwrap();
    assert!(tried);
}

#[test]
fn other_settings_are_named_with_both_values() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let mut setting = Setting::new(folder.path());
    setting.finish(&digits, Start::Anew);
    setting.threads = 1; // decides nothing
    setting.save_every = Some(3);
    setting.finish(&digits, Start::Resume);
    setting.recipe.lr = 1e-4;
    setting.recipe.clip = None;
    setting.recipe.augment.shift = 3;
    setting
        .identity
        .insert("dtype".to_owned(), "bf16".to_owned());
    let words = [
        "lr 0.02 (now 0.0001)",
        "clip 1.0 (now none)",
        "augment.shift 2 (now 3)",
        "dtype f32 (now bf16)",
    ];
    let error = refused(&setting, &digits, Start::Resume, &words);
    let TrainError::Changed { changed, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(changed.len(), 4);
}

#[test]
fn a_state_that_is_none() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let setting = Setting::new(folder.path());
    let state = folder.path().join("state.safetensors");
    fs::copy("assets/digits/model.safetensors", &state).unwrap();
    let error = refused(
        &setting,
        &digits,
        Start::Resume,
        &["state.safetensors", "`pvt-train`"],
    );
    assert!(matches!(error, TrainError::Damaged { .. }));
    fs::write(&state, "{}").unwrap();
    let result = setting.run(&digits, &mut setting.learner(), Start::Resume, &mut |_| {
        GO_ON
    });
    assert!(matches!(result, Err(Error::Weights(_))), "{result:?}");
}

#[test]
fn states_of_other_layouts_and_with_missing_tensors() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let setting = Setting::new(folder.path());
    setting.finish(&digits, Start::Anew);
    let state = folder.path().join("state.safetensors");
    let bytes = fs::read(&state).unwrap();
    // the same length, so that the header stays whole
    for (from, to, words) in [
        (r#"{\"version\":1"#, r#"{\"version\":7"#, ["layout", "7"]),
        (
            r#""ema.cls_token":"#,
            r#""eme.cls_token":"#,
            ["lacks", "ema.cls_token"],
        ),
        (
            r#"\"clean_steps\":"#,
            r#"\"clean_stepz\":"#,
            ["clean_steps", "no training state"],
        ),
    ] {
        let at = bytes
            .windows(from.len())
            .position(|w| w == from.as_bytes())
            .unwrap();
        let mut other = bytes.clone();
        other[at..at + to.len()].copy_from_slice(to.as_bytes());
        fs::write(&state, other).unwrap();
        let error = refused(&setting, &digits, Start::Resume, &words);
        assert!(matches!(error, TrainError::Damaged { .. }), "{error}");
    }
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_and_the_state_stays_good() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let good = StepReport {
        loss: 1.0,
        grad_norm: 1.0,
        skipped: false,
        loss_scale: 1.0,
    };
    for (name, report, words) in [
        (
            "loss",
            StepReport {
                loss: f32::NAN,
                ..good
            },
            ["loss is NaN", "step 9"],
        ),
        (
            "norm",
            StepReport {
                grad_norm: f32::INFINITY,
                ..good
            },
            ["gradient norm is inf", "step 9"],
        ),
    ] {
        let folder = folder.path().join(name);
        let setting = Setting::new(&folder);
        let mut learner = setting.learner();
        learner.lies = Some((8, report));
        let result = setting.run(&digits, &mut learner, Start::Anew, &mut |_| GO_ON);
        let Err(Error::Train(error @ TrainError::NonFinite { step: 9, .. })) = result else {
            panic!("{result:?}");
        };
        let text = error.to_string();
        assert!(
            words
                .iter()
                .chain(&["--lr", "--clip"])
                .all(|w| text.contains(w)),
            "{text}"
        );
        // the run goes on from the end of the first epoch
        let outcome = setting.finish(&digits, Start::Resume);
        assert!(outcome.is_finished);
    }
}

#[test]
fn steps_that_are_left_out_are_tolerated_up_to_a_point() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let skipped = StepReport {
        loss: 1.0,
        grad_norm: f32::NAN,
        skipped: true,
        loss_scale: 0.5,
    };
    let mut setting = Setting::new(folder.path());
    setting.recipe.epochs = 6;
    let mut learner = setting.learner();
    learner.lies = Some((0, skipped));
    let watch = &mut |_: &Event<'_>| GO_ON;
    let outcome = setting
        .run(&digits, &mut learner, Start::Anew, watch)
        .unwrap();
    assert_eq!(outcome.progress.skipped, 36);
    let folder = folder.path().join("longer");
    setting.folder = &folder;
    setting.recipe.epochs = 7;
    let mut learner = setting.learner();
    learner.lies = Some((0, skipped));
    let result = setting.run(&digits, &mut learner, Start::Anew, watch);
    let Err(Error::Train(error @ TrainError::Overflow { step: 40, .. })) = result else {
        panic!("{result:?}");
    };
    assert!(error.to_string().contains("--dtype bf16"), "{error}");
}
