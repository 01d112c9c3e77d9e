//! Roots, reciprocals, transcendental functions and tests of a number.

use std::f64::consts::{LN_2, PI};

use crate::case::{Case, Ty, check, elementwise, elementwise_for, exactly};
use crate::exact::{BF16, F16, F32, F64, Format, MODES, Mode, single_of, within_ulps};
use crate::single::{refused, same};
use crate::values::{bf16s, f16s, f32s, f64s, random, rows1, rows2};

fn singles() -> Vec<Vec<u64>> {
    let mut rows = rows1(&f32s(), 32, 600);
    // magnitudes that exponentials and angles have
    let bits = random(32, 1200, 31);
    rows.extend(bits.iter().map(|v| {
        let exponent = 112 + (v >> 23 & 31) % 24;
        vec![v & 0x807f_ffff | exponent << 23]
    }));
    rows.extend((-150..130).flat_map(|k| {
        let whole = k as f32;
        let beside = [whole, whole + 0.25, whole - 1.0e-5];
        beside.map(|x| vec![u64::from(x.to_bits())])
    }));
    rows
}

type Operation = fn(Format, &[u64], Mode) -> u64;

/// `rcp` and `sqrt` in all roundings.
fn rounded(canonical: bool) -> Vec<Case> {
    let operations: [(&str, Operation); 2] = [("rcp", Format::rcp), ("sqrt", Format::sqrt)];
    let doubles = rows1(&f64s(), 64, 1500);
    let mut cases = Vec::new();
    for (name, f) in operations {
        for (rnd, mode) in MODES.into_iter().skip(1) {
            for (ftz, flag) in [(false, ""), (true, ".ftz")] {
                cases.push(elementwise(
                    &format!("{name}{rnd}{flag}.f32 %d, %a;"),
                    &[Ty::B32],
                    Ty::B32,
                    &singles(),
                    same(F32, canonical, move |row| {
                        let flush = |v: u64| if ftz { F32.flush(v) } else { v };
                        flush(f(F32, &[flush(row[0])], mode))
                    }),
                ));
            }
            cases.push(elementwise(
                &format!("{name}{rnd}.f64 %d, %a;"),
                &[Ty::B64],
                Ty::B64,
                &doubles,
                same(F64, canonical, move |row| f(F64, row, mode)),
            ));
        }
    }
    cases
}

/// Whether an approximation is right: operand (flushed, if so), result, whether it is flushed.
type Bound = fn(f64, f64, bool) -> Result<(), String>;

fn relative(found: f64, exact: f64, bound: f64, ftz: bool) -> Result<(), String> {
    let least = f64::from(f32::MIN_POSITIVE);
    let special = exact.is_nan() || exact == 0.0 || exact.is_infinite();
    if special || found.is_infinite() || found == 0.0 || exact.abs() < 2.0 * least {
        return within_ulps(found, exact, 2.0, ftz);
    }
    absolute(found, exact, bound * exact.abs())
}

fn absolute(found: f64, exact: f64, bound: f64) -> Result<(), String> {
    let right = if exact.is_nan() {
        found.is_nan()
    } else {
        (found - exact).abs() <= bound
    };
    if right {
        Ok(())
    } else {
        Err(format!("{found:e}, expected {exact:e} within {bound:e}"))
    }
}

fn sine(a: f64, found: f64, exact: f64) -> Result<(), String> {
    if a == 0.0 {
        return if found.to_bits() == exact.to_bits() {
            Ok(())
        } else {
            Err(format!("{found:e} at zero"))
        };
    }
    match a.abs() {
        size if size <= 2.0 * PI => absolute(found, exact, 2_f64.powf(-20.5)),
        size if size <= 100.0 * PI => absolute(found, exact, 2_f64.powf(-14.7)),
        size if size.is_finite() => absolute(found, 0.0, 1.0),
        _ => absolute(found, f64::NAN, 0.0),
    }
}

fn logarithm(a: f64, found: f64, ftz: bool) -> Result<(), String> {
    let exact = a.log2();
    if a > 0.5 && a < 2.0 {
        absolute(found, exact, 2_f64.powi(-22))
    } else {
        relative(found, exact, 2_f64.powi(-22), ftz)
    }
}

const APPROXIMATIONS: [(&str, Bound); 7] = [
    ("rcp", |a, found, ftz| within_ulps(found, 1.0 / a, 1.0, ftz)),
    ("sqrt", |a, found, ftz| {
        relative(found, a.sqrt(), 2_f64.powi(-23), ftz)
    }),
    ("rsqrt", |a, found, ftz| {
        relative(found, 1.0 / a.sqrt(), 2_f64.powf(-22.9), ftz)
    }),
    ("ex2", |a, found, ftz| {
        within_ulps(found, (a * LN_2).exp(), 2.0, ftz)
    }),
    ("lg2", logarithm),
    ("sin", |a, found, _| sine(a, found, a.sin())),
    ("cos", |a, found, _| sine(a, found, a.cos())),
];

