//! A look at a library file before the system's loader maps it: the loader of Linux trusts the sizes
//! in the headers, and a file that was cut short ends the process with a bus error.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::OpenError;

const HEADER: usize = 64;
const SEGMENT: usize = 56;
const LOADED: u32 = 1;

/// Accepts a 64-bit little-endian ELF file whose loaded segments lie within it. Other formats are left
/// to the loader of their system.
///
/// # Errors
/// [`OpenError::Unreadable`] and [`OpenError::Damaged`].
pub fn check(path: &Path) -> Result<(), OpenError> {
    let unreadable = |source| OpenError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    let damaged = |reason: &str| OpenError::Damaged {
        path: path.to_path_buf(),
        reason: reason.to_owned(),
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    if !cfg!(target_os = "linux") {
        return Ok(());
    }

    let header = bytes::<HEADER>(&mut file, 0).map_err(|_| damaged("shorter than a header"))?;
    if header[..6] != *b"\x7fELF\x02\x01" {
        return Err(damaged("no 64-bit ELF header"));
    }
    let segments = u64::from_le_bytes(field(&header, 32));
    let size = u16::from_le_bytes(field(&header, 54));
    let count = u16::from_le_bytes(field(&header, 56));
    if usize::from(size) != SEGMENT || count == 0 {
        return Err(damaged("no segments"));
    }
    for index in 0..u64::from(count) {
        let at = segments.checked_add(index * SEGMENT as u64);
        let segment = at
            .and_then(|at| bytes::<SEGMENT>(&mut file, at).ok())
            .ok_or_else(|| damaged("cut off within its headers"))?;
        if u32::from_le_bytes(field(&segment, 0)) != LOADED {
            continue;
        }
        let offset = u64::from_le_bytes(field(&segment, 8));
        let bytes_in_file = u64::from_le_bytes(field(&segment, 32));
        match offset.checked_add(bytes_in_file) {
            Some(end) if end <= length => {}
            _ => return Err(damaged(&format!("cut off after {length} bytes"))),
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
