//! `ldmatrix`, `stmatrix` and `movmatrix` of 8 x 8 matrices with 16-bit elements (PTX ISA,
//! "Warp-level matrix load instruction: ldmatrix" and the two sections after it).
//!
//! A matrix in a register: lane `4r + c` holds columns `2c` (low half) and `2c + 1` of row `r`.
//! Row `r` of matrix `i` in memory is the 16 bytes at the address of lane `8i + r`.

#[cfg(target_arch = "x86_64")]
use super::{Simd, avx512};

use super::{Lanes, Level};

/// One row of a matrix in memory.
pub(crate) type Row = [u8; 16];

/// Lanes whose addresses `.x1`, `.x2` or `.x4` use, as a mask.
pub(crate) const fn address_mask(matrices: usize) -> u32 {
    match matrices {
        1 => 0xff,
        2 => 0xffff,
        _ => 0xffff_ffff,
    }
}

/// The 16-bit elements of the halves of `x` in turn. This rotates the six bits of an element's
/// number by one: three times exchange row and column.
#[inline(always)]
fn interleave(x: &Lanes) -> Lanes {
    let mut y = [0; 32];
    for i in 0..16 {
        let (upper, lower) = (x[i], x[i + 16]);
        y[2 * i] = (upper & 0xffff) | (lower << 16);
        y[2 * i + 1] = (upper >> 16) | (lower & 0xffff_0000);
    }
    y
}

/// `movmatrix.sync.aligned.m8n8.trans.b16`: the transpose of a matrix in a register.
#[inline(always)]
pub(crate) fn movmatrix<L: Level>(register: &Lanes) -> Lanes {
    match L::KIND {
        // Elsewhere the loops vectorise; with AVX-512 they would become scatters.
        #[cfg(target_arch = "x86_64")]
        Simd::Avx512 => avx512::transpose_halves(register),
        _ => interleave(&interleave(&interleave(register))),
    }
}

/// The transpose of an 8 x 8 matrix of words.
#[inline(always)]
pub(super) fn transpose_words<L: Level>(x: &[u32; 64]) -> [u32; 64] {
    #[cfg(target_arch = "x86_64")]
    if L::KIND == Simd::Avx512 {
        return avx512::transpose_words(x);
    }
    let mut x = *x;
    for _ in 0..3 {
        let mut y = [0; 64];
        for i in 0..32 {
            y[2 * i] = x[i];
            y[2 * i + 1] = x[i + 32];
        }
        x = y;
    }
    x
}

/// One matrix of `ldmatrix{.trans}.b16`: its register, from its rows.
#[inline(always)]
pub(crate) fn ldmatrix<L: Level>(rows: &[Row; 8], trans: bool) -> Lanes {
    let mut register: Lanes = bytemuck::cast(*rows);
    for word in &mut register {
        *word = u32::from_le(*word);
    }
    if trans {
        movmatrix::<L>(&register)
    } else {
        register
    }
}

/// One matrix of `stmatrix{.trans}.b16`: its rows, from its register.
#[inline(always)]
pub(crate) fn stmatrix<L: Level>(register: &Lanes, trans: bool) -> [Row; 8] {
    let mut words = if trans {
        movmatrix::<L>(register)
    } else {
        *register
    };
    for word in &mut words {
        *word = word.to_le();
    }
    bytemuck::cast(words)
}
