//! `pvt verify` on the reference cases.

use std::fs;

use serde_json::Value;

use crate::{MICRO, pvt, root};

const CASES: [&str; 4] = [
    "v1-micro",
    "v1-micro-rect",
    "v1-micro-d64",
    "v1-micro-lowvar",
];

fn case(name: &str) -> String {
    format!("tests/fixtures/reference/{name}")
}

#[test]
fn every_reference_tensor_is_within_its_bound() {
    for name in CASES {
        let report = pvt(&[
            "verify",
            &case(name),
            "--target",
            "cpu",
            "--dtype",
            "f32",
            "--json",
        ])
        .json();
        assert_eq!(report["pass"], true, "{name}");
        assert_eq!(
            (&report["case"], &report["target"]),
            (&Value::from(name), &Value::from("cpu"))
        );
        for tensor in report["tensors"].as_array().unwrap() {
            let bound = match tensor["name"].as_str().unwrap() {
                "grad.*" => 1e-5,
                gradient if gradient.starts_with("grad.") => 1e-4,
                _ => 5e-6,
            };
            assert_eq!(tensor["tolerance"], bound);
            let found = tensor["rel_l2"].as_f64().unwrap();
            assert!(found <= bound, "{name} {tensor}");
        }
        let names: Vec<&str> = report["tensors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["name"].as_str().unwrap())
            .collect();
        for wanted in [
            "logits",
            "loss",
            "dense.feature4",
            "block1.0.attn.sr_conv",
            "final_norm",
            "grad.*",
            "grad.pixel_values",
            "grad.stage3.input",
            "grad.block2.0.attn.kv.weight",
        ] {
            assert!(names.contains(&wanted), "{name} lacks {wanted}");
        }
        assert_eq!(report["not_produced"], Value::Array(Vec::new()), "{name}");
    }
}

#[test]
fn hugging_face_keys_give_the_same() {
    for name in ["v1-micro", "v1-micro-rect"] {
        let weights = format!("{}/model.hf.safetensors", case(name));
        let report = pvt(&["verify", &case(name), "--weights", &weights, "--json"]).json();
        assert_eq!(
            (&report["pass"], &report["scheme"]),
            (&true.into(), &"Hugging Face".into())
        );
    }
}

#[test]
fn each_wrong_eps_fails_alone() {
    let text = fs::read_to_string(root(&case("v1-micro-lowvar")).join("config.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    for (role, wrong) in [
        ("patch_embed", 1e-6),
        ("sr", 1e-6),
        ("block", 1e-5),
        ("final", 1e-5),
    ] {
        let mut config: Value = serde_json::from_str(&text).unwrap();
        config["ln_eps"][role] = wrong.into();
        fs::write(&path, config.to_string()).unwrap();
        let run = pvt(&[
            "verify",
            &case("v1-micro-lowvar"),
            "--config",
            path.to_str().unwrap(),
        ]);
        assert_eq!(run.code, Some(1), "eps of {role} set to {wrong} passed");
        assert!(
            run.stdout
                .lines()
                .any(|l| l.starts_with("logits ") && l.ends_with("FAILED")),
            "{role}"
        );
    }
}

#[test]
fn a_configuration_with_one_eps_for_all_is_told_apart() {
    // transformers' single eps of 1e-6 moves the logits by about 1e-3
    let config = format!("{MICRO}/config.hf.json");
    let run = pvt(&["verify", MICRO, "--config", &config, "--json"]);
    assert_eq!(run.code, Some(1));
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let logits = report["tensors"]
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["name"] == "logits")
        .unwrap();
    let error = logits["rel_l2"].as_f64().unwrap();
    assert!((1e-4..1e-2).contains(&error), "{error}");
}

#[test]
fn one_changed_weight_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut bytes = fs::read(root(MICRO).join("model.safetensors")).unwrap();
    let last = bytes.len() - 4; // the last value of the last parameter
    bytes[last..].copy_from_slice(&0.75f32.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let run = pvt(&["verify", MICRO, "--weights", path.to_str().unwrap()]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("FAILED"));
}

#[test]
fn tensors_without_counterpart_are_listed() {
    let run = pvt(&["verify", MICRO]);
    assert_eq!(run.code, Some(0));
    assert!(run.stdout.contains("grad.head.weight") && run.stdout.contains("not produced"));
}
