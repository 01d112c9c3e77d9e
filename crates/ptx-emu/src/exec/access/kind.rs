//! Kinds of accesses to memory.

/// What an instruction does to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    Atomic,
    /// An atomic instruction that is one only for the threads of the block (`.cta`).
    BlockAtomic,
    /// A load that does not race with atomic instructions: `.volatile .relaxed .acquire`.
    StrongRead,
    /// A store that does not: `.volatile .relaxed .release`.
    StrongWrite,
    /// The destination of `cp.async`.
    Copy,
}

impl Kind {
    #[inline(always)]
    pub(crate) fn reads(self) -> bool {
        matches!(
            self,
            Self::Read | Self::StrongRead | Self::Atomic | Self::BlockAtomic
        )
    }

    #[inline(always)]
    pub(crate) fn writes(self) -> bool {
        !matches!(self, Self::Read | Self::StrongRead)
    }
}
