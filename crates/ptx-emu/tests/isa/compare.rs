//! `setp` and `set`: every operator with every type.

use std::cmp::Ordering;

use crate::case::{Case, Ty, check, elementwise_for, exactly};
use crate::integer::number;
use crate::values::{bf16s, f16s, f32s, f64s, integers, random, rows2};

/// A type that is compared.
#[derive(Clone, Copy)]
struct Of {
    name: &'static str,
    ftz: bool,
    register: Ty,
    /// Two values in a register.
    pair: bool,
}

const fn of(name: &'static str, register: Ty) -> Of {
    let (ftz, pair) = (false, false);
    Of {
        name,
        ftz,
        register,
        pair,
    }
}

const fn flushed(name: &'static str, register: Ty) -> Of {
    let ftz = true;
    Of {
        ftz,
        ..of(name, register)
    }
}

const fn pair(name: &'static str, ftz: bool) -> Of {
    let pair = true;
    Of {
        name,
        ftz,
        register: Ty::B32,
        pair,
    }
}

const TYPES: [Of; 18] = [
    of("b16", Ty::B16),
    of("b32", Ty::B32),
    of("b64", Ty::B64),
    of("u16", Ty::B16),
    of("u32", Ty::B32),
    of("u64", Ty::B64),
    of("s16", Ty::B16),
    of("s32", Ty::B32),
    of("s64", Ty::B64),
    of("f16", Ty::B16),
    flushed("f16", Ty::B16),
    of("bf16", Ty::B16),
    of("f32", Ty::B32),
    flushed("f32", Ty::B32),
    of("f64", Ty::B64),
    pair("f16x2", false),
    pair("f16x2", true),
    pair("bf16x2", false),
];

const ORDERED: [&str; 6] = ["eq", "ne", "lt", "le", "gt", "ge"];
const BELOW: [&str; 4] = ["lo", "ls", "hi", "hs"];
const UNORDERED: [&str; 8] = ["equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"];

/// Exact value of a float of so many exponent and fraction bits; nothing for NaN.
fn float(bits: u64, exponent: u32, fraction: u32, ftz: bool) -> Option<f64> {
    let part = |at: u32, width: u32| bits >> at & ((1 << width) - 1);
    let (e, f) = (part(fraction, exponent), part(0, fraction));
    let bias = (1 << (exponent - 1)) - 1;
    let power = |p: i64| f64::from_bits(u64::try_from(p + 1023).unwrap() << 52);
    let unit = i64::from(fraction);
    let size = if e == (1 << exponent) - 1 {
        if f != 0 {
            return None;
        }
        f64::INFINITY
    } else if e == 0 {
        let least = power(1 - bias) / power(unit);
        if ftz { 0.0 } else { f as f64 * least }
    } else {
        let scale = power(i64::try_from(e).unwrap() - bias) / power(unit);
        (f + (1 << fraction)) as f64 * scale
    };
    Some(if part(exponent + fraction, 1) == 1 {
        -size
    } else {
        size
    })
}

