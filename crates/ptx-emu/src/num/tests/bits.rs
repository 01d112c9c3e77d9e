//! Bit operations against the semantics of the ISA, spelled out bit by bit.

use super::WORDS;
use crate::num::bits::{
    bfe_s32, bfe_s64, bfe_u32, bfe_u64, bfi_b32, bfi_b64, bfind_s32, bfind_s64, bfind_u32,
    bfind_u64, bmsk, fns, shf_l, shf_r, shl_b16, shl_b32, shl_b64, shr_s16, shr_s32, shr_s64,
    shr_u16, shr_u32, shr_u64, szext,
};
use crate::num::permute::{Permute, lop3, prmt};

const POSITIONS: [u32; 18] = [
    0,
    1,
    2,
    7,
    15,
    16,
    17,
    30,
    31,
    32,
    33,
    63,
    64,
    65,
    127,
    255,
    256,
    0x8000_0001,
];

fn words64() -> impl Iterator<Item = u64> {
    WORDS
        .iter()
        .flat_map(|&w| [u64::from(w), u64::from(w) << 31, !u64::from(w)])
        .chain(super::scattered(40))
}

#[test]
fn shifts_clamp() {
    for a in words64() {
        for by in POSITIONS.into_iter().chain(0..70) {
            let n = by.min(100);
            let wide = |bits: u32| u128::from(a) & ((1 << bits) - 1);
            assert_eq!(shl_b16(a as u16, by), (wide(16) << n) as u16);
            assert_eq!(
                shl_b32(a as u32, by),
                if n < 64 { (wide(32) << n) as u32 } else { 0 }
            );
            assert_eq!(
                shl_b64(a, by),
                if n < 64 { (wide(64) << n) as u64 } else { 0 }
            );
            assert_eq!(u128::from(shr_u16(a as u16, by)), wide(16) >> n);
            assert_eq!(u128::from(shr_u32(a as u32, by)), wide(32) >> n);
            assert_eq!(u128::from(shr_u64(a, by)), wide(64) >> n);
            assert_eq!(i128::from(shr_s16(a as i16, by)), i128::from(a as i16) >> n);
            assert_eq!(i128::from(shr_s32(a as i32, by)), i128::from(a as i32) >> n);
            assert_eq!(i128::from(shr_s64(a as i64, by)), i128::from(a as i64) >> n);
        }
    }
}

#[test]
fn funnel_shifts_clamp_or_wrap() {
    for a in WORDS {
        for b in WORDS {
            for c in POSITIONS {
                for clamp in [false, true] {
                    let n = u64::from(if clamp { c.min(32) } else { c & 31 });
                    let (low, high) = (u64::from(a), u64::from(b));
                    assert_eq!(shf_l(a, b, c, clamp), (high << n | low >> (32 - n)) as u32);
                    assert_eq!(shf_r(a, b, c, clamp), (high << (32 - n) | low >> n) as u32);
                }
            }
        }
    }
}

/// `bfe` of the ISA on `msb + 1` bits.
fn bfe(a: u64, pos: u32, len: u32, msb: u32, signed: bool) -> u64 {
    let (pos, len) = (pos & 0xff, len & 0xff);
    let bit = |i: u32| a >> i & 1;
    let sign = if !signed || len == 0 {
        0
    } else {
        bit((pos + len - 1).min(msb))
    };
    (0..=msb)
        .map(|i| if i < len && pos + i <= msb { bit(pos + i) } else { sign } << i)
        .sum()
}

/// `bfi` of the ISA on `msb + 1` bits.
fn bfi(a: u64, b: u64, pos: u32, len: u32, msb: u32) -> u64 {
    let (pos, len) = (pos & 0xff, len & 0xff);
    let mut f = b;
    for i in (0..len).take_while(|i| pos + i <= msb) {
        f = f & !(1 << (pos + i)) | (a >> i & 1) << (pos + i);
    }
    f
}

#[test]
fn bit_fields_move_in_and_out() {
    for a in words64() {
        for pos in POSITIONS {
            for len in POSITIONS {
                let low = u64::from(a as u32);
                assert_eq!(
                    u64::from(bfe_u32(a as u32, pos, len)),
                    bfe(low, pos, len, 31, false)
                );
                let signed = u64::from(bfe_s32(a as u32, pos, len));
                assert_eq!(signed, bfe(low, pos, len, 31, true), "{low:x} {pos} {len}");
                assert_eq!(bfe_u64(a, pos, len), bfe(a, pos, len, 63, false));
                assert_eq!(
                    bfe_s64(a, pos, len),
                    bfe(a, pos, len, 63, true),
                    "{a:x} {pos} {len}"
                );
                let b = a.rotate_left(23) ^ 0x0f0f_1234;
                assert_eq!(bfi_b64(a, b, pos, len), bfi(a, b, pos, len, 63));
                let r = u64::from(bfi_b32(a as u32, b as u32, pos, len));
                assert_eq!(r, bfi(low, u64::from(b as u32), pos, len, 31));
            }
        }
    }
}

#[test]
fn searches_find_the_bit() {
    /// `bfind` of the ISA.
    fn bfind(a: u64, msb: u32, signed: bool, shift: bool) -> u32 {
        let a = if signed && a >> msb & 1 == 1 { !a } else { a };
        match (0..=msb).rev().find(|&i| a >> i & 1 == 1) {
            None => u32::MAX,
            Some(i) => {
                if shift {
                    msb - i
                } else {
                    i
                }
            }
        }
    }
    for a in words64() {
        let low = u64::from(a as u32);
        for shift in [false, true] {
            assert_eq!(bfind_u32(a as u32, shift), bfind(low, 31, false, shift));
            assert_eq!(bfind_s32(a as i32, shift), bfind(low, 31, true, shift));
            assert_eq!(bfind_u64(a, shift), bfind(a, 63, false, shift));
            assert_eq!(bfind_s64(a as i64, shift), bfind(a, 63, true, shift));
        }
    }
}

