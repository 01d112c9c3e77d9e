//! What the crate is built from: permissive licences, few direct dependencies, and no package that
//! needs a newer Rust than is promised.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Licence expressions of the dependency tree of this platform, tests and features included: each
/// can be met by attribution alone.
const LICENCES: [&str; 21] = [
    "(MIT OR Apache-2.0) AND Unicode-3.0",
    "0BSD OR MIT OR Apache-2.0",
    "Apache-2.0",
    "Apache-2.0 AND ISC",
    "Apache-2.0 OR ISC OR MIT",
    "Apache-2.0 OR MIT",
    "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
    "BSD-2-Clause OR Apache-2.0 OR MIT",
    "BSD-3-Clause",
    "BSD-3-Clause OR Apache-2.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT OR Apache-2.0",
    "MIT OR Apache-2.0 OR Zlib",
    "MIT OR Zlib OR Apache-2.0",
    "MIT/Apache-2.0",
    "Unlicense OR MIT",
    "Unlicense/MIT",
    "Zlib",
    "Zlib OR Apache-2.0 OR MIT",
];

/// What `rustc` calls this machine.
fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap().to_owned()
}

/// The packages of this platform, with every feature; the lock file decides their versions.
fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--offline",
            "--all-features",
        ])
        .args(["--filter-platform", &host()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{errors}\nrun `cargo fetch --locked` first"
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn packages(metadata: &Value) -> &[Value] {
    metadata["packages"].as_array().unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

#[test]
fn every_package_has_a_permissive_licence() {
    let metadata = metadata();
    let mut others: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages(&metadata) {
        let licence = text(package, "license");
        if !LICENCES.contains(&licence) {
            others
                .entry(licence)
                .or_default()
                .push(text(package, "name"));
        }
    }
    assert!(
        others.is_empty(),
        "licences that are not in the list, and who has them: {others:#?}"
    );
}

/// `1.89` or `1.89.0` as numbers.
fn version(text: &str) -> Vec<u64> {
    text.split('.').map(|part| part.parse().unwrap()).collect()
}

#[test]
fn no_package_needs_a_newer_rust_than_this_one_promises() {
    let metadata = metadata();
    let own = packages(&metadata)
        .iter()
        .find(|p| p["name"] == env!("CARGO_PKG_NAME"))
        .unwrap();
    let promised = version(text(own, "rust_version"));
    let newer: Vec<String> = packages(&metadata)
        .iter()
        .filter_map(|p| Some((p, p["rust_version"].as_str()?)))
        .filter(|(_, needed)| version(needed) > promised)
        .map(|(p, needed)| format!("{} {} needs {needed}", text(p, "name"), text(p, "version")))
        .collect();
    assert!(newer.is_empty(), "rust-version is {promised:?}: {newer:#?}");
}

#[test]
fn the_library_has_at_most_ten_direct_dependencies() {
    let metadata = metadata();
    let own = packages(&metadata)
        .iter()
        .find(|p| p["name"] == env!("CARGO_PKG_NAME"))
        .unwrap();
    let direct = own["dependencies"].as_array().unwrap().iter();
    let names: Vec<&str> = direct
        .filter(|d| d["kind"].is_null() && d["optional"] == false)
        .map(|d| text(d, "name"))
        .collect();
    assert!(names.len() <= 10, "{names:?}");
}
