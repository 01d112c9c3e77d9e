//! The driver's functions: a table read from the library that was probed, and the handles they use.
//!
//! Types and constants are those of cudarc, and the compiler holds every signature here against
//! cudarc's own, which are made from NVIDIA's header. The calls do not go through cudarc: it opens a
//! library by names of its own, of which `libcuda.so` (a toolkit's stub, at times) comes before
//! `libcuda.so.1`; it panics where a function is missing; and its results are an `enum`, which may not
//! hold the codes that newer drivers add.
#![allow(unsafe_code, reason = "calls into the CUDA driver")]
#![allow(non_snake_case, reason = "names of the driver API")]

use std::error::Error as _;
use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::ptr;

use cudarc::driver::sys;
use libloading::Library;

/// A handle of the driver: an address that only the driver looks at.
#[derive(Debug)]
pub(super) struct Handle<T>(pub(super) *mut T);

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Handle<T> {}

// SAFETY: the address is never followed here, and the driver accepts its handles from every thread.
unsafe impl<T> Send for Handle<T> {}
// SAFETY: as for `Send`; the driver API is thread-safe.
unsafe impl<T> Sync for Handle<T> {}

/// Declares the table of functions, how it is read from a library, and its check against cudarc.
macro_rules! functions {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {
        /// The functions of the driver, whose library is never closed.
        #[derive(Debug, Clone, Copy)]
        pub(super) struct Functions {
            $(pub(super) $name: unsafe extern "C" fn($($type),*) -> c_int,)*
            cuGetErrorName: ErrorName,
        }

        /// Names of all functions of the driver that this crate calls.
        pub const SYMBOLS: &[&str] = &[$(stringify!($name),)* "cuGetErrorName"];

        impl Functions {
            /// All functions, or the name of the first one missing.
            fn load(library: &'static Library) -> Result<Self, &'static str> {
                Ok(Self {
                    $($name: symbol(library, stringify!($name))?,)*
                    cuGetErrorName: symbol(library, "cuGetErrorName")?,
                })
            }
        }

        /// Never called: the compiler compares the arguments above with those in cudarc.
        const _: () = {
            $(
                #[allow(dead_code, clippy::too_many_arguments)]
                unsafe fn $name($($arg: $type),*) -> sys::CUresult {
                    // SAFETY: the caller keeps the contract of the driver API.
                    unsafe { sys::$name($($arg),*) }
                }
            )*
        };
    };
}

/// Takes every code, those that cudarc does not list included.
type ErrorName = unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int;

functions! {
    cuInit(flags: c_uint);
    cuDriverGetVersion(version: *mut c_int);
    cuDeviceGetCount(count: *mut c_int);
    cuDeviceGet(device: *mut sys::CUdevice, index: c_int);
    cuDeviceGetName(name: *mut c_char, bytes: c_int, device: sys::CUdevice);
    cuDeviceGetAttribute(value: *mut c_int, attribute: sys::CUdevice_attribute, device: sys::CUdevice);
    cuDevicePrimaryCtxRetain(context: *mut sys::CUcontext, device: sys::CUdevice);
    cuDevicePrimaryCtxRelease_v2(device: sys::CUdevice);
    cuCtxPushCurrent_v2(context: sys::CUcontext);
    cuCtxPopCurrent_v2(context: *mut sys::CUcontext);
    cuMemGetInfo_v2(free: *mut usize, total: *mut usize);
    cuMemAlloc_v2(address: *mut sys::CUdeviceptr, bytes: usize);
    cuMemFree_v2(address: sys::CUdeviceptr);
    cuMemcpyHtoDAsync_v2(to: sys::CUdeviceptr, from: *const c_void, bytes: usize, stream: sys::CUstream);
    cuMemcpyDtoHAsync_v2(to: *mut c_void, from: sys::CUdeviceptr, bytes: usize, stream: sys::CUstream);
    cuStreamCreate(stream: *mut sys::CUstream, flags: c_uint);
    cuStreamDestroy_v2(stream: sys::CUstream);
    cuStreamSynchronize(stream: sys::CUstream);
    cuStreamBeginCapture_v2(stream: sys::CUstream, mode: sys::CUstreamCaptureMode);
    cuStreamEndCapture(stream: sys::CUstream, graph: *mut sys::CUgraph);
    cuModuleLoadDataEx(
        module: *mut sys::CUmodule,
        image: *const c_void,
        count: c_uint,
        options: *mut sys::CUjit_option,
        values: *mut *mut c_void
    );
    cuModuleUnload(module: sys::CUmodule);
    cuModuleGetFunction(function: *mut sys::CUfunction, module: sys::CUmodule, name: *const c_char);
    cuFuncGetAttribute(value: *mut c_int, attribute: sys::CUfunction_attribute, function: sys::CUfunction);
    cuFuncSetAttribute(function: sys::CUfunction, attribute: sys::CUfunction_attribute, value: c_int);
    cuLaunchKernel(
        function: sys::CUfunction,
        grid_x: c_uint,
        grid_y: c_uint,
        grid_z: c_uint,
        block_x: c_uint,
        block_y: c_uint,
        block_z: c_uint,
        shared: c_uint,
        stream: sys::CUstream,
        params: *mut *mut c_void,
        extra: *mut *mut c_void
    );
    cuGraphInstantiateWithFlags(exec: *mut sys::CUgraphExec, graph: sys::CUgraph, flags: c_ulonglong);
    cuGraphUpload(exec: sys::CUgraphExec, stream: sys::CUstream);
    cuGraphLaunch(exec: sys::CUgraphExec, stream: sys::CUstream);
    cuGraphDestroy(graph: sys::CUgraph);
    cuGraphExecDestroy(exec: sys::CUgraphExec);
}

/// A function of the library. `F` must be its type, a pointer to a function.
fn symbol<F: Copy>(library: &'static Library, name: &'static str) -> Result<F, &'static str> {
    // SAFETY: `F` is the type of a field of `Functions`, compared with cudarc's, of this same name.
    let found = unsafe { library.get::<F>(name) };
    found.map(|function| *function).map_err(|_| name)
}

