//! Logic, shifts and bit fields, bit by bit as the ISA writes them.

use crate::case::{Case, Ty, check, elementwise, exactly};
use crate::integer::{low, number, of_bits};
use crate::values::{integers, random, rows1, rows2, rows3};

pub(crate) fn bit(value: u64, at: u32) -> u64 {
    if at < 64 { value >> at & 1 } else { 0 }
}

/// A word of so many bits, from its bits.
pub(crate) fn word(bits: u32, of: impl Fn(u32) -> u64) -> u64 {
    (0..bits).map(|i| of(i) << i).sum()
}

fn bitwise() -> Vec<Case> {
    type Of = fn(u64, u64) -> u64;
    let mut cases = Vec::new();
    for bits in [16, 32, 64] {
        let ty = of_bits(bits);
        let rows = rows2([&integers(bits), &integers(bits)], [bits; 2], 100);
        let forms: [(&str, Of); 3] = [
            ("and", |a, b| u64::from(a + b == 2)),
            ("or", |a, b| u64::from(a + b > 0)),
            ("xor", |a, b| u64::from(a != b)),
        ];
        for (name, of) in forms {
            let result = exactly(move |row| word(bits, |i| of(bit(row[0], i), bit(row[1], i))));
            let body = format!("{name}.b{bits} %d, %a, %b;");
            cases.push(elementwise(&body, &[ty; 2], ty, &rows, result));
        }
        let rows = rows1(&integers(bits), bits, 100);
        let not = exactly(move |row| word(bits, |i| 1 - bit(row[0], i)));
        let body = format!("not.b{bits} %d, %a;");
        cases.push(elementwise(&body, &[ty], ty, &rows, not));
        let cnot = exactly(|row| u64::from(row[0] == 0));
        let body = format!("cnot.b{bits} %d, %a;");
        cases.push(elementwise(&body, &[ty], ty, &rows, cnot));
    }
    for (name, table) in [
        ("and", [0, 0, 0, 1]),
        ("or", [0, 1, 1, 1]),
        ("xor", [0, 1, 1, 0]),
    ] {
        cases.push(elementwise(
            &format!(
                ".reg .pred %p<3>;\nsetp.ne.u32 %p0, %a, 0;\nsetp.ne.u32 %p1, %b, 0;\n\
                 {name}.pred %p2, %p0, %p1;\nselp.b32 %d, 1, 0, %p2;"
            ),
            &[Ty::B32; 2],
            Ty::B32,
            &rows2([&[0, 1], &[0, 1]], [1; 2], 60),
            exactly(move |row| table[usize::from(row[0] != 0) * 2 + usize::from(row[1] != 0)]),
        ));
    }
    cases.push(elementwise(
        // a guard leaves lanes out
        ".reg .pred %p<4>;\nsetp.ne.u32 %p0, %a, 0;\nsetp.ne.u32 %p1, %b, 0;\n\
         mov.pred %p2, %p0;\n@%p1 not.pred %p2, %p0;\nselp.b32 %d, 1, 0, %p2;",
        &[Ty::B32; 2],
        Ty::B32,
        &rows2([&[0, 1], &[0, 1]], [1; 2], 60),
        exactly(|row| u64::from((row[0] != 0) != (row[1] != 0))),
    ));
    cases
}

fn tables() -> Vec<Case> {
    let rows = rows3(
        [&integers(32), &integers(32), &integers(32)],
        [32; 3],
        60,
        60,
    );
    let of = |row: &[u64], table: u64| {
        word(32, |i| {
            let [a, b, c] = [0, 1, 2].map(|k| bit(row[k], i));
            table >> (a * 4 + b * 2 + c) & 1
        })
    };
    let mut cases: Vec<_> = (0..256_u64)
        .step_by(5)
        .map(|table| {
            let body = format!("lop3.b32 %d, %a, %b, %c, {table};");
            elementwise(
                &body,
                &[Ty::B32; 3],
                Ty::B32,
                &rows,
                exactly(move |row| of(row, table)),
            )
        })
        .collect();
    // a table of which few inputs make zero, and one of which many do
    for (table, combine, result) in [
        (0x80, "or", "%r0"),
        (0x80, "and", "%r0"),
        (0x01, "or", "_"),
        (0x16, "and", "_"),
    ] {
        let mut rows = rows.clone();
        for (row, q) in rows.iter_mut().zip(random(1, 200, 5)) {
            row.push(q);
        }
        let shown = result == "%r0";
        let add = if shown { "add.u32 %d, %d, %r0;" } else { "" };
        cases.push(elementwise(
            &format!(
                ".reg .pred %p<3>;\n.reg .b32 %r0;\nsetp.ne.u32 %p0, %e, 0;\n\
                 lop3.{combine}.b32 {result}|%p1, %a, %b, %c, {table}, %p0;\n\
                 selp.b32 %d, 1, 0, %p1;\n{add}"
            ),
            &[Ty::B32; 4],
            Ty::B32,
            &rows,
            exactly(move |row| {
                let d = of(row, table);
                let (any, q) = (d != 0, row[3] != 0);
                let p = if combine == "or" { any || q } else { any && q };
                ((if shown { d } else { 0 }) + u64::from(p)) & 0xffff_ffff
            }),
        ));
    }
    cases
}

