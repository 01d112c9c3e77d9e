//! Whether there is a driver that works.

use std::ffi::c_int;
use std::sync::OnceLock;

use cudarc::driver::sys::CUdevice;
use cudarc::driver::sys::CUdevice_attribute as Attribute;

use super::error::CudaError;
use super::ffi::Functions;
use super::library;
use crate::kernels;
use crate::target::device::DeviceLimits;

/// Oldest version of CUDA whose drivers load what this crate brings: 1000 times the major plus 10
/// times the minor number.
const OLDEST: c_int = 12_000;

/// A driver that is loaded and running, with all functions that this crate calls.
#[derive(Debug, Clone, Copy)]
pub struct Driver {
    pub(super) functions: &'static Functions,
    library: &'static str,
    version: c_int,
    devices: u32,
}

/// Looks for the driver, starts it and asks for its devices. Never panics; a failure is not
/// remembered, so that a later call may succeed.
///
/// # Errors
/// Why there is no driver, or why it cannot be used.
pub fn probe() -> Result<Driver, CudaError> {
    // A process has one driver, whose library stays open.
    static OPENED: OnceLock<(&'static str, Functions)> = OnceLock::new();
    let (library, functions) = if let Some(opened) = OPENED.get() {
        opened
    } else {
        let opened = library::open()?;
        OPENED.get_or_init(|| opened)
    };
    functions
        .start()
        .map_err(|code| refusal(functions, library, code))?;
    let version = functions.version();
    let version = version.map_err(|code| refusal(functions, library, code))?;
    if version < OLDEST {
        let found = words(version);
        let needed = "12.0 (driver 525)";
        return Err(CudaError::TooOld { found, needed });
    }
    let devices = functions.device_count();
    let devices = devices.map_err(|code| refusal(functions, library, code))?;
    let devices = u32::try_from(devices).unwrap_or(0);
    if devices == 0 {
        return Err(CudaError::NoDevice);
    }
    Ok(Driver {
        functions,
        library,
        version,
        devices,
    })
}

fn refusal(functions: &Functions, library: &'static str, code: c_int) -> CudaError {
    match code {
        34 => CudaError::Stub {
            library: library.to_owned(),
        },
        100 => CudaError::NoDevice,
        803 => CudaError::Mismatch,
        804 => CudaError::Incompatible,
        code => CudaError::Init {
            code,
            name: functions.error_name(code),
        },
    }
}

fn words(version: c_int) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

impl Driver {
    /// Version of CUDA that the driver supports, such as `12.8`.
    pub fn version(&self) -> String {
        words(self.version)
    }

    /// Number of devices, at least one.
    pub fn devices(&self) -> u32 {
        self.devices
    }

    /// Name by which its library was found.
    pub fn library(&self) -> &'static str {
        self.library
    }

    /// What is known of a device before it is opened.
    pub(super) fn inspect(&self, index: u32) -> Result<Facts, CudaError> {
        let count = self.devices;
        let number = c_int::try_from(index).ok().filter(|_| index < count);
        let number = number.ok_or(CudaError::NoSuchDevice { index, count })?;
        let failed = |code| CudaError::Call {
            doing: "asking for the properties of a device",
            code,
            name: self.functions.error_name(code),
        };
        let device = self.functions.device(number).map_err(failed)?;
        let name = self.functions.device_name(device).map_err(failed)?;
        let ask = |attribute| self.functions.attribute(attribute, device).map_err(failed);
        let major = ask(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        let minor = ask(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        let limits = DeviceLimits {
            capability: 10 * major + minor,
            multiprocessors: ask(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
            shared_per_block: ask(
                Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
            )?,
        };
        let words = format!(
            "cuda:{index} {name} (compute capability {major}.{minor}, driver for CUDA {})",
            self.version()
        );
        Ok(Facts {
            device,
            words,
            limits,
        })
    }
}

/// What is known of a device before it is opened.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) device: CUdevice,
    pub(super) words: String,
    pub(super) limits: DeviceLimits,
}

impl Facts {
    /// Refuses a device that can run none of the kernels.
    pub(super) fn usable(&self) -> Result<(), CudaError> {
        let capability = self.limits.capability;
        if capability < 80 {
            return Err(CudaError::Capability {
                device: self.words.clone(),
                found: format!("{}.{}", capability / 10, capability % 10),
            });
        }
        Ok(())
    }
}

/// A device that was found, or the reason why there is none.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Detected {
    /// The device in words, or `cuda` where there is none.
    pub name: String,
    /// Why it cannot be used.
    pub problem: Option<CudaError>,
}

/// Every device of this machine, and why those that cannot be used cannot. Opens none.
pub fn detect() -> Vec<Detected> {
    let driver = match probe() {
        Ok(driver) => driver,
        Err(problem) => {
            return vec![Detected {
                name: "cuda".to_owned(),
                problem: Some(problem),
            }];
        }
    };
    let one = |index| match driver.inspect(index) {
        Ok(facts) => Detected {
            problem: (facts.usable().err()).or_else(|| kernels::modules().err().map(Into::into)),
            name: facts.words,
        },
        Err(problem) => Detected {
            name: format!("cuda:{index}"),
            problem: Some(problem),
        },
    };
    (0..driver.devices).map(one).collect()
}
