//! The functions of the library, and all `unsafe` code: pointers go no further than this file.
#![allow(unsafe_code, reason = "calls into a C library")]

use std::error::Error;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;

use libloading::Library;

use crate::OpenError;

/// `nvrtcProgram`.
type Handle = *mut c_void;

/// An `nvrtcResult` other than 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(c_int);

/// A size query and a copy of the text or image that it measured.
type Size = unsafe extern "C" fn(Handle, *mut usize) -> c_int;
type CopyOut = unsafe extern "C" fn(Handle, *mut c_char) -> c_int;

/// Declares the table of functions, and how it is read from a library.
macro_rules! functions {
    ($($field:ident: $name:literal $signature:ty,)*) => {
        /// The functions of one library, which is never closed.
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct Functions {
            $($field: $signature,)*
        }

        impl Functions {
            fn load(library: &'static Library, opened: &OsStr) -> Result<Self, OpenError> {
                $(
                    // SAFETY: `nvrtc.h` declares this name with this signature in 11.2 to 13.x.
                    let found = unsafe { library.get::<$signature>($name) };
                    let $field = *found.map_err(|_| OpenError::Function {
                        name: opened.to_string_lossy().into_owned(),
                        function: $name,
                    })?;
                )*
                Ok(Self { $($field,)* })
            }
        }
    };
}

functions! {
    version: "nvrtcVersion" unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int,
    error_string: "nvrtcGetErrorString" unsafe extern "C" fn(c_int) -> *const c_char,
    arch_count: "nvrtcGetNumSupportedArchs" unsafe extern "C" fn(*mut c_int) -> c_int,
    arch_list: "nvrtcGetSupportedArchs" unsafe extern "C" fn(*mut c_int) -> c_int,
    create: "nvrtcCreateProgram" unsafe extern "C" fn(
        *mut Handle,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int,
    compile: "nvrtcCompileProgram" unsafe extern "C" fn(Handle, c_int, *const *const c_char) -> c_int,
    destroy: "nvrtcDestroyProgram" unsafe extern "C" fn(*mut Handle) -> c_int,
    log_size: "nvrtcGetProgramLogSize" Size,
    log: "nvrtcGetProgramLog" CopyOut,
    ptx_size: "nvrtcGetPTXSize" Size,
    ptx: "nvrtcGetPTX" CopyOut,
    cubin_size: "nvrtcGetCUBINSize" Size,
    cubin: "nvrtcGetCUBIN" CopyOut,
}

fn checked(code: c_int) -> Result<(), Code> {
    if code == 0 { Ok(()) } else { Err(Code(code)) }
}

fn open_library(name: &OsStr) -> Result<Library, libloading::Error> {
    // SAFETY: opening runs the library's initialisers. The name is that of NVRTC or of its table of
    // built-ins, chosen by the caller or found under that name in NVIDIA's folders.
    unsafe { Library::new(name) }
}

/// Keeps the library at `path` loaded, so that a later search by its plain name finds it. A failure
/// shows at the first compile, with NVRTC's own text.
pub(crate) fn preload(path: &Path) {
    if let Ok(library) = open_library(path.as_os_str()) {
        Box::leak(Box::new(library));
    }
}

impl Functions {
    /// Opens the library for the rest of the process: NVRTC keeps threads and caches of its own, which
    /// must not lose their code.
    pub(crate) fn open(name: &OsStr) -> Result<Self, OpenError> {
        let library = open_library(name).map_err(|error| {
            let name = name.to_string_lossy().into_owned();
            let said = error
                .source()
                .map_or_else(|| error.to_string(), ToString::to_string);
            // Some loaders begin with the name.
            let reason = said.strip_prefix(&format!("{name}: ")).unwrap_or(&said);
            OpenError::Loader {
                reason: reason.to_owned(),
                name,
            }
        })?;
        Self::load(Box::leak(Box::new(library)), name)
    }

    pub(crate) fn version(&self) -> Result<(i32, i32), Code> {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: writes the two integers it is given.
        let code = unsafe { (self.version)(&raw mut major, &raw mut minor) };
        checked(code).map(|()| (major, minor))
    }

    /// Compute capabilities such as 80 or 90, as NVRTC lists them.
    pub(crate) fn archs(&self) -> Result<Vec<i32>, Code> {
        let mut count = 0;
        // SAFETY: writes the integer it is given.
        checked(unsafe { (self.arch_count)(&raw mut count) })?;
        let mut archs = vec![0; usize::try_from(count).unwrap_or(0)];
        // SAFETY: writes as many integers as the call above said.
        checked(unsafe { (self.arch_list)(archs.as_mut_ptr()) })?;
        Ok(archs)
    }

    /// NVRTC's text for an error.
    pub(crate) fn describe(&self, code: Code) -> String {
        // SAFETY: accepts every integer.
        let text = unsafe { (self.error_string)(code.0) };
        if text.is_null() {
            return format!("error {}", code.0);
        }
        // SAFETY: not null, and then a constant C string of the library.
        let text = unsafe { CStr::from_ptr(text) };
        format!("{} ({})", text.to_string_lossy(), code.0)
    }
}

/// A program: one source, compiled once.
pub(crate) struct Program<'a> {
    functions: &'a Functions,
    handle: Handle,
}

impl<'a> Program<'a> {
    pub(crate) fn new(functions: &'a Functions, source: &CStr, name: &CStr) -> Result<Self, Code> {
        let mut handle = ptr::null_mut();
        // SAFETY: the C strings live during the call, which copies them; no headers are given, so
        // their count is 0 and their lists may be null.
        let code = unsafe {
            (functions.create)(
                &raw mut handle,
                source.as_ptr(),
                name.as_ptr(),
                0,
                ptr::null(),
                ptr::null(),
            )
        };
        checked(code).map(|()| Self { functions, handle })
    }

    pub(crate) fn compile(&self, options: &[CString]) -> Result<(), Code> {
        let pointers: Vec<*const c_char> = options.iter().map(|o| o.as_ptr()).collect();
        let count = c_int::try_from(pointers.len()).unwrap_or(c_int::MAX);
        // SAFETY: the handle is live until `drop`; `count` is at most the number of C strings in
        // `pointers`, which `options` keeps alive.
        checked(unsafe { (self.functions.compile)(self.handle, count, pointers.as_ptr()) })
    }

    pub(crate) fn log(&self) -> Result<Vec<u8>, Code> {
        self.bytes(self.functions.log_size, self.functions.log)
    }

    pub(crate) fn ptx(&self) -> Result<Vec<u8>, Code> {
        self.bytes(self.functions.ptx_size, self.functions.ptx)
    }

    pub(crate) fn cubin(&self) -> Result<Vec<u8>, Code> {
        self.bytes(self.functions.cubin_size, self.functions.cubin)
    }

    /// What `copy` writes. Both functions must be a pair of the table above.
    fn bytes(&self, size: Size, copy: CopyOut) -> Result<Vec<u8>, Code> {
        let mut length = 0;
        // SAFETY: the handle is live until `drop`; writes the size it is given.
        checked(unsafe { size(self.handle, &raw mut length) })?;
        let mut bytes = vec![0_u8; length];
        if length > 0 {
            // SAFETY: the handle is live; writes as many bytes as its partner said.
            checked(unsafe { copy(self.handle, bytes.as_mut_ptr().cast()) })?;
        }
        Ok(bytes)
    }
}

impl Drop for Program<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle came from `create` and is used for the last time. A failure leaves
        // nothing to be done.
        let _ = unsafe { (self.functions.destroy)(&raw mut self.handle) };
    }
}
