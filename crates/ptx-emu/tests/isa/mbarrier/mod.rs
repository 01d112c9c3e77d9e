//! `mbarrier`, and copies that arrive at one.

mod rules;

use crate::case::{Case, check, module, program};
use ptx_emu::Launch;

fn words(values: impl IntoIterator<Item = u32>) -> Vec<u8> {
    values.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// What every program begins with: `%r0` the thread, `%x0` its place in the output, two objects
/// `b` and `c` with counts, and some shared memory. `%p0` is true in thread 0.
pub(crate) fn text(counts: [u32; 2], body: &str) -> String {
    module(
        "sm_90a",
        1,
        &format!(
            ".reg .b32 %r<20>;\n.reg .b64 %x<10>;\n.reg .pred %p<8>;\n\
             .shared .align 8 .b64 b;\n.shared .align 8 .b64 c;\n.shared .align 16 .b32 s[256];\n\
             mov.u32 %r0, %tid.x;\nmov.u32 %r9, 0;\n\
             ld.param.u64 %x0, [p0];\nmad.wide.u32 %x0, %r0, 4, %x0;\n\
             mov.u32 %r1, s;\nmad.lo.u32 %r1, %r0, 4, %r1;\n\
             setp.eq.u32 %p0, %r0, 0;\n\
             @%p0 mbarrier.init.shared::cta.b64 [b], {};\n\
             @%p0 mbarrier.init.shared::cta.b64 [c], {};\n\
             bar.sync 0;\n{body}\nst.global.u32 [%x0], %r9;",
            counts[0], counts[1]
        ),
    )
}

/// Waits for phase parity `parity` of an object.
pub(crate) fn wait(object: &str, parity: &str, label: &str) -> String {
    format!(
        "{label}: mbarrier.try_wait.parity.shared::cta.b64 %p7, [{object}], {parity};\n\
         @!%p7 bra {label};"
    )
}

fn of_threads(
    name: &str,
    threads: u32,
    counts: [u32; 2],
    body: &str,
    expected: impl Fn(u32) -> u32,
) -> Case {
    program(
        name,
        text(counts, body),
        Launch::linear(1, threads),
        vec![],
        words((0..threads).map(expected)),
    )
}

/// Warp 0 writes a row, warp 1 reads it reversed, for eight rounds.
pub(crate) fn ping_pong() -> Case {
    let body = format!(
        "mov.u32 %r2, 0;\nmov.u32 %r3, 0;\nsetp.lt.u32 %p1, %r0, 32;\n@!%p1 bra R;\n\
         W:\nxor.b32 %r4, %r3, 1;\n{}\n\
         mad.lo.u32 %r5, %r2, 1000, %r0;\nst.shared.u32 [%r1], %r5;\n\
         mbarrier.arrive.shared::cta.b64 _, [b];\n\
         xor.b32 %r3, %r3, 1;\nadd.u32 %r2, %r2, 1;\n\
         setp.lt.u32 %p2, %r2, 8;\n@%p2 bra W;\nbra.uni E;\n\
         R:\n{}\nmov.u32 %r6, s;\nsub.u32 %r7, 63, %r0;\nmad.lo.u32 %r6, %r7, 4, %r6;\n\
         ld.shared.u32 %r8, [%r6];\nmad.lo.u32 %r9, %r9, 3, %r8;\n\
         mbarrier.arrive.release.cta.shared::cta.b64 %x1, [c], 1;\n\
         xor.b32 %r3, %r3, 1;\nadd.u32 %r2, %r2, 1;\n\
         setp.lt.u32 %p2, %r2, 8;\n@%p2 bra R;\nE:",
        wait("c", "%r4", "L1"),
        wait("b", "%r3", "L2")
    );
    of_threads("a ring of one", 64, [32, 32], &body, |t| {
        (0..8_u32).fold(0, |sum: u32, round| {
            let read = (1000 * round).wrapping_add(63_u32.wrapping_sub(t));
            if t < 32 {
                0
            } else {
                sum.wrapping_mul(3).wrapping_add(read)
            }
        })
    })
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ping_pong(),
        of_threads(
            "state and pending count",
            32,
            [40, 1],
            "mbarrier.arrive.noComplete.shared::cta.b64 %x1, [b], 1;\n\
             mbarrier.pending_count.b64 %r9, %x1;\n\
             @%p0 mbarrier.arrive_drop.noComplete.release.cta.shared::cta.b64 %x2, [b], 7;\n\
             @%p0 mbarrier.pending_count.b64 %r9, %x2;",
            // which lane arrives when is open; the first one comes last of all
            |t| if t == 0 { 8 } else { 40 - t },
        )
        .only(|t, found| {
            if t == 0 {
                found == 8
            } else {
                (9..=40).contains(&found)
            }
        }),
        of_threads(
            "wait for a state",
            64,
            [64, 1],
            "st.shared.u32 [%r1], %r0;\nmbarrier.arrive.b64 %x2, [%x1];\n\
             L: mbarrier.try_wait.acquire.cta.b64 %p1, [%x1], %x2, 1000;\n@!%p1 bra L;\n\
             mov.u32 %r6, s;\nsub.u32 %r7, 63, %r0;\nmad.lo.u32 %r6, %r7, 4, %r6;\n\
             ld.shared.u32 %r9, [%r6];",
            |t| 63 - t,
        )
        .before("bar.sync 0;\n", "cvta.shared.u64 %x1, %x3;\n")
        .before("cvta.shared.u64", "mov.u64 %x3, b;\n"),
        of_threads(
            "who leaves is not waited for again",
            64,
            [64, 1],
            &format!(
                "setp.lt.u32 %p1, %r0, 16;\nst.shared.u32 [%r1], 5;\n\
                 @%p1 mbarrier.arrive_drop.shared::cta.b64 _, [b];\n@%p1 bra E;\n\
                 mbarrier.arrive.shared::cta.b64 _, [b];\n{}\nst.shared.u32 [%r1], 7;\n\
                 mbarrier.arrive.shared::cta.b64 _, [b];\n{}\n\
                 xor.b32 %r2, %r0, 1;\nmov.u32 %r3, s;\nmad.lo.u32 %r3, %r2, 4, %r3;\n\
                 ld.shared.u32 %r9, [%r3];\nE:",
                wait("b", "0", "L1"),
                wait("b", "1", "L2")
            ),
            |t| if t < 16 { 0 } else { 7 },
        ),
        of_threads(
            "bytes that are expected",
            64,
            [1, 1],
            &format!(
                "setp.lt.u32 %p1, %r0, 32;\n\
                 @%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [b], 64;\n\
                 @%p0 mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [b], 64;\n\
                 @%p1 bra E;\n\
                 mbarrier.complete_tx.relaxed.cluster.shared::cluster.b64 [b], 4;\n{}\n\
                 mov.u32 %r9, 1;\nE:",
                wait("b", "0", "L1")
            ),
            |t| u32::from(t >= 32),
        ),
        of_threads(
            "the result of a test",
            32,
            [32, 1],
            "mbarrier.test_wait.parity.shared::cta.b64 %p1, [b], 1;\n@%p1 or.b32 %r9, %r9, 1;\n\
             mbarrier.arrive.shared::cta.b64 %x1, [b];\n\
             L: mbarrier.test_wait.shared::cta.b64 %p1, [b], %x1;\n@!%p1 bra L;\n\
             mbarrier.test_wait.parity.acquire.cta.shared::cta.b64 %p1, [b], 0;\n\
             @%p1 or.b32 %r9, %r9, 2;\nbar.warp.sync -1;\n@%p0 mbarrier.inval.shared::cta.b64 [b];\n\
             bar.warp.sync -1;\n@%p0 mbarrier.init.shared::cta.b64 [b], 1;",
            |_| 3,
        ),
        copies("", 0),
        copies(".noinc", 32),
    ]
}

