use super::{Random, at_level, levels};
use crate::matrix::Lanes;
use crate::matrix::rows::{Row, address_mask, ldmatrix, movmatrix, stmatrix};

/// Element (r, c) is `0x100 r + c + 1`: all different.
fn numbered() -> [Row; 8] {
    std::array::from_fn(|r| {
        let mut row = [0; 16];
        for c in 0..8 {
            row[2 * c] = u8::try_from(c + 1).unwrap();
            row[2 * c + 1] = u8::try_from(r).unwrap();
        }
        row
    })
}

fn element(r: usize, c: usize) -> u32 {
    u32::try_from(0x100 * r + c + 1).unwrap()
}

/// Figure "ldmatrix fragment layout for one 8x8 Matrix with 16-bit elements".
#[test]
fn ldmatrix_gives_each_quad_a_row_or_a_column() {
    for simd in levels() {
        let plain = at_level!(simd, ldmatrix, &numbered(), false);
        let trans = at_level!(simd, ldmatrix, &numbered(), true);
        for lane in 0..32 {
            let (g, t) = (lane / 4, lane % 4);
            assert_eq!(
                plain[lane],
                element(g, 2 * t) | (element(g, 2 * t + 1) << 16)
            );
            assert_eq!(
                trans[lane],
                element(2 * t, g) | (element(2 * t + 1, g) << 16)
            );
        }
    }
}

#[test]
fn stmatrix_writes_what_ldmatrix_reads() {
    let mut random = Random(5);
    let register: Lanes = std::array::from_fn(|_| random.word());
    for simd in levels() {
        let plain = at_level!(simd, stmatrix, &register, false);
        let trans = at_level!(simd, stmatrix, &register, true);
        for lane in 0..32 {
            for part in 0..2 {
                let value = (register[lane] >> (16 * part)) & 0xffff;
                let (g, column) = (lane / 4, 2 * (lane % 4) + part);
                let at = |rows: &[Row; 8], r: usize, c: usize| {
                    u32::from(rows[r][2 * c]) | (u32::from(rows[r][2 * c + 1]) << 8)
                };
                assert_eq!(at(&plain, g, column), value);
                assert_eq!(at(&trans, column, g), value);
            }
        }
        assert_eq!(at_level!(simd, ldmatrix, &plain, false), register);
        assert_eq!(at_level!(simd, ldmatrix, &trans, true), register);
    }
}

#[test]
fn movmatrix_transposes() {
    for simd in levels() {
        let source = at_level!(simd, ldmatrix, &numbered(), false);
        let moved = at_level!(simd, movmatrix, &source);
        for (lane, &word) in moved.iter().enumerate() {
            let (g, t) = (lane / 4, lane % 4);
            assert_eq!(word & 0xffff, element(2 * t, g));
            assert_eq!(word >> 16, element(2 * t + 1, g));
        }
    }
}

/// The table of `.num`: threads 0-7 point to the first matrix, 8-15 to the second, and so on.
#[test]
fn addresses_come_from_eight_lanes_per_matrix() {
    for matrices in [1, 2, 4] {
        assert_eq!(address_mask(matrices), u32::MAX >> (32 - 8 * matrices));
    }
}
