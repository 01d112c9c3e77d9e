//! What runs launches: a GPU behind its driver, the emulator, a recorder. It knows memory and kernels,
//! and nothing of networks; another engine can bring its own.

use std::fmt;

use crate::error::Result;
use crate::launch::{Access, Launch};

/// An argument as a device sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// A buffer on the device.
    Buffer {
        /// Its first byte.
        address: u64,
        /// Its length; a kernel touches no more.
        bytes: u64,
        /// What the kernel does with it.
        access: Access,
    },
    /// The null pointer.
    Null,
    /// A 32-bit unsigned integer.
    U32(u32),
    /// A 64-bit unsigned integer.
    U64(u64),
    /// A single-precision number.
    F32(f32),
}

/// What a device offers to one block, and how many blocks at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceLimits {
    /// Ten times the major plus the minor number of the compute capability: 90 is 9.0.
    pub capability: u32,
    /// Multiprocessors.
    pub multiprocessors: u32,
    /// Most bytes of shared memory of one block.
    pub shared_per_block: u32,
}

/// A device and a queue of launches on it, which run in order. Clones are handles of the same.
pub trait Device: Clone + fmt::Debug + Send + Sync {
    /// Memory on the device, freed when dropped.
    type Memory: fmt::Debug + Send + Sync;
    /// A kernel, loaded and ready for a launch.
    type Function: Clone + fmt::Debug + Send + Sync;

    /// The device in words, such as `cuda:0 NVIDIA H200 (compute capability 9.0)`.
    fn describe(&self) -> String;

    /// Whether every buffer of a workspace should be memory of its own, so that the device can tell one
    /// from another; else buffers that are not alive at the same time share memory.
    fn apart(&self) -> bool {
        false
    }

    /// What a block may use.
    fn limits(&self) -> DeviceLimits;

    /// Takes `bytes` of memory for `what`, aligned to 256 bytes, with any contents.
    ///
    /// # Errors
    /// Where there is not enough; the error names needed and free bytes.
    fn alloc(&self, what: &'static str, bytes: u64) -> Result<Self::Memory>;

    /// Address of the first byte.
    fn address(&self, memory: &Self::Memory) -> u64;

    /// Copies `bytes` to `memory` from byte `offset` on, after all earlier launches.
    ///
    /// # Errors
    /// Where they do not fit, or the device is lost.
    fn write(&self, memory: &Self::Memory, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Fills `bytes` from `memory` from byte `offset` on, after all earlier launches.
    ///
    /// # Errors
    /// As [`Device::write`].
    fn read(&self, memory: &Self::Memory, offset: u64, bytes: &mut [u8]) -> Result<()>;

    /// Loads the kernel of `launch` and makes it ready for its block and shared memory.
    ///
    /// # Errors
    /// Where the kernel is not in this build, or the device cannot run it so.
    fn function(&self, launch: &Launch) -> Result<Self::Function>;

    /// Queues one launch. `args` has one element for each of [`Launch::args`], in order.
    ///
    /// # Errors
    /// What the device says of it.
    fn launch(&self, function: &Self::Function, launch: &Launch, args: &[Bound]) -> Result<()>;

    /// Waits until everything queued is done.
    ///
    /// # Errors
    /// What went wrong meanwhile.
    fn finish(&self) -> Result<()>;
}
