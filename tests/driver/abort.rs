//! The probe in a program that is really built with `panic = "abort"`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use tempfile::TempDir;

use crate::absent::{cut_short, lacks_a_function};
use crate::child::{Library, folder_with};

const PROGRAM: &str = "fn main() {
    match pvt_cuda::target::cuda::probe() {
        Ok(driver) => println!(\"driver {}\", driver.version()),
        Err(reason) => println!(\"{reason}\"),
    }
}";

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

/// The builds of the library beside this test, the latest first. This test was linked with one of
/// them; others have other features.
fn libraries() -> Vec<PathBuf> {
    let test = env::current_exe().unwrap();
    let entries = fs::read_dir(test.parent().unwrap()).unwrap();
    let mut found: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("libpvt_cuda-") && name.ends_with(".rlib")
        })
        .filter(|path| modified(path) <= modified(&test))
        .collect();
    found.sort_by_key(|path| std::cmp::Reverse(modified(path)));
    found
}

/// Compiles the program against one of the libraries; it needs no other crate to be built again, as
/// code that could unwind may be linked into a program that aborts.
fn build(folder: &TempDir) -> Option<PathBuf> {
    let (source, program) = (folder.path().join("probe.rs"), folder.path().join("probe"));
    fs::write(&source, PROGRAM).unwrap();
    for library in libraries() {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let dependencies = library.parent().unwrap().display().to_string();
        let output = Command::new(rustc)
            .args(["--edition=2024", "-Cpanic=abort", "-L"])
            .arg(format!("dependency={dependencies}"))
            .arg(format!("--extern=pvt_cuda={}", library.display()))
            .arg("-o")
            .args([&program, &source])
            .output()
            .unwrap();
        if output.status.success() {
            return Some(program);
        }
        println!("{}", String::from_utf8_lossy(&output.stderr));
    }
    None
}

#[test]
fn the_probe_ends_in_order_where_a_panic_would_abort() {
    let folder = TempDir::new().unwrap();
    let Some(program) = build(&folder) else {
        println!("skipped: no build of the library beside this test suits `rustc`");
        return;
    };
    let says = |library: &Library<'_>, code: &str, words: &str| {
        let folder = folder_with(library);
        let output = Command::new(&program)
            .env("LD_LIBRARY_PATH", folder.path())
            .env("CUDA_STAND_IN_INIT", code)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        print!("{said}");
        assert!(output.status.success(), "{}: {said}", output.status);
        assert!(said.contains(words), "{said}");
        assert!(output.stderr.is_empty(), "{output:?}");
    };
    says(&Library::None, "0", "");
    says(&Library::StandIn, "0", "driver 12.8");
    says(&Library::StandIn, "3", "NOT_INITIALIZED");
    says(&Library::StandIn, "34", "stub");
    says(&Library::StandIn, "100", "no GPU");
    says(&Library::StandIn, "803", "different versions");
    says(&Library::StandIn, "804", "compatibility library");
    says(
        &Library::Bytes("libcuda.so.1", &cut_short()),
        "0",
        "cut off",
    );
    let library = lacks_a_function(&folder);
    says(&Library::File(&library), "0", "no function cuGraphUpload");
}
