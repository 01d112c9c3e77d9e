//! Clusters: their barrier, and each other's shared memory.

use crate::case::{Case, check, module, program};
use crate::faults::{finds, refuses};
use ptx_emu::Launch;

fn words(values: impl IntoIterator<Item = u32>) -> Vec<u8> {
    values.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// Four blocks of 64 threads, in clusters of two along x.
fn launch() -> Launch {
    Launch {
        cluster: Some([2, 1, 1]),
        ..Launch::linear(4, 64)
    }
}

const SYNC: &str = "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n";

/// `%r0` is the thread, `%r2` the rank, `%r3` that of the other block, `%r1` the thread's place in
/// `s`; `%r9` is stored.
fn text(body: &str) -> String {
    module(
        "sm_90a",
        1,
        &format!(
            ".reg .b32 %r<20>;\n.reg .b64 %x<10>;\n.reg .pred %p<8>;\n\
             .shared .align 8 .b64 b;\n.shared .align 16 .b32 s[256];\n\
             mov.u32 %r0, %tid.x;\nmov.u32 %r9, 0;\n\
             mov.u32 %r2, %ctaid.x;\nmad.lo.u32 %r2, %r2, 64, %r0;\n\
             ld.param.u64 %x0, [p0];\nmad.wide.u32 %x0, %r2, 4, %x0;\n\
             mov.u32 %r2, %cluster_ctarank;\nxor.b32 %r3, %r2, 1;\n\
             mov.u32 %r1, s;\nmad.lo.u32 %r1, %r0, 4, %r1;\nsetp.eq.u32 %p0, %r0, 0;\n\
             {body}\nst.global.u32 [%x0], %r9;"
        ),
    )
}

fn of_threads(name: &str, body: &str, expected: impl Fn(u32, u32) -> u32) -> Case {
    let all = (0..256).map(|i| expected(i / 64 % 2, i % 64));
    program(name, text(body), launch(), vec![], words(all))
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        of_threads(
            "read from the other block",
            &format!(
                "mad.lo.u32 %r4, %r2, 100, %r0;\nst.shared.u32 [%r1], %r4;\n{SYNC}\
                 mapa.shared::cluster.u32 %r5, %r1, %r3;\n\
                 ld.shared::cluster.u32 %r9, [%r5];\n{SYNC}"
            ),
            |rank, t| 100 * (1 - rank) + t,
        ),
        of_threads(
            "write and add to the other block, by generic addresses",
            &format!(
                "st.shared.u32 [%r1], 5;\n{SYNC}mov.b64 %x1, {{%r1, 0}};\ncvta.shared.u64 %x1, %x1;\n\
                 mapa.u64 %x2, %x1, %r3;\nmov.u64 %x3, s;\nmapa.shared::cluster.u64 %x4, %x3, %r3;\n\
                 atom.shared::cluster.add.u32 %r5, [%x4+512], 1;\n\
                 st.u32 [%x2], %r0;\n{SYNC}ld.shared.u32 %r9, [%r1];\n\
                 ld.shared.u32 %r6, [s+512];\nmad.lo.u32 %r9, %r6, 1000, %r9;"
            )
            .replacen("st.shared", "st.shared.u32 [s+512], 0;\nst.shared", 1)
            .replacen("st.shared.u32 [s+512]", "@%p0 st.shared.u32 [s+512]", 1),
            |_, t| 64_000 + t,
        ),
        of_threads(
            "a barrier in two halves",
            "st.shared.u32 [%r1], %r0;\nbarrier.cluster.arrive.release;\nmov.u32 %r4, 3;\n\
             barrier.cluster.wait.acquire;\nxor.b32 %r5, %r0, 63;\nmov.u32 %r6, s;\n\
             mad.lo.u32 %r6, %r5, 4, %r6;\nld.shared.u32 %r9, [%r6];\n\
             barrier.cluster.arrive.relaxed.aligned;\nbarrier.cluster.wait.aligned;",
            |_, t| 63 - t,
        ),
        of_threads(
            "half a block has gone",
            "setp.ge.u32 %p1, %r0, 32;\n@%p1 st.global.u32 [%x0], 9;\n@%p1 exit;\n\
             barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\nmov.u32 %r9, 4;",
            |_, t| if t < 32 { 4 } else { 9 },
        ),
        of_threads(
            "whose memory it is",
            "mov.u64 %x1, s;\ncvta.shared.u64 %x1, %x1;\nmapa.u64 %x2, %x1, %r3;\n\
             getctarank.u64 %r4, %x2;\ngetctarank.u64 %r5, %x1;\n\
             mapa.shared::cluster.u32 %r6, s, 1;\ngetctarank.shared::cluster.u32 %r6, %r6;\n\
             mad.lo.u32 %r9, %r4, 10, %r5;\nmad.lo.u32 %r9, %r6, 100, %r9;\n\
             isspacep.shared %p1, %x2;\n@%p1 add.u32 %r9, %r9, 1000;\n\
             isspacep.shared::cta %p1, %x1;\n@%p1 add.u32 %r9, %r9, 2000;\n\
             isspacep.shared::cluster %p1, %x2;\n@%p1 add.u32 %r9, %r9, 4000;\n\
             isspacep.global %p1, %x0;\n@%p1 add.u32 %r9, %r9, 8000;\n\
             isspacep.global %p1, %x1;\n@%p1 add.u32 %r9, %r9, 16000;\n\
             isspacep.local %p1, %x1;\n@%p1 add.u32 %r9, %r9, 32000;\n",
            |rank, _| 100 + 10 * (1 - rank) + rank + 2000 + 4000 + 8000,
        ),
        of_threads(
            "arrivals from the other block",
            &format!(
                "@%p0 mbarrier.init.shared::cta.b64 [b], 64;\n{SYNC}\
                 mov.u32 %r4, b;\nmapa.shared::cluster.u32 %r5, %r4, %r3;\n\
                 mapa.shared::cluster.u32 %r6, %r1, %r3;\n\
                 st.shared::cluster.u32 [%r6], %r0;\n\
                 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r5];\n\
                 L: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p1, [b], 0;\n\
                 @!%p1 bra L;\nld.shared.u32 %r9, [%r1];\n{SYNC}"
            ),
            |_, t| t,
        ),
        of_threads(
            "order by way of the other block",
            // warp 0 of block 0 tells block 1, which tells warp 1 of block 0
            &format!(
                "@%p0 mbarrier.init.shared::cta.b64 [b], 32;\n{SYNC}\
                 mov.u32 %r4, b;\nmapa.shared::cluster.u32 %r5, %r4, %r3;\n\
                 setp.lt.u32 %p2, %r0, 32;\nsetp.eq.u32 %p3, %r2, 0;\n\
                 @%p3 bra ZERO;\n@!%p2 bra E;\n\
                 L: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p1, [b], 0;\n\
                 @!%p1 bra L;\n\
                 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r5];\nbra.uni E;\n\
                 ZERO: @!%p2 bra SECOND;\nst.shared.u32 [%r1], %r0;\n\
                 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r5];\nbra.uni E;\n\
                 SECOND:\n\
                 M: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p1, [b], 0;\n\
                 @!%p1 bra M;\nld.shared.u32 %r9, [%r1+-128];\nE:\n{SYNC}"
            ),
            |rank, t| if rank == 0 && t >= 32 { t - 32 } else { 0 },
        ),
        of_threads(
            "global memory, ordered by the barrier",
            &format!(
                "mov.u32 %r4, 7;\nst.global.u32 [%x0], %r0;\n{SYNC}\
                 neg.s32 %r5, %r2;\nmov.u32 %r6, 1;\nmad.lo.s32 %r6, %r5, 2, %r6;\n\
                 mul.wide.s32 %x1, %r6, 256;\nadd.s64 %x1, %x0, %x1;\n\
                 ld.global.u32 %r9, [%x1];\nadd.u32 %r9, %r9, %r2;\n{SYNC}"
            ),
            |rank, t| t + rank,
        ),
    ]
}

