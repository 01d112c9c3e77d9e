//! Folders of pictures: what is found in them, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};

use pvt_cuda::config::{Preprocess, Resize};
use pvt_cuda::picture::Picture;
use pvt_cuda::shape::ImageSize;
use pvt_cuda::train::data::{Dataset, Keep, Listing, Source};
use pvt_cuda::train::{DataError, TrainError};

use crate::support::{Digits, SIDE, digits, preprocess};

/// A folder with small pictures at these paths.
fn folder(paths: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for path in paths {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let size = ImageSize::square(SIDE);
        let picture = Picture::from_rgb(size, vec![9; SIDE * SIDE * 3]).unwrap();
        picture.save_png(path).unwrap();
    }
    folder
}

fn source(folder: &Path) -> Source {
    Source {
        folder: folder.to_owned(),
        ..Source::default()
    }
}

fn find(folder: &Path) -> Listing {
    Listing::find(&source(folder), None).unwrap()
}

/// Paths below `folder` with their classes.
fn names(folder: &Path, samples: &[pvt_cuda::train::data::Sample]) -> Vec<(String, u32)> {
    let name = |path: &PathBuf| path.strip_prefix(folder).unwrap().display().to_string();
    samples.iter().map(|s| (name(&s.path), s.class)).collect()
}

#[test]
fn pictures_are_sorted_and_other_files_left_aside() {
    let dir = folder(&[
        "b/2.png",
        "a/z.png",
        "b/10.PNG",
        "a/.hidden.png",
        ".git/x.png",
    ]);
    fs::write(dir.path().join("a/notes.txt"), "").unwrap();
    fs::write(dir.path().join("README.md"), "").unwrap();
    let found = find(dir.path());
    assert_eq!(found.classes, ["a", "b"]);
    let expected = [("a/z.png", 0), ("b/10.PNG", 1), ("b/2.png", 1)];
    assert_eq!(
        names(dir.path(), &found.train),
        expected.map(|(n, c)| (n.to_owned(), c))
    );
    assert!(found.test.is_empty());
}

#[test]
fn labels_of_a_model_decide_the_order() {
    let dir = folder(&["cat/1.png", "dog/1.png"]);
    let labels = ["dog", "bird", "cat"].map(str::to_owned);
    let found = Listing::find(&source(dir.path()), Some(&labels)).unwrap();
    assert_eq!(found.classes, labels);
    let classes: Vec<u32> = found.train.iter().map(|s| s.class).collect();
    assert_eq!(classes, [2, 0]);
}

#[test]
fn parts_are_found_by_name_and_by_option() {
    let dir = folder(&[
        "train/a/1.png",
        "train/b/1.png",
        "test/b/2.png",
        "other/a/3.png",
    ]);
    assert_eq!(
        names(dir.path(), &find(dir.path()).test),
        [("test/b/2.png".to_owned(), 1)]
    );
    let mut source = source(dir.path());
    source.test = Some(dir.path().join("other"));
    let found = Listing::find(&source, None).unwrap();
    assert_eq!(
        names(dir.path(), &found.test),
        [("other/a/3.png".to_owned(), 0)]
    );
    fs::rename(dir.path().join("other"), dir.path().join("val")).unwrap();
    assert_eq!(
        names(dir.path(), &find(dir.path()).test),
        [("val/a/3.png".to_owned(), 0)]
    );
}

#[test]
fn a_share_of_each_class_is_held_out() {
    let held = |seed, hold_out| {
        let source = Source {
            hold_out,
            seed,
            ..source(&digits())
        };
        Listing::find(&source, None).unwrap()
    };
    let all = find(&digits());
    let found = held(1, 0.25);
    assert_eq!(
        (all.train.len(), found.train.len() + found.test.len()),
        (180, 180)
    );
    for class in 0..10 {
        let count = |part: &[pvt_cuda::train::data::Sample]| {
            part.iter().filter(|s| s.class == class).count()
        };
        let expected = (count(&all.train) as f64 * 0.25).round();
        assert!((count(&found.test) as f64 - expected).abs() < 0.5);
    }
    assert!(found.test.iter().all(|s| !found.train.contains(s)));
    assert!(found.train.is_sorted_by(|a, b| a.path < b.path));
    assert_eq!(found, held(1, 0.25));
    assert_ne!(found.test, held(2, 0.25).test);
    // one picture of a class always stays
    let dir = folder(&["a/1.png", "b/1.png", "b/2.png"]);
    let source = Source {
        hold_out: 0.9,
        ..source(dir.path())
    };
    let found = Listing::find(&source, None).unwrap();
    assert_eq!((found.train.len(), found.test.len()), (2, 1));
}

