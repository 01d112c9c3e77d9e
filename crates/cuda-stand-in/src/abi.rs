//! What callers in C hand over: pointers, each with the one thing that is done with it.
#![allow(unsafe_code, reason = "pointers of callers in C")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::slice;

use crate::state::{INVALID_VALUE, Outcome};

/// A handle: a number in the clothes of a pointer.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Handle(*mut c_void);

impl Handle {
    pub(crate) fn number(self) -> usize {
        self.0.addr()
    }

    pub(crate) fn of(number: usize) -> Self {
        Self(std::ptr::without_provenance_mut(number))
    }
}

/// A place for a result.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    pub(crate) fn put(self, value: T) -> Outcome {
        if self.0.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: not null, and then a place for a `T` by the driver API. A place may hold no value
        // yet, and `write` looks at none.
        unsafe { self.0.write(value) };
        Ok(())
    }
}

impl Out<c_char> {
    /// Writes a text and its zero, cut off so that they fit into `bytes`.
    pub(crate) fn put_text(self, text: &str, bytes: usize) -> Outcome {
        let count = text.len().min(bytes.saturating_sub(1));
        if self.0.is_null() || bytes == 0 {
            return Err(INVALID_VALUE);
        }
        // SAFETY: not null, and then a place for `bytes` bytes by the driver API, which are written
        // before they are read.
        let place = unsafe { slice::from_raw_parts_mut(self.0.cast::<u8>(), bytes) };
        place[..count].copy_from_slice(&text.as_bytes()[..count]);
        place[count] = 0;
        Ok(())
    }
}

/// A text that ends in a zero byte.
#[repr(transparent)]
pub(crate) struct Text(*const c_char);

impl Text {
    pub(crate) fn read(&self) -> Outcome<String> {
        if self.0.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: not null, and then a text that ends in a zero by the driver API.
        let text = unsafe { CStr::from_ptr(self.0) };
        Ok(text.to_string_lossy().into_owned())
    }
}

/// An image: machine code, or a text that ends in a zero byte.
#[repr(transparent)]
pub(crate) struct Image(*const c_void);

impl Image {
    /// The text; nothing for machine code, which begins with a byte that no text has.
    pub(crate) fn text(&self) -> Outcome<Option<String>> {
        if self.0.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: not null; an image has at least one byte.
        let first = unsafe { self.0.cast::<u8>().read() };
        if first == 0x7f {
            return Ok(None);
        }
        Text(self.0.cast()).read().map(Some)
    }
}

/// Bytes of the host that are read.
#[repr(transparent)]
pub(crate) struct Source(*const c_void);

impl Source {
    pub(crate) fn read(&self, bytes: usize) -> Outcome<Vec<u8>> {
        if self.0.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: not null, and then so many bytes by the driver API.
        let place = unsafe { slice::from_raw_parts(self.0.cast::<u8>(), bytes) };
        Ok(place.to_vec())
    }
}

/// Bytes of the host that are written.
#[repr(transparent)]
pub(crate) struct Target(*mut c_void);

impl Target {
    pub(crate) fn write(&self, bytes: &[u8]) -> Outcome {
        if self.0.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: not null, and then a place for so many bytes by the driver API, none of which are
        // read.
        let place = unsafe { slice::from_raw_parts_mut(self.0.cast::<u8>(), bytes.len()) };
        place.copy_from_slice(bytes);
        Ok(())
    }
}

/// Pointers to the values of a kernel's parameters.
#[repr(transparent)]
pub(crate) struct Params(*const *const c_void);

impl Params {
    /// The values, which have these sizes.
    pub(crate) fn read(&self, sizes: &[u32]) -> Outcome<Vec<Vec<u8>>> {
        if self.0.is_null() && !sizes.is_empty() {
            return Err(INVALID_VALUE);
        }
        let mut values = Vec::new();
        for (index, bytes) in sizes.iter().enumerate() {
            // SAFETY: a list of as many pointers as the kernel has parameters, by the driver API.
            let at = unsafe { self.0.add(index) };
            // SAFETY: as above.
            let value = unsafe { at.read() };
            values.push(Source(value).read(*bytes as usize)?);
        }
        Ok(values)
    }
}

/// Options of the compiler and their values.
#[repr(transparent)]
pub(crate) struct Options(*const c_int);

#[repr(transparent)]
pub(crate) struct Values(*const *mut c_void);

/// `CU_JIT_ERROR_LOG_BUFFER` and `…_SIZE_BYTES`
const ERROR_LOG: [c_int; 2] = [5, 6];

impl Options {
    /// Writes `text` into the caller's buffer for errors, if it has one.
    pub(crate) fn log(&self, values: &Values, count: usize, text: &str) -> Outcome {
        let mut found = [None; 2];
        for index in 0..count {
            // SAFETY: a list of `count` options, by the driver API.
            let at = unsafe { self.0.add(index) };
            // SAFETY: as above.
            let option = unsafe { at.read() };
            // SAFETY: a list of as many values.
            let at = unsafe { values.0.add(index) };
            // SAFETY: as above.
            let value = unsafe { at.read() };
            for (place, wanted) in found.iter_mut().zip(ERROR_LOG) {
                if option == wanted {
                    *place = Some(value);
                }
            }
        }
        match found {
            [Some(buffer), Some(bytes)] => {
                Out(buffer.cast::<c_char>()).put_text(text, bytes.addr())
            }
            _ => Ok(()),
        }
    }
}