impl Of {
    fn operators(self) -> Vec<&'static str> {
        match self.name.as_bytes()[0] {
            b's' => ORDERED.to_vec(),
            b'u' => [&ORDERED[..], &BELOW].concat(),
            _ if self.name.starts_with("b1") || self.name.starts_with("b3") => vec!["eq", "ne"],
            _ if self.name == "b64" => vec!["eq", "ne"],
            _ => [&ORDERED[..], &UNORDERED].concat(),
        }
    }

    fn order(self, a: u64, b: u64) -> Option<Ordering> {
        let (exponent, fraction) = match self.name {
            "f16" | "f16x2" => (5, 10),
            "bf16" | "bf16x2" => (8, 7),
            "f32" => (8, 23),
            "f64" => return f64::from_bits(a).partial_cmp(&f64::from_bits(b)),
            name => {
                let bits = name[1..].parse().unwrap();
                let of = |v| number(v, bits, name.starts_with('s'));
                return Some(of(a).cmp(&of(b)));
            }
        };
        let of = |v| float(v, exponent, fraction, self.ftz);
        of(a)?.partial_cmp(&of(b)?)
    }

    /// The comparison of the values, or of the lower and the upper ones.
    fn holds(self, operator: &str, a: u64, b: u64) -> [bool; 2] {
        let test = |a, b| {
            let order = self.order(a, b);
            let plain = operator.strip_suffix('u').unwrap_or(operator);
            match (order, plain) {
                (None, _) => operator.ends_with('u') || operator == "nan",
                (Some(_), "num") => true,
                (Some(_), "nan") => false,
                (Some(o), "eq") => o == Ordering::Equal,
                (Some(o), "ne") => o != Ordering::Equal,
                (Some(o), "lt" | "lo") => o == Ordering::Less,
                (Some(o), "le" | "ls") => o != Ordering::Greater,
                (Some(o), "gt" | "hi") => o == Ordering::Greater,
                (Some(o), "ge" | "hs") => o != Ordering::Less,
                _ => unreachable!("{operator}"),
            }
        };
        if self.pair {
            [test(a & 0xffff, b & 0xffff), test(a >> 16, b >> 16)]
        } else {
            let t = test(a, b);
            [t, !t]
        }
    }

    /// Rows of two values and a third word for predicates.
    fn rows(self) -> Vec<Vec<u64>> {
        let bits = 8 * u32::try_from(self.register.bytes()).unwrap();
        let edges = match self.name {
            "f16" => f16s(),
            "bf16" => bf16s(),
            "f32" => f32s(),
            "f64" => f64s(),
            "f16x2" | "bf16x2" => {
                let halves = if self.name == "f16x2" {
                    f16s()
                } else {
                    bf16s()
                };
                let upper = halves.iter().cycle().skip(7).step_by(3);
                halves.iter().zip(upper).map(|(l, u)| u << 16 | l).collect()
            }
            _ => integers(bits),
        };
        let mut rows = rows2([&edges, &edges], [bits; 2], 60);
        let equal = random(bits, 20, 8);
        rows.extend(equal.iter().map(|v| vec![*v, *v]));
        let count = rows.len();
        for (row, c) in rows.iter_mut().zip(random(32, count, 6)) {
            row.push(c);
        }
        rows
    }

    fn full(self) -> String {
        format!("{}{}", if self.ftz { "ftz." } else { "" }, self.name)
    }
}

/// `p = t, q = other`; then both with `and` of bit 0 of the third word, with `or` of the
/// complement of bit 1, with `xor` of bit 2: eight bits of the result.
fn setp(ty: Of, operator: &'static str) -> Case {
    let full = ty.full();
    let two = !matches!(ty.name, "f16" | "bf16");
    let mut body = vec![
        ".reg .pred %p<9>, %q<3>;\n.reg .b32 %k<3>;\nand.b32 %k0, %c, 1;\n\
         setp.ne.u32 %q0, %k0, 0;\nand.b32 %k0, %c, 2;\nsetp.ne.u32 %q1, %k0, 0;\n\
         and.b32 %k0, %c, 4;\nsetp.ne.u32 %q2, %k0, 0;\nmov.u32 %d, 0;"
            .to_owned(),
    ];
    let combines = [
        ("", ""),
        (".and", ", %q0"),
        (".or", ", !%q1"),
        (".xor", ", %q2"),
    ];
    for (at, (combine, third)) in combines.iter().enumerate() {
        let bits = if two {
            2 * at..2 * at + 2
        } else {
            2 * at..2 * at + 1
        };
        let results: Vec<_> = bits.clone().map(|bit| format!("%p{bit}")).collect();
        let results = results.join("|");
        body.push(format!(
            "setp.{operator}{combine}.{full} {results}, %a, %b{third};"
        ));
        body.extend(bits.map(|bit| {
            let value = 1 << bit;
            format!("selp.b32 %k1, {value}, 0, %p{bit};\nor.b32 %d, %d, %k1;")
        }));
    }
    elementwise_for(
        "sm_90",
        &body.join("\n"),
        &[ty.register, ty.register, Ty::B32],
        Ty::B32,
        &ty.rows(),
        exactly(move |row| {
            let [p, q] = ty.holds(operator, row[0], row[1]);
            let c = |bit: u64| row[2] >> bit & 1 == 1;
            let all = [
                p,
                q,
                p && c(0),
                q && c(0),
                p || !c(1),
                q || !c(1),
                p ^ c(2),
                q ^ c(2),
            ];
            (0..8)
                .filter(|i| two || i % 2 == 0)
                .map(|i| u64::from(all[i]) << i)
                .sum()
        }),
    )
}

