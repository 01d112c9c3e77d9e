//! NVIDIA GPUs, by the driver's own interface. Nothing is linked: the driver's library is looked for
//! when it is first asked for, and its absence is an ordinary error ([`probe()`]).
//!
//! ```no_run
//! use pvt_cuda::target::cuda::CudaDevice;
//! use pvt_cuda::target::device::Device;
//!
//! # fn main() -> pvt_cuda::Result<()> {
//! let device = CudaDevice::open(0)?;
//! let memory = device.alloc("a tensor", 1024)?;
//! device.write(&memory, 0, &[0; 1024])?;
//! println!("{}: {:?} bytes free", device.describe(), device.memory_info()?.0);
//! # Ok(())
//! # }
//! ```
//!
//! Devices are used through their primary context, so that addresses and streams of the CUDA runtime,
//! PyTorch or cudarc are good here as well. Every call makes it current and restores what was current
//! before.

mod context;
mod error;
mod ffi;
mod graph;
mod images;
mod launch;
mod library;
mod memory;
mod module;
mod probe;

use std::ffi::c_void;
use std::sync::Arc;

pub use error::{CudaError, Refused, RefusedList};
pub use ffi::SYMBOLS;
pub use graph::Graph;
pub use launch::Prepared;
pub use memory::CudaMemory;
pub use module::CudaFunction;
pub use probe::{Detected, Driver, detect, probe};

use crate::error::Result;
use crate::launch::Launch;
use crate::plan::BufferId;
use crate::target::device::{Bound, Device, DeviceLimits};
use context::{Context, Stream};

/// A GPU and a queue of work on it. Clones are handles of the same.
#[derive(Debug, Clone)]
pub struct CudaDevice {
    context: Arc<Context>,
    stream: Arc<Stream>,
}

impl CudaDevice {
    /// Opens the device of this index, from 0 on. A second opening shares memory and kernels with the
    /// first, and has a queue of its own.
    ///
    /// # Errors
    /// Where there is no driver, no such device, or one older than compute capability 8.0.
    pub fn open(index: u32) -> Result<Self, CudaError> {
        let driver = probe()?;
        let facts = driver.inspect(index)?;
        facts.usable()?;
        Self::on(&Context::shared(driver, facts)?)
    }

    fn on(context: &Arc<Context>) -> Result<Self, CudaError> {
        Ok(Self {
            context: Arc::clone(context),
            stream: Arc::new(Stream::new(context)?),
        })
    }

    /// The same device with a queue of its own, which does not wait for the first one. Memory and
    /// kernels are shared.
    ///
    /// # Errors
    /// What the driver says.
    pub fn new_queue(&self) -> Result<Self, CudaError> {
        Self::on(&self.context)
    }

    /// The queue's `CUstream`, which lives as long as this device and its clones.
    pub fn stream(&self) -> *mut c_void {
        self.stream.address()
    }

    /// Free and all bytes of the device's memory.
    ///
    /// # Errors
    /// What the driver says.
    pub fn memory_info(&self) -> Result<(u64, u64), CudaError> {
        self.context.memory_info()
    }

    /// Loads every kernel of `launches` and lays out their arguments. `place` gives for each buffer
    /// the index of its address among the `slots` addresses of [`Prepared::enqueue`], and an offset
    /// from there in bytes, a multiple of 16.
    ///
    /// # Errors
    /// As [`Device::function`]; and where a buffer has no place.
    pub fn prepare(
        &self,
        launches: &[Launch],
        slots: usize,
        place: impl Fn(BufferId) -> Option<(usize, u64)>,
    ) -> Result<Prepared, CudaError> {
        Prepared::new(&self.context, launches, slots, place)
    }

    /// Records what `work` queues on the `CUstream` that it is given, a fresh one. Nothing runs yet.
    /// While recording, this thread may neither take memory nor wait for a stream.
    ///
    /// # Errors
    /// Those of `work`, after which the recording is discarded; and what the driver says.
    pub fn capture<E: From<CudaError>>(
        &self,
        work: impl FnOnce(*mut c_void) -> Result<(), E>,
    ) -> Result<Graph, E> {
        graph::capture(&self.context, work)
    }
}

impl Device for CudaDevice {
    type Memory = CudaMemory;
    type Function = CudaFunction;

    fn describe(&self) -> String {
        self.context.facts().words.clone()
    }

    fn limits(&self) -> DeviceLimits {
        self.context.facts().limits
    }

    fn alloc(&self, what: &'static str, bytes: u64) -> Result<CudaMemory> {
        Ok(CudaMemory::new(&self.context, what, bytes)?)
    }

    fn address(&self, memory: &CudaMemory) -> u64 {
        memory.address()
    }

    fn write(&self, memory: &CudaMemory, offset: u64, bytes: &[u8]) -> Result<()> {
        Ok(memory.write(&self.stream, offset, bytes)?)
    }

    fn read(&self, memory: &CudaMemory, offset: u64, bytes: &mut [u8]) -> Result<()> {
        Ok(memory.read(&self.stream, offset, bytes)?)
    }

    fn function(&self, launch: &Launch) -> Result<CudaFunction> {
        Ok(CudaFunction::new(&self.context, launch)?)
    }

    fn launch(&self, function: &CudaFunction, launch: &Launch, args: &[Bound]) -> Result<()> {
        if !Arc::ptr_eq(function.context(), &self.context) {
            return Err(CudaError::Foreign {
                what: format!("the kernel `{}`", function.entry()),
                device: self.describe(),
            }
            .into());
        }
        let _current = self.context.enter("launching a kernel")?;
        let stream = self.stream.raw();
        Ok(launch::launch_bound(
            &self.context,
            function,
            launch,
            args,
            stream,
        )?)
    }

    fn finish(&self) -> Result<()> {
        Ok(self.stream.finish("waiting for the device")?)
    }
}
