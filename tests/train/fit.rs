//! Whole runs, interrupted and not.

use std::ops::ControlFlow;
use std::path::Path;

use pvt_cuda::config::{Mode, PvtConfig};
use pvt_cuda::session::Session;
use pvt_cuda::shape::ImageSize;
use pvt_cuda::target::cpu::CpuTarget;
use pvt_cuda::train::checkpoint::{self, State};
use pvt_cuda::train::data::Keep;
use pvt_cuda::train::fit::{Event, Start};
use pvt_cuda::train::{Learner as _, Recipe};
use pvt_cuda::weights::{LoadOptions, TensorFile, Weights};

use crate::support::{Digits, Setting, assert_same, config, files, log};

const GO_ON: ControlFlow<()> = ControlFlow::Continue(());
/// Steps of a whole run.
const STEPS: u64 = 24;

fn weights(folder: &Path) -> Weights {
    let file = folder.join("model.safetensors");
    Weights::open(file, &config(10), Mode::Classify, &LoadOptions::default()).unwrap()
}

fn state(folder: &Path) -> State {
    checkpoint::load(&folder.join("state.safetensors")).unwrap()
}

#[test]
fn a_run_learns_and_leaves_its_files() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let mut setting = Setting::new(folder.path());
    setting.recipe = Recipe {
        epochs: 20,
        drop_path: 0.0,
        ema: None,
        ..setting.recipe
    };
    setting.recipe.augment.flip = false;
    let mut events = Vec::new();
    let mut learner = setting.learner();
    let outcome = setting.run(&digits, &mut learner, Start::Anew, &mut |event| {
        events.push(format!("{event:?}"));
        GO_ON
    });
    let outcome = outcome.unwrap();
    assert!(outcome.is_finished);
    let epochs = &outcome.progress.epochs;
    assert_eq!(
        (epochs.len(), epochs[19].step, outcome.total),
        (20, 120, 120)
    );
    assert_eq!(events.len(), 1 + 120 + 20);
    assert!(events[0].starts_with("Started { step: 0, total: 120"));
    let accuracy = outcome.progress.best().unwrap().test.unwrap().accuracy();
    assert!(
        accuracy > 0.7,
        "softmax regression on shrunken digits: {accuracy}"
    );
    assert!(epochs[19].loss < 0.7 * epochs[0].loss);

    let mut names: Vec<String> = files(folder.path()).into_keys().collect();
    names.retain(|name| name != ".lock");
    let expected = [
        "config.json",
        "curve.svg",
        "log.csv",
        "model.safetensors",
        "state.safetensors",
    ];
    assert_eq!(names, expected);
    let read = PvtConfig::from_file(folder.path().join("config.json")).unwrap();
    assert_eq!(read, config(10));
    // the model runs, and its tensors are those that loaders of published checkpoints look for
    let target = CpuTarget::new(1).unwrap();
    let mut session = Session::new(read, Mode::Classify, weights(folder.path()), target);
    let pixels = vec![0.0; 3 * 32 * 32];
    assert_eq!(
        session
            .classify(1, ImageSize::square(32), &pixels)
            .unwrap()
            .len(),
        10
    );
}

#[test]
fn the_best_model_is_kept_and_the_last_goes_on() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let mut setting = Setting::new(folder.path());
    setting.recipe.ema = None;
    let mut learner = setting.learner();
    // after each epoch: the model in the file, and what the learner has
    let mut kept = Vec::new();
    let watch = &mut |event: &Event<'_>| {
        if let Event::Finished(epoch) = event {
            kept.push((
                epoch.test.unwrap(),
                weights(folder.path()).to_vec("head.weight").unwrap(),
            ));
        }
        GO_ON
    };
    let outcome = setting
        .run(&digits, &mut learner, Start::Anew, watch)
        .unwrap();
    let best = outcome.progress.best.unwrap() as usize;
    for (at, (test, values)) in kept.iter().enumerate() {
        let best = (0..=at)
            .rev()
            .find(|&k| (0..=at).all(|other| !kept[other].0.beats(&kept[k].0)));
        assert_eq!(values, &kept[best.unwrap()].1);
        assert_eq!(test.pictures, digits.test.as_ref().unwrap().len());
    }
    assert_eq!(kept[3].1, kept[best - 1].1);
    let last = learner.state().unwrap();
    assert_eq!(state(folder.path()).learner, last);
}

#[test]
fn the_average_is_what_is_tested_and_saved() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let setting = Setting::new(folder.path());
    let mut saved = Vec::new();
    let watch = &mut |event: &Event<'_>| {
        if let Event::Finished(_) = event {
            let state = state(folder.path());
            let head = |p: &pvt_cuda::train::ParamState| p.name == "head.weight";
            let head = state.learner.params.iter().position(head).unwrap();
            let average = state.ema.unwrap()[head].clone();
            assert_ne!(average, state.learner.params[head].value);
            saved.push(average);
        }
        GO_ON
    };
    let mut learner = setting.learner();
    let outcome = setting
        .run(&digits, &mut learner, Start::Anew, watch)
        .unwrap();
    let best = outcome.progress.best.unwrap() as usize;
    let model = weights(folder.path()).to_vec("head.weight").unwrap();
    assert_eq!(model, saved[best - 1]);
    // testing an average leaves the learner as it was
    assert_eq!(state(folder.path()).learner, learner.state().unwrap());
}