fn approximations() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, bound) in APPROXIMATIONS {
        for (ftz, flag) in [(false, ""), (true, ".ftz")] {
            cases.push(elementwise(
                &format!("{name}.approx{flag}.f32 %d, %a;"),
                &[Ty::B32],
                Ty::B32,
                &singles(),
                move |row, found| {
                    let a = if ftz { F32.flush(row[0]) } else { row[0] };
                    bound(f64::from(single_of(a)), f64::from(single_of(found)), ftz)
                },
            ));
        }
    }
    cases.push(elementwise(
        "tanh.approx.f32 %d, %a;",
        &[Ty::B32],
        Ty::B32,
        &singles(),
        |row, found| {
            let (a, found) = (f64::from(single_of(row[0])), f64::from(single_of(found)));
            if a.abs() < f64::from(f32::MIN_POSITIVE) {
                return absolute(found, a, 0.0);
            }
            relative(found, a.tanh(), 2_f64.powi(-11), false)
        },
    ));
    cases
}

/// `rcp` and `rsqrt` of f64: of the upper half of the operand to the upper half of the result.
fn gross() -> Vec<Case> {
    let rows = rows1(&f64s(), 64, 1500);
    let mut cases = Vec::new();
    for (name, root) in [("rcp", false), ("rsqrt", true)] {
        cases.push(elementwise(
            &format!("{name}.approx.ftz.f64 %d, %a;"),
            &[Ty::B64],
            Ty::B64,
            &rows,
            move |row, found| {
                let a = f64::from_bits(F64.flush(row[0] >> 32 << 32));
                let exact = 1.0 / if root { a.sqrt() } else { a };
                if exact.is_nan() {
                    let right = found == 0x7fff_ffff_0000_0000;
                    return right
                        .then_some(())
                        .ok_or(format!("{found:#x}, expected NaN"));
                }
                if found & 0xffff_ffff != 0 {
                    return Err(format!("{found:#x} has a lower half"));
                }
                let flushed = exact.abs() < f64::MIN_POSITIVE;
                let special = exact.is_infinite() || exact == 0.0 || flushed;
                let found = f64::from_bits(found);
                if special {
                    let exact = f64::from_bits(F64.flush(exact.to_bits()));
                    let right = found.to_bits() == exact.to_bits();
                    let problem = format!("{found:e}, expected {exact:e}");
                    return right.then_some(()).ok_or(problem);
                }
                absolute(found / exact, 1.0, 2_f64.powi(-18))
            },
        ));
    }
    cases.push(elementwise(
        "rsqrt.approx.f64 %d, %a;",
        &[Ty::B64],
        Ty::B64,
        &rows,
        |row, found| {
            let exact = 1.0 / f64::from_bits(row[0]).sqrt();
            let found = f64::from_bits(found);
            if exact.is_infinite() || exact == 0.0 {
                let right = found.to_bits() == exact.to_bits();
                return right
                    .then_some(())
                    .ok_or(format!("{found:e}, expected {exact:e}"));
            }
            absolute(
                found / exact,
                if exact.is_nan() { exact } else { 1.0 },
                2_f64.powi(-48),
            )
        },
    ));
    cases
}

fn near_half(a: u64, found: u64, brain: bool, tanh: bool) -> Result<(), String> {
    let format = if brain { BF16 } else { F16 };
    let (a, found) = (format.double(a), format.double(found));
    // the least normal value, and the largest finite one
    let (least, most) = if brain {
        (2_f64.powi(-126), 2_f64.powi(128))
    } else {
        (2_f64.powi(-14), 65_504.0)
    };
    if tanh {
        let signed = found.is_nan() || found.is_sign_negative() == a.is_sign_negative();
        let bound = if brain { -8.0 } else { -10.987 };
        return absolute(found, a.tanh(), 2_f64.powf(bound))
            .and(signed.then_some(()).ok_or("its sign is wrong".to_owned()));
    }
    let a = if brain && a.abs() < least { 0.0 } else { a };
    let exact = (a * LN_2).exp();
    if found.is_infinite() {
        return (exact > most * 0.999)
            .then_some(())
            .ok_or(format!("{found:e}, expected {exact:e}"));
    }
    let bound = if brain { -7.0 } else { -9.9 };
    // below the normal range half a step more; of bf16 nothing is left there
    let step = if brain { least } else { 2_f64.powi(-25) };
    let small = if exact < least * 1.01 { step } else { 0.0 };
    absolute(found, exact, 2_f64.powf(bound) * exact + small)
}

