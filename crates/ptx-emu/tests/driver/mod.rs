//! A real GPU through the driver, where there is one: the same programs run there, and their
//! results are compared with what the emulator's tests demand.
#![allow(unsafe_code, reason = "calls into the CUDA driver")]

use libloading::Library;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};

type Handle = *mut c_void;
type Pointer = u64;
type LaunchKernel = unsafe extern "C" fn(
    Handle,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    Handle,
    *mut *mut c_void,
    *mut *mut c_void,
) -> c_int;

/// `CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES`
const MAX_DYNAMIC_SHARED: c_int = 8;
/// Compute capability, as device attributes.
const CAPABILITY: [c_int; 2] = [75, 76];

/// One argument of a kernel.
pub(crate) enum Value<'a> {
    /// The address of a copy of these bytes, which is copied back after the launch.
    Buffer(&'a mut Vec<u8>),
    /// A number of 32 bits.
    Word([u8; 4]),
}

/// The first GPU of this machine.
pub(crate) struct Gpu {
    driver: Library,
    /// Its name and compute capability.
    pub(crate) name: String,
    pub(crate) capability: (i32, i32),
}

/// Calls a function of the driver; an error with its name and the driver's own words.
macro_rules! call {
    ($gpu:expr, $name:literal, $type:ty, $($arg:expr),*) => {{
        // SAFETY: the type is that of the CUDA driver API.
        let function = unsafe { $gpu.get::<$type>(concat!($name, "\0").as_bytes()) };
        let function = function.map_err(|e| e.to_string())?;
        // SAFETY: the arguments are what the CUDA driver API asks for.
        let code = unsafe { function($($arg),*) };
        if code != 0 {
            return Err(format!("{}: {}", $name, words($gpu, code)));
        }
    }};
}

fn words(driver: &Library, code: c_int) -> String {
    type Describe = unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int;
    // SAFETY: the type is that of the CUDA driver API.
    let Ok(describe) = (unsafe { driver.get::<Describe>(b"cuGetErrorString\0") }) else {
        return format!("error {code}");
    };
    let mut text = std::ptr::null();
    // SAFETY: the driver writes a pointer to a constant text, or leaves null.
    unsafe { describe(code, &raw mut text) };
    if text.is_null() {
        return format!("error {code}");
    }
    // SAFETY: a constant text of the driver, which ends in a zero.
    let text = unsafe { CStr::from_ptr(text) };
    format!("{} ({code})", text.to_string_lossy())
}

impl Gpu {
    /// The first GPU; the reason where there is none.
    pub(crate) fn open() -> Result<Self, String> {
        let names = ["libcuda.so.1", "libcuda.so", "nvcuda.dll"];
        let open = |name: &&str| {
            // SAFETY: the CUDA driver's own initialisation code.
            unsafe { Library::new(*name) }.ok()
        };
        let driver = names.iter().find_map(open);
        let driver = driver.ok_or("no NVIDIA driver library on this machine")?;
        call!(&driver, "cuInit", unsafe extern "C" fn(c_uint) -> c_int, 0);
        let mut device = 0;
        call!(
            &driver,
            "cuDeviceGet",
            unsafe extern "C" fn(*mut c_int, c_int) -> c_int,
            &raw mut device,
            0
        );
        let mut name = [0_u8; 256];
        call!(
            &driver,
            "cuDeviceGetName",
            unsafe extern "C" fn(*mut u8, c_int, c_int) -> c_int,
            name.as_mut_ptr(),
            255,
            device
        );
        let mut capability = [0; 2];
        for (value, attribute) in capability.iter_mut().zip(CAPABILITY) {
            call!(
                &driver,
                "cuDeviceGetAttribute",
                unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int,
                value,
                attribute,
                device
            );
        }
        let mut context: Handle = std::ptr::null_mut();
        call!(
            &driver,
            "cuDevicePrimaryCtxRetain",
            unsafe extern "C" fn(*mut Handle, c_int) -> c_int,
            &raw mut context,
            device
        );
        call!(
            &driver,
            "cuCtxSetCurrent",
            unsafe extern "C" fn(Handle) -> c_int,
            context
        );
        let name = CStr::from_bytes_until_nul(&name).map_err(|e| e.to_string())?;
        Ok(Self {
            driver,
            name: name.to_string_lossy().into_owned(),
            capability: (capability[0], capability[1]),
        })
    }

