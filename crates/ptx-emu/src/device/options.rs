//! How launches are made: what they check, their order, their shape; and handles of memory.

use std::ops::Range;

/// What a launch looks for and counts. Accesses outside of memory, misaligned ones and deadlocks
/// are always found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "checks that are switched on and off one by one, by name"
)]
pub struct Checks {
    /// Reads of memory that nothing wrote.
    pub initialised: bool,
    /// Races in shared memory, conflicts of blocks in global memory, copies that were not awaited.
    pub races: bool,
    /// Barriers that part of a block has left by exiting; `shfl` and `mma` with lanes missing are
    /// always found.
    pub barriers: bool,
    /// Writes through arguments that are declared inputs.
    pub inputs: bool,
    /// Counters of the report.
    pub counters: bool,
}

impl Checks {
    /// Everything.
    pub const ALL: Self = Self {
        initialised: true,
        races: true,
        barriers: true,
        inputs: true,
        counters: true,
    };

    /// Only what cannot be turned off: the fastest.
    pub const NONE: Self = Self {
        initialised: false,
        races: false,
        barriers: false,
        inputs: false,
        counters: false,
    };
}

impl Default for Checks {
    fn default() -> Self {
        Self::ALL
    }
}

/// Order in which blocks, warps, and parts of warps that have gone different ways run. A correct
/// kernel gives the same result in every order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// Ascending.
    #[default]
    Forward,
    /// Descending.
    Reverse,
    /// As drawn from this seed, with warps taking turns after a few instructions.
    Shuffle(u64),
}

/// Memory on a device: a handle, and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Buffer {
    pub(super) address: u64,
    pub(super) bytes: u64,
}

impl Buffer {
    /// The handle of memory at an address; what is done with it says whether there is any.
    pub fn at(address: u64, bytes: u64) -> Self {
        Self { address, bytes }
    }

    /// Its address on the device.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Part of it, by bytes; as much of the range as lies within.
    #[must_use]
    pub fn slice(&self, range: Range<u64>) -> Self {
        let start = range.start.min(self.bytes);
        let end = range.end.clamp(start, self.bytes);
        Self {
            address: self.address + start,
            bytes: end - start,
        }
    }
}

/// How a kernel is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Blocks, x y z.
    pub grid: [u32; 3],
    /// Threads of a block, x y z.
    pub block: [u32; 3],
    /// Dynamic shared memory of a block in bytes.
    pub shared: u32,
    /// Blocks of a cluster, x y z; none for no clusters, or what the kernel itself asks for.
    pub cluster: Option<[u32; 3]>,
}

impl Launch {
    /// A one-dimensional launch without dynamic shared memory.
    pub fn linear(blocks: u32, threads: u32) -> Self {
        Self {
            grid: [blocks, 1, 1],
            block: [threads, 1, 1],
            shared: 0,
            cluster: None,
        }
    }

    /// With so many bytes of dynamic shared memory.
    #[must_use]
    pub fn with_shared(self, shared: u32) -> Self {
        Self { shared, ..self }
    }
}
