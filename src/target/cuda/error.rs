//! What can go wrong on a CUDA device, with what a reader needs to mend it.

use std::fmt;

use crate::kernels::KernelsNotBuilt;

/// One image of a kernel that was not used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// What it is, such as `machine code for 8.9` or `PTX 8.8`.
    pub image: String,
    /// Why it was not used.
    pub why: String,
}

/// A list with one image per line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedList(pub Vec<Refused>);

impl fmt::Display for RefusedList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Refused { image, why } in &self.0 {
            write!(f, "\n  {image}: {why}")?;
        }
        Ok(())
    }
}

/// Why there is no CUDA device, or why it did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CudaError {
    /// No driver library was found, or none that the system's loader accepts.
    #[error(
        "no NVIDIA driver library on this machine ({tried}); install the NVIDIA driver, or use `--target cpu`"
    )]
    NoLibrary {
        /// The names that were tried, and what was said of each.
        tried: String,
    },
    /// The file is not a library, or only a part of one.
    #[error("{path} is not a whole library ({reason}); install the NVIDIA driver again")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The library lacks a function.
    #[error("{library} has no function {symbol}; NVIDIA driver 525 or newer is needed")]
    MissingSymbol {
        /// Name of the library.
        library: String,
        /// Name of the function.
        symbol: &'static str,
    },
    /// The library is the stand-in of a toolkit for linking, not the driver (code 34).
    #[error(
        "{library} is the stub of a CUDA toolkit, not the driver (code 34); take its folder out of \
         LD_LIBRARY_PATH"
    )]
    Stub {
        /// Name of the library.
        library: String,
    },
    /// The driver finds no device (code 100).
    #[error(
        "the NVIDIA driver finds no GPU (code 100); look at CUDA_VISIBLE_DEVICES and `nvidia-smi`"
    )]
    NoDevice,
    /// Library and kernel module are of different versions (code 803).
    #[error(
        "the driver's library and its kernel module are of different versions (code 803); restart the \
         machine after an update of the driver"
    )]
    Mismatch,
    /// The compatibility library does not support this GPU (code 804).
    #[error(
        "the CUDA compatibility library does not support this GPU (code 804); take its folder out of \
         LD_LIBRARY_PATH, or update the driver"
    )]
    Incompatible,
    /// The driver does not start.
    #[error("the NVIDIA driver does not start: {name} (code {code}); look at `nvidia-smi`")]
    Init {
        /// `CUresult`.
        code: i32,
        /// Its name.
        name: String,
    },
    /// The driver is older than the kernels need.
    #[error(
        "the NVIDIA driver is for CUDA {found}, {needed} or newer is needed; update the driver"
    )]
    TooOld {
        /// Version of CUDA that it supports, such as 11.8.
        found: String,
        /// The oldest that is enough.
        needed: &'static str,
    },
    /// No device has this index.
    #[error("there is no device cuda:{index}; the driver finds {count}, from cuda:0 on")]
    NoSuchDevice {
        /// The index.
        index: u32,
        /// Devices that there are.
        count: u32,
    },
    /// The device is older than the kernels need.
    #[error("{device} has compute capability {found}, 8.0 or newer is needed; use `--target cpu`")]
    Capability {
        /// Name of the device.
        device: String,
        /// Its compute capability.
        found: String,
    },
    /// The build has no kernels.
    #[error(transparent)]
    Kernels(#[from] KernelsNotBuilt),
    /// The build has kernels, but not this one.
    #[error(
        "there is no kernel `{entry}` in the module `{module}` for {dtype}; there are: {known}"
    )]
    NoKernel {
        /// The kernel.
        entry: String,
        /// The module.
        module: &'static str,
        /// Type of its tensors.
        dtype: &'static str,
        /// Kernels of the module.
        known: String,
    },
    /// No image of a module can be loaded.
    #[error("{device} can load no image of the module `{module}` for {dtype}:{refused}")]
    NoImage {
        /// The device in words.
        device: String,
        /// The module.
        module: &'static str,
        /// Type of its tensors.
        dtype: &'static str,
        /// What was there, and why it was not used.
        refused: Box<RefusedList>,
    },
    /// A launch that the kernel or the device does not allow.
    #[error("`{entry}` cannot be launched: {why}")]
    Launch {
        /// The kernel.
        entry: String,
        /// What is wrong, with what is allowed.
        why: String,
    },
    /// Addresses of buffers that do not fit what was prepared.
    #[error("{why}; nothing was launched")]
    Addresses {
        /// What is wrong.
        why: String,
    },
    /// Bytes outside of a piece of memory.
    #[error("{bytes} bytes from byte {offset} on do not lie in the {has} bytes of `{what}`")]
    Range {
        /// The memory's purpose.
        what: &'static str,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        bytes: u64,
        /// Bytes of the memory.
        has: u64,
    },
    /// Memory or a kernel of another device.
    #[error("{what} belongs to another device than {device}")]
    Foreign {
        /// What it is.
        what: String,
        /// The device that was asked.
        device: String,
    },
    /// The device has not enough free memory.
    #[error(
        "{device} has {free} bytes free of {total}, {needed} are needed for `{what}`; use smaller \
         batches or pictures"
    )]
    OutOfMemory {
        /// The device in words.
        device: String,
        /// The memory's purpose.
        what: &'static str,
        /// Bytes asked for.
        needed: u64,
        /// Bytes free.
        free: u64,
        /// Bytes of the device.
        total: u64,
    },
    /// An error after which nothing on the device works any more.
    #[error(
        "{device} is lost since an error while {doing}: {name} (code {code}); restart the program"
    )]
    DeviceLost {
        /// The device in words.
        device: String,
        /// What was being done when it showed.
        doing: &'static str,
        /// `CUresult`.
        code: i32,
        /// Its name.
        name: String,
    },
    /// A call that failed, and may work another time.
    #[error("{doing} failed: {name} (code {code})")]
    Call {
        /// What was being done.
        doing: &'static str,
        /// `CUresult`.
        code: i32,
        /// Its name.
        name: String,
    },
}

/// Codes after which the context, or the process, is of no use: later calls give the same code.
pub(super) fn is_fatal(code: i32) -> bool {
    matches!(
        code,
        4 // DEINITIALIZED
        | 214 // ECC_UNCORRECTABLE
        | 220 // NVLINK_UNCORRECTABLE
        | 700 // ILLEGAL_ADDRESS
        | 702 // LAUNCH_TIMEOUT
        | 709 // CONTEXT_IS_DESTROYED
        | 710 // ASSERT
        | 714
            ..=719 // HARDWARE_STACK_ERROR, ILLEGAL_INSTRUCTION, … LAUNCH_FAILED
        | 721 // TENSOR_MEMORY_LEAK
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_small() {
        assert!(size_of::<CudaError>() <= 80);
    }

    #[test]
    fn running_out_of_memory_and_of_resources_is_not_the_end() {
        for code in [1, 2, 200, 201, 222, 400, 701, 720, 900] {
            assert!(!is_fatal(code), "{code}");
        }
        for code in [214, 220, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719] {
            assert!(is_fatal(code), "{code}");
        }
    }
}
