//! `atom` and `red`.

use std::rc::Rc;

use crate::case::{Case, check, module};
use crate::control::{of_block, words};
use crate::faults::{refuses, report};
use crate::values;
use ptx_emu::{Launch, Schedule};

/// New value of one element, from the old one and the operands.
type Model = Rc<dyn Fn(u64, u64, u64) -> u64>;

struct Form {
    /// Modifiers behind the space: `add.u32`.
    operation: &'static str,
    /// Bits of an element.
    bits: u32,
    vector: usize,
    edges: Vec<u64>,
    new: Model,
    /// NaNs of the element, or of both halves of a pair, may have any bits.
    nan: fn(u64) -> bool,
    target: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Space {
    Global,
    Shared,
    GenericGlobal,
    GenericShared,
}

impl Form {
    fn named(&self, root: &str, order: &str, space: Space) -> String {
        let space = match space {
            Space::Global => ".global",
            Space::Shared => ".shared",
            _ => "",
        };
        format!("{root}{order}{space}.{}", self.operation)
    }

    /// Each thread stores a value, operates on it, and stores what it got beside the new value.
    fn case(&self, root: &'static str, order: &str, space: Space) -> Case {
        let mut rows = values::rows3(
            [&self.edges, &self.edges, &self.edges],
            [self.bits; 3],
            1200,
            80 * self.vector,
        );
        rows.truncate(1280 / self.vector / 64 * 64 * self.vector);
        let (bytes, threads) = (self.bits as usize / 8, rows.len() / self.vector);
        let register = format!("b{}", self.bits);
        let size = bytes * self.vector;
        let mut text = String::from(".reg .b32 %i<4>;\n.reg .b64 %x<8>;\n");
        text += &format!(".shared .align 16 .b8 cells[{}];\n", 64 * size);
        for name in ["a", "b", "c", "d"] {
            text += &format!(".reg .{register} %{name}<8>;\n");
        }
        text += "mov.u32 %i0, %ctaid.x;\nmov.u32 %i1, %ntid.x;\nmov.u32 %i2, %tid.x;\n\
                 mad.lo.u32 %i3, %i0, %i1, %i2;\nld.param.u64 %x0, [p0];\n";
        text += &format!("mad.wide.u32 %x1, %i3, {size}, %x0;\n");
        for (at, name) in ["a", "b", "c"].iter().enumerate() {
            text += &format!("ld.param.u64 %x2, [p{}];\n", at + 1);
            text += &format!("mad.wide.u32 %x3, %i3, {size}, %x2;\n");
            for i in 0..self.vector {
                text += &format!("ld.global.{register} %{name}{i}, [%x3+{}];\n", i * bytes);
            }
        }
        let memory = match space {
            Space::Shared | Space::GenericShared => {
                text += &format!("mov.u64 %x4, cells;\nmad.wide.u32 %x4, %i2, {size}, %x4;\n");
                ".shared"
            }
            _ => {
                text += "mov.u64 %x4, %x1;\n";
                ".global"
            }
        };
        for i in 0..self.vector {
            text += &format!("st{memory}.{register} [%x4+{}], %a{i};\n", i * bytes);
        }
        text += match space {
            Space::GenericShared => "cvta.shared.u64 %x5, %x4;\n",
            _ => "mov.u64 %x5, %x4;\n",
        };
        let list = |name: &str| match self.vector {
            1 => format!("%{name}0"),
            n => {
                let all: Vec<_> = (0..n).map(|i| format!("%{name}{i}")).collect();
                format!("{{{}}}", all.join(", "))
            }
        };
        let opcode = self.named(root, order, space);
        let third = if self.operation.starts_with("cas") {
            ", %c0"
        } else {
            ""
        };
        let result = if root == "atom" {
            list("d") + ", "
        } else {
            String::new()
        };
        text += &format!("{opcode} {result}[%x5], {}{third};\n", list("b"));
        text += &format!("add.s64 %x6, %x1, {};\n", threads * size);
        for i in 0..self.vector {
            text += &format!(
                "ld{memory}.{register} %c{i}, [%x4+{at}];\nst.global.{register} [%x1+{at}], %c{i};\n",
                at = i * bytes
            );
            let old = if root == "atom" { "d" } else { "a" };
            text += &format!("st.global.{register} [%x6+{}], %{old}{i};\n", i * bytes);
        }
        let column = |at: usize| {
            let cells = rows.iter().map(|row| row[at].to_le_bytes());
            cells.flat_map(|cell| cell[..bytes].to_vec()).collect()
        };
        let inputs = vec![column(0), column(1), column(2)];
        let (new, nan, name) = (self.new.clone(), self.nan, opcode.clone());
        Case {
            name: opcode,
            ptx: module(self.target, 4, &text),
            launch: Launch::linear(u32::try_from(threads / 64).unwrap(), 64),
            inputs,
            output: 2 * threads * size,
            check: Box::new(move |found| {
                let (now, before) = found.split_at(found.len() / 2);
                for (at, row) in rows.iter().enumerate() {
                    let cell = |from: &[u8]| {
                        let mut wide = [0; 8];
                        wide[..bytes].copy_from_slice(&from[at * bytes..][..bytes]);
                        u64::from_le_bytes(wide)
                    };
                    let expected = new(row[0], row[1], row[2]);
                    let (now, before) = (cell(now), cell(before));
                    if before != row[0] || now != expected && !(nan(now) && nan(expected)) {
                        return Err(format!(
                            "{name} of {row:x?}: {now:#x}, returned {before:#x}, \
                             expected {expected:#x}"
                        ));
                    }
                }
                Ok(())
            }),
        }
    }
}

/// A binary fraction rounded to nearest even in a format.
fn rounded(x: f64, exponent: i32, fraction: i32) -> u64 {
    let sign = u64::from(x.is_sign_negative()) << (exponent + fraction);
    let bias = (1 << (exponent - 1)) - 1;
    let infinity = ((1_u64 << exponent) - 1) << fraction;
    if x.is_nan() {
        return infinity | ((1 << fraction) - 1);
    }
    let x = x.abs();
    if x == 0.0 || x.is_infinite() {
        return sign | if x == 0.0 { 0 } else { infinity };
    }
    let power = i32::try_from(x.to_bits() >> 52).unwrap() - 1023;
    let power = power.max(1 - bias);
    let quantum = 2_f64.powi(power - fraction);
    let steps = (x / quantum).round_ties_even();
    // the leading one of `steps` adds to the exponent, also where rounding carries
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small integers"
    )]
    let bits = steps as u64 + (u64::try_from(power + bias - 1).unwrap() << fraction);
    sign | bits.min(infinity)
}