    /// Runs a kernel; buffers have their new contents after it.
    pub(crate) fn run(
        &self,
        ptx: &str,
        kernel: &str,
        launch: &ptx_emu::Launch,
        arguments: &mut [Value<'_>],
    ) -> Result<(), String> {
        let driver = &self.driver;
        // Tests run on several threads; each needs the context.
        let mut device = 0;
        call!(
            driver,
            "cuDeviceGet",
            unsafe extern "C" fn(*mut c_int, c_int) -> c_int,
            &raw mut device,
            0
        );
        let mut context: Handle = std::ptr::null_mut();
        call!(
            driver,
            "cuDevicePrimaryCtxRetain",
            unsafe extern "C" fn(*mut Handle, c_int) -> c_int,
            &raw mut context,
            device
        );
        call!(
            driver,
            "cuCtxSetCurrent",
            unsafe extern "C" fn(Handle) -> c_int,
            context
        );
        let text = CString::new(ptx.trim_end_matches('\0')).map_err(|e| e.to_string())?;
        let mut module: Handle = std::ptr::null_mut();
        call!(
            driver,
            "cuModuleLoadData",
            unsafe extern "C" fn(*mut Handle, *const c_void) -> c_int,
            &raw mut module,
            text.as_ptr().cast()
        );
        let name = CString::new(kernel).map_err(|e| e.to_string())?;
        let mut function: Handle = std::ptr::null_mut();
        call!(
            driver,
            "cuModuleGetFunction",
            unsafe extern "C" fn(*mut Handle, Handle, *const c_char) -> c_int,
            &raw mut function,
            module,
            name.as_ptr()
        );
        if launch.shared > 48 << 10 {
            let bytes = c_int::try_from(launch.shared).map_err(|e| e.to_string())?;
            call!(
                driver,
                "cuFuncSetAttribute",
                unsafe extern "C" fn(Handle, c_int, c_int) -> c_int,
                function,
                MAX_DYNAMIC_SHARED,
                bytes
            );
        }
        let mut cells: Vec<Vec<u8>> = Vec::new();
        for argument in arguments.iter() {
            let bytes = match argument {
                Value::Buffer(bytes) => bytes,
                Value::Word(word) => {
                    cells.push(word.to_vec());
                    continue;
                }
            };
            let mut address: Pointer = 0;
            call!(
                driver,
                "cuMemAlloc_v2",
                unsafe extern "C" fn(*mut Pointer, usize) -> c_int,
                &raw mut address,
                bytes.len().max(1)
            );
            call!(
                driver,
                "cuMemcpyHtoD_v2",
                unsafe extern "C" fn(Pointer, *const c_void, usize) -> c_int,
                address,
                bytes.as_ptr().cast(),
                bytes.len()
            );
            cells.push(address.to_le_bytes().to_vec());
        }
        let mut pointers: Vec<*mut c_void> =
            cells.iter_mut().map(|c| c.as_mut_ptr().cast()).collect();
        let ([gx, gy, gz], [bx, by, bz]) = (launch.grid, launch.block);
        call!(
            driver,
            "cuLaunchKernel",
            LaunchKernel,
            function,
            gx,
            gy,
            gz,
            bx,
            by,
            bz,
            launch.shared,
            std::ptr::null_mut(),
            pointers.as_mut_ptr(),
            std::ptr::null_mut()
        );
        call!(driver, "cuCtxSynchronize", unsafe extern "C" fn() -> c_int,);
        for (argument, cell) in arguments.iter_mut().zip(&cells) {
            let Value::Buffer(bytes) = argument else {
                continue;
            };
            let address = Pointer::from_le_bytes(cell[..8].try_into().map_err(|_| "an address")?);
            call!(
                driver,
                "cuMemcpyDtoH_v2",
                unsafe extern "C" fn(*mut c_void, Pointer, usize) -> c_int,
                bytes.as_mut_ptr().cast(),
                address,
                bytes.len()
            );
            call!(
                driver,
                "cuMemFree_v2",
                unsafe extern "C" fn(Pointer) -> c_int,
                address
            );
        }
        call!(
            driver,
            "cuModuleUnload",
            unsafe extern "C" fn(Handle) -> c_int,
            module
        );
        Ok(())
    }
}
