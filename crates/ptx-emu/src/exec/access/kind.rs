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
    /// The beginning or the end of an mbarrier.
    Init,
    /// An operation on an mbarrier, atomic among its kind.
    Sync,
    /// The begin of a read that goes on.
    Peek,
}

impl Kind {
    #[inline(always)]
    pub(crate) fn reads(self) -> bool {
        matches!(
            self,
            Self::Read | Self::StrongRead | Self::Peek | Self::Atomic | Self::BlockAtomic
        )
    }

    /// Whether it may order other accesses.
    #[inline(always)]
    pub(crate) fn is_strong(self) -> bool {
        matches!(
            self,
            Self::Atomic | Self::BlockAtomic | Self::StrongRead | Self::StrongWrite
        )
    }

    #[inline(always)]
    pub(crate) fn writes(self) -> bool {
        !matches!(self, Self::Read | Self::StrongRead | Self::Peek)
    }
}
