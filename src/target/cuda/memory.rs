//! Memory on the device, and copies to and from it.
#![allow(unsafe_code, reason = "calls into the CUDA driver")]

use std::sync::Arc;

use super::context::{Context, Stream};
use super::error::CudaError;

/// `CUDA_ERROR_OUT_OF_MEMORY`
const OUT_OF_MEMORY: i32 = 2;

/// Memory on a device, freed when dropped. It keeps the device open.
#[derive(Debug)]
pub struct CudaMemory {
    context: Arc<Context>,
    what: &'static str,
    address: u64,
    bytes: u64,
}

impl CudaMemory {
    pub(super) fn new(
        context: &Arc<Context>,
        what: &'static str,
        bytes: u64,
    ) -> Result<Self, CudaError> {
        let doing = "taking memory";
        let no_room = |(free, total)| CudaError::OutOfMemory {
            device: context.facts().words.clone(),
            what,
            needed: bytes,
            free,
            total,
        };
        // the driver gives no memory of no bytes
        let Ok(wanted) = usize::try_from(bytes.max(1)) else {
            return Err(no_room(context.memory_info()?));
        };
        let _current = context.enter(doing)?;
        let mut address = 0;
        // SAFETY: writes the address it is given; the context is current.
        let code = unsafe { (context.functions().cuMemAlloc_v2)(&raw mut address, wanted) };
        if code == OUT_OF_MEMORY {
            return Err(no_room(context.memory_info()?));
        }
        context.check(code, doing)?;
        Ok(Self {
            context: Arc::clone(context),
            what,
            address,
            bytes,
        })
    }

    /// Address of the first byte.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Number of bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Address of byte `offset`, if `bytes` from there on lie within, on this device.
    fn range(&self, stream: &Stream, offset: u64, bytes: usize) -> Result<u64, CudaError> {
        if !Arc::ptr_eq(&self.context, stream.context()) {
            return Err(CudaError::Foreign {
                what: format!("the memory of `{}`", self.what),
                device: stream.context().facts().words.clone(),
            });
        }
        let bytes = bytes as u64;
        let end = offset.checked_add(bytes);
        if end.is_none_or(|end| end > self.bytes) {
            return Err(CudaError::Range {
                what: self.what,
                offset,
                bytes,
                has: self.bytes,
            });
        }
        Ok(self.address + offset)
    }

    /// Copies from the host, after earlier work of the stream, and waits.
    pub(super) fn write(
        &self,
        stream: &Stream,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), CudaError> {
        let doing = "copying to the device";
        let to = self.range(stream, offset, bytes.len())?;
        if bytes.is_empty() {
            return Ok(());
        }
        let _current = self.context.enter(doing)?;
        let copy = self.context.functions().cuMemcpyHtoDAsync_v2;
        // SAFETY: `range` checked the device's side; the host's side lives until `finish` returns.
        let code = unsafe { copy(to, bytes.as_ptr().cast(), bytes.len(), stream.raw()) };
        self.context.check(code, doing)?;
        stream.finish(doing)
    }

    /// Copies to the host, after earlier work of the stream, and waits.
    pub(super) fn read(
        &self,
        stream: &Stream,
        offset: u64,
        bytes: &mut [u8],
    ) -> Result<(), CudaError> {
        let doing = "copying from the device";
        let from = self.range(stream, offset, bytes.len())?;
        if bytes.is_empty() {
            return Ok(());
        }
        let _current = self.context.enter(doing)?;
        let copy = self.context.functions().cuMemcpyDtoHAsync_v2;
        // SAFETY: `range` checked the device's side; the host's side is borrowed until `finish`
        // returns.
        let code = unsafe { copy(bytes.as_mut_ptr().cast(), from, bytes.len(), stream.raw()) };
        self.context.check(code, doing)?;
        stream.finish(doing)
    }
}

impl Drop for CudaMemory {
    fn drop(&mut self) {
        if let Ok(_current) = self.context.enter("freeing memory") {
            // SAFETY: the last use of an address that `cuMemAlloc` gave; the driver waits for what
            // still uses it. A failure leaves nothing to be done.
            let _ = unsafe { (self.context.functions().cuMemFree_v2)(self.address) };
        }
    }
}
