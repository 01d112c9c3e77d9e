//! Every form of `atom` and `red`.

use std::rc::Rc;

use super::form::{Form, Model, Space, never};
use crate::case::Case;
use crate::exact::{BF16, F16, F32, F64, Mode};
use crate::values;

pub(super) fn integers() -> Vec<Form> {
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

fn signed(a: u64) -> i32 {
    (a as u32).cast_signed()
}

pub(super) fn u3_add(a: u64, b: u64, _: u64) -> u64 {
    a.wrapping_add(b)
}

pub(super) fn add_f32(flush: bool) -> Model {
    let flushed = move |bits: u64| if flush { F32.flush(bits) } else { bits };
    Rc::new(move |a, b, _| flushed(F32.add(&[flushed(a), flushed(b)], Mode::Near)))
}

/// Sums of `f32` flush subnormals in global memory, and only there.
pub(super) fn f32_sum(operation: &'static str, vector: usize, global: bool) -> Form {
    Form {
        operation,
        bits: 32,
        vector,
        edges: values::f32s(),
        new: add_f32(global),
        nan: |bits| F32.is_nan(bits),
        target: if vector > 1 { "sm_90" } else { "sm_80" },
    }
}

pub(super) fn f64_sum() -> Form {
    Form {
        operation: "add.f64",
        bits: 64,
        vector: 1,
        edges: values::f64s(),
        new: Rc::new(|a, b, _| F64.add(&[a, b], Mode::Near)),
        nan: |bits| F64.is_nan(bits),
        target: "sm_80",
    }
}

/// Operations on halves and on pairs of them.
pub(super) fn halves() -> Vec<Form> {
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
        let format = if brain { BF16 } else { F16 };
        let new = move |a, b| {
            if operation.contains("add") {
                format.add(&[a, b], Mode::Near)
            } else {
                format.extreme(&[a, b], operation.contains("max"), false)
            }
        };
        let edges = if brain {
            values::bf16s()
        } else {
            values::f16s()
        };
        let pair = operation.contains("x2");
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
                    new(a >> 16, b >> 16) << 16 | new(a & 0xffff, b & 0xffff)
                } else {
                    new(a, b)
                }
            }),
            nan: match (pair, brain) {
                (true, _) => never,
                (_, true) => |bits| BF16.is_nan(bits),
                _ => |bits| F16.is_nan(bits),
            },
            target: if vector > 1 || brain {
                "sm_90"
            } else {
                "sm_80"
            },
        });
    }
    forms
}

pub(super) fn forms() -> Vec<Case> {
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
    let all = integers();
    let count = all.iter().filter(|form| form.operation == "inc.u32");
    cases.extend(count.map(|form| form.case("atom", ".relaxed.gpu", Space::Global)));
    cases
}
