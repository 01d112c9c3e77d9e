//! Arithmetic of f32 and of pairs of them.

use crate::case::{Case, Ty, check, elementwise, elementwise_for, module};
use crate::exact::{F32, Format, MODES, Mode, single_of, within_ulps};
use crate::values::{f32s, random, rows1, rows2, rows3};
use ptx_emu::Module;

/// Compares bits; any NaN will do for a NaN, unless it must be the canonical one.
pub(crate) fn same(
    format: Format,
    canonical: bool,
    expected: impl Fn(&[u64]) -> u64 + 'static,
) -> impl Fn(&[u64], u64) -> Result<(), String> + 'static {
    move |row, found| {
        let expected = expected(row);
        let nan = format.is_nan(expected) && format.is_nan(found) && !canonical;
        if found == expected || nan {
            Ok(())
        } else {
            Err(format!("{found:#x}, expected {expected:#x}"))
        }
    }
}

/// Positive and negative values between 2^-4 and 2^4: sums of them cancel and carry.
fn middling(count: usize, seed: u64) -> Vec<u64> {
    let bits = random(32, count, seed);
    let exponent = |v: u64| 123 + (v >> 23 & 7);
    bits.iter()
        .map(|v| v & 0x807f_ffff | exponent(*v) << 23)
        .collect()
}

fn pairs() -> Vec<Vec<u64>> {
    let edges = f32s();
    let mut rows = rows2([&edges, &edges], [32, 32], 150);
    let (a, b) = (middling(150, 11), middling(150, 12));
    rows.extend(a.iter().zip(&b).map(|(a, b)| vec![*a, *b]));
    rows
}

fn triples() -> Vec<Vec<u64>> {
    let edges = f32s();
    let mut rows = rows3([&edges, &edges, &edges], [32, 32, 32], 1500, 100);
    let [x, y, z] = [middling(300, 13), middling(300, 14), middling(300, 15)];
    for ((a, b), c) in x.into_iter().zip(y).zip(z) {
        // near to what cancels the product, and far from it
        let close = (-single_of(a) * single_of(b)).to_bits();
        rows.push(vec![a, b, u64::from(close)]);
        rows.push(vec![a, b, u64::from(close ^ 1)]);
        rows.push(vec![a, b, c]);
    }
    // products around the least values
    for (a, b) in [
        (0x3f80_0001, 1),
        (0x3eff_ffff, 0x0080_0001),
        (0x2000_0000, 0x1f80_0000),
    ] {
        for c in &edges {
            rows.push(vec![a, b, *c]);
            rows.push(vec![a ^ 0x8000_0000, b, *c]);
        }
    }
    rows
}

/// Flushes operands and the result, if asked to, and then clamps it.
fn modified(row: &[u64], ftz: bool, sat: bool, f: impl Fn(&[u64]) -> u64) -> u64 {
    let flush = |v: u64| if ftz { F32.flush(v) } else { v };
    let row: Vec<_> = row.iter().map(|v| flush(*v)).collect();
    let result = flush(f(&row));
    if sat { F32.saturate(result) } else { result }
}

type Operation = fn(Format, &[u64], Mode) -> u64;

const OPERATIONS: [(&str, Operation); 5] = [
    ("add", Format::add),
    ("sub", Format::sub),
    ("mul", Format::mul),
    ("fma", Format::fma),
    ("mad", Format::fma),
];

fn arithmetic() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, f) in OPERATIONS {
        let three = matches!(name, "fma" | "mad");
        let rows = if three { triples() } else { pairs() };
        let sources = if three { "%a, %b, %c" } else { "%a, %b" };
        for (rnd, mode) in MODES.into_iter().skip(usize::from(three)) {
            for (ftz, sat) in [(false, false), (true, false), (false, true), (true, true)] {
                let flags = [("", ""), (".ftz", ".sat")];
                let (f1, f2) = (flags[usize::from(ftz)].0, flags[usize::from(sat)].1);
                cases.push(elementwise(
                    &format!("{name}{rnd}{f1}{f2}.f32 %d, {sources};"),
                    &[Ty::B32; 3][..if three { 3 } else { 2 }],
                    Ty::B32,
                    &rows,
                    same(F32, true, move |row| {
                        modified(row, ftz, sat, |row| f(F32, row, mode))
                    }),
                ));
            }
        }
    }
    cases
}

