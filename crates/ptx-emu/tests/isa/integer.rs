//! Integer arithmetic, against exact arithmetic in 128 bits.

use crate::case::{Case, Ty, check, elementwise, elementwise_for, exactly};
use crate::values::{integers, rows1, rows2, rows3};

/// The integer types, and the bits of each.
pub(crate) const TYPES: [(&str, u32); 6] = [
    ("u16", 16),
    ("u32", 32),
    ("u64", 64),
    ("s16", 16),
    ("s32", 32),
    ("s64", 64),
];

pub(crate) fn of_bits(bits: u32) -> Ty {
    match bits {
        8 => Ty::B8,
        16 => Ty::B16,
        32 => Ty::B32,
        _ => Ty::B64,
    }
}

/// The number that the low bits of a register stand for.
pub(crate) fn number(value: u64, bits: u32, signed: bool) -> i128 {
    let low = i128::from(value) & ((1_i128 << bits) - 1);
    if signed && low >> (bits - 1) & 1 == 1 {
        low - (1_i128 << bits)
    } else {
        low
    }
}

/// The low bits of a number.
#[allow(clippy::cast_sign_loss, reason = "two's complement")]
pub(crate) fn low(number: i128, bits: u32) -> u64 {
    (number & ((1_i128 << bits) - 1)) as u64
}

fn clamp(number: i128, bits: u32) -> i128 {
    let top = 1_i128 << (bits - 1);
    number.clamp(-top, top - 1)
}

fn signed(ty: &str) -> bool {
    ty.starts_with('s')
}

/// `name.ty %d, %a`
fn one(name: &str, ty: &str, bits: u32, result: impl Fn(i128) -> i128 + 'static) -> Case {
    let sign = signed(ty);
    elementwise(
        &format!("{name}.{ty} %d, %a;"),
        &[of_bits(bits)],
        of_bits(bits),
        &rows1(&integers(bits), bits, 200),
        exactly(move |row| low(result(number(row[0], bits, sign)), bits)),
    )
}

/// `name.ty %d, %a, %b`
fn two(name: &str, ty: &str, bits: u32, result: impl Fn(i128, i128) -> i128 + 'static) -> Case {
    let sign = signed(ty);
    elementwise(
        &format!("{name}.{ty} %d, %a, %b;"),
        &[of_bits(bits); 2],
        of_bits(bits),
        &rows2([&integers(bits), &integers(bits)], [bits; 2], 200),
        exactly(move |row| {
            let of = |i: usize| number(row[i], bits, sign);
            low(result(of(0), of(1)), bits)
        }),
    )
}

/// `name.ty %d, %a, %b, %c`, the third source and the result of `wide` bits.
fn three(
    name: &str,
    ty: &str,
    bits: u32,
    wide: u32,
    result: impl Fn(i128, i128, i128) -> i128 + 'static,
) -> Case {
    let sign = signed(ty);
    let edges = (integers(bits), integers(wide));
    elementwise(
        &format!("{name}.{ty} %d, %a, %b, %c;"),
        &[of_bits(bits), of_bits(bits), of_bits(wide)],
        of_bits(wide),
        &rows3([&edges.0, &edges.0, &edges.1], [bits, bits, wide], 500, 200),
        exactly(move |row| {
            let of = |i: usize| number(row[i], bits, sign);
            low(result(of(0), of(1), number(row[2], wide, sign)), wide)
        }),
    )
}

fn plain() -> Vec<Case> {
    let mut cases = Vec::new();
    for (ty, bits) in TYPES {
        cases.push(two("add", ty, bits, |a, b| a + b));
        cases.push(two("sub", ty, bits, |a, b| a - b));
        cases.push(two("min", ty, bits, Ord::min));
        cases.push(two("max", ty, bits, Ord::max));
        cases.push(three("sad", ty, bits, bits, |a, b, c| c + (a - b).abs()));
        if signed(ty) {
            cases.push(one("neg", ty, bits, |a| -a));
            cases.push(one("abs", ty, bits, i128::abs));
        }
        for name in ["div", "rem"] {
            let sign = signed(ty);
            cases.push(elementwise(
                &format!("{name}.{ty} %d, %a, %b;"),
                &[of_bits(bits); 2],
                of_bits(bits),
                &rows2([&integers(bits), &integers(bits)], [bits; 2], 300),
                move |row, found| {
                    let of = |i: usize| number(row[i], bits, sign);
                    let (a, b) = (of(0), of(1));
                    if b == 0 {
                        return Ok(()); // the ISA does not say
                    }
                    let right = if name == "div" { a / b } else { a % b };
                    exactly(move |_| low(right, bits))(row, found)
                },
            ));
        }
    }
    cases.push(two("add.sat", "s32", 32, |a, b| clamp(a + b, 32)));
    cases.push(two("sub.sat", "s32", 32, |a, b| clamp(a - b, 32)));
    cases
}

