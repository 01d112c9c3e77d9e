//! Tests in processes of their own.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, abort};

use tempfile::TempDir;

/// Set in a child, to the name of its test.
const CHILD: &str = "PVT_DRIVER_TEST";

/// What stands in the search path of a child as the driver's library.
pub(crate) enum Library<'a> {
    /// Nothing in front of what the machine has.
    None,
    /// What the machine has, on its own search path.
    System,
    /// The stand-in, under the name of the driver's library.
    StandIn,
    /// A file with this name and contents.
    Bytes(&'a str, &'a [u8]),
    /// The library at this path.
    File(&'a Path),
}

/// The stand-in, which cargo builds beside this test.
pub(crate) fn stand_in() -> PathBuf {
    let path = env::current_exe().unwrap();
    let path = path.with_file_name("libcuda_stand_in.so");
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// A folder that holds a library, for a search path.
pub(crate) fn folder_with(library: &Library<'_>) -> TempDir {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("libcuda.so.1");
    match library {
        Library::None | Library::System => {}
        Library::StandIn => symlink(stand_in(), path).unwrap(),
        Library::Bytes(name, bytes) => fs::write(folder.path().join(name), bytes).unwrap(),
        Library::File(file) => symlink(file, path).unwrap(),
    }
    folder
}

/// Runs `body`, which belongs to the test that calls this, in a child process with the given library
/// and variables. There every panic ends the process at once, one that would be caught included: what
/// passes never panics, and so works in programs that abort on a panic.
pub(crate) fn in_child<F: FnOnce()>(library: &Library<'_>, variables: &[(&str, &str)], body: F) {
    // `driver::module::test::{{closure}}`, which the harness calls `module::test`
    let name = std::any::type_name::<F>();
    let name = name.strip_suffix("::{{closure}}").unwrap();
    let (_, name) = name.split_once("::").unwrap();
    if let Some(test) = env::var_os(CHILD) {
        assert_eq!(test, name);
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            usual(info);
            abort();
        }));
        body();
        println!("{name}: done");
        return;
    }
    let folder = folder_with(library);
    let mut command = Command::new(env::current_exe().unwrap());
    if !matches!(library, Library::System) {
        command.env("LD_LIBRARY_PATH", folder.path());
    }
    let output = command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    print!("{said}");
    assert!(
        output.status.success() && said.contains(&format!("{name}: done")),
        "{}\n{said}\n{errors}",
        output.status
    );
}

/// As [`in_child`] on the stand-in, for tests that run kernels.
pub(crate) fn on_stand_in<F: FnOnce()>(variables: &[(&str, &str)], body: F) {
    if let Err(problem) = pvt_cuda::kernels::modules() {
        let required = env::var("PVT_CUDA_BUILD").is_ok_and(|mode| mode == "require");
        assert!(!required, "{problem}");
        println!("skipped: {problem}");
        return;
    }
    in_child(&Library::StandIn, variables, body);
}
