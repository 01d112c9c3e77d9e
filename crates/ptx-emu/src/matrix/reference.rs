//! The products in plain Rust: the reference of the vector forms, and their replacement where
//! there is none.
//!
//! All 16-row forms of `mma` share one scheme (PTX ISA, "Matrix Fragments for mma.m16n8k4" to
//! "... mma.m16n8k32"). The registers of A come in pairs, rows `g` and `g + 8`; pair `i` and
//! register `i` of B form block `i`. With P elements to a register a block spans 4P columns of A,
//! and element `p` of thread `t` is column `4P i + P t + p`; in B the same is a row, and `g` the
//! column. C and D hold `(g, 2t)`, `(g, 2t + 1)`, `(g + 8, 2t)`, `(g + 8, 2t + 1)`.

use super::form::IntMode;
use super::format::{Format, canonical};
use super::{Lanes, WideLanes};

/// `D = A B + C` on matrices: `left[k][row]`, `right[k][column]`, C and D as fragments.
#[inline(always)]
pub(super) fn product(left: &[[f32; 16]], right: &[[f32; 8]], c: [&Lanes; 4]) -> [Lanes; 4] {
    let mut sum = [[0.0f32; 8]; 16];
    for lane in 0..32 {
        let (g, t) = (lane / 4, lane % 4);
        for (i, register) in c.iter().enumerate() {
            sum[g + 8 * (i / 2)][2 * t + i % 2] = f32::from_bits(register[lane]);
        }
    }
    for (r, sums) in sum.iter_mut().enumerate() {
        let mut s = *sums; // stays in registers over k
        for (column, row) in left.iter().zip(right) {
            for (s, &b) in s.iter_mut().zip(row) {
                *s = column[r].mul_add(b, *s);
            }
        }
        *sums = s;
    }
    let mut d = [[0u32; 32]; 4];
    for lane in 0..32 {
        let (g, t) = (lane / 4, lane % 4);
        for (i, register) in d.iter_mut().enumerate() {
            register[lane] = canonical(sum[g + 8 * (i / 2)][2 * t + i % 2]);
        }
    }
    d
}

/// Floating-point `mma` of `BLOCKS` blocks.
#[inline(always)]
pub(super) fn float<F: Format, const BLOCKS: usize>(
    a: [[&Lanes; 2]; BLOCKS],
    b: [&Lanes; BLOCKS],
    c: [&Lanes; 4],
) -> [Lanes; 4] {
    let mut left = [[0.0f32; 16]; 16];
    let mut right = [[0.0f32; 8]; 16];
    for block in 0..BLOCKS {
        for lane in 0..32 {
            let (g, t) = (lane / 4, lane % 4);
            for part in 0..F::PARTS {
                let k = F::PARTS * (4 * block + t) + part;
                left[k][g] = F::element(a[block][0][lane], part);
                left[k][g + 8] = F::element(a[block][1][lane], part);
                right[k][g] = F::element(b[block][lane], part);
            }
        }
    }
    let depth = 4 * F::PARTS * BLOCKS;
    product(&left[..depth], &right[..depth], c)
}

/// Byte `i` of a word as a number.
#[inline(always)]
fn byte(word: u32, i: usize, signed: bool) -> i32 {
    let flip = if signed { 0x80 } else { 0 };
    let value = u8::try_from((word >> (8 * i)) & 0xff).map_or(0, i32::from);
    (value ^ flip) - flip
}