fn valued(bits: u64, exponent: i32, fraction: i32) -> f64 {
    let significand = bits & ((1 << fraction) - 1);
    let field = i32::try_from(bits >> fraction & ((1 << exponent) - 1)).unwrap();
    let bias = (1 << (exponent - 1)) - 1;
    let sign = if bits >> (exponent + fraction) & 1 == 0 {
        1.0
    } else {
        -1.0
    };
    #[allow(clippy::cast_precision_loss, reason = "few bits")]
    let magnitude = match field {
        0 => significand as f64 * 2_f64.powi(1 - bias - fraction),
        f if f == (1 << exponent) - 1 && significand == 0 => f64::INFINITY,
        f if f == (1 << exponent) - 1 => f64::NAN,
        f => (significand | 1 << fraction) as f64 * 2_f64.powi(f - bias - fraction),
    };
    sign * magnitude
}

fn never(_: u64) -> bool {
    false
}

/// What a half format's operations do.
fn half(operation: &str, exponent: i32, fraction: i32) -> impl Fn(u64, u64) -> u64 + use<> {
    let operation = operation.to_owned();
    move |a, b| {
        let (x, y) = (valued(a, exponent, fraction), valued(b, exponent, fraction));
        match operation.as_str() {
            "add" => rounded(x + y, exponent, fraction),
            _ if x.is_nan() && y.is_nan() => rounded(f64::NAN, exponent, fraction),
            _ if x.is_nan() => b,
            _ if y.is_nan() => a,
            "min" if x < y || x == y && x.is_sign_negative() => a,
            "max" if x > y || x == y && x.is_sign_positive() => a,
            _ => b,
        }
    }
}

