//! `add`, `sub`, `mul`, `fma`, `min`, `max`, `abs`, `neg` of f16, bf16 and their pairs.

use crate::case::{Case, Ty, check, elementwise_for};
use crate::exact::{BF16, F16, Format, Mode};
use crate::values::{bf16s, f16s, random, rows2, rows3};

/// What is done to the values of one half of a register.
type Apply = fn(&Instruction, &[u64]) -> u64;

/// An instruction without its type, and what it does.
#[allow(clippy::struct_excessive_bools, reason = "one for each modifier")]
struct Instruction {
    /// `add.rn.sat`
    name: String,
    format: Format,
    ftz: bool,
    sat: bool,
    relu: bool,
    nan: bool,
    signs: bool,
    sources: usize,
    apply: Apply,
}

impl Instruction {
    fn new(format: Format, name: &str, sources: usize, apply: Apply) -> Self {
        let has = |part: &str| name.split('.').any(|p| p == part);
        Self {
            name: name.to_owned(),
            format,
            ftz: has("ftz"),
            sat: has("sat"),
            relu: has("relu"),
            nan: has("NaN"),
            signs: has("xorsign"),
            sources,
            apply,
        }
    }

    /// The result for values of 16 bits.
    fn expected(&self, sources: &[u64]) -> u64 {
        let flushed: Vec<_> = sources
            .iter()
            .map(|x| if self.ftz { self.format.flush(*x) } else { *x })
            .collect();
        let mut result = (self.apply)(self, &flushed);
        if self.ftz {
            result = self.format.flush(result);
        }
        if self.sat {
            result = self.format.saturate(result);
        }
        if self.relu {
            result = self.format.relu(result);
        }
        result
    }

    /// Whether a result is right: any NaN will do where the ISA does not say which.
    fn right(&self, sources: &[u64], found: u64) -> Result<(), String> {
        let expected = self.expected(sources);
        let which = self.relu || self.nan;
        if found == expected || !which && self.format.is_nan(found) && self.format.is_nan(expected)
        {
            Ok(())
        } else {
            Err(format!("{found:#06x}, expected {expected:#06x}"))
        }
    }
}

fn add(i: &Instruction, x: &[u64]) -> u64 {
    i.format.add(x, Mode::Near)
}

fn sub(i: &Instruction, x: &[u64]) -> u64 {
    i.format.sub(x, Mode::Near)
}

fn mul(i: &Instruction, x: &[u64]) -> u64 {
    i.format.mul(x, Mode::Near)
}

fn fma(i: &Instruction, x: &[u64]) -> u64 {
    i.format.fma(x, Mode::Near)
}

fn abs(_: &Instruction, x: &[u64]) -> u64 {
    x[0] & 0x7fff
}

fn neg(_: &Instruction, x: &[u64]) -> u64 {
    x[0] ^ 0x8000
}

fn extremum(i: &Instruction, x: &[u64], greatest: bool) -> u64 {
    let mask = if i.signs { 0x7fff } else { 0xffff };
    let found = i
        .format
        .extreme(&[x[0] & mask, x[1] & mask], greatest, i.nan);
    if i.signs && !i.format.is_nan(found) {
        found | (x[0] ^ x[1]) & 0x8000
    } else {
        found
    }
}

fn min(i: &Instruction, x: &[u64]) -> u64 {
    extremum(i, x, false)
}

fn max(i: &Instruction, x: &[u64]) -> u64 {
    extremum(i, x, true)
}

/// Values of `count` sources of 16 bits.
fn rows(format: Format, count: usize) -> Vec<Vec<u64>> {
    let edges = if format == F16 { f16s() } else { bf16s() };
    match count {
        1 => (0..0x1_0000).map(|x| vec![x]).collect(),
        2 => {
            let mut rows = rows2([&edges, &edges], [16, 16], 3000);
            // Neighbours in size, where sums cancel.
            let near = random(16, 500, 7);
            rows.extend(near.iter().map(|x| vec![*x, (x ^ 0x8000) + (x & 3)]));
            rows.iter_mut().flatten().for_each(|x| *x &= 0xffff);
            rows
        }
        _ => {
            let mut rows = rows3([&edges, &edges, &edges], [16, 16, 16], 2000, 4000);
            // Factors near one, and a term that lies next to half of the last bit of the product.
            let one = if format == F16 { 0x3c00 } else { 0x3f80 };
            let last = u64::from(format.fraction) << format.fraction;
            let bits = random(64, 3000, 8);
            rows.extend(bits.iter().map(|x| {
                let small = one - last - ((x >> 40 & 7) << format.fraction) + (x >> 50 & 3);
                let factor = |x: u64| (one + (x & 0x1ff)) | (x >> 9 & 1) << 15;
                vec![factor(*x), factor(x >> 10), small | (x >> 30 & 1) << 15]
            }));
            rows
        }
    }
}

