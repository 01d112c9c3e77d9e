//! Memory of the device.

use ptx_emu::Buffer;

use crate::state::{INVALID_VALUE, OUT_OF_MEMORY, Outcome, State};

impl State {
    pub(crate) fn alloc(&mut self, bytes: usize) -> Outcome<u64> {
        self.in_context()?;
        self.forbidden_while_recording()?;
        let bytes = bytes as u64;
        if bytes == 0 {
            return Err(INVALID_VALUE);
        }
        if bytes > self.total - self.used {
            return Err(OUT_OF_MEMORY);
        }
        let buffer = self.device.alloc(bytes).map_err(|_| OUT_OF_MEMORY)?;
        self.used += bytes;
        self.counters.allocations += 1;
        self.buffers.insert(buffer.address(), buffer);
        Ok(buffer.address())
    }

    pub(crate) fn free(&mut self, address: u64) -> Outcome {
        self.in_context()?;
        self.forbidden_while_recording()?;
        let buffer = self.buffers.remove(&address).ok_or(INVALID_VALUE)?;
        self.used -= buffer.bytes();
        self.counters.frees += 1;
        self.device.free(buffer).map_err(|_| INVALID_VALUE)
    }

    /// So many bytes from an address on, of one allocation.
    fn range(&self, address: u64, bytes: u64) -> Outcome<Buffer> {
        let before = self.buffers.range(..=address).next_back();
        let (base, buffer) = before.ok_or(INVALID_VALUE)?;
        let offset = address - base;
        let end = offset.checked_add(bytes).ok_or(INVALID_VALUE)?;
        if end > buffer.bytes() {
            return Err(INVALID_VALUE);
        }
        Ok(buffer.slice(offset..end))
    }

    pub(crate) fn copy_in(&mut self, to: u64, bytes: &[u8], stream: usize) -> Outcome {
        self.in_context()?;
        self.not_recorded(stream)?;
        let range = self.range(to, bytes.len() as u64)?;
        self.counters.copies += 1;
        self.device.write(&range, bytes).map_err(|_| INVALID_VALUE)
    }

    pub(crate) fn copy_out(&mut self, from: u64, bytes: usize, stream: usize) -> Outcome<Vec<u8>> {
        self.in_context()?;
        self.not_recorded(stream)?;
        let range = self.range(from, bytes as u64)?;
        self.counters.copies += 1;
        self.device.read(&range).map_err(|_| INVALID_VALUE)
    }
}
