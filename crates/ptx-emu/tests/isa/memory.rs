//! `ld` and `st`: types, vectors, spaces, widths of registers, hints.

use ptx_emu::Launch;

use crate::case::{Case, check, module, program};
use crate::integer::{low, number};
use crate::values::random;

const THREADS: u32 = 64;

pub(crate) fn bytes(count: usize, seed: u64) -> Vec<u8> {
    random(8, count, seed)
        .iter()
        .flat_map(|v| v.to_le_bytes()[..1].to_vec())
        .collect()
}

/// Bytes of a type.
fn size(ty: &str) -> usize {
    ty[1..].parse::<usize>().unwrap() / 8
}

/// A vector operand of so many registers, or the only register.
fn operand(count: usize) -> String {
    let names: Vec<_> = (0..count).map(|i| format!("%v{i}")).collect();
    if count == 1 {
        names[0].clone()
    } else {
        format!("{{{}}}", names.join(", "))
    }
}

/// Each thread loads `each` bytes of the input at `%x2`, runs `body` and stores to the output at
/// `%x1`; `%x5` is its offset, `%r5` the same in 32 bits.
fn threads(name: &str, each: usize, register: &str, body: &str, expected: Vec<u8>) -> Case {
    let text = format!(
        ".reg .{register} %v<8>;\n.reg .b32 %r<9>;\n.reg .b64 %x<9>;\nmov.u32 %r0, %tid.x;\n\
         mul.lo.u32 %r5, %r0, {each};\nmul.wide.u32 %x5, %r0, {each};\n\
         ld.param.u64 %x1, [p0];\nld.param.u64 %x2, [p1];\nadd.u64 %x2, %x2, %x5;\n{body}"
    );
    program(
        name,
        module("sm_90", 2, &text),
        Launch::linear(1, THREADS).with_shared(4096),
        vec![bytes(each * THREADS as usize, 3)],
        expected,
    )
}

const TYPES: [&str; 14] = [
    "b8", "u8", "s8", "b16", "u16", "s16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64",
];

/// The register that holds values of so many bytes.
fn register(size: usize) -> &'static str {
    ["b16", "b16", "b32", "b64"][size.ilog2() as usize]
}

/// A copy through registers: global to global, by way of another space too.
fn copies() -> Vec<Case> {
    let mut cases = Vec::new();
    for ty in TYPES {
        for count in [1, 2, 4] {
            let each = size(ty) * count;
            if each > 16 {
                continue;
            }
            let v = operand(count);
            let form = |space: &str| {
                let vector = if count == 1 {
                    String::new()
                } else {
                    format!(".v{count}")
                };
                format!("{space}{vector}.{ty}")
            };
            let out = format!("add.u64 %x1, %x1, %x5;\nst{} [%x1], {v};", form(".global"));
            let get = |space: &str| format!("ld{} {v}, [%x2];\n", form(space));
            let clear: Vec<_> = (0..count)
                .map(|i| format!("mov.{} %v{i}, 0;\n", register(size(ty))))
                .collect();
            let clear = clear.concat();
            let shared = ".shared .align 16 .b8 v[2048];\nmov.u32 %r1, v;\nadd.u32 %r1, %r1, %r5;\n\
                 mov.u64 %x3, v;\ncvta.shared.u64 %x3, %x3;\nadd.u64 %x3, %x3, %x5;\n";
            let local = ".local .align 16 .b8 v[64];\nmov.u64 %x4, v;\n\
                         cvta.local.u64 %x3, %x4;\n";
            let ways = [
                ("global", get(".global")),
                ("generic", get("")),
                (
                    "shared",
                    format!(
                        "{shared}{}st{} [%r1+16], {v};\n{clear}ld{} {v}, [%x3+16];\n",
                        get(".global"),
                        form(".shared"),
                        form("")
                    ),
                ),
                (
                    "generic to shared",
                    format!(
                        "{shared}{}st{} [%x3], {v};\n{clear}ld{} {v}, [%r1];\n",
                        get(".global"),
                        form(""),
                        form(".shared")
                    ),
                ),
                (
                    "local",
                    format!(
                        "{local}{}st{} [v+32], {v};\n{clear}ld{} {v}, [%x3+32];\n",
                        get(".global"),
                        form(".local"),
                        form("")
                    ),
                ),
                (
                    "generic to local",
                    format!(
                        "{local}{}st{} [%x3+16], {v};\n{clear}ld{} {v}, [%x4+16];\n",
                        get(".global"),
                        form(""),
                        form(".local")
                    ),
                ),
            ];
            for (way, body) in ways {
                let name = format!("{way} {ty} x {count}");
                let expected = bytes(each * THREADS as usize, 3);
                let body = format!("{body}{out}");
                cases.push(threads(&name, each, register(size(ty)), &body, expected));
            }
        }
    }
    cases
}

