//! Fences, strong loads and stores, and the order that they make between blocks and warps.

use crate::case::{Case, check, module};
use crate::control::{of_threads, storing};
use crate::faults::{finds, finds_only, kinds, refuses, report};
use ptx_emu::{Launch, Schedule};

pub(crate) fn cases() -> Vec<Case> {
    let fences = [
        "membar.cta",
        "membar.gl",
        "membar.sys",
        "fence.sc.cta",
        "fence.sc.cluster",
        "fence.sc.gpu",
        "fence.sc.sys",
        "fence.acq_rel.cta",
        "fence.acq_rel.cluster",
        "fence.acq_rel.gpu",
        "fence.acq_rel.sys",
        "fence.acquire.gpu",
        "fence.release.sys",
        "fence.gpu",
        "fence.proxy.alias",
        "fence.proxy.async",
        "fence.proxy.async.global",
        "fence.proxy.async.shared::cta",
        "fence.proxy.async.shared::cluster",
        "membar.proxy.alias",
        "fence.mbarrier_init.release.cluster",
        "fence.acquire.sync_restrict::shared::cluster.cluster",
        "fence.release.sync_restrict::shared::cta.cluster",
        "fence.proxy.async::generic.acquire.sync_restrict::shared::cluster.cluster",
        "fence.proxy.tensormap::generic.release.gpu",
        "fence.proxy.tensormap::generic.acquire.gpu [%x0], 128",
    ];
    let body = format!(
        "ld.param.u64 %x0, [p0];\nmov.u32 %r9, 7;\n{};",
        fences.join(";\n")
    );
    let accesses = "ld.param.u64 %x0, [p0];\nmad.wide.u32 %x1, %r0, 4, %x0;\n\
        .shared .align 16 .b8 s[256];\nmov.u64 %x2, s;\nmad.wide.u32 %x3, %r0, 4, %x2;\n\
        st.volatile.global.u32 [%x1], %r0;\nld.relaxed.gpu.global.u32 %r1, [%x1];\n\
        add.u32 %r1, %r1, 1;\nst.relaxed.sys.global.u32 [%x1], %r1;\n\
        ld.acquire.cta.global.u32 %r2, [%x1];\nst.mmio.relaxed.sys.global.u32 [%x1], %r2;\n\
        ld.mmio.relaxed.sys.global.u32 %r2, [%x1];\nst.release.gpu.u32 [%x1], %r2;\n\
        ld.volatile.u32 %r3, [%x1];\nst.volatile.shared.u32 [%x3], %r3;\n\
        ld.relaxed.cta.shared::cta.u32 %r4, [%x3];\nadd.u32 %r4, %r4, 1;\n\
        st.release.cta.shared.u32 [%x3], %r4;\nld.acquire.cta.shared.u32 %r9, [%x3];";
    vec![
        of_threads("fences change nothing", &body, |_| 7),
        of_threads("strong loads and stores", accesses, |t| t + 2),
    ]
}

#[test]
fn forms() {
    check(&cases());
}

#[test]
fn refusals() {
    for instruction in [
        "fence.sc",
        "fence.sc.gl",
        "membar.gpu",
        "membar.cluster",
        "fence.mbarrier_init.release.gpu",
        "fence.mbarrier_init.acquire.cluster",
        "fence.proxy.texture",
        "fence.proxy.async.local",
        "fence.release.sync_restrict::shared::cluster.cluster",
        "fence.acquire.sync_restrict::shared::cluster.gpu",
        "fence.sc.gpu %r0",
        "fence.proxy.tensormap::generic.acquire.gpu",
    ] {
        refuses("sm_90", instruction);
    }
}

/// Four blocks of 32; every block stores one word, then the block whose ticket is the last adds
/// them up. Words 0 to 3: what the blocks store; 8: tickets; 9: the sum.
fn last_block(store: &str, ticket: &str, load: &str) -> String {
    let body = format!(
        ".reg .b32 %r<10>; .reg .b64 %x<6>; .reg .pred %p<4>;\n\
         ld.param.u64 %x0, [p0]; mov.u32 %r0, %ctaid.x; mov.u32 %r1, %tid.x;\n\
         setp.ne.u32 %p0, %r1, 0; @%p0 ret;\n\
         mad.wide.u32 %x1, %r0, 4, %x0; add.u32 %r2, %r0, 10;\n\
         {store} [%x1], %r2;\n{ticket}\n\
         setp.ne.u32 %p1, %r3, 3; @%p1 ret;\n\
         {load} %r4, [%x0]; {load} %r5, [%x0+4]; {load} %r6, [%x0+8]; {load} %r7, [%x0+12];\n\
         add.u32 %r4, %r4, %r5; add.u32 %r4, %r4, %r6; add.u32 %r4, %r4, %r7;\n\
         st.global.u32 [%x0+36], %r4;"
    );
    module("sm_80", 1, &body)
}

