//! Allocations in global memory.

use crate::memory::bytes::Storage;
use crate::memory::window;
use crate::shadow::GlobalShadow;

/// Every allocation starts at a multiple of this, as on a device.
const ALIGN: u64 = 256;
/// Addresses left free after each allocation, so that an index gone wrong does not meet another.
const GAP: u64 = 1 << 28;

/// One allocation, also after it was freed.
#[derive(Debug)]
pub(crate) struct Allocation {
    pub base: u64,
    pub len: u64,
    pub storage: Storage,
    pub shadow: GlobalShadow,
    pub name: Option<String>,
    pub freed: bool,
    /// Constant memory: kernels must not write it.
    pub read_only: bool,
}

impl Allocation {
    /// Whether `low..high` lies within.
    #[inline(always)]
    pub(crate) fn holds(&self, low: u64, high: u64) -> bool {
        low >= self.base && high <= self.base + self.len && !self.freed
    }
}

/// All allocations of a device, in ascending order of address.
#[derive(Debug)]
pub(crate) struct GlobalMemory {
    pub allocations: Vec<Allocation>,
    next: u64,
}

impl Default for GlobalMemory {
    fn default() -> Self {
        Self {
            allocations: Vec::new(),
            next: window::GLOBAL,
        }
    }
}

impl GlobalMemory {
    /// Takes `len` bytes; the index of the allocation, or nothing where the host has no memory.
    pub(crate) fn alloc(&mut self, len: u64, name: Option<String>) -> Option<usize> {
        let bytes = usize::try_from(len).ok()?;
        let base = self.next;
        let end = base.checked_add(len)?.checked_add(GAP + ALIGN)?;
        self.allocations.push(Allocation {
            base,
            len,
            storage: Storage::zeroed(bytes)?,
            shadow: GlobalShadow::new(len),
            name,
            freed: false,
            read_only: false,
        });
        self.next = end / ALIGN * ALIGN;
        Some(self.allocations.len() - 1)
    }

    /// Gives the bytes back. The addresses stay known, so that later use of them is recognised.
    pub(crate) fn free(&mut self, index: usize) {
        let allocation = &mut self.allocations[index];
        allocation.freed = true;
        allocation.storage = Storage::zeroed(0).expect("no bytes");
        allocation.shadow = GlobalShadow::new(0);
    }

    /// The allocation at or before `address`.
    pub(crate) fn at_or_before(&self, address: u64) -> Option<usize> {
        let after = self.allocations.partition_point(|a| a.base <= address);
        after.checked_sub(1)
    }

    /// The allocation that holds `low..high`.
    #[inline]
    pub(crate) fn find(&self, low: u64, high: u64) -> Option<usize> {
        let index = self.at_or_before(low)?;
        self.allocations[index].holds(low, high).then_some(index)
    }
}