fn case(instruction: Instruction, pair: bool) -> Case {
    let Instruction {
        format, sources, ..
    } = instruction;
    let ty = match (format == F16, pair) {
        (true, false) => "f16",
        (true, true) => "f16x2",
        (false, false) => "bf16",
        (false, true) => "bf16x2",
    };
    let names = ["%a", "%b", "%c"][..sources].join(", ");
    let body = format!("{}.{ty} %d, {names};", instruction.name);
    let single = rows(format, sources);
    let (register, values) = if pair {
        // Every value in both halves, next to different ones.
        let count = single.len();
        let join = |i: usize| {
            let other = &single[(i * 7 + 3) % count];
            single[i]
                .iter()
                .zip(other)
                .map(|(a, b)| a << 16 | b)
                .collect()
        };
        (Ty::B32, (0..count).map(join).collect())
    } else {
        (Ty::B16, single)
    };
    elementwise_for(
        "sm_90",
        &body,
        &vec![register; sources],
        register,
        &values,
        move |row, found| {
            for shift in if pair { [0, 16].as_slice() } else { &[0] } {
                let half = |x: &u64| x >> shift & 0xffff;
                let sources: Vec<_> = row.iter().map(half).collect();
                instruction.right(&sources, half(&found))?;
            }
            Ok(())
        },
    )
}

/// Every form there is for a format.
fn forms(format: Format) -> Vec<Instruction> {
    let mut list = Vec::new();
    let mut each = |names: &[&str], sources: usize, apply: Apply| {
        list.extend(
            names
                .iter()
                .map(|n| Instruction::new(format, n, sources, apply)),
        );
    };
    each(&["add", "add.rn"], 2, add);
    each(&["sub", "sub.rn"], 2, sub);
    each(&["mul", "mul.rn"], 2, mul);
    each(&["fma.rn", "fma.rn.relu"], 3, fma);
    each(&["abs"], 1, abs);
    each(&["neg"], 1, neg);
    for (name, apply) in [("min", min as Apply), ("max", max)] {
        for rest in ["", ".NaN", ".xorsign.abs", ".NaN.xorsign.abs"] {
            each(&[&format!("{name}{rest}")], 2, apply);
            if format == F16 {
                each(&[&format!("{name}.ftz{rest}")], 2, apply);
            }
        }
    }
    if format == F16 {
        each(&["add.sat", "add.ftz", "add.rn.ftz.sat"], 2, add);
        each(&["sub.sat", "sub.rn.ftz", "sub.ftz.sat"], 2, sub);
        each(&["mul.rn.sat", "mul.ftz", "mul.ftz.sat"], 2, mul);
        each(
            &[
                "fma.rn.sat",
                "fma.rn.ftz",
                "fma.rn.ftz.sat",
                "fma.rn.ftz.relu",
            ],
            3,
            fma,
        );
        each(&["abs.ftz"], 1, abs);
        each(&["neg.ftz"], 1, neg);
    }
    list
}

fn of(formats: &[Format], pair: bool) -> Vec<Case> {
    let all = formats.iter().flat_map(|f| forms(*f));
    all.map(|instruction| case(instruction, pair)).collect()
}

/// All programs.
pub(crate) fn cases() -> Vec<Case> {
    let mut all = of(&[F16, BF16], false);
    all.extend(of(&[F16, BF16], true));
    all
}

#[test]
fn arithmetic_of_f16() {
    check(&of(&[F16], false));
}

#[test]
fn arithmetic_of_f16x2() {
    check(&of(&[F16], true));
}

#[test]
fn arithmetic_of_bf16() {
    check(&of(&[BF16], false));
}

#[test]
fn arithmetic_of_bf16x2() {
    check(&of(&[BF16], true));
}
