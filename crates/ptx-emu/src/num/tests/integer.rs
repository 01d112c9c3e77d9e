//! Integer arithmetic against 128-bit formulas.

use super::WORDS;
use crate::num::integer::{
    add_sat, div_s16, div_s32, div_s64, div_u16, div_u32, div_u64, dp2a, dp4a, relu_s32, rem_s16,
    rem_s32, rem_s64, rem_u16, rem_u32, rem_u64, sad_s16, sad_s32, sad_s64, sad_u16, sad_u32,
    sad_u64, sub_sat,
};
use crate::num::wide::{
    add_carry_u32, add_carry_u64, mad_hi_carry_s32, mad_hi_carry_s64, mad_hi_carry_u32,
    mad_hi_carry_u64, mad_hi_sat, mad_lo_carry_u32, mad_lo_carry_u64, mad24_hi, mad24_hi_sat,
    mad24_lo, mul_hi_s16, mul_hi_s32, mul_hi_s64, mul_hi_u16, mul_hi_u32, mul_hi_u64, mul24_hi,
    mul24_lo, sub_borrow_u32, sub_borrow_u64,
};

/// Pairs of 64-bit patterns: edges of every width, and scattered ones of all sizes.
fn pairs() -> impl Iterator<Item = (u64, u64)> {
    let edges: Vec<u64> = WORDS
        .iter()
        .flat_map(|&w| [u64::from(w), u64::from(w) << 32, i64::from(w as i32) as u64])
        .collect();
    let all: Vec<(u64, u64)> = edges
        .iter()
        .flat_map(|&a| edges.iter().map(move |&b| (a, b)))
        .collect();
    let sized = |x: u64| x >> (x & 63);
    all.into_iter().chain(
        super::scattered(40_000)
            .zip(super::scattered(50_000).skip(9_000))
            .map(move |(a, b)| (sized(a), sized(b.rotate_left(7)))),
    )
}

#[test]
fn quotients_and_remainders_have_a_result_for_every_operand() {
    for (a, b) in pairs() {
        let check = |q: i128, r: i128, a: i128, b: i128, ones: i128, bits: u32| {
            if b == 0 {
                assert_eq!((q, r), (ones, a));
            } else {
                // Of all quotients only MIN / -1 leaves the range; it wraps.
                let wrapped = (a / b) << (128 - bits) >> (128 - bits);
                assert_eq!(
                    (q, r),
                    (if ones < 0 { wrapped } else { a / b }, a % b),
                    "{a} / {b}"
                );
            }
        };
        macro_rules! checks {
            ($($t:ident $div:ident $rem:ident $ones:expr),*) => { $(
                let (x, y) = (a as $t, b as $t);
                let (q, r) = ($div(x, y).into(), $rem(x, y).into());
                check(q, r, x.into(), y.into(), $ones.into(), $t::BITS);
            )* };
        }
        checks!(
            u16 div_u16 rem_u16 u16::MAX, i16 div_s16 rem_s16 -1,
            u32 div_u32 rem_u32 u32::MAX, i32 div_s32 rem_s32 -1,
            u64 div_u64 rem_u64 u64::MAX, i64 div_s64 rem_s64 -1
        );
    }
    // Quotients next to an integer, where rounding in f64 would show.
    for b in super::scattered(20_000)
        .map(|x| (x as u32) >> (x >> 59))
        .filter(|&b| b > 0)
    {
        let most = u32::MAX / b;
        for a in [
            b * most,
            b * most - 1,
            b * (most / 2),
            (b * (most / 2)).wrapping_sub(1),
        ] {
            assert_eq!((div_u32(a, b), rem_u32(a, b)), (a / b, a % b), "{a} / {b}");
        }
    }
}

#[test]
fn upper_halves_and_24_bit_products() {
    for (a, b) in pairs() {
        assert_eq!(
            u128::from(mul_hi_u64(a, b)),
            (u128::from(a) * u128::from(b)) >> 64
        );
        let (x, y) = (a as i64, b as i64);
        assert_eq!(
            i128::from(mul_hi_s64(x, y)),
            (i128::from(x) * i128::from(y)) >> 64
        );
        let (u, v) = (a as u32, b as u32);
        assert_eq!(
            i128::from(mul_hi_u32(u, v)),
            (i128::from(u) * i128::from(v)) >> 32
        );
        let (s, t) = (i128::from(u as i32), i128::from(v as i32));
        assert_eq!(i128::from(mul_hi_s32(u as i32, v as i32)), (s * t) >> 32);
        let (p, q) = (a as u16, b as u16);
        assert_eq!(
            i128::from(mul_hi_u16(p, q)),
            (i128::from(p) * i128::from(q)) >> 16
        );
        let signed = i128::from(p as i16) * i128::from(q as i16);
        assert_eq!(i128::from(mul_hi_s16(p as i16, q as i16)), signed >> 16);
        let (low, high) = (i128::from(i32::MIN), i128::from(i32::MAX));
        let sum = ((s * t) >> 32) + i128::from(x as i32);
        let r = mad_hi_sat(u as i32, v as i32, x as i32);
        assert_eq!(i128::from(r), sum.clamp(low, high));
        for signed in [false, true] {
            let low24 = |w: u32| {
                let w = i128::from(w & 0xff_ffff);
                if signed && w >= 1 << 23 {
                    w - (1 << 24)
                } else {
                    w
                }
            };
            let product = low24(u) * low24(v);
            assert_eq!(mul24_lo(u, v, signed), product as u32);
            assert_eq!(mul24_hi(u, v, signed), (product >> 16) as u32);
            assert_eq!(
                mad24_lo(u, v, p.into(), signed),
                (product + i128::from(p)) as u32
            );
            assert_eq!(
                mad24_hi(u, v, u, signed),
                ((product >> 16) + i128::from(u)) as u32
            );
            if signed {
                let sum = i128::from((product >> 16) as i32) + i128::from(v as i32);
                assert_eq!(
                    i128::from(mad24_hi_sat(u, v, v as i32)),
                    sum.clamp(low, high)
                );
            }
        }
    }
}

