//! Which file is the driver's library.

use std::env;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

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
            whole(&path).map_err(|reason| CudaError::Damaged {
                path: path.display().to_string(),
                reason,
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

const HEADER: usize = 64;
const SEGMENT: usize = 56;
const LOADED: u32 = 1;

/// Accepts a 64-bit little-endian ELF file whose loaded segments lie within it. The loader trusts the
/// sizes in the headers: mapping a file that was cut short ends the process with a bus error.
fn whole(path: &Path) -> Result<(), String> {
    let mut file = File::open(path).map_err(|e| e.to_string())?;
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    let header: [u8; HEADER] = bytes(&mut file, 0).map_err(|_| "shorter than a header")?;
    if header[..6] != *b"\x7fELF\x02\x01" {
        return Err("no 64-bit ELF header".to_owned());
    }
    let first = u64::from_le_bytes(field(&header, 32));
    let size = u16::from_le_bytes(field(&header, 54));
    let count = u16::from_le_bytes(field(&header, 56));
    if usize::from(size) != SEGMENT || count == 0 {
        return Err("no segments".to_owned());
    }
    for index in 0..u64::from(count) {
        let at = first.checked_add(index * SEGMENT as u64);
        let segment: Option<[u8; SEGMENT]> = at.and_then(|at| bytes(&mut file, at).ok());
        let segment = segment.ok_or("cut off within its headers")?;
        if u32::from_le_bytes(field(&segment, 0)) != LOADED {
            continue;
        }
        let offset = u64::from_le_bytes(field(&segment, 8));
        let end = offset.checked_add(u64::from_le_bytes(field(&segment, 32)));
        if end.is_none_or(|end| end > length) {
            return Err(format!("cut off after {length} bytes"));
        }
    }
    Ok(())
}

/// `N` bytes of the file from `at`.
fn bytes<const N: usize>(file: &mut File, at: u64) -> io::Result<[u8; N]> {
    let mut read = [0; N];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut read)?;
    Ok(read)
}

/// `N` bytes of `header` from the constant `at`, which lies within it.
fn field<const N: usize>(header: &[u8], at: usize) -> [u8; N] {
    let mut copy = [0; N];
    copy.copy_from_slice(&header[at..at + N]);
    copy
}