fn shifts() -> Vec<Case> {
    let mut cases = Vec::new();
    let by = [
        0,
        1,
        7,
        8,
        15,
        16,
        17,
        31,
        32,
        33,
        63,
        64,
        65,
        255,
        256,
        0x8000_0000,
        0xffff_ffff,
    ];
    for bits in [16, 32, 64] {
        let ty = of_bits(bits);
        let rows = rows2([&integers(bits), &by], [bits, 6], 100);
        for kind in ["shl.b", "shr.b", "shr.u", "shr.s"] {
            let signed = kind == "shr.s";
            let result = move |row: &[u64]| {
                let (a, by) = (number(row[0], bits, signed), row[1].min(u64::from(bits)));
                low(if kind == "shl.b" { a << by } else { a >> by }, bits)
            };
            let body = format!("{kind}{bits} %d, %a, %b;");
            cases.push(elementwise(
                &body,
                &[ty, Ty::B32],
                ty,
                &rows,
                exactly(result),
            ));
        }
    }
    for mode in ["clamp", "wrap"] {
        for side in ["l", "r"] {
            cases.push(elementwise(
                &format!("shf.{side}.{mode}.b32 %d, %a, %b, %c;"),
                &[Ty::B32; 3],
                Ty::B32,
                &rows3([&integers(32), &integers(32), &by], [32, 32, 7], 300, 100),
                exactly(move |row| {
                    let by = if mode == "clamp" {
                        row[2].min(32)
                    } else {
                        row[2] % 32
                    };
                    let both = u128::from(row[1]) << 32 | u128::from(row[0]);
                    let moved = if side == "l" {
                        (both << by) >> 32
                    } else {
                        both >> by
                    };
                    u64::try_from(moved & 0xffff_ffff).unwrap()
                }),
            ));
        }
    }
    cases
}

/// The table of the ISA: for each mode and selector, the source bytes of `d.b3` to `d.b0`.
const PERMUTES: [(&str, [[u32; 4]; 4]); 6] = [
    (
        "f4e",
        [[3, 2, 1, 0], [4, 3, 2, 1], [5, 4, 3, 2], [6, 5, 4, 3]],
    ),
    (
        "b4e",
        [[5, 6, 7, 0], [6, 7, 0, 1], [7, 0, 1, 2], [0, 1, 2, 3]],
    ),
    (
        "rc8",
        [[0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3]],
    ),
    (
        "ecl",
        [[3, 2, 1, 0], [3, 2, 1, 1], [3, 2, 2, 2], [3, 3, 3, 3]],
    ),
    (
        "ecr",
        [[0, 0, 0, 0], [1, 1, 1, 0], [2, 2, 1, 0], [3, 2, 1, 0]],
    ),
    (
        "rc16",
        [[1, 0, 1, 0], [3, 2, 3, 2], [1, 0, 1, 0], [3, 2, 3, 2]],
    ),
];

fn permutes() -> Vec<Case> {
    let byte = |row: &[u64], at: u32| (row[1] << 32 | row[0]) >> (8 * at) & 0xff;
    let bytes = [0x8070_6050, 0x1f2e_3d4c, 0xf1e2_d3c4];
    let selectors = [0x3210, 0x7654, 0xfedc, 0x89ab, 0x0123, 0x5140, 0xffff_8421];
    let rows = rows3([&bytes, &bytes, &selectors], [32; 3], 100, 200);
    let mut cases = vec![elementwise(
        "prmt.b32 %d, %a, %b, %c;",
        &[Ty::B32; 3],
        Ty::B32,
        &rows,
        exactly(move |row| {
            let place = |i: u32| {
                let selector = u32::try_from(row[2] >> (4 * i) & 15).unwrap();
                let byte = byte(row, selector & 7);
                let sign = if byte & 0x80 == 0 { 0 } else { 0xff };
                (if selector & 8 == 0 { byte } else { sign }) << (8 * i)
            };
            (0..4).map(place).sum()
        }),
    )];
    for (mode, table) in PERMUTES {
        cases.push(elementwise(
            &format!("prmt.b32.{mode} %d, %a, %b, %c;"),
            &[Ty::B32; 3],
            Ty::B32,
            &rows,
            exactly(move |row| {
                let sources = table[usize::try_from(row[2] & 3).unwrap()];
                (0..4).map(|i| byte(row, sources[3 - i]) << (8 * i)).sum()
            }),
        ));
    }
    cases
}

pub(crate) fn cases() -> Vec<Case> {
    [bitwise(), tables(), shifts(), permutes()]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn bitwise_operations() {
    check(&bitwise());
}

#[test]
fn functions_of_three_bits() {
    check(&tables());
}

#[test]
fn shifts_and_funnels() {
    check(&shifts());
}

#[test]
fn permutes_of_bytes() {
    check(&permutes());
}