fn integers() -> Vec<Form> {
    let form = |operation: &'static str, bits: u32, new: fn(u64, u64, u64) -> u64| {
        let mask = u64::MAX >> (64 - bits);
        Form {
            operation,
            bits,
            vector: 1,
            edges: values::integers(bits),
            new: Rc::new(move |a, b, c| new(a, b, c) & mask),
            nan: never,
            target: "sm_80",
        }
    };
    #[allow(clippy::cast_possible_truncation, reason = "32-bit values")]
    fn signed(a: u64) -> i32 {
        (a as u32).cast_signed()
    }
    vec![
        form("and.b32", 32, |a, b, _| a & b),
        form("and.b64", 64, |a, b, _| a & b),
        form("or.b32", 32, |a, b, _| a | b),
        form("or.b64", 64, |a, b, _| a | b),
        form("xor.b32", 32, |a, b, _| a ^ b),
        form("xor.b64", 64, |a, b, _| a ^ b),
        form("exch.b32", 32, |_, b, _| b),
        form("exch.b64", 64, |_, b, _| b),
        form("cas.b16", 16, |a, b, c| if a == b { c } else { a }),
        form("cas.b32", 32, |a, b, c| if a == b { c } else { a }),
        form("cas.b64", 64, |a, b, c| if a == b { c } else { a }),
        form("add.u32", 32, u3_add),
        form("add.s32", 32, u3_add),
        form("add.u64", 64, u3_add),
        form("add.s64", 64, u3_add),
        form("inc.u32", 32, |a, b, _| if a >= b { 0 } else { a + 1 }),
        form(
            "dec.u32",
            32,
            |a, b, _| if a == 0 || a > b { b } else { a - 1 },
        ),
        form("min.u32", 32, |a, b, _| a.min(b)),
        form("max.u32", 32, |a, b, _| a.max(b)),
        form("min.u64", 64, |a, b, _| a.min(b)),
        form("max.u64", 64, |a, b, _| a.max(b)),
        form(
            "min.s32",
            32,
            |a, b, _| if signed(a) <= signed(b) { a } else { b },
        ),
        form(
            "max.s32",
            32,
            |a, b, _| if signed(a) >= signed(b) { a } else { b },
        ),
        form("min.s64", 64, |a, b, _| {
            if a.cast_signed() <= b.cast_signed() {
                a
            } else {
                b
            }
        }),
        form("max.s64", 64, |a, b, _| {
            if a.cast_signed() >= b.cast_signed() {
                a
            } else {
                b
            }
        }),
    ]
}

fn u3_add(a: u64, b: u64, _: u64) -> u64 {
    a.wrapping_add(b)
}

fn nan32(bits: u64) -> bool {
    bits & 0x7fff_ffff > 0x7f80_0000
}

#[allow(clippy::cast_possible_truncation, reason = "the sum is rounded to f32")]
fn add_f32(flush: bool) -> Model {
    let flushed = move |x: f32| {
        if flush && x.is_subnormal() {
            x * 0.0
        } else {
            x
        }
    };
    Rc::new(move |a, b, _| {
        let value = |bits: u64| f64::from(flushed(f32::from_bits(bits as u32)));
        u64::from(flushed((value(a) + value(b)) as f32).to_bits())
    })
}

/// Sums of `f32` flush subnormals in global memory, and only there.
fn f32_sum(operation: &'static str, vector: usize, global: bool) -> Form {
    Form {
        operation,
        bits: 32,
        vector,
        edges: values::f32s(),
        new: add_f32(global),
        nan: nan32,
        target: if vector > 1 { "sm_90" } else { "sm_80" },
    }
}

fn f64_sum() -> Form {
    Form {
        operation: "add.f64",
        bits: 64,
        vector: 1,
        edges: values::f64s(),
        new: Rc::new(|a, b, _| (f64::from_bits(a) + f64::from_bits(b)).to_bits()),
        nan: |bits| f64::from_bits(bits).is_nan(),
        target: "sm_80",
    }
}

