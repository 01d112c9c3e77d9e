//! Matrix products of four warps (`wgmma`) that were not waited for.

use crate::shadow::Clock;

/// A product that a warp has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    /// Number of the group it belongs to.
    pub group: u32,
    /// The instruction.
    pub op: u32,
    /// Descriptors; A may be in registers.
    pub a: Option<u64>,
    pub b: u64,
}

/// Four warps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    /// Groups of products that each warp has committed.
    pub commits: [u32; 4],
    /// How many of them some warp has waited for.
    pub seen: u32,
    /// Their reads of shared memory, for all warps that wait.
    pub clock: Clock,
}
