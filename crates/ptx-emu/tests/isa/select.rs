//! `selp` and `slct`.

use crate::case::{Case, Ty, check, elementwise, exactly};
use crate::integer::of_bits;
use crate::values::{f32s, integers, rows3};

const TYPES: [&str; 11] = [
    "b16", "u16", "s16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64",
];

fn ordered_and_not_below_zero(c: u64, ftz: bool) -> bool {
    let size = c & 0x7fff_ffff;
    let nan = size > 0x7f80_0000;
    let zero = size == 0 || ftz && size < 0x0080_0000;
    !nan && (zero || c >> 31 == 0)
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for ty in TYPES {
        let bits = ty[1..].parse().unwrap();
        let word = of_bits(bits);
        let inputs = [word, word, Ty::B32];
        let values = integers(bits);
        for (negated, swap) in [("", false), ("!", true)] {
            cases.push(elementwise(
                &format!(
                    ".reg .pred %p;\nsetp.ne.u32 %p, %c, 0;\nselp.{ty} %d, %a, %b, {negated}%p;"
                ),
                &inputs,
                word,
                &rows3([&values, &values, &[0, 1]], [bits, bits, 1], 100, 100),
                exactly(move |row| row[usize::from((row[2] == 0) != swap)]),
            ));
        }
        cases.push(elementwise(
            &format!("slct.{ty}.s32 %d, %a, %b, %c;"),
            &inputs,
            word,
            &rows3(
                [&values, &values, &integers(32)],
                [bits, bits, 32],
                100,
                100,
            ),
            exactly(|row| row[usize::from(row[2] >> 31 == 1)]),
        ));
        for (ftz, name) in [(false, ""), (true, "ftz.")] {
            cases.push(elementwise(
                &format!("slct.{name}{ty}.f32 %d, %a, %b, %c;"),
                &inputs,
                word,
                &rows3([&values, &values, &f32s()], [bits, bits, 32], 200, 100),
                exactly(move |row| row[usize::from(!ordered_and_not_below_zero(row[2], ftz))]),
            ));
        }
    }
    // constants of the type
    for (ty, a, b, bits) in [
        ("f32", "0f3F800000", "2.5", [0x3f80_0000, 0x4020_0000]),
        (
            "f64",
            "0d3FF0000000000000",
            "2.5",
            [0x3ff0 << 48, 0x4004 << 48],
        ),
        ("s16", "-1", "70000", [0xffff, 70000 - 65536]),
        (
            "s64",
            "-1",
            "0x123456789abcdef0",
            [u64::MAX, 0x1234_5678_9abc_def0],
        ),
    ] {
        let word = of_bits(ty[1..].parse().unwrap());
        cases.push(elementwise(
            &format!(".reg .pred %p;\nsetp.ne.u32 %p, %a, 0;\nselp.{ty} %d, {a}, {b}, %p;"),
            &[Ty::B32],
            word,
            &[vec![0], vec![1]],
            exactly(move |row| bits[usize::from(row[0] == 0)]),
        ));
    }
    cases
}

#[test]
fn selections() {
    check(&cases());
}
