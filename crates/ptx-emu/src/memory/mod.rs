//! Global memory and the windows of the address space.

pub(crate) mod bytes;
pub(crate) mod global;

/// Generic addresses of the windows. A shared, local or parameter address is the offset in its
/// window; `cvta` adds the window's base.
pub(crate) mod window {
    /// Shared memory of the block; bits 24 and up of the offset name a block of the cluster.
    pub(crate) const SHARED: u64 = 0x1_0000_0000;
    /// Local memory of the thread.
    pub(crate) const LOCAL: u64 = 0x2_0000_0000;
    /// Parameters of the kernel.
    pub(crate) const PARAM: u64 = 0x3_0000_0000;
    /// End of the last window.
    pub(crate) const END: u64 = 0x4_0000_0000;
    /// First address of an allocation.
    pub(crate) const GLOBAL: u64 = 0x10_0000_0000;
    /// Offset of the first shared variable, so that no valid address is zero.
    pub(crate) const SHARED_START: u32 = 1024;
    /// Offset of the first local byte, for the same reason.
    pub(crate) const LOCAL_START: u32 = 1024;
    /// Offset of the first parameter.
    pub(crate) const PARAM_START: u32 = 1024;
    /// Bit of a shared offset above which the block's rank in its cluster plus one stands.
    pub(crate) const RANK_SHIFT: u32 = 24;
}
