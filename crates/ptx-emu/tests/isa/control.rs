//! Branches, calls, barriers of a block.

use crate::case::{Case, check, module, program};
use ptx_emu::Launch;

pub(crate) fn words(values: impl IntoIterator<Item = u32>) -> Vec<u8> {
    values.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// `%r9` of each thread of one block of 64 is stored.
pub(crate) fn of_threads(name: &str, body: &str, expected: impl Fn(u32) -> u32) -> Case {
    of_block("sm_80", name, 64, body, expected)
}

/// A module whose threads store `%r9`.
pub(crate) fn storing(target: &str, body: &str) -> String {
    let text = format!(
        ".reg .b32 %r<40>;\n.reg .b64 %x<20>;\n.reg .pred %p<8>;\nmov.u32 %r0, %tid.x;\n{body}\n\
         ld.param.u64 %x0, [p0];\nmad.wide.u32 %x1, %r0, 4, %x0;\nst.global.u32 [%x1], %r9;"
    );
    module(target, 1, &text)
}

/// `%r9` of each thread of one block is stored.
pub(crate) fn of_block(
    target: &str,
    name: &str,
    threads: u32,
    body: &str,
    expected: impl Fn(u32) -> u32,
) -> Case {
    let ptx = storing(target, body);
    let expected = words((0..threads).map(expected));
    program(name, ptx, Launch::linear(1, threads), vec![], expected)
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        of_threads(
            "two ways that meet",
            "mov.u32 %r9, 7;\nsetp.lt.u32 %p1, %r0, 20;\n@%p1 bra A;\nbra.uni B;\n\
             A: add.u32 %r9, %r9, %r0;\nbra.uni C;\nB: sub.u32 %r9, %r9, %r0;\n\
             C: mul.lo.u32 %r9, %r9, 3;",
            |t| {
                if t < 20 {
                    (7 + t) * 3
                } else {
                    7_u32.wrapping_sub(t).wrapping_mul(3)
                }
            },
        ),
        of_threads(
            "a loop that lanes leave one by one",
            "mov.u32 %r9, 0;\nmov.u32 %r1, 0;\nL: setp.ge.u32 %p1, %r1, %r0;\n@%p1 bra E;\n\
             add.u32 %r9, %r9, %r1;\nadd.u32 %r1, %r1, 1;\nbra.uni L;\nE: add.u32 %r9, %r9, 1;",
            |t| t * t.saturating_sub(1) / 2 + 1,
        ),
        of_threads(
            "labels and registers of inner scopes",
            "mov.u32 %r9, 1;\n{ .reg .b32 %r9; mov.u32 %r9, 5; bra A; A: }\n\
             { bra A; trap; A: add.u32 %r9, %r9, 1; }",
            |_| 2,
        ),
    ]
}

#[test]
fn control_flow() {
    check(&cases());
}
