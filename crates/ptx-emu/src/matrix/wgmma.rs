//! `wgmma.mma_async.m64nNk16` (f16, bf16) and `m64nNk8` (tf32): gathering the operands and one
//! warp's part of the product.
//!
//! Warp `w` of the warpgroup owns rows `16w .. 16w + 16` of A and D. Its fragments (PTX ISA,
//! "Register Fragments" of wgmma) are those of `mma`: A as in `m16n8k16` (16-bit) or `m16n8k8`
//! (tf32); D, with `j` counting groups of 8 columns, as registers `4j .. 4j + 4`, each four laid
//! out as the accumulator of `mma`; for f16 accumulators registers `2j` and `2j + 1`.
//!
//! The descriptors serve all four warps alike, so B is gathered once for them.

#[cfg(target_arch = "x86_64")]
use super::Simd;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

use super::descriptor::{Chunk, Major, MatrixDescriptor};
use super::mma::{narrow, widen};
use super::{Format, Lanes, Level, reference};

/// 16 rows of A as `[k][row]`; tf32 fills the first 8 alone.
pub(crate) type Columns = [[f32; 16]; 16];

/// A matrix operand in shared memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedMatrix {
    /// Where and how it lies.
    pub descriptor: MatrixDescriptor,
    /// Its contiguous direction.
    pub major: Major,
    /// `imm-scale` is -1: every element is negated.
    pub negate: bool,
}

/// K of the instruction: 32 bytes.
pub(crate) const fn depth<F: Format>() -> usize {
    8 * F::PARTS
}

/// Bytes of one element.
const fn size<F: Format>() -> u32 {
    if F::PARTS == 2 { 2 } else { 4 }
}

#[inline(always)]
fn scaled(x: f32, negate: bool) -> f32 {
    if negate { -x } else { x }
}

impl SharedMatrix {
    /// The chunks that make up rows `16 warp .. 16 warp + 16` of A.
    pub(crate) fn chunks_of_a<F: Format>(self, warp: u32) -> impl Iterator<Item = Chunk> {
        let k = 32 / size::<F>();
        self.descriptor
            .chunks(self.major, size::<F>(), 16 * warp, 16, k)
    }

    /// The chunks that make up B, which has `columns` columns.
    pub(crate) fn chunks_of_b<F: Format>(self, columns: u32) -> impl Iterator<Item = Chunk> {
        let k = 32 / size::<F>();
        self.descriptor
            .chunks(self.major, size::<F>(), 0, columns, k)
    }

    /// Calls `put` with M or N, K and the value of every element of a chunk.
    #[inline(always)]
    fn unpack<F: Format>(
        self,
        chunk: Chunk,
        bytes: [u8; 16],
        mut put: impl FnMut(usize, usize, f32),
    ) {
        let (along_mn, along_k) = match self.major {
            Major::K => (0, 1),
            Major::Mn => (1, 0),
        };
        let (mn, k) = (chunk.mn as usize, chunk.k as usize);
        for (word, bytes) in bytes.as_chunks::<4>().0.iter().enumerate() {
            let packed = u32::from_le_bytes(*bytes);
            for part in 0..F::PARTS {
                let i = F::PARTS * word + part;
                let x = scaled(F::element(packed, part), self.negate);
                put(mn + along_mn * i, k + along_k * i, x);
            }
        }
    }

    /// The rows of A that warp `warp` multiplies. `read` gives the 16 bytes at a shared address.
    #[inline(always)]
    pub(crate) fn gather_a<F: Format>(
        self,
        warp: u32,
        mut read: impl FnMut(u32) -> [u8; 16],
    ) -> Columns {
        let mut a = [[0.0; 16]; 16];
        for chunk in self.chunks_of_a::<F>(warp) {
            self.unpack::<F>(chunk, read(chunk.address), |row, k, x| {
                a[k % 16][row % 16] = x;
            });
        }
        a
    }

    /// B as `b[k columns + column]`; what `b` held is dropped.
    #[inline(always)]
    pub(crate) fn gather_b<F: Format>(
        self,
        columns: u32,
        mut read: impl FnMut(u32) -> [u8; 16],
        b: &mut Vec<f32>,
    ) {
        let width = columns as usize;
        b.clear();
        b.resize(depth::<F>() * width, 0.0);
        for chunk in self.chunks_of_b::<F>(columns) {
            self.unpack::<F>(chunk, read(chunk.address), |column, k, x| {
                b[k * width + column] = x;
            });
        }
    }
}

/// A from the registers of one warp.
#[inline(always)]
pub(crate) fn a_from_registers<F: Format>(registers: [&Lanes; 4], negate: bool) -> Columns {
    let mut a = [[0.0; 16]; 16];
    for (i, register) in registers.iter().enumerate() {
        for (lane, &word) in register.iter().enumerate() {
            let (g, t) = (lane / 4, lane % 4);
            for part in 0..F::PARTS {
                let k = F::PARTS * (4 * (i / 2) + t) + part;
                a[k][g + 8 * (i % 2)] = scaled(F::element(word, part), negate);
            }
        }
    }
    a
}

#[inline(always)]
fn panel<L: Level>(a: &[[f32; 16]], b: &[f32], d: &mut [Lanes]) {
    match L::KIND {
        #[cfg(target_arch = "x86_64")]
        Simd::Avx512 => avx512::panel(a, b, d),
        #[cfg(target_arch = "x86_64")]
        Simd::Avx2 => avx2::panel(a, b, d),
        _ => reference::panel(a, b, d),
    }
}

/// One warp's part with f32 accumulators, in place. `d` holds `n / 2` registers, `b` is from
/// `gather_b` with the same `n`. Without `accumulate` (`scale-d` false) the chains start from 0.
#[inline(always)]
pub(crate) fn single<L: Level, F: Format>(
    a: &Columns,
    b: &[f32],
    d: &mut [Lanes],
    accumulate: bool,
) {
    if !accumulate {
        d.fill([0; 32]);
    }
    panel::<L>(&a[..depth::<F>()], b, d);
}

/// One warp's part with f16 accumulators, in place. `d` holds `n / 4` registers.
#[inline(always)]
pub(crate) fn half<L: Level, F: Format>(a: &Columns, b: &[f32], d: &mut [Lanes], accumulate: bool) {
    let mut wide = [[0; 32]; 128]; // n is at most 256
    let wide = wide.as_chunks_mut::<4>().0;
    if accumulate {
        for (wide, packed) in wide.iter_mut().zip(d.as_chunks::<2>().0) {
            *wide = widen(packed.each_ref());
        }
    }
    let wide = &mut wide.as_flattened_mut()[..2 * d.len()];
    panel::<L>(&a[..depth::<F>()], b, wide);
    for (packed, wide) in d
        .as_chunks_mut::<2>()
        .0
        .iter_mut()
        .zip(wide.as_chunks::<4>().0)
    {
        *packed = narrow(wide);
    }
}