/// Low and high halves of 64 bits, each an operand of its own.
fn packed() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, f) in &OPERATIONS[..4] {
        let three = *name == "fma";
        let rows = if three { triples() } else { pairs() };
        let shifted = rows.iter().cycle().skip(7);
        let rows: Vec<Vec<u64>> = rows
            .iter()
            .zip(shifted)
            .map(|(low, high)| low.iter().zip(high).map(|(l, h)| l | h << 32).collect())
            .collect();
        let sources = if three { "%a, %b, %c" } else { "%a, %b" };
        for (rnd, mode) in MODES.into_iter().skip(usize::from(three)) {
            for (ftz, flag) in [(false, ""), (true, ".ftz")] {
                cases.push(elementwise_for(
                    "sm_100",
                    &format!("{name}{rnd}{flag}.f32x2 %d, {sources};"),
                    &[Ty::B64; 3][..if three { 3 } else { 2 }],
                    Ty::B64,
                    &rows,
                    crate::case::exactly(move |row| {
                        let half = |shift: u32| {
                            let row: Vec<_> =
                                row.iter().map(|v| v >> shift & 0xffff_ffff).collect();
                            modified(&row, ftz, false, |row| f(F32, row, mode))
                        };
                        half(0) | half(32) << 32
                    }),
                ));
            }
        }
    }
    cases
}

/// `div` in all roundings; `canonical` as NaN results of the emulator are.
fn quotients(canonical: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for (ftz, flag) in [(false, ""), (true, ".ftz")] {
        for (rnd, mode) in MODES.into_iter().skip(1) {
            cases.push(elementwise(
                &format!("div{rnd}{flag}.f32 %d, %a, %b;"),
                &[Ty::B32; 2],
                Ty::B32,
                &pairs(),
                same(F32, canonical, move |row| {
                    modified(row, ftz, false, |row| F32.div(row, mode))
                }),
            ));
        }
        for form in ["approx", "full"] {
            cases.push(elementwise(
                &format!("div.{form}{flag}.f32 %d, %a, %b;"),
                &[Ty::B32; 2],
                Ty::B32,
                &pairs(),
                move |row, found| near_quotient(row, found, ftz, form),
            ));
        }
    }
    cases
}

/// Within 2 ulp where the ISA says so, and its special values.
fn near_quotient(row: &[u64], found: u64, ftz: bool, form: &str) -> Result<(), String> {
    let flush = |v: u64| if ftz { F32.flush(v) } else { v };
    let (a, b) = (single_of(flush(row[0])), single_of(flush(row[1])));
    let found = single_of(found);
    let size = b.abs();
    if form == "approx" && size > 2_f32.powi(126) && size.is_finite() && !a.is_nan() {
        let negative = a.is_sign_negative() != b.is_sign_negative();
        let right = if a.is_infinite() {
            found.is_nan()
        } else {
            found == 0.0 && found.is_sign_negative() == negative
        };
        return if right {
            Ok(())
        } else {
            Err(format!("{found:e} for a huge divisor"))
        };
    }
    if form == "approx" && size < f32::MIN_POSITIVE && size > 0.0 {
        return Ok(()); // no bound for subnormal divisors
    }
    let exact = f64::from(a) / f64::from(b);
    within_ulps(f64::from(found), exact, 2.0, ftz)
}

/// The result of `min` or `max` with all its modifiers.
fn extreme_of(row: &[u64], greatest: bool, [nan, ftz, abs]: [bool; 3]) -> u64 {
    let size = |v: &u64| {
        let v = if ftz { F32.flush(*v) } else { *v };
        if abs { v & 0x7fff_ffff } else { v }
    };
    let sizes: Vec<_> = row.iter().map(size).collect();
    let result = F32.extreme(&sizes, greatest, nan);
    let sign = if row.len() == 2 && abs && !F32.is_nan(result) {
        (row[0] ^ row[1]) & 0x8000_0000
    } else {
        0
    };
    result ^ sign
}

fn extremes() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, greatest) in [("min", false), ("max", true)] {
        for bits in 0..8 {
            let (ftz, nan, abs) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
            let flag = |on: bool, text: &'static str| if on { text } else { "" };
            let start = format!("{name}{}{}", flag(ftz, ".ftz"), flag(nan, ".NaN"));
            cases.push(elementwise_for(
                if abs { "sm_86" } else { "sm_80" },
                &format!("{start}{}.f32 %d, %a, %b;", flag(abs, ".xorsign.abs")),
                &[Ty::B32; 2],
                Ty::B32,
                &pairs(),
                same(F32, true, move |row| {
                    extreme_of(row, greatest, [nan, ftz, abs])
                }),
            ));
            cases.push(elementwise_for(
                "sm_100",
                &format!("{start}{}.f32 %d, %a, %b, %c;", flag(abs, ".abs")),
                &[Ty::B32; 3],
                Ty::B32,
                &triples(),
                same(F32, true, move |row| {
                    extreme_of(row, greatest, [nan, ftz, abs])
                }),
            ));
        }
    }
    cases
}

