//! `pvt train`: what it refuses, short runs, and what its folders are good for.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::pvt;

const DIGITS: &str = "assets/digits/test";

/// A run of `pvt train` with a new folder for its files, of one short epoch.
fn train(args: &[&str]) -> crate::Run {
    let folder = tempfile::tempdir().unwrap();
    train_in(&folder.path().join("out"), args)
}

fn train_in(out: &Path, args: &[&str]) -> crate::Run {
    let first = ["train", "--out", out.to_str().unwrap(), "--target", "cpu"];
    let short: &[&str] = if args.contains(&"--epochs") {
        &[]
    } else {
        &["--epochs", "1"]
    };
    let run = pvt(&[&first, args, short].concat());
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    run
}

#[test]
fn wrong_arguments_and_pictures_are_answered_before_anything_is_made() {
    let scratch = ["--config", "assets/digits/config.json"];
    let table: &[(&[&str], i32, &[&str])] = &[
        (&[], 2, &["DATA"]),
        (&[DIGITS], 2, &["--config FILE", "--variant NAME"]),
        (&[DIGITS, "--variant", "tinny"], 2, &["tinny", "pvt_tiny"]),
        (
            &[DIGITS, "--variant", "tiny", "--config", "x"],
            2,
            &["--variant"],
        ),
        (
            &[DIGITS, "--epochs", "0", scratch[0], scratch[1]],
            2,
            &["epochs is 0"],
        ),
        (
            &[DIGITS, "--lr", "0", scratch[0], scratch[1]],
            2,
            &["lr is 0"],
        ),
        (
            &[DIGITS, "--freeze", "1,7", scratch[0], scratch[1]],
            2,
            &["freeze is 7"],
        ),
        (
            &[DIGITS, "--fill", "white", scratch[0], scratch[1]],
            2,
            &["white", "black or edge"],
        ),
        (
            &[DIGITS, "--hold-out", "1", scratch[0], scratch[1]],
            2,
            &["hold-out is 1"],
        ),
        (
            &["nowhere", scratch[0], scratch[1]],
            4,
            &["nowhere", "cannot be read"],
        ),
        (
            &["crates", "--variant", "tiny"],
            4,
            &["crates/", "a folder in the folder of a class"],
        ),
        (
            &["assets", scratch[0], scratch[1]],
            4,
            &["no class `digits`", "--new-head"],
        ),
        (
            &["assets/digits/test/3", scratch[0], scratch[1]],
            4,
            &["picture beside the class folders"],
        ),
        (&[DIGITS, "--weights", "docs"], 2, &["--config FILE"]),
        (
            &[DIGITS, "--weights", "assets/digits", "--variant", "tiny"],
            4,
            &["wrong shape (111)"],
        ),
        (
            &[DIGITS, "--dtype", "bf16", scratch[0], scratch[1]],
            3,
            &["bf16", "f32"],
        ),
    ];
    for (args, code, words) in table {
        let run = train(args);
        assert_eq!(run.code, Some(*code), "{args:?}: {}", run.stderr);
        for word in *words {
            assert!(
                run.stderr.contains(word),
                "{args:?}: no {word:?} in: {}",
                run.stderr
            );
        }
    }
}

/// Two epochs, at once and with a stop between them: the same model to the bit, which then classifies.
#[test]
fn a_run_that_is_resumed_ends_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let settings = ["--config", "assets/digits/config.json", "--hold-out", "0.2"];
    let more = [
        "--batch",
        "24",
        "--shift",
        "2",
        "--drop-path",
        "0.1",
        "--epochs",
        "2",
    ];
    let args = [&[DIGITS], &settings[..], &more].concat();
    let run = train_in(&whole, &args);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("accuracy"), "{}", run.stdout);
    let again = train_in(&whole, &args);
    assert_eq!(again.code, Some(4), "{}", again.stderr);

    // a kill after the state of the first epoch leaves what a copy of the folder then has
    let mut child = Command::new(env!("CARGO_BIN_EXE_pvt"))
        .args(["train", "--out", parts.to_str().unwrap(), "--target", "cpu"])
        .args(&args)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !parts.join("state.safetensors").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let run = train_in(&parts, &[&args[..], &["--resume"]].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for file in ["model.safetensors", "state.safetensors", "config.json"] {
        let read = |folder: &Path| fs::read(folder.join(file)).unwrap();
        assert!(read(&whole) == read(&parts), "{file} differs");
    }
    let folder = whole.to_str().unwrap();
    let picture = "assets/digits/test/3/0059.png";
    let run = pvt(&["classify", picture, "--weights", folder, "--target", "cpu"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn what_becomes_of_a_checkpoint_is_said() {
    let run = train(&[DIGITS, "--weights", "assets/digits"]);
    assert!(
        run.stderr.contains("no pictures to test with"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("head is new"), "{}", run.stderr);
    let run = train(&[
        DIGITS,
        "--weights",
        "assets/digits/model.safetensors",
        "--new-head",
    ]);
    assert!(
        run.stderr.contains("head is new, for 10 classes"),
        "{}",
        run.stderr
    );
    let run = train(&[
        DIGITS,
        "--weights",
        "assets/digits",
        "--image-size",
        "96",
        "--memory",
        "1",
        "--batch",
        "179",
    ]);
    assert!(
        run.stderr.contains("from images of 64x64 to 96x96"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("decoded each time"), "{}", run.stderr);
}

#[test]
fn other_classes_need_a_new_head() {
    let folder = tempfile::tempdir().unwrap();
    for (class, from) in [("one", "1"), ("two", "2")] {
        fs::create_dir(folder.path().join(class)).unwrap();
        for entry in fs::read_dir(Path::new(DIGITS).join(from)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(
                entry.path(),
                folder.path().join(class).join(entry.file_name()),
            )
            .unwrap();
        }
    }
    let data = folder.path().to_str().unwrap();
    let run = train(&[data, "--weights", "assets/digits"]);
    assert_eq!(run.code, Some(4));
    assert!(run.stderr.contains("no class `one`"), "{}", run.stderr);
    let run = train(&[data, "--weights", "assets/digits", "--new-head"]);
    assert_eq!(run.code, Some(4), "fewer pictures than a batch");
    let words = "head is new, for 2 classes (the checkpoint has one for 10)";
    assert!(run.stderr.contains(words), "{}", run.stderr);
}

#[test]
fn the_folder_of_a_model_is_enough_to_classify() {
    let picture = "assets/digits/test/3/0059.png";
    let run = pvt(&[
        "classify",
        picture,
        "--weights",
        "assets/digits",
        "--target",
        "cpu",
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stdout.starts_with("assets/digits/test/3/0059.png: 3 "),
        "{}",
        run.stdout
    );
}
