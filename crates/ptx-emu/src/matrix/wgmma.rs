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
use super::rows::transpose_words;
use super::{Format, Lanes, Level, reference};

/// 16 rows of A as `[k][row]`; tf32 fills the first 8 alone.
pub(crate) type Columns = [[f32; 16]; 16];

/// B as groups of 8 columns, each `[k][column]`, all in one array.
pub(crate) type Panel = Vec<[f32; 8]>;

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

    /// Rows (or columns) `first .. first + 8` as `[k][mn]`.
    #[inline(always)]
    fn gather_eight<L: Level, F: Format>(
        self,
        first: u32,
        mut read: impl FnMut(u32) -> [u8; 16],
    ) -> [[f32; 8]; 16] {
        let per_chunk = 16 / size::<F>();
        let mut words = |mn: u32, k: u32| {
            let address = self
                .descriptor
                .element_address(self.major, size::<F>(), first + mn, k);
            bytemuck::cast::<_, [u32; 4]>(read(address)).map(u32::from_le)
        };
        let mut values = [[0.0; 8]; 16];
        match self.major {
            Major::K => {
                let mut rows = [0; 64]; // [mn][word]
                for (mn, row) in (0..).zip(rows.chunks_exact_mut(8)) {
                    for (chunk, to) in (0..).zip(row.chunks_exact_mut(4)) {
                        to.copy_from_slice(&words(mn, per_chunk * chunk));
                    }
                }
                let columns = transpose_words::<L>(&rows);
                for (k, row) in values.iter_mut().take(depth::<F>()).enumerate() {
                    let words = &columns[8 * (k / F::PARTS)..][..8];
                    for (x, &word) in row.iter_mut().zip(words) {
                        *x = scaled(F::element(word, k % F::PARTS), self.negate);
                    }
                }
            }
            Major::Mn => {
                for (k, row) in (0..).zip(values.iter_mut().take(depth::<F>())) {
                    for (mn, values) in (0..).zip(row.chunks_exact_mut(4 * F::PARTS)) {
                        let words = words(per_chunk * mn, k);
                        for (i, x) in values.iter_mut().enumerate() {
                            let element = F::element(words[i / F::PARTS], i % F::PARTS);
                            *x = scaled(element, self.negate);
                        }
                    }
                }
            }
        }
        values
    }

    /// The rows of A that warp `warp` multiplies. `read` gives the 16 bytes at a shared address.
    #[inline(always)]
    pub(crate) fn gather_a<L: Level, F: Format>(
        self,
        warp: u32,
        mut read: impl FnMut(u32) -> [u8; 16],
    ) -> Columns {
        let mut a = [[0.0; 16]; 16];
        for half in 0..2 {
            let eight = self.gather_eight::<L, F>(16 * warp + 8 * half, &mut read);
            for (column, rows) in a.iter_mut().zip(eight) {
                column.as_chunks_mut().0[half as usize] = rows;
            }
        }
        a
    }

    /// B of `columns` columns; what `b` held is dropped.
    #[inline(always)]
    pub(crate) fn gather_b<L: Level, F: Format>(
        self,
        columns: u32,
        mut read: impl FnMut(u32) -> [u8; 16],
        b: &mut Panel,
    ) {
        b.clear();
        for group in 0..columns / 8 {
            let eight = self.gather_eight::<L, F>(8 * group, &mut read);
            b.extend_from_slice(&eight[..depth::<F>()]);
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
fn panel<L: Level>(a: &[[f32; 16]], b: &[[f32; 8]], d: &mut [Lanes]) {
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
    b: &[[f32; 8]],
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
pub(crate) fn half<L: Level, F: Format>(
    a: &Columns,
    b: &[[f32; 8]],
    d: &mut [Lanes],
    accumulate: bool,
) {
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
