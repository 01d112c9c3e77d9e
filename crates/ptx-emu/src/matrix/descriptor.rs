//! Matrices of `wgmma` in shared memory: the descriptor and the place of every element.

use super::swizzle::Swizzle;

/// Which direction of a matrix is contiguous (PTX ISA, "Shared Memory Matrix Layout").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Major {
    /// K: `imm-trans` is 0.
    K,
    /// M of matrix A, N of matrix B: `imm-trans` is 1.
    Mn,
}

/// A decoded matrix descriptor (PTX ISA, "Matrix Descriptor Format"); offsets in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MatrixDescriptor {
    /// Shared address of the first element.
    pub start: u32,
    /// Leading dimension byte offset.
    pub leading: u32,
    /// Stride dimension byte offset.
    pub stride: u32,
    /// 128-byte lines from a multiple of the swizzling period to the start of the pattern.
    pub base_offset: u32,
    /// Swizzling mode.
    pub swizzle: Swizzle,
}

/// 16 contiguous bytes of a matrix: one element across and `16 / size` along the major direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Shared address; a multiple of 16.
    pub address: u32,
    /// M or N index of the first element.
    pub mn: u32,
    /// K index of the first element.
    pub k: u32,
}

impl MatrixDescriptor {
    /// Decodes the 64-bit operand.
    pub(crate) fn decode(bits: u64) -> Self {
        let field = |shift: u32| {
            let encoded = (bits >> shift) & 0x3fff;
            u32::try_from(encoded << 4).unwrap_or(0)
        };
        Self {
            start: field(0),
            leading: field(16),
            stride: field(32),
            base_offset: u32::try_from((bits >> 49) & 7).unwrap_or(0),
            swizzle: match bits >> 62 {
                0 => Swizzle::None,
                1 => Swizzle::B128,
                2 => Swizzle::B64,
                _ => Swizzle::B32,
            },
        }
    }

    /// Shared address of element `(mn, k)`; `size` is 2 or 4 bytes, `mn` and `k` below 1024.
    ///
    /// With `T = 16 / size` elements to a chunk and `c` chunks to a span, the canonical layouts
    /// are, as (shape):(stride) with the fastest direction first ("Canonical Layouts"):
    ///
    /// | major | no swizzling | swizzling |
    /// | --- | --- | --- |
    /// | K | `((8,m),(T,2k)):((T,SBO),(1,LBO))` | `((8,m),(T,2k)):((c T,SBO),(1,T))` |
    /// | MN | `((T,1,m),(8,k)):((1,T,SBO),(T,LBO))` | `((T,c,m),(8,k)):((1,T,LBO),(c T,SBO))` |
    ///
    /// The swizzle then acts on the address, not on the offset: a descriptor may start inside a
    /// span, as it does when a kernel steps through K.
    #[inline(always)]
    pub(crate) const fn element_address(self, major: Major, size: u32, mn: u32, k: u32) -> u32 {
        let per_chunk = 16 / size;
        let log = self.swizzle.span_log2();
        let swizzled = log > 4;
        let offset = match major {
            Major::K => {
                let along = if swizzled {
                    k * size
                } else {
                    k / per_chunk * self.leading + k % per_chunk * size
                };
                ((mn % 8) << log) + mn / 8 * self.stride + along
            }
            Major::Mn => {
                let along = mn * size;
                let (next_span, next_eight) = if swizzled {
                    (self.leading, self.stride)
                } else {
                    (self.stride, self.leading)
                };
                let lines = ((k % 8) << log) + k / 8 * next_eight;
                along % (1 << log) + (along >> log) * next_span + lines
            }
        };
        let base = if swizzled { self.base_offset } else { 0 };
        self.swizzle.apply(self.start + offset, base)
    }

    /// All chunks of rows (or columns) `first .. first + count` and of K `0 .. depth`.
    ///
    /// Along the major direction the extent is a multiple of `16 / size`: true of every operand.
    pub(crate) fn chunks(
        self,
        major: Major,
        size: u32,
        first: u32,
        count: u32,
        depth: u32,
    ) -> impl Iterator<Item = Chunk> {
        let per_chunk = 16 / size;
        let (outer, inner) = match major {
            Major::K => (count, depth / per_chunk),
            Major::Mn => (depth, count / per_chunk),
        };
        (0..outer).flat_map(move |outer| {
            (0..inner).map(move |inner| {
                let (mn, k) = match major {
                    Major::K => (first + outer, per_chunk * inner),
                    Major::Mn => (first + per_chunk * inner, outer),
                };
                let address = self.element_address(major, size, mn, k);
                Chunk { address, mn, k }
            })
        })
    }
}
