//! Every tensor of the reference cases, in every type.

use std::collections::BTreeMap;
use std::path::Path;

use pvt_cuda::DType;
use pvt_cuda::target::TargetKind;
use pvt_cuda::verify::{Report, VerifyOptions, verify};

/// Relative L2 errors of PyTorch in the same type on the same case, by tensor.
fn peer(case: &str, dtype: DType) -> BTreeMap<String, f64> {
    let path = format!("tests/fixtures/reference/{case}/peer_lowp.json");
    let text = std::fs::read_to_string(path).unwrap();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(all[dtype.name()].clone()).unwrap()
}

fn run(case: &str, dtype: DType) -> Report {
    let options = VerifyOptions {
        case: Path::new("tests/fixtures/reference").join(case),
        weights: None,
        config: None,
        target: TargetKind::Emu,
        dtype,
        threads: 0,
    };
    let report = verify(&options).unwrap();
    assert_eq!(
        (report.target.as_str(), report.dtype.as_str()),
        ("emu", dtype.name())
    );
    assert!(
        report.tensors.len() > 40,
        "{case} {dtype}: {} tensors",
        report.tensors.len()
    );
    for t in &report.tensors {
        assert!(
            t.pass,
            "{case} {dtype} {}: {:e}, at most {:e}",
            t.name, t.rel_l2, t.tolerance
        );
    }
    report
}

const CASES: [&str; 4] = [
    "v1-micro",
    "v1-micro-rect",
    "v1-micro-d64",
    "v1-micro-lowvar",
];

#[test]
fn every_tensor_in_f32() {
    for case in CASES {
        run(case, DType::F32);
    }
}

#[test]
fn every_tensor_in_tf32() {
    for case in CASES {
        run(case, DType::Tf32);
    }
}

/// In half precision also against PyTorch's own error on the same tensor.
fn half(dtype: DType) {
    for case in CASES {
        let peer = peer(case, dtype);
        let mut worst = (0.0, String::new());
        for t in run(case, dtype).tensors {
            let Some(&theirs) = peer.get(&t.name) else {
                continue;
            };
            // one number, whose error is a sum that may cancel by luck, and did in PyTorch: held by its
            // tolerance alone
            if t.name == "loss" {
                continue;
            }
            let ratio = t.rel_l2 / theirs;
            let most = if t.name.starts_with("grad.") {
                3.0
            } else {
                2.0
            };
            assert!(
                ratio <= most,
                "{case} {dtype} {}: {:e}, PyTorch {theirs:e}",
                t.name,
                t.rel_l2
            );
            if ratio > worst.0 {
                worst = (ratio, t.name);
            }
        }
        println!(
            "{case} {dtype}: at most {:.2} of PyTorch's error, at {}",
            worst.0, worst.1
        );
        assert!(worst.0 > 0.0, "{case}: no tensor was compared");
    }
}

#[test]
fn every_tensor_in_f16() {
    half(DType::F16);
}

#[test]
fn every_tensor_in_bf16() {
    half(DType::Bf16);
}