/// Each lane of warp 0 copies a word; warp 1 waits for it.
fn copies(noinc: &str, more: u32) -> Case {
    let body = format!(
        "setp.lt.u32 %p1, %r0, 32;\n@!%p1 bra R;\nld.param.u64 %x1, [p1];\n\
         mad.wide.u32 %x1, %r0, 4, %x1;\n\
         cp.async.ca.shared.global [%r1], [%x1], 4;\n\
         cp.async.mbarrier.arrive{noinc}.shared::cta.b64 [b];\n\
         mbarrier.arrive.shared::cta.b64 _, [b];\nbra.uni E;\n\
         R:\n{}\nmov.u32 %r2, s;\nsub.u32 %r3, 63, %r0;\nmad.lo.u32 %r2, %r3, 4, %r2;\n\
         ld.shared.u32 %r9, [%r2];\nE:",
        wait("b", "0", "L")
    );
    let text =
        text([32 + more, 1], &body).replace(".param .u64 p0", ".param .u64 p0, .param .u64 p1");
    let value = |i: u32| i.wrapping_mul(2_654_435_761);
    program(
        &format!("copies that arrive{noinc}"),
        text,
        Launch::linear(1, 64),
        vec![words((0..32).map(value))],
        words((0..64).map(|t| if t < 32 { 0 } else { value(63 - t) })),
    )
}

impl Case {
    /// Looks at each word alone.
    fn only(self, right: impl Fn(u32, u32) -> bool + 'static) -> Self {
        let check = Box::new(move |found: &[u8]| {
            for (at, word) in (0..).zip(found.chunks(4)) {
                let word = u32::from_le_bytes(word.try_into().unwrap());
                if !right(at, word) {
                    return Err(format!("thread {at} has {word}"));
                }
            }
            Ok(())
        });
        Self { check, ..self }
    }

    /// Puts text before the first place where `at` stands.
    fn before(self, at: &str, more: &str) -> Self {
        let ptx = self.ptx.replacen(at, &format!("{more}{at}"), 1);
        Self { ptx, ..self }
    }
}

#[test]
fn mbarriers() {
    check(&cases());
}