/// Operations on halves and on pairs of them.
fn halves() -> Vec<Form> {
    let mut forms = Vec::new();
    for (operation, vector) in [
        ("add.noftz.f16", 1),
        ("add.noftz.bf16", 1),
        ("v2.add.noftz.f16", 2),
        ("v4.f16.add.noftz", 4),
        ("v8.add.noftz.f16", 8),
        ("v2.add.noftz.bf16", 2),
        ("v4.add.noftz.bf16", 4),
        ("v8.add.noftz.bf16", 8),
        ("v2.min.noftz.f16", 2),
        ("v4.min.noftz.bf16", 4),
        ("v8.max.noftz.f16", 8),
        ("v2.max.noftz.bf16", 2),
        ("add.noftz.f16x2", 1),
        ("add.noftz.bf16x2", 1),
        ("v2.add.noftz.f16x2", 2),
        ("v4.add.noftz.f16x2", 4),
        ("v2.add.noftz.bf16x2", 2),
        ("v4.add.noftz.bf16x2", 4),
        ("v2.min.noftz.f16x2", 2),
        ("v4.max.noftz.f16x2", 4),
        ("v4.min.noftz.bf16x2", 4),
        ("v2.max.noftz.bf16x2", 2),
    ] {
        let brain = operation.contains("bf16");
        let (exponent, fraction) = if brain { (8, 7) } else { (5, 10) };
        let name = ["add", "min", "max"]
            .into_iter()
            .find(|n| operation.contains(n));
        let new = half(name.unwrap(), exponent, fraction);
        let edges = if brain {
            values::bf16s()
        } else {
            values::f16s()
        };
        let pair = operation.contains("x2");
        let halves_nan = if brain { nan_bf16 } else { nan_f16 };
        forms.push(Form {
            operation,
            bits: if pair { 32 } else { 16 },
            vector,
            edges: if pair {
                let upper = edges.iter().rev().map(|v| v << 16);
                edges
                    .iter()
                    .zip(upper)
                    .map(|(low, high)| low | high)
                    .collect()
            } else {
                edges
            },
            new: Rc::new(move |a, b, _| {
                if pair {
                    let low = canonical(new(a & 0xffff, b & 0xffff), halves_nan);
                    canonical(new(a >> 16, b >> 16), halves_nan) << 16 | low
                } else {
                    new(a, b)
                }
            }),
            nan: if pair { never } else { halves_nan },
            target: if vector > 1 || brain {
                "sm_90"
            } else {
                "sm_80"
            },
        });
    }
    forms
}

fn nan_f16(bits: u64) -> bool {
    bits & 0x7fff > 0x7c00
}

fn nan_bf16(bits: u64) -> bool {
    bits & 0x7fff > 0x7f80
}

fn canonical(bits: u64, nan: fn(u64) -> bool) -> u64 {
    if nan(bits) { 0x7fff } else { bits }
}

fn forms() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut all = integers();
    all.push(f64_sum());
    all.extend(halves());
    for form in &all {
        let scalar = form.vector == 1;
        let reduces = !form.operation.starts_with("cas") && !form.operation.starts_with("exch");
        let spaces: &[Space] = if scalar {
            &[Space::Global, Space::Shared, Space::GenericShared]
        } else {
            &[Space::Global, Space::GenericGlobal]
        };
        for space in spaces {
            cases.push(form.case("atom", "", *space));
            if reduces {
                cases.push(form.case("red", "", *space));
            }
        }
    }
    for (space, global) in [
        (Space::Global, true),
        (Space::GenericGlobal, true),
        (Space::Shared, false),
        (Space::GenericShared, false),
    ] {
        let form = f32_sum("add.f32", 1, global);
        cases.push(form.case("atom", "", space));
        cases.push(form.case("red", "", space));
        if global {
            for (operation, vector) in [("v2.add.f32", 2), ("v4.f32.add", 4)] {
                let form = f32_sum(operation, vector, true);
                cases.push(form.case("red", "", space));
                cases.push(form.case("atom", "", space));
            }
        }
    }
    // orders and scopes change no result
    let add = &integers()[11];
    for order in [
        ".relaxed.cta",
        ".acquire.gpu",
        ".release.sys",
        ".acq_rel.gpu",
        ".cta",
        ".sys",
        ".relaxed.gpu",
    ] {
        cases.push(add.case("atom", order, Space::Global));
        cases.push(add.case("atom", order, Space::Shared));
    }
    for order in [".relaxed.gpu", ".release.cta", ".release.gpu"] {
        cases.push(add.case("red", order, Space::Global));
    }
    cases
}