#[test]
fn fns_counts_set_bits_both_ways() {
    /// `fns` of the ISA.
    fn reference(mask: u32, base: u32, offset: i32) -> u32 {
        let set = |pos: i64| mask >> pos & 1 == 1;
        if offset == 0 {
            return if set(base.into()) { base } else { u32::MAX };
        }
        let (mut pos, mut count) = (i64::from(base), offset.unsigned_abs() - 1);
        while (0..32).contains(&pos) {
            if set(pos) {
                if count == 0 {
                    return pos as u32;
                }
                count -= 1;
            }
            pos += i64::from(offset.signum());
        }
        u32::MAX
    }
    for mask in WORDS {
        for base in 0..32 {
            for offset in (-34..=34).chain([i32::MIN, i32::MAX]) {
                let expected = reference(mask, base, offset);
                assert_eq!(
                    fns(mask, base, offset),
                    expected,
                    "{mask:x} {base} {offset}"
                );
            }
        }
    }
    assert_eq!(fns(u32::MAX, 32, 1), u32::MAX);
}

#[test]
fn extensions_and_masks() {
    for a in WORDS {
        for n in POSITIONS {
            for clamp in [false, true] {
                // The semantics of the ISA, in 64 bits.
                let b = n & 31;
                let large = n >= 32 && clamp;
                let mask = if large {
                    0
                } else {
                    (u64::from(u32::MAX) << b) as u32
                };
                let unsigned = a & !mask;
                assert_eq!(szext(a, n, clamp, false), unsigned, "{a:x} {n}");
                let negative = b != 0 && !large && a >> ((b + 31) & 31) & 1 == 1;
                let signed = unsigned | if negative { mask } else { 0 };
                assert_eq!(szext(a, n, clamp, true), signed, "{a:x} {n}");
            }
        }
    }
    for a in POSITIONS.into_iter().chain(0..34) {
        for b in POSITIONS.into_iter().chain(0..34) {
            for clamp in [false, true] {
                let (a1, b1) = (a & 31, b & 31);
                let mask0 = if clamp && a >= 32 { 0 } else { u32::MAX << a1 };
                let mask1 = if a1 + b1 >= 32 || clamp && (a >= 32 || b >= 32) {
                    0
                } else if b1 == 0 {
                    u32::MAX
                } else {
                    u32::MAX << (a1 + b1)
                };
                assert_eq!(bmsk(a, b, clamp), mask0 & !mask1, "{a} {b} {clamp}");
            }
        }
    }
}

#[test]
fn permutations_follow_the_table() {
    use Permute::{B4e, Ecl, Ecr, F4e, Generic, Rc8, Rc16};
    // Sources of bytes 3 to 0 for selectors 0 to 3, as the ISA prints them.
    let table = [
        (
            F4e,
            [[3, 2, 1, 0], [4, 3, 2, 1], [5, 4, 3, 2], [6, 5, 4, 3]],
        ),
        (
            B4e,
            [[5, 6, 7, 0], [6, 7, 0, 1], [7, 0, 1, 2], [0, 1, 2, 3]],
        ),
        (Rc8, [[0; 4], [1; 4], [2; 4], [3; 4]]),
        (Ecl, [[3, 2, 1, 0], [3, 2, 1, 1], [3, 2, 2, 2], [3; 4]]),
        (Ecr, [[0; 4], [1, 1, 1, 0], [2, 2, 1, 0], [3, 2, 1, 0]]),
        (
            Rc16,
            [[1, 0, 1, 0], [3, 2, 3, 2], [1, 0, 1, 0], [3, 2, 3, 2]],
        ),
    ];
    let (a, b) = (0x1387_1110, 0x97e6_1514);
    let bytes = [0x10, 0x11, 0x87, 0x13, 0x14, 0x15, 0xe6, 0x97];
    for (mode, rows) in table {
        for (c, row) in (0..).zip(rows) {
            let expected = row.map(|i: usize| bytes[i]);
            let expected = u32::from_be_bytes(expected);
            assert_eq!(prmt(a, b, c | 0xff00, mode), expected, "{mode:?} {c}");
        }
    }
    assert_eq!(prmt(a, b, 0x7531, Generic), 0x9715_1311);
    assert_eq!(prmt(a, b, 0x3210, Generic), a);
    assert_eq!(prmt(a, b, 0xfae9, Generic), 0xffff_ff00);
    assert_eq!(prmt(a, b, 0xffff_28c4, Generic), 0x8700_0014);
    assert_eq!(Permute::named("rc16"), Some(Rc16));
}

#[test]
fn lop3_follows_its_table() {
    for lut in 0..=u8::MAX {
        let (a, b, c) = (0xf0f0_00ff, 0xcccc_1234, 0xaaaa_5678);
        let r = lop3(a, b, c, lut);
        for i in 0..32 {
            let row = (a >> i & 1) << 2 | (b >> i & 1) << 1 | c >> i & 1;
            assert_eq!(r >> i & 1, u32::from(lut) >> row & 1, "{lut:x} bit {i}");
        }
    }
    // F(a, b, c) = a & b | c, by the constants of the ISA.
    let lut = 0xf0 & 0xcc | 0xaa;
    assert_eq!(lop3(0x1234, 0x0ff0, 0x8001, lut), 0x1234 & 0x0ff0 | 0x8001);
}
