//! `scripts/convert_pth.py` against checkpoints and safetensors that torch wrote.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use safetensors::SafeTensors;
use tempfile::TempDir;

struct Python {
    command: &'static str,
    folder: TempDir,
}

impl Python {
    /// Without Python the tests are skipped, except where everything must be tested.
    fn find() -> Option<Self> {
        let command = ["python3", "python"].into_iter().find(|command| {
            let found = Command::new(command)
                .arg("-c")
                .arg("import sys; sys.exit(sys.version_info < (3, 9))")
                .status();
            found.is_ok_and(|status| status.success())
        });
        if command.is_none() {
            assert!(
                std::env::var_os("CI").is_none(),
                "python3 (3.9 or later) is needed for this test"
            );
            // Not `eprintln!`, which is captured where a test passes.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: python3 (3.9 or later) was not found"
            );
        }
        Some(Self {
            command: command?,
            folder: tempfile::tempdir().expect("a temporary folder"),
        })
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("out.safetensors")
    }

    fn canary(&self) -> PathBuf {
        self.folder.path().join("canary")
    }

    fn run(&self, input: &Path, options: &[&str]) -> Output {
        Command::new(self.command)
            .arg(root().join("scripts/convert_pth.py"))
            .arg(input)
            .arg(self.output())
            .args(options)
            .env("PVT_PTH_CANARY", self.canary())
            .output()
            .expect("python starts")
    }

    /// Runs a conversion that must fail: one line of reason, no output, nothing called.
    fn refuse(&self, input: &Path, options: &[&str]) -> String {
        let done = self.run(input, options);
        let reason = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{}: {reason}", input.display());
        assert_eq!(reason.lines().count(), 1, "{reason}");
        let left: Vec<_> = fs::read_dir(self.folder.path())
            .expect("a folder")
            .collect();
        assert!(left.is_empty(), "{}: {left:?}", input.display());
        reason
    }

    fn convert(&self, name: &str, options: &[&str], expected: &str) -> String {
        let done = self.run(&fixture(name), options);
        assert!(
            done.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        assert_same(&self.output(), &fixture(expected));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn fixture(name: &str) -> PathBuf {
    root().join("tests/fixtures/pth").join(name)
}

fn assert_same(found: &Path, expected: &Path) {
    let (found, expected) = (
        fs::read(found).expect("output"),
        fs::read(expected).expect("fixture"),
    );
    let header = u64::from_le_bytes(found[..8].try_into().expect("8 bytes"));
    assert_eq!(header % 8, 0, "the contents are not aligned");
    let found = SafeTensors::deserialize(&found).expect("valid safetensors");
    let expected = SafeTensors::deserialize(&expected).expect("valid fixture");
    let sorted = |file: &SafeTensors<'_>| {
        let mut names: Vec<_> = file.names().into_iter().map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(sorted(&found), sorted(&expected));
    for (name, tensor) in expected.iter() {
        let other = found.tensor(name).expect("listed");
        assert_eq!(other.dtype(), tensor.dtype(), "{name}");
        assert_eq!(other.shape(), tensor.shape(), "{name}");
        assert!(other.data() == tensor.data(), "{name} has other elements");
    }
}

#[test]
fn both_formats_and_byte_orders_keep_every_bit() {
    let Some(python) = Python::find() else { return };
    for name in ["zip.pth", "zip_big_endian.pth", "legacy.bin"] {
        let said = python.convert(name, &[], "expected.safetensors");
        assert!(
            said.contains("21 tensors") && !said.contains("skipped"),
            "{said}"
        );
    }
}

#[test]
fn tensors_below_model_are_found() {
    let Some(python) = Python::find() else { return };
    for name in ["zip_model.pth", "legacy_model.pth"] {
        python.convert(name, &[], "expected.safetensors");
        python.convert(name, &["--key", "model"], "expected.safetensors");
    }
}

#[test]
fn what_is_no_tensor_is_listed() {
    let Some(python) = Python::find() else { return };
    let reason = python.refuse(&fixture("double.pth"), &[]);
    assert!(
        reason.contains("no tensors") && reason.contains("--key"),
        "{reason}"
    );
    let done = python.run(&fixture("double.pth"), &[]);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(said.contains("skipped 'ema': dict"), "{said}");
    let reason = python.refuse(&fixture("zip_model.pth"), &["--key", "ema"]);
    assert!(
        reason.contains("'ema'") && reason.contains("model"),
        "{reason}"
    );
}

#[test]
fn float64_is_rounded_only_when_asked() {
    let Some(python) = Python::find() else { return };
    let reason = python.refuse(&fixture("double.pth"), &["--key", "ema"]);
    assert!(
        reason.contains("head.bias") && reason.contains("--cast f32"),
        "{reason}"
    );
    python.convert(
        "double.pth",
        &["--key", "ema", "--cast", "f32"],
        "double.safetensors",
    );
}

#[test]
fn a_harmful_pickle_is_refused_by_name_and_not_run() {
    let Some(python) = Python::find() else { return };
    for name in ["harmful.pth", "harmful_stream.pth"] {
        let reason = python.refuse(&fixture(name), &[]);
        assert!(reason.contains("posix.system"), "{reason}");
        assert!(!python.canary().exists(), "{name} was run");
    }
}

#[test]
fn an_archive_that_declares_more_than_it_has_is_refused() {
    let Some(python) = Python::find() else { return };
    let reason = python.refuse(&fixture("oversized.pth"), &[]);
    assert!(reason.contains("declare more bytes"), "{reason}");
}

#[test]
fn storages_of_another_length_are_refused() {
    let Some(python) = Python::find() else { return };
    let reason = python.refuse(&fixture("short.pth"), &["--key", "ema", "--cast", "f32"]);
    assert!(reason.contains("24 bytes, expected 32"), "{reason}");
    let reason = python.refuse(&fixture("miscounted.pth"), &[]);
    assert!(reason.contains("5 elements, expected 4"), "{reason}");
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let Some(python) = Python::find() else { return };
    fs::create_dir(python.output()).expect("a folder in the place of the file");
    let done = python.run(&fixture("zip.pth"), &[]);
    assert_eq!(done.status.code(), Some(1));
    let left = fs::read_dir(python.folder.path())
        .expect("a folder")
        .count();
    assert_eq!(left, 1, "a temporary file was left");
}

#[test]
fn damaged_files_are_refused_in_one_line() {
    let Some(python) = Python::find() else { return };
    let inputs = tempfile::tempdir().expect("a temporary folder");
    let input = inputs.path().join("in.pth");
    for name in ["zip.pth", "legacy.bin"] {
        let whole = fs::read(fixture(name)).expect("fixture");
        for part in [0, 1, 5, 40, whole.len() / 2, whole.len() - 1] {
            fs::write(&input, &whole[..part]).expect("a file");
            python.refuse(&input, &[]);
        }
    }
    fs::write(&input, b"<!DOCTYPE html><p>404").expect("a file");
    python.refuse(&input, &[]);
    let reason = python.refuse(&inputs.path().join("absent.pth"), &[]);
    assert!(reason.contains("absent.pth"), "{reason}");
}

#[test]
fn wrong_usage_is_told_apart() {
    let Some(python) = Python::find() else { return };
    assert_eq!(
        python
            .run(&fixture("zip.pth"), &["--cast", "f8"])
            .status
            .code(),
        Some(2)
    );
}