/// What `set` writes where it is true, in each half for pairs; nothing if it does not exist.
fn truth(to: &str, from: Of) -> Option<u64> {
    let half = matches!(from.name, "f16" | "bf16");
    match to {
        "f16x2" | "bf16x2" if to != from.name => None,
        "f16x2" => Some(0x3c00),
        "bf16x2" => Some(0x3f80),
        _ if from.pair => (to == "u32" || to == "s32").then_some(0xffff),
        "u32" | "s32" => Some(0xffff_ffff),
        "u16" | "s16" => half.then_some(0xffff),
        "f32" => (!half).then_some(0x3f80_0000),
        "f16" => (from.name != "bf16").then_some(0x3c00),
        _ => (!from.ftz).then_some(0x3f80),
    }
}

fn set(ty: Of, operator: &'static str, to: &'static str, combine: &'static str) -> Option<Case> {
    let truth = truth(to, ty)?;
    let output = if matches!(to, "u16" | "s16" | "f16" | "bf16") {
        Ty::B16
    } else {
        Ty::B32
    };
    let third = match combine {
        "" => "",
        ".or" => ", !%q",
        _ => ", %q",
    };
    let body = format!(
        ".reg .pred %q;\n.reg .b32 %k;\nand.b32 %k, %c, 1;\nsetp.ne.u32 %q, %k, 0;\n\
         set.{operator}{combine}.{}{to}.{} %d, %a, %b{third};",
        if ty.ftz { "ftz." } else { "" },
        ty.name
    );
    let rows: Vec<_> = ty.rows().into_iter().step_by(3).collect();
    Some(elementwise_for(
        "sm_90",
        &body,
        &[ty.register, ty.register, Ty::B32],
        output,
        &rows,
        exactly(move |row| {
            let c = row[2] & 1 == 1;
            let halves = ty.holds(operator, row[0], row[1]).map(|t| match combine {
                ".and" => t && c,
                ".or" => t || !c,
                ".xor" => t ^ c,
                _ => t,
            });
            let word = |half: bool| if half { truth } else { 0 };
            word(halves[0]) | if ty.pair { word(halves[1]) << 16 } else { 0 }
        }),
    ))
}

fn predicates() -> Vec<Case> {
    let all = TYPES
        .iter()
        .flat_map(|ty| ty.operators().into_iter().map(|o| setp(*ty, o)));
    all.collect()
}

fn registers() -> Vec<Case> {
    let mut cases = Vec::new();
    let targets = [
        "u32", "s32", "f32", "u16", "s16", "f16", "bf16", "f16x2", "bf16x2",
    ];
    let combines = ["", ".and", ".or", ".xor"];
    for ty in TYPES {
        for (at, operator) in ty.operators().into_iter().enumerate() {
            // all operators with one type of result, all types of results with one operator
            let to = targets.iter().find(|to| truth(to, ty).is_some()).unwrap();
            cases.extend(set(ty, operator, to, combines[at % 4]));
        }
        for (at, to) in targets.into_iter().enumerate() {
            cases.extend(set(ty, "ne", to, combines[at % 4]));
            cases.extend(set(ty, "eq", to, combines[(at + 1) % 4]));
        }
    }
    cases
}

pub(crate) fn cases() -> Vec<Case> {
    [predicates(), registers()].into_iter().flatten().collect()
}

#[test]
fn comparisons_to_predicates() {
    check(&predicates());
}

#[test]
fn comparisons_to_registers() {
    check(&registers());
}