#[test]
fn threads_memory_and_saving_change_no_bit() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let expected = folder.path().join("expected");
    Setting::new(&expected).finish(&digits, Start::Anew);
    let lean = Digits::kept(Keep::Prepared, 0);
    for (name, digits, threads, save_every) in [
        ("one", &digits, 1, None),
        ("three", &digits, 3, Some(1)),
        ("lean", &lean, 2, Some(5)),
    ] {
        let found = folder.path().join(name);
        let setting = Setting {
            save_every,
            threads,
            ..Setting::new(&found)
        };
        setting.finish(digits, Start::Anew);
        assert_same(&found, &expected);
    }
}

#[test]
fn a_run_that_was_stopped_at_any_step_ends_with_the_same_bits() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let expected = folder.path().join("expected");
    Setting::new(&expected).finish(&digits, Start::Anew);
    for stop in 0..=STEPS {
        let found = folder.path().join(format!("stopped-{stop}"));
        let setting = Setting::new(&found);
        let watch = &mut |event: &Event<'_>| {
            let at = match event {
                Event::Started { step, .. } => *step,
                Event::Stepped(row) => row.step,
                _ => return GO_ON,
            };
            if at == stop {
                ControlFlow::Break(())
            } else {
                GO_ON
            }
        };
        let outcome = setting
            .run(&digits, &mut setting.learner(), Start::Anew, watch)
            .unwrap();
        assert_eq!(outcome.progress.step, stop);
        assert_eq!(outcome.is_finished, stop == STEPS);
        assert_eq!(log(&found).len() as u64, stop + 1);
        setting.finish(&digits, Start::Resume);
        assert_same(&found, &expected);
    }
}

#[test]
fn a_run_that_failed_at_any_step_ends_with_the_same_bits() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let expected = folder.path().join("expected");
    Setting::new(&expected).finish(&digits, Start::Anew);
    for (fails_at, save_every) in (0..STEPS).map(|at| (at, (at % 2 == 0).then_some(4))) {
        let found = folder.path().join(format!("failed-{fails_at}"));
        let setting = Setting {
            save_every,
            ..Setting::new(&found)
        };
        let mut learner = setting.learner();
        learner.fails_at = Some(fails_at);
        setting
            .run(&digits, &mut learner, Start::Anew, &mut |_| GO_ON)
            .unwrap_err();
        // the log has a row for every step that was made, the state those up to the last saving
        assert_eq!(log(&found).len() as u64, fails_at + 1);
        let saved = (0..=fails_at)
            .rev()
            .find(|s| s % 6 == 0 || (save_every.is_some() && s % 4 == 0));
        assert_eq!(state(&found).progress.step, saved.unwrap());
        setting.finish(&digits, Start::Resume);
        assert_same(&found, &expected);
    }
}

#[test]
fn resuming_what_is_finished_changes_nothing() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let setting = Setting::new(folder.path());
    let first = setting.finish(&digits, Start::Anew);
    let before = files(folder.path());
    let again = setting.finish(&digits, Start::Resume);
    assert!(again.is_finished);
    assert_eq!(again.progress, first.progress);
    assert_eq!(files(folder.path()), before);
}

#[test]
fn random_parts_and_no_test_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let mut digits = Digits::kept(Keep::Original, u64::MAX);
    let mut setting = Setting::new(folder.path());
    setting.recipe.augment.crop = Some(0.6);
    setting.recipe.ema = None;
    let outcome = setting.finish(&digits, Start::Anew);
    assert!(outcome.progress.epochs.iter().all(|e| e.loss.is_finite()));

    let untested = folder.path().join("untested");
    let setting = Setting {
        folder: &untested,
        ..setting
    };
    digits.test = None;
    let mut learner = setting.learner();
    let outcome = setting
        .run(&digits, &mut learner, Start::Anew, &mut |_| GO_ON)
        .unwrap();
    // no accuracy can be told, so the last model is the one that is kept
    assert_eq!(outcome.progress.best, Some(4));
    let last = learner.weights().unwrap();
    let head = learner
        .state()
        .unwrap()
        .params
        .iter()
        .position(|p| p.name == "head.bias")
        .unwrap();
    assert_eq!(weights(&untested).to_vec("head.bias").unwrap(), last[head]);
}

#[test]
fn the_state_is_one_file_of_published_names() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    Setting::new(folder.path()).finish(&digits, Start::Anew);
    let file = TensorFile::open(folder.path().join("state.safetensors")).unwrap();
    for name in [
        "head.weight",
        "m.head.weight",
        "v.head.weight",
        "ema.head.weight",
    ] {
        assert_eq!(file.get(name).unwrap().shape, [10, 64], "{name}");
    }
    // what is not trained has no moments
    assert!(file.get("cls_token").is_some() && file.get("m.cls_token").is_none());
    let state = state(folder.path());
    assert_eq!((state.progress.step, state.learner.steps), (STEPS, STEPS));
    assert_eq!(state.learner.loss_scale.to_bits(), 256f32.to_bits());
    assert_eq!(state.settings["dtype"], "f32");
    assert_eq!(state.settings["augment.shift"], 2);
    assert_eq!(state.settings["config.num_classes"], 10);
}