fn refused(folder: &Path, labels: Option<&[String]>, words: &[&str]) -> DataError {
    let error = Listing::find(&source(folder), labels).unwrap_err();
    let text = error.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    match error {
        TrainError::Data(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn what_does_not_belong_in_a_folder_is_named() {
    let nowhere = Path::new("tests/nowhere");
    assert!(matches!(
        refused(nowhere, None, &["nowhere", "cannot be read"]),
        DataError::Read { .. }
    ));
    let empty = tempfile::tempdir().unwrap();
    let error = refused(empty.path(), None, &["no class folders", "train/"]);
    assert!(matches!(error, DataError::NoClasses { .. }));

    let dir = folder(&["a/1.png"]);
    let error = refused(dir.path(), None, &["`a`", "only class"]);
    assert!(matches!(error, DataError::OneClass { .. }));
    fs::create_dir(dir.path().join("empty")).unwrap();
    let error = refused(
        dir.path(),
        None,
        &["/empty", "no pictures", "remove the folder"],
    );
    assert!(matches!(error, DataError::EmptyClass { .. }));

    let dir = folder(&["a/1.png", "b/1.png", "stray.png"]);
    let error = refused(dir.path(), None, &["stray.png", "folder of its class"]);
    assert!(matches!(error, DataError::Stray { .. }));
    let dir = folder(&["a/1.png", "b/more/1.png"]);
    let error = refused(dir.path(), None, &["b/more", "folder in the folder"]);
    assert!(matches!(error, DataError::Stray { .. }));

    let dir = folder(&["cat/1.png", "hrose/1.png"]);
    let labels = ["cat", "horse"].map(str::to_owned);
    let words = ["/hrose", "`hrose`", "did you mean `horse`", "--new-head"];
    assert!(matches!(
        refused(dir.path(), Some(&labels), &words),
        DataError::UnknownClass { .. }
    ));
}

#[cfg(unix)]
#[test]
fn a_class_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let dir = folder(&["a/1.png", "b/1.png"]);
    fs::create_dir(dir.path().join(std::ffi::OsStr::from_bytes(b"z\xff"))).unwrap();
    let error = refused(dir.path(), None, &["UTF-8", "rename"]);
    assert!(matches!(error, DataError::Name { .. }));
}

#[test]
fn a_share_to_hold_out_must_make_sense() {
    let dir = folder(&["train/a/1.png", "train/b/1.png", "val/a/1.png"]);
    for (hold_out, words) in [(1.0, ["hold-out", "below 1"]), (0.1, ["hold-out", "/val"])] {
        let source = Source {
            hold_out,
            ..source(dir.path())
        };
        let error = Listing::find(&source, None).unwrap_err();
        assert!(matches!(error, TrainError::Setting { .. }), "{error}");
        assert!(
            words.iter().all(|w| error.to_string().contains(w)),
            "{error}"
        );
    }
}

#[test]
fn pictures_that_cannot_be_used_are_named() {
    let dir = folder(&["a/1.png", "b/1.png", "b/2.png"]);
    let load = |preprocess, budget| {
        let samples = find(dir.path()).train;
        Dataset::load(
            samples,
            ImageSize::square(SIDE),
            preprocess,
            Keep::Prepared,
            budget,
        )
    };
    assert!(load(preprocess(), u64::MAX).unwrap().is_in_memory());
    let smaller = Preprocess {
        resize: Resize::ShorterSide(16),
        ..preprocess()
    };
    let text = load(smaller, u64::MAX).unwrap_err();
    assert!(matches!(text, DataError::Size { .. }), "{text}");
    for word in ["a/1.png", "16x16", "32x32", "--image-size"] {
        assert!(text.to_string().contains(word), "{text}");
    }
    let cropped = Preprocess {
        crop: Some(64),
        ..preprocess()
    };
    let text = load(cropped, u64::MAX).unwrap_err().to_string();
    assert!(text.contains("a/1.png") && text.contains("64x64"), "{text}");
    fs::write(dir.path().join("b/1.png"), "not a picture").unwrap();
    fs::write(dir.path().join("b/2.png"), "neither").unwrap();
    let error = load(preprocess(), u64::MAX).unwrap_err();
    assert!(matches!(error, DataError::Picture { .. }), "{error}");
    assert!(
        error.to_string().contains("b/1.png"),
        "the first of both: {error}"
    );
}

#[test]
fn pictures_beyond_the_budget_are_decoded_again_to_the_same_bytes() {
    let bytes = (SIDE * SIDE * 3) as u64;
    let kept = Digits::new();
    let count = kept.train.len() as u64;
    let just = Digits::kept(Keep::Prepared, count * bytes);
    assert!(just.train.is_in_memory());
    let lean = Digits::kept(Keep::Prepared, count * bytes - 1);
    assert!(!lean.train.is_in_memory());
    for index in [0, 1, 77, kept.train.len() - 1] {
        assert_eq!(
            kept.train.picture(index).unwrap(),
            lean.train.picture(index).unwrap()
        );
    }
}

#[test]
fn originals_are_prepared_as_kept_pictures_are() {
    let prepared = Digits::new();
    let original = Digits::kept(Keep::Original, u64::MAX);
    assert_eq!(
        original.train.picture(3).unwrap().size(),
        ImageSize::square(64)
    );
    assert_eq!(
        original.train.prepared(3).unwrap(),
        prepared.train.prepared(3).unwrap()
    );
}

#[test]
fn a_fingerprint_tells_other_pictures_apart() {
    let dir = folder(&["a/1.png", "b/1.png"]);
    let print = || find(dir.path()).fingerprint().unwrap();
    let before = print();
    assert!(before.starts_with("2+0 pictures, "), "{before}");
    assert_eq!(before, print());
    fs::rename(dir.path().join("b/1.png"), dir.path().join("b/2.png")).unwrap();
    assert_ne!(before, print());
    fs::rename(dir.path().join("b/2.png"), dir.path().join("b/1.png")).unwrap();
    assert_eq!(before, print());
    fs::write(dir.path().join("b/1.png"), "longer or shorter").unwrap();
    assert_ne!(before, print());
}