/// Registers wider than the type: extended by sign or by zeros when loaded, cut when stored.
fn widths() -> Vec<Case> {
    let mut cases = Vec::new();
    for ty in TYPES {
        let from = size(ty);
        for to in [2, 4, 8] {
            if to < from || ty.starts_with('f') {
                continue;
            }
            let reg = register(to);
            let bits = 8 * u32::try_from(from).unwrap();
            let all = bytes(from * THREADS as usize, 3);
            let extended: Vec<u8> = all
                .chunks(from)
                .flat_map(|chunk| {
                    let mut word = [0; 8];
                    word[..from].copy_from_slice(chunk);
                    let value = number(u64::from_le_bytes(word), bits, ty.starts_with('s'));
                    low(value, 64).to_le_bytes()[..to].to_vec()
                })
                .collect();
            let store = format!(
                "mad.lo.u64 %x1, %x7, {to}, %x1;\nst.global.b{} [%x1], %v0;",
                8 * to
            );
            let body = format!("mul.wide.u32 %x7, %r0, 1;\nld.global.{ty} %v0, [%x2];\n{store}");
            cases.push(threads(
                &format!("{ty} in {reg}"),
                from,
                reg,
                &body,
                extended.clone(),
            ));
            if to > 2 || from == 1 {
                // the register is seen whole by other instructions
                let body = body.replace(
                    "st.global",
                    &format!("xor.b{} %v0, %v0, -1;\nst.global", 8 * to),
                );
                let flipped = extended.iter().map(|b| !b).collect();
                cases.push(threads(
                    &format!("{ty} in {reg}, flipped"),
                    from,
                    reg,
                    &body,
                    flipped,
                ));
            }
            // upper bits that a store leaves behind
            let body = format!(
                "ld.global.{ty} %v0, [%x2];\nor.b{0} %v0, %v0, {1};\nadd.u64 %x1, %x1, %x5;\n\
                 st.global.{ty} [%x1], %v0;",
                8 * to,
                if to == from { 0 } else { 1_i64 << (8 * from) }
            );
            cases.push(threads(
                &format!("{ty} out of {reg}"),
                from,
                reg,
                &body,
                all,
            ));
        }
    }
    // 16-bit registers hold no more than that, also where they are compared
    let body = "ld.global.s8 %v0, [%x2];\n.reg .pred %p;\nsetp.lt.s16 %p, %v0, 0;\n\
                .reg .b32 %k;\nmov.b32 %k, {%v0, 0};\n@%p add.u32 %k, %k, 0x10000;\n\
                mad.lo.u64 %x1, %x5, 4, %x1;\nst.global.u32 [%x1], %k;";
    let expected = bytes(THREADS as usize, 3).into_iter().flat_map(|byte| {
        let value = number(u64::from(byte), 8, true);
        let half = low(value, 16) + if value < 0 { 0x10000 } else { 0 };
        half.to_le_bytes()[..4].to_vec()
    });
    cases.push(threads("s8 in a half", 1, "b16", body, expected.collect()));
    // vectors of registers that are wider
    let body = "ld.global.v4.s8 {%v0, %v1, %v2, %v3}, [%x2];\nmad.lo.u64 %x1, %x5, 4, %x1;\n\
                st.global.v4.u32 [%x1], {%v3, %v1, %v2, %v0};";
    let expected = bytes(4 * THREADS as usize, 3)
        .chunks(4)
        .flat_map(|chunk| [chunk[3], chunk[1], chunk[2], chunk[0]])
        .flat_map(|byte| low(number(u64::from(byte), 8, true), 32).to_le_bytes()[..4].to_vec())
        .collect();
    cases.push(threads("a vector of s8 in b32", 4, "b32", body, expected));
    let body = "ld.global.v2.s32 {%v0, %v1}, [%x2];\nmad.lo.u64 %x1, %x5, 2, %x1;\n\
                st.global.v2.u64 [%x1], {%v1, %v0};";
    let expected = bytes(8 * THREADS as usize, 3)
        .chunks(8)
        .flat_map(|chunk| [chunk[4..8].to_vec(), chunk[..4].to_vec()])
        .flat_map(|word| {
            let bits = u32::from_le_bytes(word.try_into().unwrap());
            low(number(u64::from(bits), 32, true), 64).to_le_bytes()
        })
        .collect();
    cases.push(threads("a vector of s32 in b64", 8, "b64", body, expected));
    cases
}

