//! `mov` and `cvta`: registers, constants, vectors, special registers, addresses.

use ptx_emu::Launch;

use crate::case::{Case, Ty, check, elementwise, exactly, module, program};
use crate::integer::of_bits;
use crate::values::{integers, rows1, rows2, rows3};

fn types() -> Vec<Case> {
    let names = [
        "b16", "u16", "s16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64",
    ];
    let case = |ty: &str| {
        let bits = ty[1..].parse().unwrap();
        let word = of_bits(bits);
        elementwise(
            &format!("mov.{ty} %d, %a;"),
            &[word],
            word,
            &rows1(&integers(bits), bits, 60),
            exactly(|row| row[0]),
        )
    };
    names.map(case).into()
}

fn constants() -> Vec<Case> {
    let forms: [(&str, &str, u64); 15] = [
        ("b16", "-2", 0xfffe),
        ("u16", "0x12345", 0x2345),
        ("s16", "077", 0o77),
        ("b32", "0b1011", 0b1011),
        ("u32", "4294967295U", 0xffff_ffff),
        ("s32", "-5", 0xffff_fffb),
        ("u32", "WARP_SZ", 32),
        ("f32", "0f3FC00000", 0x3fc0_0000),
        ("f32", "-1.5", 0xbfc0_0000),
        ("b64", "-1", u64::MAX),
        ("u64", "0x123456789abcdef0", 0x1234_5678_9abc_def0),
        ("s64", "-0x80000000", 0xffff_ffff_8000_0000),
        ("f64", "0d3FF8000000000000", 0x3ff8 << 48),
        ("f64", "1.5", 0x3ff8 << 48),
        ("f64", "-0d0000000000000000", 1 << 63),
    ];
    let case = |(ty, text, bits): (&str, &str, u64)| {
        let word = of_bits(ty[1..].parse().unwrap());
        let body = format!("mov.{ty} %d, {text};");
        elementwise(&body, &[Ty::B32], word, &[vec![0]], exactly(move |_| bits))
    };
    forms.map(case).into()
}

fn predicates() -> Vec<Case> {
    let case = |(source, when): (&str, [u64; 2])| {
        elementwise(
            &format!(
                ".reg .pred %p, %q;\nsetp.ne.u32 %p, %a, 0;\nmov.pred %q, {source};\n\
                 selp.b32 %d, 1, 0, %q;"
            ),
            &[Ty::B32],
            Ty::B32,
            &rows1(&[0, 1], 1, 100),
            exactly(move |row| when[usize::from(row[0] != 0)]),
        )
    };
    [
        ("%p", [0, 1]),
        ("!%p", [1, 0]),
        ("1", [1, 1]),
        ("0", [0, 0]),
    ]
    .map(case)
    .into()
}