/// Why a library gave no table.
pub(super) enum OpenError {
    /// What the system's loader said.
    Loader(String),
    /// The first function that is missing.
    Symbol(&'static str),
}

impl Functions {
    /// Opens the library for the rest of the process: the driver has threads of its own, which must
    /// not lose their code.
    pub(super) fn open(name: &str) -> Result<Self, OpenError> {
        // SAFETY: opening runs the initialisers of the CUDA driver, or of what bears its name.
        let library = unsafe { Library::new(name) };
        let library = library.map_err(|error| {
            let said = error
                .source()
                .map_or_else(|| error.to_string(), ToString::to_string);
            // loaders begin with the name
            OpenError::Loader(
                said.strip_prefix(&format!("{name}: "))
                    .unwrap_or(&said)
                    .to_owned(),
            )
        })?;
        Self::load(Box::leak(Box::new(library))).map_err(OpenError::Symbol)
    }

    /// Starts the driver; the code of a failure. Harmless where it runs already.
    pub(super) fn start(&self) -> Result<(), c_int> {
        // SAFETY: takes no pointer; 0 is the only flag.
        checked(unsafe { (self.cuInit)(0) })
    }

    /// 1000 times the major plus 10 times the minor version of CUDA that the driver supports.
    pub(super) fn version(&self) -> Result<c_int, c_int> {
        let mut version = 0;
        // SAFETY: writes the integer it is given.
        checked(unsafe { (self.cuDriverGetVersion)(&raw mut version) }).map(|()| version)
    }

    /// Number of devices.
    pub(super) fn device_count(&self) -> Result<c_int, c_int> {
        let mut count = 0;
        // SAFETY: writes the integer it is given.
        checked(unsafe { (self.cuDeviceGetCount)(&raw mut count) }).map(|()| count)
    }

    /// The device of this index, which need not exist.
    pub(super) fn device(&self, index: c_int) -> Result<sys::CUdevice, c_int> {
        let mut device = 0;
        // SAFETY: writes the integer it is given, and checks the index.
        checked(unsafe { (self.cuDeviceGet)(&raw mut device, index) }).map(|()| device)
    }

    /// Name of a device.
    pub(super) fn device_name(&self, device: sys::CUdevice) -> Result<String, c_int> {
        let mut name = [0_u8; 256];
        // SAFETY: writes at most 255 of the 256 bytes and checks the device.
        checked(unsafe { (self.cuDeviceGetName)(name.as_mut_ptr().cast(), 255, device) })?;
        Ok(text(&name))
    }

    /// One number of a device.
    pub(super) fn attribute(
        &self,
        attribute: sys::CUdevice_attribute,
        device: sys::CUdevice,
    ) -> Result<u32, c_int> {
        let mut value = 0;
        // SAFETY: writes the integer it is given, and checks the device.
        checked(unsafe { (self.cuDeviceGetAttribute)(&raw mut value, attribute, device) })?;
        Ok(u32::try_from(value).unwrap_or(0))
    }

    /// The driver's name for a code, such as `CUDA_ERROR_ILLEGAL_ADDRESS`.
    pub(super) fn error_name(&self, code: c_int) -> String {
        let mut name = ptr::null();
        // SAFETY: accepts every code and writes the pointer it is given.
        let done = unsafe { (self.cuGetErrorName)(code, &raw mut name) };
        if done != 0 || name.is_null() {
            return "a code without a name".to_owned();
        }
        // SAFETY: not null, and then a constant C string of the driver.
        let name = unsafe { CStr::from_ptr(name) };
        name.to_string_lossy().into_owned()
    }
}

/// The text before the first zero byte.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn checked(code: c_int) -> Result<(), c_int> {
    if code == 0 { Ok(()) } else { Err(code) }
}
