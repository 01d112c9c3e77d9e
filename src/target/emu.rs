//! Runs kernels in the PTX emulator: the same kernels as on a GPU, on any machine, with every access
//! checked and counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ptx_emu::{
    Arg, Buffer, Checks, DeviceSpec, LaunchError, LoadError, MemoryError, Module, Report, Schedule,
};

use super::device::{Bound, Device, DeviceLimits};
use crate::error::Result;
use crate::kernels::{self, KernelsNotBuilt};
use crate::launch::{Access, Kernel, Launch};

/// What went wrong in the emulator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmuError {
    /// A kernel did what it must not.
    #[error("{kernel}: {count} violations, the first: {first}; this is a defect of the kernel")]
    Violations {
        /// The kernel.
        kernel: Kernel,
        /// How many kinds.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// A launch that cannot begin.
    #[error("{kernel}: {source}")]
    Launch {
        /// The kernel.
        kernel: Kernel,
        /// Why.
        source: Box<LaunchError>,
    },
    /// PTX that the emulator does not understand.
    #[error("{module}: {source}")]
    Load {
        /// The module.
        module: String,
        /// Why.
        source: Box<LoadError>,
    },
    /// A kernel that this build does not have.
    #[error("this build has no kernel `{kernel}`; it has {known}")]
    NoKernel {
        /// The kernel.
        kernel: Kernel,
        /// The modules there are.
        known: String,
    },
    /// Memory of the emulated device.
    #[error("{what}: {source}")]
    Memory {
        /// What it was for.
        what: &'static str,
        /// What is wrong.
        source: MemoryError,
    },
    /// No kernels at all.
    #[error(transparent)]
    NotBuilt(#[from] KernelsNotBuilt),
}

/// An emulated device. Clones are handles of the same.
#[derive(Debug, Clone)]
pub struct EmuDevice {
    shared: Arc<Mutex<Shared>>,
    spec: Arc<DeviceSpec>,
    apart: bool,
}

#[derive(Debug)]
struct Shared {
    device: ptx_emu::Device,
    modules: HashMap<(&'static str, &'static str), Module>,
    /// Reports of launches, if they are kept.
    reports: Option<Vec<(Kernel, Report)>>,
}

/// Memory of an emulated device.
#[derive(Debug)]
pub struct EmuMemory {
    buffer: Buffer,
    shared: Arc<Mutex<Shared>>,
}

impl Drop for EmuMemory {
    fn drop(&mut self) {
        // a buffer of this handle is freed once, and is no part of another: this cannot fail
        let _ = lock(&self.shared).device.free(self.buffer);
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EmuDevice {
    /// An H200 with all checks on, that uses `threads` threads of this machine, 0 for one per core.
    pub fn new(threads: usize) -> Self {
        Self::describing(DeviceSpec::h200(), threads)
    }

    /// As [`EmuDevice::new`], for another device.
    pub fn describing(spec: DeviceSpec, threads: usize) -> Self {
        let mut device = ptx_emu::Device::new(spec.clone());
        if threads > 0 {
            device.set_threads(threads);
        }
        let shared = Shared {
            device,
            modules: HashMap::new(),
            reports: None,
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
            spec: Arc::new(spec),
            apart: true,
        }
    }

    /// Whether every buffer is memory of its own (as it is at first), with room around it, so that an
    /// access beyond it is found; else a workspace is laid out as on a GPU.
    #[must_use]
    pub fn with_buffers_apart(self, apart: bool) -> Self {
        Self { apart, ..self }
    }

    /// Sets what later launches check and count.
    pub fn set_checks(&self, checks: Checks) {
        lock(&self.shared).device.set_checks(checks);
    }

    /// Sets the order in which blocks and warps run.
    pub fn set_schedule(&self, schedule: Schedule) {
        lock(&self.shared).device.set_schedule(schedule);
    }

    /// Keeps the report of every launch from now on.
    pub fn keep_reports(&self) {
        lock(&self.shared).reports = Some(Vec::new());
    }

    /// The reports since the last call, in the order of the launches.
    pub fn take_reports(&self) -> Vec<(Kernel, Report)> {
        let mut shared = lock(&self.shared);
        shared
            .reports
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }
}

/// The module of a kernel, which has the kernel.
fn module_of(kernel: Kernel) -> Result<&'static kernels::Module, EmuError> {
    let entry = kernel.to_string();
    let found = kernels::module(kernel.module, kernel.dtype)?;
    let found = found.filter(|module| module.entries.contains(&entry.as_str()));
    if let Some(module) = found {
        return Ok(module);
    }
    let known = kernels::modules()?.iter();
    let known: Vec<&str> = known.flat_map(|m| m.entries.iter().copied()).collect();
    Err(EmuError::NoKernel {
        kernel,
        known: known.join(", "),
    })
}

impl Device for EmuDevice {
    type Memory = EmuMemory;
    type Function = Module;

    fn describe(&self) -> String {
        format!("emulator of {}", self.spec.name)
    }

    fn apart(&self) -> bool {
        self.apart
    }

    fn limits(&self) -> DeviceLimits {
        DeviceLimits {
            capability: self.spec.compute_capability.0 * 10 + self.spec.compute_capability.1,
            multiprocessors: self.spec.multiprocessors,
            shared_per_block: self.spec.shared_bytes_per_block_opt_in,
        }
    }

    fn alloc(&self, what: &'static str, bytes: u64) -> Result<EmuMemory> {
        let buffer = lock(&self.shared).device.alloc_named(what, bytes);
        let buffer = buffer.map_err(|source| EmuError::Memory { what, source })?;
        Ok(EmuMemory {
            buffer,
            shared: Arc::clone(&self.shared),
        })
    }

    fn address(&self, memory: &EmuMemory) -> u64 {
        memory.buffer.address()
    }

    fn write(&self, memory: &EmuMemory, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = offset + bytes.len() as u64;
        let part = memory.buffer.slice(offset..end);
        let written = lock(&self.shared).device.write(&part, bytes);
        let what = "copy to the device";
        Ok(written.map_err(|source| EmuError::Memory { what, source })?)
    }

    fn read(&self, memory: &EmuMemory, offset: u64, bytes: &mut [u8]) -> Result<()> {
        let end = offset + bytes.len() as u64;
        let part = memory.buffer.slice(offset..end);
        let what = "copy from the device";
        let found = lock(&self.shared).device.read(&part);
        bytes.copy_from_slice(&found.map_err(|source| EmuError::Memory { what, source })?);
        Ok(())
    }

    fn function(&self, launch: &Launch) -> Result<Module> {
        let kernel = launch.kernel;
        let module = module_of(kernel)?;
        let mut shared = lock(&self.shared);
        if let Some(known) = shared.modules.get(&(module.name, module.dtype)) {
            return Ok(known.clone());
        }
        let parsed = Module::parse(module.ptx).map_err(|source| EmuError::Load {
            module: format!("{} ({})", module.name, module.dtype),
            source: Box::new(source),
        })?;
        let key = (module.name, module.dtype);
        Ok(shared.modules.entry(key).or_insert(parsed).clone())
    }

    fn launch(&self, function: &Module, launch: &Launch, args: &[Bound]) -> Result<()> {
        let kernel = launch.kernel;
        let mut shared = lock(&self.shared);
        let args: Vec<Arg> = args.iter().map(argument).collect();
        let grid = ptx_emu::Launch {
            grid: launch.grid,
            block: launch.block,
            shared: launch.shared,
            cluster: None,
        };
        let report = shared
            .device
            .launch(function, &kernel.to_string(), &grid, &args);
        let report = report.map_err(|source| EmuError::Launch {
            kernel,
            source: Box::new(source),
        })?;
        if let Some(first) = report.violations.first() {
            let (count, first) = (report.violations.len(), first.to_string());
            return Err(EmuError::Violations {
                kernel,
                count,
                first,
            }
            .into());
        }
        if let Some(reports) = &mut shared.reports {
            reports.push((kernel, report));
        }
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        Ok(())
    }
}

fn argument(arg: &Bound) -> Arg {
    match *arg {
        Bound::Buffer {
            address,
            bytes,
            access,
        } => {
            let buffer = Buffer::at(address, bytes);
            match access {
                Access::In => Arg::input(&buffer),
                Access::Out => Arg::output(&buffer),
                Access::InOut => Arg::in_out(&buffer),
            }
        }
        Bound::Null => Arg::null(),
        Bound::U32(value) => Arg::u32(value),
        Bound::U64(value) => Arg::u64(value),
        Bound::F32(value) => Arg::f32(value),
    }
}