fn products() -> Vec<Case> {
    let mut cases = Vec::new();
    for (ty, bits) in TYPES {
        // the product of two u64 needs 128 bits of its own
        let upper = move |a: i128, b: i128| {
            if bits < 64 || signed(ty) {
                return (a * b) >> bits;
            }
            let (a, b) = (a.unsigned_abs(), b.unsigned_abs());
            i128::try_from((a * b) >> 64).unwrap()
        };
        let product = |a: i128, b: i128| a.wrapping_mul(b);
        cases.push(two("mul.lo", ty, bits, product));
        cases.push(two("mul.hi", ty, bits, upper));
        cases.push(three("mad.lo", ty, bits, bits, move |a, b, c| {
            product(a, b).wrapping_add(c)
        }));
        cases.push(three("mad.hi", ty, bits, bits, move |a, b, c| {
            upper(a, b) + c
        }));
        if bits < 64 {
            cases.push(three("mad.wide", ty, bits, 2 * bits, |a, b, c| a * b + c));
            let sign = signed(ty);
            cases.push(elementwise(
                &format!("mul.wide.{ty} %d, %a, %b;"),
                &[of_bits(bits); 2],
                of_bits(2 * bits),
                &rows2([&integers(bits), &integers(bits)], [bits; 2], 200),
                exactly(move |row| {
                    let of = |i: usize| number(row[i], bits, sign);
                    low(of(0) * of(1), 2 * bits)
                }),
            ));
        }
    }
    cases.push(three("mad.hi.sat", "s32", 32, 32, |a, b, c| {
        clamp(((a * b) >> 32) + c, 32)
    }));
    for ty in ["u32", "s32"] {
        // the operands are 24-bit numbers
        let part = move |v: i128| number(low(v, 24), 24, signed(ty));
        let product = move |a, b| part(a) * part(b);
        cases.push(two("mul24.lo", ty, 32, product));
        cases.push(two("mul24.hi", ty, 32, move |a, b| product(a, b) >> 16));
        cases.push(three("mad24.lo", ty, 32, 32, move |a, b, c| {
            product(a, b) + c
        }));
        cases.push(three("mad24.hi", ty, 32, 32, move |a, b, c| {
            (product(a, b) >> 16) + c
        }));
        if signed(ty) {
            cases.push(three("mad24.hi.sat", ty, 32, 32, move |a, b, c| {
                clamp((product(a, b) >> 16) + c, 32)
            }));
        }
    }
    cases
}

fn dots() -> Vec<Case> {
    let mut cases = Vec::new();
    for a_type in ["u32", "s32"] {
        for b_type in ["u32", "s32"] {
            let byte = |v: u64, i: u32, ty: &str| number(v >> (8 * i) & 0xff, 8, signed(ty));
            let half = |v: u64, i: u32, ty: &str| number(v >> (16 * i) & 0xffff, 16, signed(ty));
            let rows = rows3(
                [&integers(32), &integers(32), &integers(32)],
                [32; 3],
                300,
                300,
            );
            cases.push(elementwise(
                &format!("dp4a.{a_type}.{b_type} %d, %a, %b, %c;"),
                &[Ty::B32; 3],
                Ty::B32,
                &rows,
                exactly(move |row| {
                    let dot = (0..4).map(|i| byte(row[0], i, a_type) * byte(row[1], i, b_type));
                    low(i128::from(row[2]) + dot.sum::<i128>(), 32)
                }),
            ));
            for (part, from) in [("lo", 0), ("hi", 2)] {
                cases.push(elementwise(
                    &format!("dp2a.{part}.{a_type}.{b_type} %d, %a, %b, %c;"),
                    &[Ty::B32; 3],
                    Ty::B32,
                    &rows,
                    exactly(move |row| {
                        let dot = (0..2)
                            .map(|i| half(row[0], i, a_type) * byte(row[1], from + i, b_type));
                        low(i128::from(row[2]) + dot.sum::<i128>(), 32)
                    }),
                ));
            }
        }
    }
    cases
}

/// Forms that `sm_90` brought: pairs, and `.relu`.
fn of_hopper() -> Vec<Case> {
    type Of = fn(i128, i128) -> i128;
    let relu_min: Of = |a, b| a.min(b).max(0);
    let relu_max: Of = |a, b| a.max(b).max(0);
    let forms: [(&str, u32, bool, Of); 12] = [
        ("add.u16x2", 16, false, |a, b| a + b),
        ("add.s16x2", 16, true, |a, b| a + b),
        ("min.u16x2", 16, false, Ord::min),
        ("min.s16x2", 16, true, Ord::min),
        ("max.u16x2", 16, false, Ord::max),
        ("max.s16x2", 16, true, Ord::max),
        ("min.relu.s16x2", 16, true, relu_min),
        ("min.s16x2.relu", 16, true, relu_min),
        ("max.relu.s16x2", 16, true, relu_max),
        ("min.relu.s32", 32, true, relu_min),
        ("max.relu.s32", 32, true, relu_max),
        ("max.s32.relu", 32, true, relu_max),
    ];
    let pairs: Vec<u64> = integers(16)
        .iter()
        .zip(integers(16).iter().rev())
        .map(|(a, b)| a << 16 | b)
        .collect();
    let case = |(name, bits, sign, of): (&str, u32, bool, Of)| {
        let edges = if bits == 16 {
            pairs.clone()
        } else {
            integers(32)
        };
        elementwise_for(
            "sm_90",
            &format!("{name} %d, %a, %b;"),
            &[Ty::B32; 2],
            Ty::B32,
            &rows2([&edges, &edges], [32; 2], 300),
            exactly(move |row| {
                let part = |i: u32| {
                    let at = |v: u64| number(v >> (bits * i), bits, sign);
                    low(of(at(row[0]), at(row[1])), bits) << (bits * i)
                };
                (0..32 / bits).map(part).sum()
            }),
        )
    };
    forms.map(case).into()
}

pub(crate) fn cases() -> Vec<Case> {
    [plain(), products(), dots(), of_hopper()]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn sums_differences_and_quotients() {
    check(&plain());
}

#[test]
fn products_and_sums_of_products() {
    check(&products());
}

#[test]
fn dot_products_of_bytes() {
    check(&dots());
}

#[test]
fn pairs_and_relu() {
    check(&of_hopper());
}
