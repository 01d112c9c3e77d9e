//! Shadow memory: which bytes hold a value, and which accesses are not ordered against each other.

mod filled;
mod global;
mod lanes;
mod marks;
mod order;
mod plane;
mod present;
mod proxy;
mod ranges;
mod shared;
mod states;
#[cfg(test)]
mod tests;
mod walk;

pub(crate) use global::{EVERY_BLOCK, GlobalConflict, GlobalShadow};
pub(crate) use marks::Marks;
pub(crate) use order::{Arrival, Clock, Order, join};
pub(crate) use shared::SharedShadow;

/// The accessing side of a check in shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    /// Warp within the block, below 32.
    pub warp: u32,
    /// Index of the static instruction; kept modulo 2^22.
    pub instruction: u32,
}

/// What two accesses without an order between them did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum RaceKind {
    /// A read of what another thread wrote.
    ReadAfterWrite,
    /// A write to what another thread read.
    WriteAfterRead,
    /// A write to what another thread wrote.
    WriteAfterWrite,
    /// Several lanes of one instruction wrote the same byte.
    SameInstruction,
    /// An access to the destination of an asynchronous copy that was not waited for.
    PendingCopy,
}

/// Two accesses to one place of shared memory that nothing orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// What happened.
    pub kind: RaceKind,
    /// Byte in the array: the word, or for sub-word accesses the byte.
    pub offset: u64,
    /// The (lowest) lane of the present access.
    pub lane: u32,
    /// Warp of the earlier access.
    pub other_warp: u32,
    /// Lane of the earlier access, if it was one.
    pub other_lane: Option<u32>,
    /// Instruction of the earlier access, if it was a write.
    pub other_instruction: Option<u32>,
}

/// The first conflict of one request, if there is any.
pub(crate) type Findings = Option<Conflict>;
