//! Arithmetic of f64.

use crate::case::{Case, Ty, check, elementwise, exactly};
use crate::exact::{F64, Format, MODES, Mode};
use crate::single::{refused, same};
use crate::values::{f64s, random, rows1, rows2, rows3};

type Operation = fn(Format, &[u64], Mode) -> u64;

/// Positive and negative values between 2^-4 and 2^4.
fn middling(count: usize, seed: u64) -> Vec<u64> {
    let bits = random(64, count, seed);
    let exponent = |v: u64| 1019 + (v >> 52 & 7);
    bits.iter()
        .map(|v| v & 0x800f_ffff_ffff_ffff | exponent(*v) << 52)
        .collect()
}

fn pairs() -> Vec<Vec<u64>> {
    let edges = f64s();
    let mut rows = rows2([&edges, &edges], [64, 64], 100);
    let (a, b) = (middling(150, 21), middling(150, 22));
    rows.extend(a.iter().zip(&b).map(|(a, b)| vec![*a, *b]));
    rows
}

fn triples() -> Vec<Vec<u64>> {
    let edges = f64s();
    let mut rows = rows3([&edges, &edges, &edges], [64, 64, 64], 1200, 100);
    let [x, y, z] = [middling(200, 23), middling(200, 24), middling(200, 25)];
    for ((a, b), c) in x.into_iter().zip(y).zip(z) {
        let close = (-f64::from_bits(a) * f64::from_bits(b)).to_bits();
        rows.push(vec![a, b, close]);
        rows.push(vec![a, b, close ^ 1]);
        rows.push(vec![a, b, c]);
    }
    rows
}

/// With NaN results as the hardware has them (any), or as the emulator does.
fn list(canonical: bool) -> Vec<Case> {
    let operations: [(&str, Operation); 6] = [
        ("add", Format::add),
        ("sub", Format::sub),
        ("mul", Format::mul),
        ("div", Format::div),
        ("fma", Format::fma),
        ("mad", Format::fma),
    ];
    let mut cases = Vec::new();
    for (name, f) in operations {
        let three = matches!(name, "fma" | "mad");
        let rows = if three { triples() } else { pairs() };
        let sources = if three { "%a, %b, %c" } else { "%a, %b" };
        for (rnd, mode) in MODES.into_iter().skip(usize::from(three || name == "div")) {
            cases.push(elementwise(
                &format!("{name}{rnd}.f64 %d, {sources};"),
                &[Ty::B64; 3][..if three { 3 } else { 2 }],
                Ty::B64,
                &rows,
                same(F64, canonical, move |row| f(F64, row, mode)),
            ));
        }
    }
    for (name, greatest) in [("min", false), ("max", true)] {
        cases.push(elementwise(
            &format!("{name}.f64 %d, %a, %b;"),
            &[Ty::B64; 2],
            Ty::B64,
            &pairs(),
            same(F64, canonical, move |row| F64.extreme(row, greatest, false)),
        ));
    }
    cases
}

/// All forms.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = list(false);
    let rows = rows1(&f64s(), 64, 200);
    let sign = 1 << 63;
    cases.push(elementwise(
        "abs.f64 %d, %a;",
        &[Ty::B64],
        Ty::B64,
        &rows,
        same(F64, false, move |row| row[0] & !sign),
    ));
    cases.push(elementwise(
        "neg.f64 %d, %a;",
        &[Ty::B64],
        Ty::B64,
        &rows,
        same(F64, false, move |row| row[0] ^ sign),
    ));
    cases.push(elementwise(
        "copysign.f64 %d, %a, %b;",
        &[Ty::B64; 2],
        Ty::B64,
        &pairs(),
        exactly(move |row| row[0] & sign | row[1] & !sign),
    ));
    // lanes that a guard leaves out in any pattern
    let bits = random(64, 640, 26);
    let infinite = |v: &u64| if v & 1 == 0 { 0 } else { 0x7ff0 << 48 };
    let rows: Vec<_> = bits.iter().map(|v| vec![v | infinite(v)]).collect();
    cases.push(elementwise(
        "mov.b64 %d, %a;\n.reg .pred %p;\ntestp.finite.f64 %p, %a;\n\
         @!%p add.f64 %d, 0d3FF0000000000000, 0d3FF0000000000000;",
        &[Ty::B64],
        Ty::B64,
        &rows,
        exactly(|row| {
            if f64::from_bits(row[0]).is_finite() {
                row[0]
            } else {
                2_f64.to_bits()
            }
        }),
    ));
    cases
}

#[test]
fn every_form() {
    check(&cases());
}

#[test]
fn results_that_are_no_number_are_the_canonical_nan() {
    check(&list(true));
}

#[test]
fn forms_that_do_not_exist_are_refused() {
    refused(&[
        ("fma.f64 %d0, %d1, %d2, %d3;", "rounding"),
        ("mad.f64 %d0, %d1, %d2, %d3;", "rounding"),
        ("div.f64 %d0, %d1, %d2;", "rounding"),
        ("div.full.f64 %d0, %d1, %d2;", "rounding"),
        ("add.ftz.f64 %d0, %d1, %d2;", "`.ftz`"),
        ("add.sat.f64 %d0, %d1, %d2;", "`.sat`"),
        ("max.NaN.f64 %d0, %d1, %d2;", "`.NaN`"),
        ("min.f64 %d0, %d1, %d2, %d3;", "4 operands"),
        ("neg.rn.f64 %d0, %d1;", "`.rn`"),
        ("rem.f64 %d0, %d1, %d2;", "f64"),
    ]);
}
