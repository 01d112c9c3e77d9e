//! Swizzling of shared memory: the 16-byte chunks within a span trade places from row to row.

/// Swizzling modes of matrix descriptors and tensor maps (PTX ISA, "Swizzling Modes"), those with
/// chunks of 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swizzle {
    /// Addresses as they are.
    None,
    /// Spans of 32 bytes, pattern of 256.
    B32,
    /// Spans of 64 bytes, pattern of 512.
    B64,
    /// Spans of 128 bytes, pattern of 1024.
    B128,
}

impl Swizzle {
    /// Bytes of one span: a row of the swizzle atom; 16 without swizzling.
    pub(crate) const fn span(self) -> u32 {
        match self {
            Self::None => 16,
            Self::B32 => 32,
            Self::B64 => 64,
            Self::B128 => 128,
        }
    }

    /// Binary logarithm of [`span`](Self::span).
    pub(crate) const fn span_log2(self) -> u32 {
        self.span().trailing_zeros()
    }

    /// Where the byte at a shared address lies after swizzling.
    ///
    /// The number of the chunk within its span is combined with the number of the 128-byte line
    /// within the pattern. Patterns start at multiples of their period, or `base` lines past one
    /// (`base offset` of a matrix descriptor).
    #[inline(always)]
    pub(crate) const fn apply(self, address: u32, base: u32) -> u32 {
        let chunks = self.span() / 16 - 1;
        let line = (address >> 7).wrapping_sub(base);
        address ^ ((line & chunks) << 4)
    }
}
