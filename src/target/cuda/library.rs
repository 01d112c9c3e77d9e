//! Which file is the driver's library.

use std::env;
use std::path::PathBuf;

use nvrtc_lite::OpenError as OpenProblem;

use super::error::CudaError;
use super::ffi::{Functions, OpenError};

/// Names for the system's loader, the first choice first. The name without a number is that of a link
/// for the linker, or of a toolkit's stub.
const NAMES: &[&str] = if cfg!(windows) {
    &["nvcuda.dll"]
} else {
    &["libcuda.so.1", "libcuda.so"]
};

/// Opens the driver's library; its name and its functions.
pub(super) fn open() -> Result<(&'static str, Functions), CudaError> {
    let mut tried = Vec::new();
    for name in NAMES {
        if let Some(path) = first_of_search_path(name) {
            nvrtc_lite::check_library(&path).map_err(|problem| CudaError::Damaged {
                path: path.display().to_string(),
                reason: match problem {
                    OpenProblem::Damaged { reason, .. } => reason,
                    other => other.to_string(),
                },
            })?;
        }
        match Functions::open(name) {
            Ok(functions) => return Ok((name, functions)),
            Err(OpenError::Symbol(symbol)) => {
                let library = (*name).to_owned();
                return Err(CudaError::MissingSymbol { library, symbol });
            }
            Err(OpenError::Loader(said)) => tried.push(format!("{name}: {said}")),
        }
    }
    let tried = tried.join("; ");
    Err(CudaError::NoLibrary { tried })
}

/// The file of this name in the first folder of the loader's search path that has one. Folders that
/// the loader knows from its own cache are not looked at: packages fill them, whole.
fn first_of_search_path(name: &str) -> Option<PathBuf> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let folders = env::var_os("LD_LIBRARY_PATH")?;
    let mut paths = env::split_paths(&folders).map(|folder| folder.join(name));
    paths.find(|path| path.is_file())
}