fn signs() -> Vec<Case> {
    let rows = rows1(&f32s(), 32, 200);
    let mut cases = Vec::new();
    for (ftz, flag) in [(false, ""), (true, ".ftz")] {
        for (name, and, xor) in [("abs", 0x7fff_ffff, 0), ("neg", u64::MAX, 0x8000_0000)] {
            cases.push(elementwise(
                &format!("{name}{flag}.f32 %d, %a;"),
                &[Ty::B32],
                Ty::B32,
                &rows,
                same(F32, false, move |row| {
                    modified(row, ftz, false, |row| row[0] & and ^ xor)
                }),
            ));
        }
    }
    cases.push(elementwise(
        "copysign.f32 %d, %a, %b;",
        &[Ty::B32; 2],
        Ty::B32,
        &pairs(),
        crate::case::exactly(|row| row[0] & 0x8000_0000 | row[1] & 0x7fff_ffff),
    ));
    // operands that are constants, lanes that a guard leaves out in any pattern
    let bits = random(33, 640, 16);
    let infinite = |v: &u64| if v >> 32 == 0 { 0 } else { 0x7f80_0000 };
    let rows: Vec<_> = bits
        .iter()
        .map(|v| vec![v & 0xffff_ffff | infinite(v)])
        .collect();
    cases.push(elementwise(
        "mov.b32 %d, %a;\n.reg .pred %p;\ntestp.finite.f32 %p, %a;\n\
         @%p fma.rn.f32 %d, 0f3FC00000, %a, 0fC0000000;",
        &[Ty::B32],
        Ty::B32,
        &rows,
        crate::case::exactly(|row| {
            if row[0] & 0x7f80_0000 == 0x7f80_0000 {
                return row[0];
            }
            let three_halves = u64::from(1.5_f32.to_bits());
            let two = u64::from((-2_f32).to_bits());
            F32.fma(&[three_halves, row[0], two], Mode::Near)
        }),
    ));
    cases
}

/// All forms.
pub(crate) fn cases() -> Vec<Case> {
    let lists = [
        arithmetic(),
        packed(),
        quotients(false),
        extremes(),
        signs(),
    ];
    lists.into_iter().flatten().collect()
}

#[test]
fn every_form() {
    check(&cases());
}

#[test]
fn quotients_that_are_no_number_are_the_canonical_nan() {
    check(&quotients(true));
}

/// Each of these must be refused when it is loaded, with a reason that names it.
pub(crate) fn refused(forms: &[(&str, &str)]) {
    for (instruction, reason) in forms {
        let body = format!(
            ".reg .b16 %h<4>; .reg .f32 %f<4>; .reg .b64 %d<4>; .reg .pred %p<4>;\n{instruction}"
        );
        let text = module("sm_100", 1, &body);
        match Module::parse(&text) {
            Ok(_) => panic!("{instruction} was accepted"),
            Err(error) => assert!(
                error.to_string().contains(reason),
                "{instruction}: {error}, expected {reason}"
            ),
        }
    }
}

#[test]
fn forms_that_do_not_exist_are_refused() {
    refused(&[
        ("fma.f32 %f0, %f1, %f2, %f3;", "rounding"),
        ("mad.ftz.f32 %f0, %f1, %f2, %f3;", "rounding"),
        ("div.f32 %f0, %f1, %f2;", "rounding"),
        ("div.approx.rn.f32 %f0, %f1, %f2;", "`.rn`"),
        ("div.rn.sat.f32 %f0, %f1, %f2;", "`.sat`"),
        ("add.rni.f32 %f0, %f1, %f2;", "`.rni`"),
        ("add.rn.rz.f32 %f0, %f1, %f2;", "`.rz`"),
        ("add.NaN.f32 %f0, %f1, %f2;", "`.NaN`"),
        ("add.f32.f32 %f0, %f1, %f2;", "`.f32`"),
        ("add.sat.f32x2 %d0, %d1, %d2;", "`.sat`"),
        ("max.f32x2 %d0, %d1, %d2;", "f32x2"),
        ("max.rn.f32 %f0, %f1, %f2;", "`.rn`"),
        ("max.xorsign.f32 %f0, %f1, %f2;", "`.xorsign`"),
        ("max.abs.f32 %f0, %f1, %f2;", "`.abs`"),
        ("min.xorsign.abs.f32 %f0, %f1, %f2, %f3;", "`.xorsign`"),
        ("neg.sat.f32 %f0, %f1;", "`.sat`"),
        ("copysign.ftz.f32 %f0, %f1, %f2;", "`.ftz`"),
        ("rem.f32 %f0, %f1, %f2;", "f32"),
        ("add.f32 %f0, %f1;", "2 operands"),
        ("add.f32 %f0, %f1, %d2;", "64 bits"),
        ("neg.f32 0f00000000, %f1;", "register"),
    ]);
}