#[test]
fn the_last_block_may_read_what_the_others_released() {
    let launch = Launch::linear(4, 32);
    for ticket in [
        "membar.gl; atom.global.add.u32 %r3, [%x0+32], 1;",
        "fence.acq_rel.gpu; atom.relaxed.gpu.global.inc.u32 %r3, [%x0+32], 100;",
        "fence.sc.sys; atom.add.u32 %r3, [%x0+32], 1;",
        "atom.acq_rel.gpu.global.add.u32 %r3, [%x0+32], 1;",
        "atom.release.gpu.global.add.u32 %r3, [%x0+32], 1;",
    ] {
        finds(
            &last_block("st.global.u32", ticket, "ld.global.u32"),
            &launch,
            &[],
        );
    }
    for ticket in [
        "atom.global.add.u32 %r3, [%x0+32], 1;",
        "fence.acquire.gpu; atom.global.add.u32 %r3, [%x0+32], 1;",
        "membar.cta; atom.global.add.u32 %r3, [%x0+32], 1;",
        "fence.acq_rel.cluster; atom.global.add.u32 %r3, [%x0+32], 1;",
        "atom.acquire.gpu.global.add.u32 %r3, [%x0+32], 1;",
    ] {
        let ptx = last_block("st.global.u32", ticket, "ld.global.u32");
        for schedule in crate::case::SCHEDULES {
            let report = report(&ptx, &launch, 64, schedule);
            // all loads but that of the block's own word
            assert_eq!(
                kinds(&report),
                ["GlobalConflict"; 3],
                "{ticket} with {schedule:?}: {report}"
            );
        }
    }
}

#[test]
fn strong_accesses_of_blocks_do_not_conflict() {
    let launch = Launch::linear(4, 32);
    let ticket = "atom.global.add.u32 %r3, [%x0+32], 1;";
    for store in [
        "st.volatile.global.u32",
        "st.relaxed.gpu.global.u32",
        "st.volatile.u32",
    ] {
        for load in [
            "ld.volatile.global.u32",
            "ld.relaxed.gpu.global.u32",
            "ld.acquire.sys.u32",
        ] {
            finds(&last_block(store, ticket, load), &launch, &[]);
        }
    }
    let strong = last_block("st.global.u32", ticket, "ld.volatile.global.u32");
    finds(&strong, &launch, &["GlobalConflict"; 3]);
    let strong = last_block("st.volatile.global.u32", ticket, "ld.global.u32");
    finds(&strong, &launch, &["GlobalConflict"; 3]);
}

/// Every thread of two blocks does the same to one word.
fn all_to_one(body: &str) -> String {
    let head = ".reg .b32 %r<4>; .reg .b64 %x<2>; ld.param.u64 %x0, [p0];\n";
    module("sm_80", 1, &format!("{head}{body}"))
}

#[test]
fn accesses_of_two_blocks_to_one_word() {
    let launch = Launch::linear(2, 1);
    for (body, found) in [
        ("red.global.add.u32 [%x0], 1;", &[][..]),
        ("red.cluster.global.add.u32 [%x0], 1;", &[]),
        ("st.volatile.global.u32 [%x0], 1;", &[]),
        (
            "ld.volatile.global.u32 %r0, [%x0]; ld.global.u32 %r0, [%x0];",
            &[],
        ),
        (
            "ld.volatile.global.u32 %r0, [%x0]; red.global.add.u32 [%x0], 1;",
            &[],
        ),
        (
            "red.global.add.u32 [%x0], 1; ld.volatile.global.u32 %r0, [%x0];",
            &[],
        ),
        // atomic for the threads of one block only
        ("red.cta.global.add.u32 [%x0], 1;", &["GlobalConflict"]),
        (
            "atom.relaxed.cta.add.u32 %r0, [%x0], 1;",
            &["GlobalConflict"],
        ),
        ("st.global.u32 [%x0], 1;", &["GlobalConflict"]),
        (
            "red.global.add.u32 [%x0], 1; ld.global.u32 %r0, [%x0];",
            &["GlobalConflict", "GlobalConflict"],
        ),
        (
            "ld.global.u32 %r0, [%x0]; st.volatile.global.u32 [%x0], 1;",
            &["GlobalConflict", "GlobalConflict"],
        ),
    ] {
        let found: Vec<_> = found.to_vec();
        for schedule in crate::case::SCHEDULES {
            let report = report(&all_to_one(body), &launch, 4, schedule);
            let mut kinds = kinds(&report);
            kinds.dedup();
            let mut expected = found.clone();
            expected.dedup();
            assert_eq!(kinds, expected, "{body} with {schedule:?}: {report}");
        }
    }
}