/// Integer products of `BLOCKS` blocks, without C.
#[inline(always)]
pub(super) fn bytes<const BLOCKS: usize>(
    a: [[&Lanes; 2]; BLOCKS],
    b: [&Lanes; BLOCKS],
    mode: IntMode,
) -> [Lanes; 4] {
    let mut left = [[0i32; 16]; 32];
    let mut right = [[0i32; 8]; 32];
    for block in 0..BLOCKS {
        for lane in 0..32 {
            let (g, t) = (lane / 4, lane % 4);
            for part in 0..4 {
                let k = 4 * (4 * block + t) + part;
                left[k][g] = byte(a[block][0][lane], part, mode.a_signed);
                left[k][g + 8] = byte(a[block][1][lane], part, mode.a_signed);
                right[k][g] = byte(b[block][lane], part, mode.b_signed);
            }
        }
    }
    let mut sum = [[0i32; 8]; 16];
    for (r, sums) in sum.iter_mut().enumerate() {
        for (column, row) in left[..16 * BLOCKS].iter().zip(&right) {
            for (s, &b) in sums.iter_mut().zip(row) {
                *s += column[r] * b;
            }
        }
    }
    let mut d = [[0u32; 32]; 4];
    for lane in 0..32 {
        let (g, t) = (lane / 4, lane % 4);
        for (i, register) in d.iter_mut().enumerate() {
            register[lane] = sum[g + 8 * (i / 2)][2 * t + i % 2].cast_unsigned();
        }
    }
    d
}

/// Adds C to integer products, which are below 2^21 and so cannot have overflowed.
#[inline(always)]
pub(super) fn add_int(products: &mut [Lanes; 4], c: [&Lanes; 4], saturate: bool) {
    for (product, c) in products.iter_mut().zip(c) {
        for (p, &c) in product.iter_mut().zip(c) {
            let sum = p.wrapping_add(c);
            let overflow = ((sum ^ *p) & (sum ^ c)).cast_signed() < 0;
            let limit = (c.cast_signed() >> 31).cast_unsigned() ^ 0x7fff_ffff;
            *p = if saturate && overflow { limit } else { sum };
        }
    }
}

/// f64 `mma` of `BLOCKS` blocks of depth 4 and `HALVES` groups of 8 rows, with `OUT = 2 HALVES`
/// (PTX ISA, "Matrix Fragments for mma.m8n8k4 with .f64 floating point type" and the `.f64` tables
/// of m16n8k4, m16n8k8 and m16n8k16, which follow the scheme above with one element to a register).
#[inline(always)]
pub(super) fn double<const BLOCKS: usize, const HALVES: usize, const OUT: usize>(
    a: [[&WideLanes; HALVES]; BLOCKS],
    b: [&WideLanes; BLOCKS],
    c: [&WideLanes; OUT],
) -> [WideLanes; OUT] {
    let mut left = [[0.0f64; 16]; 16];
    let mut right = [[0.0f64; 8]; 16];
    let mut sum = [[0.0f64; 8]; 16];
    for lane in 0..32 {
        let (g, t) = (lane / 4, lane % 4);
        for block in 0..BLOCKS {
            for (half, register) in a[block].iter().enumerate() {
                left[4 * block + t][g + 8 * half] = f64::from_bits(register[lane]);
            }
            right[4 * block + t][g] = f64::from_bits(b[block][lane]);
        }
        for (i, register) in c.iter().enumerate() {
            sum[g + 8 * (i / 2)][2 * t + i % 2] = f64::from_bits(register[lane]);
        }
    }
    for (column, row) in left[..4 * BLOCKS].iter().zip(&right) {
        for (sums, &x) in sum[..8 * HALVES].iter_mut().zip(column) {
            for (s, &y) in sums.iter_mut().zip(row) {
                *s = x.mul_add(y, *s);
            }
        }
    }
    let mut d = [[0u64; 32]; OUT];
    for lane in 0..32 {
        let (g, t) = (lane / 4, lane % 4);
        for (i, register) in d.iter_mut().enumerate() {
            let x = sum[g + 8 * (i / 2)][2 * t + i % 2];
            register[lane] = if x.is_nan() {
                0x7fff_ffff_ffff_ffff
            } else {
                x.to_bits()
            };
        }
    }
    d
}

/// One warp's part of a `wgmma`, in place: `a[k][row]`, B as groups of 8 columns with `a.len()`
/// rows each, D as 4 registers to a group.
#[inline(always)]
pub(super) fn panel(a: &[[f32; 16]], b: &[[f32; 8]], d: &mut [Lanes]) {
    for (registers, right) in d.as_chunks_mut().0.iter_mut().zip(b.chunks_exact(a.len())) {
        *registers = product(a, right, registers.each_ref());
    }
}
