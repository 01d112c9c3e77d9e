//! `pvt classify` on the pictures of handwritten digits.

use std::collections::HashMap;
use std::process::{Command, Stdio};

use pvt_cuda::weights::TensorFile;
use serde_json::Value;

use crate::{pvt, root};

const TEST: &str = "assets/digits/test";

/// Logits of the 180 test pictures by path, as another implementation computed them in float64.
fn stored_logits() -> HashMap<String, Vec<f32>> {
    let file = TensorFile::open(root("assets/digits/test_logits.safetensors")).unwrap();
    let paths: Vec<String> = serde_json::from_str(&file.metadata()["files"]).unwrap();
    let logits = file.get("logits").unwrap().to_f32().unwrap();
    paths
        .into_iter()
        .zip(logits.chunks_exact(10).map(<[f32]>::to_vec))
        .collect()
}

fn logits(file: &Value) -> Vec<f64> {
    file["logits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect()
}

#[test]
fn digits_give_the_stored_logits_and_accuracy() {
    let report = pvt(&["classify", TEST, "--json", "--logits", "--batch", "7"]).json();
    let stored = stored_logits();
    let files = report["files"].as_array().unwrap();
    assert_eq!((files.len(), stored.len()), (180, 180));
    let mut worst = 0.0f64;
    for file in files {
        let path = file["path"].as_str().unwrap();
        let key = path.strip_prefix("assets/digits/").unwrap();
        for (found, want) in logits(file).iter().zip(&stored[key]) {
            worst = worst.max((found - f64::from(*want)).abs());
        }
    }
    assert!(worst < 1e-4, "largest difference of a logit {worst}");
    let accuracy = report["accuracy"].as_f64().unwrap();
    assert!((accuracy - 179.0 / 180.0).abs() < 1e-12, "{accuracy}");
}

#[test]
fn probabilities_are_the_softmax_of_the_logits_best_first() {
    let path = "assets/digits/test/3/0059.png";
    let report = pvt(&["classify", path, "--json", "--logits", "--top", "10"]).json();
    assert!(
        report["accuracy"].is_null(),
        "a lone file has no class folder"
    );
    let file = &report["files"][0];
    let logits = logits(file);
    let total: f64 = logits.iter().map(|l| l.exp()).sum();
    let mut sum = 0.0;
    let mut last = f64::INFINITY;
    for ranked in file["top"].as_array().unwrap() {
        let (label, p) = (
            ranked["label"].as_str().unwrap(),
            ranked["p"].as_f64().unwrap(),
        );
        let class: usize = label.parse().unwrap();
        assert!((p - logits[class].exp() / total).abs() < 1e-6);
        assert!(p <= last);
        (sum, last) = (sum + p, p);
    }
    assert!((sum - 1.0).abs() < 1e-9);
    assert_eq!(file["top"][0]["label"], "3");
}

#[test]
fn results_do_not_depend_on_batch_or_threads() {
    let run = |batch, threads| {
        let args = ["classify", "assets/digits/test/7", "--json", "--logits"];
        pvt(&[&args[..], &["--batch", batch, "--threads", threads]].concat()).stdout
    };
    let one = run("1", "1");
    for (batch, threads) in [("8", "2"), ("5", "3")] {
        assert!(
            run(batch, threads) == one,
            "batch {batch}, {threads} threads"
        );
    }
}

#[test]
fn explicit_files_give_the_same_as_the_embedded_model() {
    let weights = ["--weights", "assets/digits/model.safetensors"];
    let config = ["--config", "assets/digits/config.json"];
    let picture = ["classify", "assets/digits/test/5/0109.png"];
    let embedded = pvt(&picture);
    let beside = pvt(&[&picture[..], &weights].concat());
    let named = pvt(&[&picture[..], &weights, &config].concat());
    assert_eq!(embedded.code, Some(0));
    assert!(
        embedded.stderr.contains("digits model"),
        "{}",
        embedded.stderr
    );
    assert!(!beside.stderr.contains("digits model"));
    assert_eq!(embedded.stdout, beside.stdout);
    assert_eq!(embedded.stdout, named.stdout);
}

#[test]
fn a_bad_picture_among_good_ones_is_reported_and_the_rest_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("a.png");
    std::fs::write(&bad, b"not a picture").unwrap();
    let bad = bad.to_str().unwrap();
    let run = pvt(&["classify", bad, "assets/digits/test/3/0059.png", "--json"]);
    assert_eq!(run.code, Some(4));
    assert!(run.stderr.contains("a.png"), "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(
        report["files"][0]["error"]
            .as_str()
            .unwrap()
            .contains("expected JPEG or PNG")
    );
    assert_eq!(report["files"][1]["top"][0]["label"], "3");
}

#[test]
fn accuracy_needs_folders_named_like_classes() {
    let folder = tempfile::tempdir().unwrap();
    let class = folder.path().join("cats");
    std::fs::create_dir(&class).unwrap();
    std::fs::copy(
        root("assets/digits/test/3/0059.png"),
        class.join("0059.png"),
    )
    .unwrap();
    let run = pvt(&["classify", folder.path().to_str().unwrap(), "--json"]);
    assert!(run.json()["accuracy"].is_null());
    assert!(
        run.stderr.contains("`cats` is not the name of a class"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pvt"))
        .args(["classify", TEST])
        .current_dir(root(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