#[test]
fn carries_chain() {
    for (a, b) in pairs() {
        for carry in [false, true] {
            let c = u128::from(carry);
            let (u, v) = (a as u32, b as u32);
            let sum = u128::from(u) + u128::from(v) + c;
            assert_eq!(add_carry_u32(u, v, carry), (sum as u32, sum >> 32 == 1));
            let sum = u128::from(a) + u128::from(b) + c;
            assert_eq!(add_carry_u64(a, b, carry), (sum as u64, sum >> 64 == 1));
            let borrow = u128::from(v) + c > u128::from(u);
            let r = u.wrapping_sub(v).wrapping_sub(carry.into());
            assert_eq!(sub_borrow_u32(u, v, carry), (r, borrow));
            let borrow = u128::from(b) + c > u128::from(a);
            let r = a.wrapping_sub(b).wrapping_sub(carry.into());
            assert_eq!(sub_borrow_u64(a, b, carry), (r, borrow));
            let add = |half: u32| {
                let sum = u128::from(half) + u128::from(u) + c;
                (sum as u32, sum >> 32 == 1)
            };
            let product = u64::from(u) * u64::from(v);
            assert_eq!(mad_lo_carry_u32(u, v, u, carry), add(product as u32));
            assert_eq!(
                mad_hi_carry_u32(u, v, u, carry),
                add((product >> 32) as u32)
            );
            let product = i64::from(u as i32) * i64::from(v as i32);
            assert_eq!(
                mad_hi_carry_s32(u, v, u, carry),
                add((product >> 32) as u32)
            );
            let add = |half: u64| {
                let sum = u128::from(half) + u128::from(a) + c;
                (sum as u64, sum >> 64 == 1)
            };
            let product = u128::from(a) * u128::from(b);
            assert_eq!(mad_lo_carry_u64(a, b, a, carry), add(product as u64));
            assert_eq!(
                mad_hi_carry_u64(a, b, a, carry),
                add((product >> 64) as u64)
            );
            let product = i128::from(a as i64) * i128::from(b as i64);
            assert_eq!(
                mad_hi_carry_s64(a, b, a, carry),
                add((product >> 64) as u64)
            );
        }
    }
}

#[test]
fn sums_of_differences_and_saturation() {
    for (a, b) in pairs() {
        let c = a.rotate_left(13);
        macro_rules! sads {
            ($($t:ident $sad:ident),*) => { $(
                let (x, y, z) = (a as $t, b as $t, c as $t);
                let exact = i128::from(z) + (i128::from(x) - i128::from(y)).abs();
                assert_eq!($sad(x, y, z), exact as $t, "{x} {y} {z}");
            )* };
        }
        sads!(u16 sad_u16, u32 sad_u32, u64 sad_u64, i16 sad_s16, i32 sad_s32, i64 sad_s64);
        let (x, y) = (a as i32, b as i32);
        let clamp = |v: i64| v.clamp(i32::MIN.into(), i32::MAX.into());
        assert_eq!(i64::from(add_sat(x, y)), clamp(i64::from(x) + i64::from(y)));
        assert_eq!(i64::from(sub_sat(x, y)), clamp(i64::from(x) - i64::from(y)));
    }
    assert_eq!([relu_s32(-7), relu_s32(7)], [0, 7]);
}

#[test]
fn dot_products_of_bytes() {
    for (x, y) in pairs() {
        let (a, b, c) = (x as u32, y as u32, (x ^ y.rotate_left(11)) as u32);
        for (sa, sb) in [(false, false), (false, true), (true, false), (true, true)] {
            let byte = |w: u32, i: usize, signed: bool| {
                let v = w.to_le_bytes()[i];
                if signed {
                    i128::from(v as i8)
                } else {
                    i128::from(v)
                }
            };
            let exact: i128 = (0..4).map(|i| byte(a, i, sa) * byte(b, i, sb)).sum();
            assert_eq!(dp4a(a, b, c, sa, sb), (exact + i128::from(c)) as u32);
            let half = |i: u32| {
                let v = (a >> (16 * i)) as u16;
                if sa {
                    i128::from(v as i16)
                } else {
                    i128::from(v)
                }
            };
            for (high, from) in [(false, 0), (true, 2)] {
                let exact = half(0) * byte(b, from, sb) + half(1) * byte(b, from + 1, sb);
                assert_eq!(dp2a(a, b, c, high, sa, sb), (exact + i128::from(c)) as u32);
            }
        }
    }
}
