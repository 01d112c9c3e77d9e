//! `ldmatrix`, `stmatrix` and `movmatrix` of 8 x 8 matrices with 16-bit elements (PTX ISA,
//! "Warp-level matrix load instruction: ldmatrix" and the two sections after it).
//!
//! A matrix in a register: lane `4r + c` holds columns `2c` (low half) and `2c + 1` of row `r`.
//! Row `r` of matrix `i` in memory is the 16 bytes at the address of lane [`row_lane`]`(i, r)`.

use super::Lanes;

/// One row of a matrix in memory.
pub(crate) type Row = [u8; 16];

/// The lane whose address operand points to row `row` of matrix `matrix`; with `.x1` and `.x2` the
/// addresses of the remaining lanes do not count.
#[inline(always)]
pub(crate) const fn row_lane(matrix: usize, row: usize) -> usize {
    8 * matrix + row
}

/// Lanes whose addresses `.x1`, `.x2` or `.x4` use, as a mask.
pub(crate) const fn address_mask(matrices: usize) -> u32 {
    match matrices {
        1 => 0xff,
        2 => 0xffff,
        _ => 0xffff_ffff,
    }
}

/// Number of the 16-bit element in the interleaving of the halves of `x`: three of these rotate
/// the six bits of an element's number by half, which exchanges row and column.
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
pub(crate) fn movmatrix(register: &Lanes) -> Lanes {
    interleave(&interleave(&interleave(register)))
}

/// One matrix of `ldmatrix{.trans}.b16`: its register, from its rows.
#[inline(always)]
pub(crate) fn ldmatrix(rows: &[Row; 8], trans: bool) -> Lanes {
    let mut register = [0; 32];
    for (words, row) in register.as_chunks_mut::<4>().0.iter_mut().zip(rows) {
        for (word, bytes) in words.iter_mut().zip(row.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
    }
    if trans {
        movmatrix(&register)
    } else {
        register
    }
}

/// One matrix of `stmatrix{.trans}.b16`: its rows, from its register.
#[inline(always)]
pub(crate) fn stmatrix(register: &Lanes, trans: bool) -> [Row; 8] {
    let register = if trans {
        movmatrix(register)
    } else {
        *register
    };
    let mut rows = [[0; 16]; 8];
    for (words, row) in register.as_chunks::<4>().0.iter().zip(&mut rows) {
        for (word, bytes) in words.iter().zip(row.as_chunks_mut::<4>().0) {
            *bytes = word.to_le_bytes();
        }
    }
    rows
}
