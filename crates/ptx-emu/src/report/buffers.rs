//! What a launch asked of each of its buffers.

use serde::Serialize;

/// Traffic between multiprocessors and one buffer that is an argument of the kernel.
///
/// Of arguments whose buffers overlap the first has the requests of all. A request that goes to several
/// buffers counts for that of its first lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BufferTraffic {
    /// Which argument, from zero.
    pub argument: usize,
    /// Bytes of the buffer.
    pub bytes: u64,
    /// Distinct sectors of 32 bytes that each reading request touches, summed over the requests.
    pub sectors_read: u64,
    /// The same of requests that write.
    pub sectors_written: u64,
    /// 32 for each distinct sector of the buffer that is read, whichever way and however often.
    pub distinct_bytes_read: u64,
    /// 32 for each that is written.
    pub distinct_bytes_written: u64,
}

impl BufferTraffic {
    /// Bytes that requests to read move: 32 for each sector.
    pub fn requested_read(&self) -> u64 {
        32 * self.sectors_read
    }

    /// Bytes that requests to write move.
    pub fn requested_written(&self) -> u64 {
        32 * self.sectors_written
    }
}