/// Threads that meet at one address: whoever comes next sees what the one before left.
fn meetings() -> Vec<Case> {
    let permutation = |name: &str, body: &str, blocks: u32, last: u32| {
        let text = format!(
            ".reg .b32 %r<10>; .reg .b64 %x<4>; .reg .pred %p;\n\
             mov.u32 %r0, %ctaid.x; mov.u32 %r1, %tid.x; mad.lo.u32 %r2, %r0, 64, %r1;\n\
             ld.param.u64 %x0, [p0]; add.s64 %x1, %x0, 4; mad.wide.u32 %x1, %r2, 4, %x1;\n\
             {body}\nst.global.u32 [%x1], %r9;"
        );
        Case {
            name: name.to_owned(),
            ptx: module("sm_80", 1, &text),
            launch: Launch::linear(blocks, 64),
            inputs: vec![],
            output: 4 + 256 * blocks as usize,
            check: Box::new(move |found| {
                let mut all: Vec<u32> = found
                    .chunks_exact(4)
                    .map(|c| u32::from_le_bytes(c.try_into().unwrap()))
                    .collect();
                if all[0] != last {
                    return Err(format!("{} is left, expected {last}", all[0]));
                }
                all.remove(0);
                all.sort_unstable();
                let count = u32::try_from(all.len()).unwrap();
                if all.into_iter().eq(0..count) {
                    Ok(())
                } else {
                    Err("some number was given twice, or never".to_owned())
                }
            }),
        }
    };
    vec![
        permutation("tickets", "atom.global.add.u32 %r9, [%x0], 1;", 4, 256),
        permutation("tickets by inc", "atom.inc.u32 %r9, [%x0], 999;", 2, 128),
        permutation(
            "tickets by a loop of cas",
            "ld.volatile.global.u32 %r3, [%x0];\nL: add.u32 %r4, %r3, 1;\n\
             atom.global.cas.b32 %r9, [%x0], %r3, %r4;\nsetp.ne.u32 %p, %r9, %r3;\n\
             mov.u32 %r3, %r9;\n@%p bra L;",
            2,
            128,
        ),
        of_block(
            "sm_80",
            "a histogram in shared memory",
            96,
            ".shared .align 4 .b32 bins[8];\nmov.u64 %x2, bins;\nand.b32 %r1, %r0, 7;\n\
             mad.wide.u32 %x3, %r1, 4, %x2;\nsetp.lt.u32 %p1, %r0, 8;\n\
             @%p1 st.shared.u32 [%x3], 0;\nbar.sync 0;\nred.shared.add.u32 [%x3], %r0;\n\
             bar.sync 0;\nld.shared.u32 %r9, [%x3];",
            |t| (0..96).filter(|other| other % 8 == t % 8).sum(),
        ),
        of_block(
            "sm_80",
            "guarded, in divergent code, with a displacement, and a result that nobody wants",
            64,
            ".shared .align 4 .b32 sum[2];\nsetp.eq.u32 %p1, %r0, 0;\n\
             @%p1 st.shared.u32 [sum+4], 0;\nbar.sync 0;\nsetp.lt.u32 %p2, %r0, 40;\n\
             setp.ge.u32 %p3, %r0, 10;\n@!%p2 bra E;\n@%p3 atom.shared.add.u32 _, [sum+4], %r0;\n\
             E: bar.sync 0;\nld.shared.u32 %r9, [sum+4];",
            |_| (10..40).sum(),
        ),
        of_block(
            "sm_80",
            "a cache policy",
            64,
            "ld.param.u64 %x0, [p0];\nmad.wide.u32 %x1, %r0, 4, %x0;\n\
             createpolicy.fractional.L2::evict_last.b64 %x2, 0f3F800000;\n\
             atom.global.add.L2::cache_hint.u32 %r9, [%x1], 5, %x2;\n\
             red.global.add.L2::cache_hint.u32 [%x1], 5, %x2;\n\
             ld.global.L2::cache_hint.u32 %r9, [%x1], %x2;\n\
             st.global.L2::cache_hint.u32 [%x1], %r9, %x2;",
            |_| 10,
        ),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = forms();
    cases.extend(meetings());
    cases
}

#[test]
fn every_form() {
    check(&forms());
}

#[test]
fn threads_take_turns() {
    check(&meetings());
}

const TICKETS: &str = "ld.param.u64 %x0, [p0]; add.s64 %x0, %x0, 1024;\n\
                       atom.global.add.u32 %r9, [%x0], 1;";

#[test]
fn lanes_take_turns_in_the_order_of_the_schedule() {
    use crate::control::storing;
    use ptx_emu::{Arg, Device, DeviceSpec, Module};
    let module = Module::parse(&storing("sm_80", TICKETS)).unwrap();
    let run = |schedule| {
        let mut device = Device::new(DeviceSpec::h200());
        device.set_schedule(schedule);
        let buffer = device.alloc(2048).unwrap();
        device.write(&buffer, &[0; 2048]).unwrap();
        let args = [Arg::in_out(&buffer)];
        let report = device.launch(&module, "t", &Launch::linear(1, 32), &args);
        assert!(report.unwrap().is_clean());
        device.read(&buffer).unwrap()[..128].to_vec()
    };
    let ascending = run(Schedule::Forward);
    assert_eq!(ascending, words(0..32));
    let descending = run(Schedule::Reverse);
    assert_eq!(descending, words((0..32).rev()));
    let drawn = run(Schedule::Shuffle(3));
    assert_ne!(drawn, ascending);
    assert_ne!(drawn, descending);
    assert_ne!(drawn, run(Schedule::Shuffle(4)));
    assert_eq!(drawn, run(Schedule::Shuffle(3)));
}

#[test]
fn counts() {
    use crate::control::storing;
    let body = ".shared .align 8 .b64 s[32];\nmov.u64 %x2, s;\nand.b32 %r1, %r0, 3;\n\
                mad.wide.u32 %x3, %r0, 8, %x2;\nmov.u64 %x4, 0;\nst.shared.u64 [%x3], %x4;\n\
                mad.wide.u32 %x3, %r1, 8, %x2;\nbar.sync 0;\nred.shared.add.u64 [%x3], 1;\n\
                ld.param.u64 %x5, [p0]; add.s64 %x5, %x5, 1024;\nmad.wide.u32 %x6, %r0, 4, %x5;\n\
                red.global.add.u32 [%x6], 1;\nred.global.add.u32 [%x5], 1;\nmov.u32 %r9, 0;";
    let report = report(
        &storing("sm_80", body),
        &Launch::linear(1, 32),
        1024,
        Schedule::Forward,
    );
    assert!(report.is_clean(), "{report}");
    let shared = report.counters.shared_atomics;
    assert_eq!(
        (shared.requests, shared.operations, shared.passes),
        (1, 32, 8)
    );
    let global = report.counters.global_atomics;
    assert_eq!((global.requests, global.operations), (2, 64));
    assert_eq!((global.passes, global.sectors), (33, 5));
}

#[test]
fn refusals() {
    for instruction in [
        "atom.global.add.b32 %r0, [%x0], %r1",
        "atom.global.and.u32 %r0, [%x0], %r1",
        "atom.global.exch.b16 %h0, [%x0], %h1",
        "atom.global.exch.u32 %r0, [%x0], %r1",
        "atom.global.exch.b128 %x0, [%x0], %x1",
        "atom.global.cas.b128 %x0, [%x0], %x1, %x2",
        "atom.global.cas.b32 %r0, [%x0], %r1",
        "atom.global.add.u32 %r0, [%x0], %r1, %r2",
        "atom.global.add.u32 %r0, [%x0]",
        "atom.global.add.u32 [%x0], %r0",
        "red.global.add.u32 %r0, [%x0], %r0",
        "atom.global.inc.u64 %x0, [%x0], %x1",
        "atom.global.inc.s32 %r0, [%x0], %r1",
        "atom.global.max.f32 %r0, [%x0], %r1",
        "atom.global.min.noftz.f16 %h0, [%x0], %h1",
        "atom.global.add.f16 %h0, [%x0], %h1",
        "atom.global.add.noftz.f32 %r0, [%x0], %r1",
        "atom.shared.v2.add.f32 {%r0, %r1}, [s], {%r2, %r3}",
        "atom.global.v8.add.noftz.f16x2 %r0, [%x0], %r1",
        "atom.global.v2.min.f32 {%r0, %r1}, [%x0], {%r2, %r3}",
        "atom.global.v2.add.f32 {%r0, %r1}, [%x0], %r2",
        "atom.global.v2.add.u32 {%r0, %r1}, [%x0], {%r2, %r3}",
        "atom.local.add.u32 %r0, [%x0], %r1",
        "atom.global.add.u64 %x0, [%x0], %r1",
        "atom.global.add.u32 %x0, [%x0], %r1",
        "atom.global.u32 %r0, [%x0], %r1",
        "atom.global.add.wt.u32 %r0, [%x0], %r1",
        "atom.shared.add.L2::cache_hint.u32 %r0, [s], %r1, %x0",
        "atom.global.add.L2::cache_hint.u32 %r0, [%x0], %r1, %r2",
        "atom.add.u32 %r0, [p0], %r1",
        "red.global.cas.b32 [%x0], %r0, %r1",
        "red.global.exch.b32 [%x0], %r0",
        "red.acquire.gpu.global.add.u32 [%x0], %r0",
        "red.async.relaxed.cluster.global.add.u32 [%x0], %r0",
        "ld.release.gpu.global.u32 %r0, [%x0]",
        "st.acquire.gpu.global.u32 [%x0], %r0",
    ] {
        refuses("sm_90", instruction);
    }
}