/// A scalar from a vector, and back; some parts constants, some not wanted.
fn vectors() -> Vec<Case> {
    let part = |v: u64, i: u32, bits: u32| v >> (i * bits) & ((1 << bits) - 1);
    let mut cases = Vec::new();
    for (bits, each) in [(16, 8), (32, 16), (32, 8), (64, 32), (64, 16)] {
        let count: u32 = bits / each;
        let word = of_bits(bits);
        let rows = rows2([&integers(bits), &integers(bits)], [bits; 2], 60);
        let names = |name: &str| {
            let all: Vec<_> = (0..count).map(|i| format!("%{name}{i}")).collect();
            all
        };
        let (x, y) = (names("u"), names("v"));
        // the parts of `a` in reverse order
        let reversed: Vec<_> = x.iter().rev().cloned().collect();
        cases.push(elementwise(
            &format!(
                ".reg .b{each} %u<4>;\nmov.b{bits} {{{}}}, %a;\nmov.b{bits} %d, {{{}}};",
                x.join(", "),
                reversed.join(", ")
            ),
            &[word; 2],
            word,
            &rows,
            exactly(move |row| {
                let at = |i| part(row[0], count - 1 - i, each) << (i * each);
                (0..count).map(at).sum()
            }),
        ));
        // the odd parts of `a`, the even ones of `b`
        let some = |all: &[String], odd: usize| {
            let wanted = |(i, name): (usize, &String)| {
                if i % 2 == odd {
                    name.clone()
                } else {
                    "_".to_owned()
                }
            };
            all.iter()
                .enumerate()
                .map(wanted)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mixed: Vec<_> = (0..count as usize)
            .map(|i| {
                if i % 2 == 1 {
                    x[i].clone()
                } else {
                    y[i].clone()
                }
            })
            .collect();
        cases.push(elementwise(
            &format!(
                ".reg .b{each} %u<4>, %v<4>;\nmov.b{bits} {{{}}}, %a;\nmov.b{bits} {{{}}}, %b;\n\
                 mov.b{bits} %d, {{{}}};",
                some(&x, 1),
                some(&y, 0),
                mixed.join(", ")
            ),
            &[word; 2],
            word,
            &rows,
            exactly(move |row| {
                let at = |i| part(row[usize::from(i % 2 == 0)], i, each) << (i * each);
                (0..count).map(at).sum()
            }),
        ));
    }
    cases.push(elementwise(
        "mov.b64 %d, {%a, 0xfedcba98};",
        &[Ty::B32],
        Ty::B64,
        &rows1(&integers(32), 32, 60),
        exactly(|row| row[0] | 0xfedc_ba98 << 32),
    ));
    cases.push(elementwise(
        "mov.b32 %d, {-1, %a};",
        &[Ty::B16],
        Ty::B32,
        &rows1(&integers(16), 16, 60),
        exactly(|row| row[0] << 16 | 0xffff),
    ));
    cases.push(elementwise(
        "mov.b64 %d, {%a, 0f3F800000};",
        &[Ty::B32],
        Ty::B64,
        &rows1(&integers(32), 32, 60),
        exactly(|row| row[0] | 0x3f80_0000 << 32),
    ));
    // sources that are also destinations
    cases.push(elementwise(
        ".reg .b32 %u<2>;\nmov.b64 {%u0, %u1}, %a;\nmov.b64 {%u1, %u0}, %a;\n\
         mov.b64 %d, {%u0, %u1};",
        &[Ty::B64],
        Ty::B64,
        &rows1(&integers(64), 64, 60),
        exactly(|row| row[0].rotate_right(32)),
    ));
    // a guard leaves lanes out
    cases.push(elementwise(
        ".reg .pred %p;\n.reg .b32 %u<2>;\nsetp.ne.u32 %p, %c, 0;\nmov.b64 {%u0, %u1}, %a;\n\
         @%p mov.b64 {%u0, %u1}, %b;\nmov.b64 %d, {%u0, %u1};",
        &[Ty::B64, Ty::B64, Ty::B32],
        Ty::B64,
        &rows3([&integers(64), &integers(64), &[0, 1]], [64, 64, 1], 60, 60),
        exactly(|row| row[usize::from(row[2] != 0)]),
    ));
    cases
}

/// Each thread of 3 blocks of 40 writes one special register.
fn special_registers() -> Vec<Case> {
    type Of = fn(u32, u32) -> u32;
    let forms: [(&str, Of); 16] = [
        ("%tid.x", |_, t| t % 8),
        ("%tid.y", |_, t| t / 8),
        ("%tid.z", |_, _| 0),
        ("%ntid.x", |_, _| 8),
        ("%ntid.y", |_, _| 5),
        ("%ntid.z", |_, _| 1),
        ("%ctaid.x", |b, _| b),
        ("%ctaid.y", |_, _| 0),
        ("%nctaid.x", |_, _| 3),
        ("%nctaid.z", |_, _| 1),
        ("%laneid", |_, t| t % 32),
        ("%lanemask_eq", |_, t| 1 << (t % 32)),
        ("%lanemask_lt", |_, t| (1 << (t % 32)) - 1),
        ("%lanemask_le", |_, t| u32::MAX >> (31 - t % 32)),
        ("%lanemask_gt", |_, t| !(u32::MAX >> (31 - t % 32))),
        ("%lanemask_ge", |_, t| u32::MAX << (t % 32)),
    ];
    let launch = || Launch {
        block: [8, 5, 1],
        ..Launch::linear(3, 1)
    };
    let case = |(name, of): (&str, Of)| {
        let body = format!(
            ".reg .b32 %r<9>;\n.reg .b64 %x<3>;\nmov.u32 %r0, %tid.y;\nmov.u32 %r1, %tid.x;\n\
             mad.lo.u32 %r2, %r0, 8, %r1;\nmov.u32 %r3, %ctaid.x;\n\
             mad.lo.u32 %r4, %r3, 40, %r2;\nld.param.u64 %x0, [p0];\n\
             mad.wide.u32 %x1, %r4, 4, %x0;\nmov.u32 %r5, {name};\nst.global.u32 [%x1], %r5;"
        );
        let all = (0..3).flat_map(|b| (0..40).map(move |t| (b, t)));
        let expected = all.flat_map(|(b, t)| of(b, t).to_le_bytes()).collect();
        program(name, module("sm_80", 1, &body), launch(), vec![], expected)
    };
    forms.map(case).into()
}

/// A word goes into a variable by one address of it and is read by another: with `mov` in 32 or
/// 64 bits, in its space or generic. `put` and `get` name the address `%x0` or `%r0`.
fn address(name: &str, declaration: &str, launch: Launch, put: &str, get: &str) -> Case {
    let inside = declaration.starts_with(".local") || declaration.starts_with(".shared");
    let (outer, inner) = if inside {
        ("", declaration)
    } else {
        (declaration, "")
    };
    let text = format!(
        ".version 8.6\n.target sm_80\n.address_size 64\n{outer}\
         .visible .entry t(.param .u64 p0)\n{{\n{inner}.reg .b32 %r<9>;\n.reg .b64 %x<9>;\n\
         mov.u32 %r8, %tid.x;\nmad.lo.u32 %r7, %r8, 977, 5;\nshl.b32 %r6, %r8, 2;\n\
         mul.wide.u32 %x6, %r8, 4;\n{put}\nbar.sync 0;\n{get}\n\
         ld.param.u64 %x7, [p0];\nadd.u64 %x7, %x7, %x6;\nst.global.u32 [%x7], %r5;\nret;\n}}\n"
    );
    let expected = (0..64_u32)
        .flat_map(|t| (t * 977 + 5).to_le_bytes())
        .collect();
    program(name, text, launch, vec![], expected)
}

fn addresses() -> Vec<Case> {
    let mut cases = Vec::new();
    let kinds = [
        ("shared", ".shared .align 4 .b8 v[300];\n"),
        ("shared", ".extern .shared .align 4 .b8 v[];\n"),
        ("local", ".local .align 4 .b8 v[300];\n"),
        ("global", ".global .align 4 .b8 v[300];\n"),
    ];
    for (space, declaration) in kinds {
        // 36 bytes in; of local memory, each thread has its own
        let ways = [
            ("named", String::new(), "[v+36]".to_owned(), space),
            (
                "u64",
                "mov.u64 %x0, v+36;\n".to_owned(),
                "[%x0]".to_owned(),
                space,
            ),
            (
                "u64 and offset",
                "mov.u64 %x0, v;\n".to_owned(),
                "[%x0+36]".to_owned(),
                space,
            ),
            (
                "u32",
                "mov.u32 %r0, v+36;\n".to_owned(),
                "[%r0]".to_owned(),
                space,
            ),
            (
                "generic",
                format!("mov.u64 %x1, v+16;\ncvta.{space}.u64 %x0, %x1;\n"),
                "[%x0+20]".to_owned(),
                "",
            ),
            (
                "generic of the name",
                format!("cvta.{space}.u64 %x0, v+20;\n"),
                "[%x0+16]".to_owned(),
                "",
            ),
            (
                "there and back",
                format!("cvta.{space}.u64 %x1, v;\ncvta.to.{space}.u64 %x0, %x1;\n"),
                "[%x0+36]".to_owned(),
                space,
            ),
        ];
        for (first, set_put, put_at, put_space) in &ways {
            for (second, set_get, get_at, get_space) in &ways {
                // a variable outside of local memory is one for all: each thread has its word
                let narrow = |set: &str| set.contains("%r0");
                if space == "global" && (narrow(set_put) || narrow(set_get)) {
                    continue;
                }
                let of_thread = |set: &str, at: &str| {
                    if space == "local" {
                        return (set.to_owned(), at.to_owned());
                    }
                    if at == "[v+36]" {
                        // a name cannot have a register added
                        let set = "mov.u64 %x0, v;\nadd.u64 %x0, %x0, %x6;\n".to_owned();
                        return (set, "[%x0+36]".to_owned());
                    }
                    let add = if narrow(set) {
                        "add.u32 %r0, %r0, %r6;\n"
                    } else {
                        "add.u64 %x0, %x0, %x6;\n"
                    };
                    (format!("{set}{add}"), at.to_owned())
                };
                let (set_put, put_at) = of_thread(set_put, put_at);
                let (set_get, get_at) = of_thread(set_get, get_at);
                let dot = |space: &str| {
                    if space.is_empty() {
                        String::new()
                    } else {
                        format!(".{space}")
                    }
                };
                let put = format!("{set_put}st{}.u32 {put_at}, %r7;", dot(put_space));
                let get = format!("{set_get}ld{}.u32 %r5, {get_at};", dot(get_space));
                let dynamic = declaration.starts_with(".extern");
                let launch = Launch::linear(1, 64).with_shared(if dynamic { 300 } else { 0 });
                let name = format!("{declaration}{first}, {second}");
                cases.push(address(&name, declaration, launch, &put, &get));
            }
        }
    }
    cases
}

pub(crate) fn cases() -> Vec<Case> {
    [
        types(),
        constants(),
        predicates(),
        vectors(),
        special_registers(),
        addresses(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn moves_of_every_type() {
    check(&types());
    check(&constants());
    check(&predicates());
}

#[test]
fn vectors_are_packed_and_unpacked() {
    check(&vectors());
}

#[test]
fn special_registers_of_threads() {
    check(&special_registers());
}

#[test]
fn addresses_of_variables() {
    check(&addresses());
}
