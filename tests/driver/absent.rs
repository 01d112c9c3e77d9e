//! Machines without a driver, and with one that does not work.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use pvt_cuda::target::cuda::{CudaDevice, CudaError, SYMBOLS, detect, probe};
use tempfile::TempDir;

use crate::child::{Library, in_child, stand_in};

/// The reason why there is no driver, which every way in gives.
fn reason() -> CudaError {
    let reason = probe().unwrap_err();
    println!("{reason}");
    assert_eq!(CudaDevice::open(0).unwrap_err(), reason);
    let found = detect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].problem.as_ref(), Some(&reason));
    reason
}

#[test]
fn no_library() {
    in_child(&Library::None, &[], || {
        if probe().is_ok() {
            println!("skipped: this machine has a driver");
            return;
        }
        let reason = reason();
        if let CudaError::NoLibrary { tried } = &reason {
            assert!(tried.contains("libcuda.so.1: ") && tried.contains("libcuda.so: "));
        } else {
            println!("this machine has a driver that does not work");
        }
    });
}

fn refused_with(code: &str, expected: &CudaError, words: &[&str]) {
    let reason = reason();
    assert_eq!(reason, *expected, "code {code}");
    let text = reason.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    assert!(text.contains(code), "{text}");
}

#[test]
fn a_driver_that_does_not_start() {
    in_child(&Library::StandIn, &[("CUDA_STAND_IN_INIT", "3")], || {
        let name = "CUDA_ERROR_NOT_INITIALIZED".to_owned();
        refused_with(
            "3",
            &CudaError::Init { code: 3, name },
            &["NOT_INITIALIZED"],
        );
    });
}

#[test]
fn the_stub_of_a_toolkit() {
    in_child(&Library::StandIn, &[("CUDA_STAND_IN_INIT", "34")], || {
        let library = "libcuda.so.1".to_owned();
        refused_with(
            "34",
            &CudaError::Stub { library },
            &["stub", "libcuda.so.1"],
        );
    });
}

#[test]
fn no_device() {
    in_child(&Library::StandIn, &[("CUDA_STAND_IN_INIT", "100")], || {
        refused_with("100", &CudaError::NoDevice, &["no GPU"]);
    });
}

#[test]
fn library_and_kernel_module_of_different_versions() {
    in_child(&Library::StandIn, &[("CUDA_STAND_IN_INIT", "803")], || {
        refused_with(
            "803",
            &CudaError::Mismatch,
            &["different versions", "restart"],
        );
    });
}

#[test]
fn a_compatibility_library_for_another_gpu() {
    in_child(&Library::StandIn, &[("CUDA_STAND_IN_INIT", "804")], || {
        refused_with("804", &CudaError::Incompatible, &["compatibility"]);
    });
}

/// A code that no header of this build lists.
#[test]
fn a_code_of_a_newer_driver() {
    in_child(&Library::StandIn, &[("CUDA_STAND_IN_INIT", "987")], || {
        let name = "a code without a name".to_owned();
        refused_with("987", &CudaError::Init { code: 987, name }, &[]);
    });
}

#[test]
fn a_driver_that_is_too_old() {
    in_child(
        &Library::StandIn,
        &[("CUDA_STAND_IN_VERSION", "11080")],
        || {
            let text = reason().to_string();
            assert!(text.contains("11.8") && text.contains("12.0"), "{text}");
        },
    );
}

#[test]
fn a_device_that_is_too_old() {
    let variables = [("CUDA_STAND_IN_CAPABILITY", "7.5")];
    in_child(&Library::StandIn, &variables, || {
        let problem = CudaDevice::open(0).unwrap_err();
        assert!(matches!(&problem, CudaError::Capability { found, .. } if found == "7.5"));
        assert_eq!(detect()[0].problem.as_ref(), Some(&problem));
        let text = CudaDevice::open(1).unwrap_err().to_string();
        assert!(text.contains("no device cuda:1"), "{text}");
    });
}

#[test]
fn a_file_that_is_no_library() {
    in_child(&Library::Bytes("libcuda.so.1", b"a text"), &[], || {
        assert!(matches!(reason(), CudaError::Damaged { .. }));
    });
}

/// The first part of the stand-in, which ends within what the loader would map.
pub(crate) fn cut_short() -> Vec<u8> {
    let mut bytes = fs::read(stand_in()).unwrap();
    bytes.truncate(bytes.len() / 10);
    bytes
}

fn is_cut_off() {
    let CudaError::Damaged { path, reason } = reason() else {
        panic!("{}", reason());
    };
    assert!(path.contains("libcuda.so") && reason.contains("cut off"));
}

#[test]
fn a_library_that_was_cut_short() {
    let library = cut_short();
    in_child(&Library::Bytes("libcuda.so.1", &library), &[], || {
        is_cut_off();
    });
}

/// Under the name that is tried last.
#[test]
fn a_second_library_that_was_cut_short() {
    let library = cut_short();
    in_child(&Library::Bytes("libcuda.so", &library), &[], || {
        if probe().is_ok() {
            println!("skipped: this machine has a driver");
            return;
        }
        is_cut_off();
    });
}

/// A library with all functions but `cuGraphUpload`, compiled into a folder.
pub(crate) fn lacks_a_function(folder: &TempDir) -> PathBuf {
    let [source, library] = ["lacks.rs", "lacks.so"].map(|name| folder.path().join(name));
    let mut text = String::new();
    for symbol in SYMBOLS.iter().filter(|symbol| **symbol != "cuGraphUpload") {
        let _ = writeln!(
            text,
            "#[no_mangle] extern \"C\" fn {symbol}() -> i32 {{ 0 }}"
        );
    }
    fs::write(&source, text).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args([
            "--edition=2021",
            "--crate-type=cdylib",
            "-Anon_snake_case",
            "-o",
        ])
        .args([&library, &source])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    library
}

#[test]
fn a_library_without_one_function() {
    let folder = TempDir::new().unwrap();
    let library = lacks_a_function(&folder);
    in_child(&Library::File(&library), &[], || {
        let (library, symbol) = ("libcuda.so.1".to_owned(), "cuGraphUpload");
        assert_eq!(reason(), CudaError::MissingSymbol { library, symbol });
    });
}