/// Modifiers that change nothing of the result.
fn hints() -> Vec<Case> {
    let loads = [
        "ld.global.nc.u32 %v0, [%x2];",
        "ld.global.ca.u32 %v0, [%x2];",
        "ld.global.cg.u32 %v0, [%x2];",
        "ld.global.cs.nc.u32 %v0, [%x2];",
        "ld.global.lu.u32 %v0, [%x2];",
        "ld.global.cv.u32 %v0, [%x2];",
        "ld.weak.global.u32 %v0, [%x2];",
        "ld.volatile.global.u32 %v0, [%x2];",
        "ld.volatile.u32 %v0, [%x2];",
        "ld.relaxed.gpu.global.u32 %v0, [%x2];",
        "ld.acquire.sys.global.u32 %v0, [%x2];",
        "ld.relaxed.cluster.u32 %v0, [%x2];",
        "ld.mmio.relaxed.sys.global.u32 %v0, [%x2];",
        "ld.global.L1::evict_last.u32 %v0, [%x2];",
        "ld.global.nc.L1::no_allocate.L2::128B.u32 %v0, [%x2];",
        "ld.global.L1::evict_unchanged.L2::256B.u32 %v0, [%x2];",
        "mov.u64 %x6, 0x1000000000000000;\nld.global.L2::cache_hint.u32 %v0, [%x2], %x6;",
        "ldu.global.u32 %v0, [%x2];",
    ];
    let stores = [
        "st.global.wb.u32 [%x1], %v0;",
        "st.global.cg.u32 [%x1], %v0;",
        "st.global.cs.u32 [%x1], %v0;",
        "st.global.wt.u32 [%x1], %v0;",
        "st.weak.global.u32 [%x1], %v0;",
        "st.volatile.global.u32 [%x1], %v0;",
        "st.relaxed.gpu.global.u32 [%x1], %v0;",
        "st.release.cta.global.u32 [%x1], %v0;",
        "st.mmio.relaxed.sys.global.u32 [%x1], %v0;",
        "st.global.L1::no_allocate.u32 [%x1], %v0;",
        "mov.u64 %x6, 0x1000000000000000;\nst.global.L2::cache_hint.u32 [%x1], %v0, %x6;",
    ];
    let case = |name: &str, load: &str, store: &str| {
        let body = format!("add.u64 %x1, %x1, %x5;\n{load}\n{store}");
        threads(name, 4, "b32", &body, bytes(4 * THREADS as usize, 3))
    };
    let all = loads
        .iter()
        .map(|load| case(load, load, "st.global.u32 [%x1], %v0;"));
    let all = all.chain(
        stores
            .iter()
            .map(|s| case(s, "ld.global.u32 %v0, [%x2];", s)),
    );
    all.collect()
}

/// Constants, guards, strides, displacements.
fn addressing() -> Vec<Case> {
    let all = bytes(8 * THREADS as usize, 3);
    let word = |thread: usize, i: usize| all[8 * thread + 4 * i..8 * thread + 4 * i + 4].to_vec();
    let each = |of: &dyn Fn(usize) -> Vec<u8>| (0..THREADS as usize).flat_map(of).collect();
    vec![
        threads(
            "stored constants",
            8,
            "b32",
            "add.u64 %x1, %x1, %x5;\nst.global.u16 [%x1], 0x1234;\nst.global.u8 [%x1+2], -1;\n\
             st.global.b8 [%x1+3], 7;\nst.global.f32 [%x1+4], 0f3F800000;",
            each(&|_| vec![0x34, 0x12, 0xff, 7, 0, 0, 0x80, 0x3f]),
        ),
        threads(
            "stored vector of constants",
            8,
            "b32",
            "add.u64 %x1, %x1, %x5;\nld.global.u32 %v0, [%x2+4];\n\
             st.global.v2.b32 [%x1], {%v0, 0xdeadbeef};",
            each(&|t| [word(t, 1), vec![0xef, 0xbe, 0xad, 0xde]].concat()),
        ),
        threads(
            "negative displacement and mirrored lanes",
            8,
            "b32",
            "add.u64 %x2, %x2, 8;\nld.global.u32 %v0, [%x2+-4];\nld.global.u32 %v1, [%x2+-8];\n\
             xor.b64 %x5, %x5, 504;\nadd.u64 %x1, %x1, %x5;\nst.global.v2.u32 [%x1], {%v0, %v1};",
            each(&|t| [word(63 - t, 1), word(63 - t, 0)].concat()),
        ),
        threads(
            "lanes left out by guards",
            8,
            "b32",
            ".reg .pred %p;\nand.b32 %r1, %r0, 5;\nsetp.ne.u32 %p, %r1, 0;\n\
             add.u64 %x1, %x1, %x5;\nmov.u32 %v0, 1;\nmov.u32 %v1, 2;\n\
             @%p ld.global.v2.u32 {%v0, %v1}, [%x2];\nst.global.u32 [%x1], %v0;\n\
             st.global.u32 [%x1+4], 3;\n@!%p st.global.u32 [%x1+4], %v1;",
            each(&|t| {
                if t & 5 == 0 {
                    vec![1, 0, 0, 0, 2, 0, 0, 0]
                } else {
                    [word(t, 0), vec![3, 0, 0, 0]].concat()
                }
            }),
        ),
        threads(
            "all lanes at one place, and a sink in a vector",
            8,
            "b32",
            "ld.param.u64 %x2, [p1];\nld.global.v2.u32 {_, %v1}, [%x2+8];\n\
             ld.global.u32 %v0, [%x2];\nadd.u64 %x1, %x1, %x5;\n\
             st.global.v2.u32 [%x1], {%v0, %v1};",
            each(&|_| [word(0, 0), word(1, 1)].concat()),
        ),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    [copies(), widths(), hints(), addressing()]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn copies_through_every_space() {
    check(&copies());
}

#[test]
fn registers_wider_than_the_type() {
    check(&widths());
}

#[test]
fn hints_change_nothing() {
    check(&hints());
}

#[test]
fn addresses_and_constants() {
    check(&addressing());
}