fn halves() -> Vec<Case> {
    let mut cases = Vec::new();
    for (ty, brain) in [("f16", false), ("bf16", true)] {
        let all: Vec<u64> = (0..1 << 16).step_by(if brain { 3 } else { 5 }).collect();
        let edges = if brain { bf16s() } else { f16s() };
        for (name, tanh) in [("ex2", false), ("tanh", true)] {
            let ftz = if brain && !tanh { ".ftz" } else { "" };
            let target = if brain { "sm_90" } else { "sm_80" };
            let rows: Vec<_> = edges.iter().chain(&all).map(|v| vec![*v]).collect();
            cases.push(elementwise_for(
                target,
                &format!("{name}.approx{ftz}.{ty} %d, %a;"),
                &[Ty::B16],
                Ty::B16,
                &rows,
                move |row, found| near_half(row[0], found, brain, tanh),
            ));
            let mut rows = rows2([&edges, &edges], [16, 16], 500);
            for row in &mut rows {
                *row = vec![row[0] | row[1] << 16];
            }
            cases.push(elementwise_for(
                target,
                &format!("{name}.approx{ftz}.{ty}x2 %d, %a;"),
                &[Ty::B32],
                Ty::B32,
                &rows,
                move |row, found| {
                    near_half(row[0] & 0xffff, found & 0xffff, brain, tanh)?;
                    near_half(row[0] >> 16, found >> 16, brain, tanh)
                },
            ));
        }
    }
    cases
}

/// Of a value, and whether its magnitude is below the normal range.
type Property = fn(f64, bool) -> bool;

fn tests() -> Vec<Case> {
    let properties: [(&str, Property); 6] = [
        ("finite", |x, _| x.is_finite()),
        ("infinite", |x, _| x.is_infinite()),
        ("number", |x, _| !x.is_nan()),
        ("notanumber", |x, _| x.is_nan()),
        ("normal", |x, least| x.is_finite() && (x == 0.0 || !least)),
        ("subnormal", |x, least| x != 0.0 && least),
    ];
    let mut cases = Vec::new();
    for (name, holds) in properties {
        // only even lanes: the others keep what the predicate had
        let body = |ty: &str| {
            format!(
                ".reg .pred %p, %q;\ntestp.number.f32 %p, 0f3F800000;\nmov.u32 %i2, %tid.x;\n\
                 mov.pred %q, %p;\n@%q testp.{name}.{ty} %p, %a;\nmov.b32 %d, 3;\n\
                 @%p mov.b32 %d, 7;"
            )
        };
        cases.push(elementwise(
            &body("f32"),
            &[Ty::B32],
            Ty::B32,
            &rows1(&f32s(), 32, 100),
            exactly(move |row| {
                let x = f64::from(single_of(row[0]));
                let least = x.abs() < f64::from(f32::MIN_POSITIVE);
                if holds(x, least) { 7 } else { 3 }
            }),
        ));
        cases.push(elementwise(
            &body("f64"),
            &[Ty::B64],
            Ty::B32,
            &rows1(&f64s(), 64, 100),
            exactly(move |row| {
                let x = f64::from_bits(row[0]);
                if holds(x, x.abs() < f64::MIN_POSITIVE) {
                    7
                } else {
                    3
                }
            }),
        ));
    }
    cases
}

/// All forms.
pub(crate) fn cases() -> Vec<Case> {
    let lists = [rounded(false), approximations(), gross(), halves(), tests()];
    lists.into_iter().flatten().collect()
}

#[test]
fn every_form() {
    check(&cases());
}

#[test]
fn results_that_are_no_number_are_the_canonical_nan() {
    check(&rounded(true));
}

#[test]
fn forms_that_do_not_exist_are_refused() {
    refused(&[
        ("rcp.f32 %f0, %f1;", ".approx"),
        ("rcp.approx.f64 %d0, %d1;", "no such form"),
        ("rcp.rn.ftz.f64 %d0, %d1;", "no such form"),
        ("sqrt.approx.ftz.f64 %d0, %d1;", "no such form"),
        ("rsqrt.rn.f32 %f0, %f1;", "no such form"),
        ("rcp.approx.rn.f32 %f0, %f1;", "`.rn`"),
        ("sin.approx.f64 %d0, %d1;", "no such form"),
        ("lg2.approx.f16 %h0, %h1;", "no such form"),
        ("ex2.approx.ftz.f16 %h0, %h1;", "no such form"),
        ("ex2.approx.bf16 %h0, %h1;", "no such form"),
        ("ex2.approx.sat.f32 %f0, %f1;", "`.sat`"),
        ("tanh.approx.ftz.f32 %f0, %f1;", "no such form"),
        ("tanh.f32 %f0, %f1;", ".approx"),
        ("ex2.approx.s32 %f0, %f1;", "no such form"),
        ("testp.f32 %p0, %f1;", "property"),
        ("testp.finite.f16 %p0, %h1;", "f32 and f64"),
        ("testp.finite.ftz.f32 %p0, %f1;", "`.ftz`"),
        ("testp.finite.f32 %f0, %f1;", "predicate"),
    ]);
}