/// Each block waits for the flag of the one before it, then reads its word and passes on more.
fn chain(store: &str, wait: &str) -> String {
    let body = format!(
        ".reg .b32 %r<10>; .reg .b64 %x<6>; .reg .pred %p<4>;\n\
         ld.param.u64 %x0, [p0]; mov.u32 %r0, %ctaid.x; mad.wide.u32 %x1, %r0, 8, %x0;\n\
         mov.u32 %r2, 0; setp.eq.u32 %p0, %r0, 0; @%p0 bra S;\n\
         L: {wait} %r1, [%x1+-4]; setp.eq.u32 %p1, %r1, 0; @%p1 bra L;\n\
         ld.global.u32 %r2, [%x1+-8];\n\
         S: add.u32 %r2, %r2, 1; st.global.u32 [%x1], %r2;\n{store} [%x1+4], 1;"
    );
    module("sm_80", 1, &body)
}

#[test]
fn a_flag_hands_over_what_was_stored_before_it() {
    // in ascending order only: a block must not wait for one that has not begun
    let run = |store, wait| {
        let report = report(
            &chain(store, wait),
            &Launch::linear(4, 1),
            16,
            Schedule::Forward,
        );
        kinds(&report)
    };
    let none: [&str; 0] = [];
    assert_eq!(
        run(
            "membar.gl; st.volatile.global.u32",
            "ld.volatile.global.u32"
        ),
        none
    );
    assert_eq!(
        run("st.release.gpu.global.u32", "ld.acquire.gpu.global.u32"),
        none
    );
    assert_eq!(
        run("st.volatile.global.u32", "ld.volatile.global.u32"),
        ["GlobalConflict"]
    );
    assert_eq!(
        run("membar.gl; st.global.u32", "ld.global.u32"),
        ["GlobalConflict", "GlobalConflict"]
    );
}

/// Warp 0 stores a word and raises a flag that warp 1 waits for, both in shared memory.
fn between_warps(store: &str, wait: &str) -> String {
    let body = format!(
        ".shared .align 4 .b32 s[2];\nmov.u32 %r9, 0; setp.eq.u32 %p0, %r0, 0;\n\
         @%p0 st.shared.u32 [s+4], 0;\nbar.sync 0;\n\
         and.b32 %r1, %r0, 31; setp.ne.u32 %p1, %r1, 0; @%p1 bra E;\n\
         setp.ge.u32 %p2, %r0, 32; @%p2 bra L;\n\
         st.shared.u32 [s], 5;\n{store} [s+4], 1;\nbra E;\n\
         L: {wait} %r2, [s+4]; setp.eq.u32 %p3, %r2, 0; @%p3 bra L;\n\
         ld.shared.u32 %r9, [s];\nE:"
    );
    storing("sm_80", &body)
}

#[test]
fn flags_in_shared_memory() {
    let launch = Launch::linear(1, 64);
    for (store, wait) in [
        ("st.release.cta.shared.u32", "ld.acquire.cta.shared.u32"),
        (
            "membar.cta; st.volatile.shared.u32",
            "ld.volatile.shared.u32",
        ),
    ] {
        finds(&between_warps(store, wait), &launch, &[]);
    }
    finds(
        &between_warps("st.volatile.shared.u32", "ld.volatile.shared.u32"),
        &launch,
        &["SharedRace"],
    );
    finds_only(
        &between_warps("membar.cta; st.shared.u32", "ld.shared.u32"),
        &launch,
        "SharedRace",
    );
}

#[test]
fn a_lock_in_shared_memory() {
    let lock = |take: &str, give: &str| {
        let body = format!(
            ".shared .align 4 .b32 s[2];\nmov.u32 %r9, 0; setp.eq.u32 %p0, %r0, 0;\n\
             @%p0 st.shared.u32 [s], 0;\n@%p0 st.shared.u32 [s+4], 0;\nbar.sync 0;\n\
             and.b32 %r1, %r0, 31; setp.ne.u32 %p1, %r1, 0; @%p1 bra E;\n\
             L: {take} setp.ne.u32 %p2, %r2, 0; @%p2 bra L;\n\
             ld.shared.u32 %r3, [s+4]; add.u32 %r3, %r3, 1; st.shared.u32 [s+4], %r3;\n{give}\n\
             E: bar.sync 0;\nld.shared.u32 %r9, [s+4];"
        );
        storing("sm_80", &body)
    };
    let launch = Launch::linear(1, 128);
    let take = "atom.acquire.cta.shared.cas.b32 %r2, [s], 0, 1;";
    let ptx = lock(take, "atom.release.cta.shared.exch.b32 %r4, [s], 0;");
    finds(&ptx, &launch, &[]);
    let take = "atom.shared.cas.b32 %r2, [s], 0, 1; membar.cta;";
    let ptx = lock(take, "membar.cta; atom.shared.exch.b32 %r4, [s], 0;");
    finds(&ptx, &launch, &[]);
    let take = "atom.shared.cas.b32 %r2, [s], 0, 1;";
    let ptx = lock(take, "atom.shared.exch.b32 %r4, [s], 0;");
    finds_only(&ptx, &launch, "SharedRace");
}
