//! `pvt train` up to the first step, and what its folders are good for.

use std::fs;
use std::path::Path;

use crate::pvt;

const DIGITS: &str = "assets/digits/test";

/// A run of `pvt train` on the digits with a new folder for its files.
fn train(args: &[&str]) -> crate::Run {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let first = ["train", "--out", out.to_str().unwrap(), "--target", "cpu"];
    let run = pvt(&[&first, args].concat());
    assert!(run.stdout.is_empty(), "{}", run.stdout);
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

#[test]
fn a_target_without_gradients_is_named() {
    let run = train(&[
        DIGITS,
        "--config",
        "assets/digits/config.json",
        "--hold-out",
        "0.2",
    ]);
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(
        run.stderr.contains("cannot train in this build"),
        "{}",
        run.stderr
    );
    assert!(
        !run.stderr.contains("no pictures to test with"),
        "{}",
        run.stderr
    );
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
    assert_eq!(run.code, Some(3));
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
