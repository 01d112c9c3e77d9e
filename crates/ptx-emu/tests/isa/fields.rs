//! Bit fields, and searches for bits, as the ISA writes them.

use crate::case::{Case, Ty, check, elementwise, exactly};
use crate::integer::{low, number, of_bits};
use crate::logic::{bit, word};
use crate::values::{integers, random, rows1, rows2, rows3};

fn fields() -> Vec<Case> {
    let mut cases = Vec::new();
    let at = [
        0,
        1,
        5,
        8,
        16,
        30,
        31,
        32,
        33,
        62,
        63,
        64,
        65,
        128,
        254,
        255,
        256,
        257,
        0xffff_ff04,
    ];
    for (ty, bits) in [("u32", 32), ("s32", 32), ("u64", 64), ("s64", 64)] {
        let word_type = of_bits(bits);
        cases.push(elementwise(
            &format!("bfe.{ty} %d, %a, %b, %c;"),
            &[word_type, Ty::B32, Ty::B32],
            word_type,
            &rows3([&integers(bits), &at, &at], [bits, 6, 6], 900, 300),
            exactly(move |row| {
                let [pos, len] = [1, 2].map(|i: usize| u32::try_from(row[i] & 0xff).unwrap());
                let sign = if ty.starts_with('u') || len == 0 {
                    0
                } else {
                    bit(row[0], (pos + len - 1).min(bits - 1))
                };
                word(bits, |i| {
                    if i < len && pos + i < bits {
                        bit(row[0], pos + i)
                    } else {
                        sign
                    }
                })
            }),
        ));
    }
    for bits in [32, 64] {
        let ty = of_bits(bits);
        let mut rows = rows3(
            [&integers(bits), &integers(bits), &at],
            [bits, bits, 6],
            900,
            300,
        );
        let lengths = random(8, 1200, 7);
        for (i, row) in rows.iter_mut().enumerate() {
            row.push(if i % 2 == 0 {
                at[i / 2 % at.len()]
            } else {
                lengths[i]
            });
        }
        cases.push(elementwise(
            &format!("bfi.b{bits} %d, %a, %b, %c, %e;"),
            &[ty, ty, Ty::B32, Ty::B32],
            ty,
            &rows,
            exactly(move |row| {
                let [pos, len] = [2, 3].map(|i: usize| u32::try_from(row[i] & 0xff).unwrap());
                word(bits, |i| {
                    if i >= pos && i - pos < len {
                        bit(row[0], i - pos)
                    } else {
                        bit(row[1], i)
                    }
                })
            }),
        ));
    }
    for mode in ["clamp", "wrap"] {
        let clamp = mode == "clamp";
        cases.push(elementwise(
            &format!("bmsk.{mode}.b32 %d, %a, %b;"),
            &[Ty::B32; 2],
            Ty::B32,
            &rows2([&at, &at], [5; 2], 100),
            exactly(move |row| {
                let of = |v: u64| if clamp { v } else { v % 32 };
                let (from, width) = (of(row[0]), of(row[1]));
                word(32, |i| {
                    u64::from(u64::from(i) >= from && u64::from(i) - from < width)
                })
            }),
        ));
        for ty in ["u32", "s32"] {
            cases.push(elementwise(
                &format!("szext.{mode}.{ty} %d, %a, %b;"),
                &[Ty::B32; 2],
                Ty::B32,
                &rows2([&integers(32), &at], [32, 5], 200),
                exactly(move |row| {
                    if clamp && row[1] >= 32 {
                        return row[0];
                    }
                    let bits = u32::try_from(row[1] % 32).unwrap();
                    if bits == 0 {
                        return 0;
                    }
                    low(number(row[0], bits, ty == "s32"), 32)
                }),
            ));
        }
    }
    cases
}

fn searches() -> Vec<Case> {
    let mut cases = Vec::new();
    for bits in [32, 64] {
        let ty = of_bits(bits);
        let rows = rows1(&integers(bits), bits, 300);
        let ones = exactly(move |row| (0..bits).map(|i| bit(row[0], i)).sum());
        let body = format!("popc.b{bits} %d, %a;");
        cases.push(elementwise(&body, &[ty], Ty::B32, &rows, ones));
        let zeros =
            exactly(move |row| (0..bits).rev().take_while(|i| bit(row[0], *i) == 0).count() as u64);
        let body = format!("clz.b{bits} %d, %a;");
        cases.push(elementwise(&body, &[ty], Ty::B32, &rows, zeros));
        let reversed = exactly(move |row| word(bits, |i| bit(row[0], bits - 1 - i)));
        let body = format!("brev.b{bits} %d, %a;");
        cases.push(elementwise(&body, &[ty], ty, &rows, reversed));
        for (kind, shift) in [("u", false), ("u", true), ("s", false), ("s", true)] {
            let found = exactly(move |row| {
                let other = kind == "s" && bit(row[0], bits - 1) == 1;
                let wanted = u64::from(!other);
                let at = (0..bits).rev().find(|i| bit(row[0], *i) == wanted);
                at.map_or(0xffff_ffff, |at| {
                    u64::from(if shift { bits - 1 - at } else { at })
                })
            });
            let body = format!(
                "bfind{}.{kind}{bits} %d, %a;",
                if shift { ".shiftamt" } else { "" }
            );
            cases.push(elementwise(&body, &[ty], Ty::B32, &rows, found));
        }
    }
    let bases: Vec<u64> = (0..32).step_by(3).chain([1, 31]).collect();
    let offsets = [0, 1, 2, 3, 16, 31, 32, 33, 0x7fff_ffff, 0x8000_0000]
        .map(|v: u64| [v, v.wrapping_neg() & 0xffff_ffff])
        .concat();
    let masks = [integers(32), vec![0xaaaa_aaaa, 0x00f0_0f00]].concat();
    let mut rows = rows3([&masks, &bases, &offsets], [32, 5, 3], 900, 300);
    rows.extend(
        [
            (0xaaaa_aaaa, 3, 1),
            (0xaaaa_aaaa, 3, -1),
            (0xaaaa_aaaa, 2, 1),
            (0xaaaa_aaaa, 2, -1),
        ]
        .map(|(mask, base, offset)| vec![mask, base, low(offset, 32)]),
    );
    cases.push(elementwise(
        "fns.b32 %d, %a, %b, %c;",
        &[Ty::B32; 3],
        Ty::B32,
        &rows,
        exactly(|row| {
            let offset = number(row[2], 32, true);
            let mut at = i128::from(row[1]);
            let mut count = offset.abs() - 1;
            while (0..32).contains(&at) {
                let here = bit(row[0], u32::try_from(at).unwrap()) == 1;
                if offset == 0 {
                    return if here { row[1] } else { 0xffff_ffff };
                }
                if here && count == 0 {
                    return u64::try_from(at).unwrap();
                }
                count -= i128::from(here);
                at += offset.signum();
            }
            0xffff_ffff
        }),
    ));
    cases
}

pub(crate) fn cases() -> Vec<Case> {
    [fields(), searches()].into_iter().flatten().collect()
}

#[test]
fn bit_fields() {
    check(&fields());
}

#[test]
fn searches_for_bits() {
    check(&searches());
}