#[test]
fn clusters() {
    check(&cases());
}

fn wrong(body: &str, expected: &[&str]) {
    finds(&text(body), &launch(), expected);
}

#[test]
fn rules_of_clusters() {
    // a block that has gone
    let far = format!(
        "{SYNC}setp.eq.u32 %p1, %r2, 1;\n@%p1 bra E;\n\
         mapa.shared::cluster.u32 %r5, %r1, %r3;\n\
         LOOP: add.u32 %r6, %r6, 1;\nsetp.lt.u32 %p2, %r6, 20000;\n@%p2 bra LOOP;\n\
         ld.shared::cluster.u32 %r9, [%r5];\nE:"
    );
    let mut report = None;
    for schedule in crate::case::SCHEDULES {
        let found = crate::faults::report(
            &text(&far).replace("20000", "300"),
            &launch(),
            4096,
            schedule,
        );
        let kinds = crate::faults::kinds(&found);
        if kinds == ["RemoteBlockExited"] {
            report = Some(found);
        }
    }
    let report = report.expect("some order shows it");
    assert!(
        report.to_string().contains("block 1 of the cluster"),
        "{report}"
    );
    // beyond the cluster, and beyond the block's memory
    wrong(
        "mapa.shared::cluster.u32 %r5, %r1, 2;\nld.shared::cluster.u32 %r9, [%r5];",
        &["OutOfBounds"],
    );
    wrong(
        &format!(
            "mapa.shared::cluster.u32 %r5, %r1, %r3;\nst.shared::cluster.u32 [%r5+4096], 0;\n{SYNC}"
        ),
        &["OutOfBounds"],
    );
    // nothing there yet
    wrong(
        &format!(
            "mapa.shared::cluster.u32 %r5, %r1, %r3;\nld.shared::cluster.u32 %r9, [%r5];\n{SYNC}"
        ),
        &["Uninitialised"],
    );
    // the barrier
    wrong(
        "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n\
         barrier.cluster.wait.aligned;",
        &["BarrierMisuse"],
    );
    wrong(
        "barrier.cluster.arrive.aligned;\nbarrier.cluster.arrive.aligned;\n\
         barrier.cluster.wait.aligned;",
        &["BarrierMisuse"],
    );
    wrong(
        "st.shared.u32 [%r1], %r0;\nbarrier.cluster.arrive.relaxed.aligned;\n\
         barrier.cluster.wait.aligned;\nxor.b32 %r5, %r0, 63;\nmov.u32 %r6, s;\n\
         mad.lo.u32 %r6, %r5, 4, %r6;\nld.shared.u32 %r9, [%r6];",
        &["SharedRace"],
    );
    wrong(
        "setp.eq.u32 %p1, %r2, 0;\n@%p1 bra E;\nbarrier.cluster.arrive.aligned;\n\
         barrier.cluster.wait.aligned;\nbra.uni F;\nE: bar.sync 1, 96;\nF:",
        &["Deadlock"],
    );
}

#[test]
fn counts_of_barriers() {
    let report = crate::faults::report(
        &text(&format!("{SYNC}{SYNC}")),
        &launch(),
        4096,
        ptx_emu::Schedule::Forward,
    );
    assert_eq!(report.counters.cluster_barriers, 4);
}

#[test]
fn forms_that_do_not_exist() {
    for instruction in [
        "barrier.cluster.sync",
        "barrier.cluster.arrive.acquire",
        "barrier.cluster.wait.release",
        "mapa.u32 %r1, %r2, 0",
        "mapa.shared::cta.u32 %r1, %r2, 0",
        "mapa.shared::cluster.b32 %r1, %r2, 0",
        "getctarank.u32 %r1, %r2",
        "isspacep.shared::block %p1, %x1",
        "st.async.shared::cluster.mbarrier::complete_tx::bytes.u32 [%r1], %r2, [%r3]",
    ] {
        refuses("sm_90a", instruction);
    }
}
