//! The trained digits model on its 180 test pictures.

use std::process::Command;

use serde_json::Value;

/// The best class of every picture, in the order of the report.
fn classes(options: &[&str]) -> Vec<(String, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_pvt"))
        .args(["classify", "assets/digits/test", "--json"])
        .args(options)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let files = report["files"].as_array().unwrap().iter();
    files
        .map(|file| {
            let path = file["path"].as_str().unwrap().to_owned();
            (path, file["top"][0]["label"].as_str().unwrap().to_owned())
        })
        .collect()
}

#[test]
fn bf16_in_the_emulator_predicts_what_the_cpu_predicts() {
    let cpu = classes(&[]);
    assert_eq!(cpu.len(), 180);
    let found = classes(&["--target", "emu", "--dtype", "bf16", "--batch", "45"]);
    assert!(found == cpu, "predictions differ");
}
