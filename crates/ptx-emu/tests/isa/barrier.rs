//! `bar`, `barrier`, `bar.warp.sync`: what they order, and their wrong uses.

use crate::case::{Case, check};
use crate::control::{of_block, storing};
use crate::faults::{finds, finds_among, finds_only, refuses, report};
use ptx_emu::{Launch, Schedule, ViolationKind};

/// A word of shared memory per thread, at `%x3`; that of the opposite thread at `%x4`.
fn shared(threads: u32) -> String {
    format!(
        ".shared .align 4 .b32 s[{threads}];\nmov.u64 %x2, s;\nmad.wide.u32 %x3, %r0, 4, %x2;\n\
         xor.b32 %r1, %r0, {};\nmad.wide.u32 %x4, %r1, 4, %x2;\n",
        threads - 1
    )
}

fn case(
    name: &str,
    threads: u32,
    body: &str,
    expected: impl Fn(u32) -> u32 + Copy + 'static,
) -> Case {
    of_block("sm_80", name, threads, body, expected)
}

/// Stores, waits in the given way, reads what the opposite thread stored.
fn exchange(name: &str, threads: u32, wait: &str) -> Case {
    let body = format!(
        "{}st.shared.u32 [%x3], %r0;\n{wait}\nld.shared.u32 %r9, [%x4];",
        shared(threads)
    );
    case(name, threads, &body, move |t| t ^ (threads - 1))
}

fn waits() -> Vec<Case> {
    let mut cases: Vec<_> = [
        "bar.sync 0;",
        "bar.cta.sync 3;",
        "bar.sync 15, 128;",
        "barrier.sync 0;",
        "barrier.cta.sync.aligned 2;",
        "barrier.sync.aligned 1, 128;",
        "barrier.sync 1, 128;",
        "mov.u32 %r5, 7;\nmov.u32 %r6, 128;\nbar.sync %r5;\nbar.sync %r5, %r6;",
    ]
    .into_iter()
    .map(|wait| exchange(wait, 128, wait))
    .collect();
    cases.push(exchange("of one warp", 32, "bar.warp.sync -1;"));
    cases.push(exchange(
        "of one warp in divergent code, at two places",
        32,
        "setp.lt.u32 %p1, %r0, 7;\n@%p1 bra A;\nmov.u32 %r9, 1;\nmov.u32 %r8, 0xffffffff;\n\
         bra B;\nA: mov.u32 %r8, -1;\nB: bar.warp.sync %r8;",
    ));
    cases.push(exchange(
        "barriers of a block in divergent code, at two places",
        64,
        "and.b32 %r2, %r0, 1;\nsetp.eq.u32 %p1, %r2, 0;\n@%p1 bra A;\nbarrier.sync 0;\nbra B;\n\
         A: barrier.sync 0;\nB:",
    ));
    cases.push(exchange(
        "lanes that come to a barrier one after the other",
        64,
        "mov.u32 %r3, 0;\nL: setp.eq.u32 %p1, %r3, %r0;\n@%p1 barrier.sync 5, 64;\n\
         add.u32 %r3, %r3, 1;\nsetp.lt.u32 %p2, %r3, 64;\n@%p2 bra L;",
    ));
    cases.push(case(
        "a barrier in a loop",
        64,
        &format!(
            "{}mov.u32 %r9, 0;\nmov.u32 %r3, 0;\nL: add.u32 %r4, %r0, %r3;\n\
             st.shared.u32 [%x3], %r4;\nbar.sync 0;\nld.shared.u32 %r5, [%x4];\n\
             add.u32 %r9, %r9, %r5;\nbar.sync 0;\nadd.u32 %r3, %r3, 1;\n\
             setp.lt.u32 %p1, %r3, 5;\n@%p1 bra L;",
            shared(64)
        ),
        |t| 5 * (t ^ 63) + 10,
    ));
    cases.push(case(
        "two pairs of warps, each with a barrier of its own",
        128,
        ".shared .align 4 .b32 s[128];\nmov.u64 %x2, s;\nmad.wide.u32 %x3, %r0, 4, %x2;\n\
         st.shared.u32 [%x3], %r0;\nshr.u32 %r2, %r0, 6;\nadd.u32 %r2, %r2, 4;\n\
         bar.sync %r2, 64;\nxor.b32 %r1, %r0, 32;\nmad.wide.u32 %x4, %r1, 4, %x2;\n\
         ld.shared.u32 %r9, [%x4];",
        |t| t ^ 32,
    ));
    cases
}

/// Warp 0 produces eight values, warp 1 consumes them.
fn producer() -> Case {
    case(
        "a producer and a consumer",
        64,
        ".shared .align 4 .b32 s[32];\nmov.u64 %x2, s;\nand.b32 %r1, %r0, 31;\n\
         mad.wide.u32 %x3, %r1, 4, %x2;\nxor.b32 %r7, %r1, 9;\nmad.wide.u32 %x4, %r7, 4, %x2;\n\
         mov.u32 %r2, 0;\nmov.u32 %r9, 0;\nsetp.ge.u32 %p1, %r0, 32;\n@%p1 bra C;\n\
         P: bar.sync 1, 64;\nadd.u32 %r3, %r2, %r1;\nst.shared.u32 [%x3], %r3;\n\
         bar.arrive 2, 64;\nadd.u32 %r2, %r2, 1;\nsetp.lt.u32 %p2, %r2, 8;\n@%p2 bra P;\nbra E;\n\
         C: bar.arrive 1, 64;\nbar.sync 2, 64;\nld.shared.u32 %r3, [%x4];\n\
         add.u32 %r9, %r9, %r3;\nadd.u32 %r2, %r2, 1;\nsetp.lt.u32 %p2, %r2, 8;\n@%p2 bra C;\nE:",
        |t| if t < 32 { 0 } else { 28 + 8 * ((t - 32) ^ 9) },
    )
}

fn reductions() -> Vec<Case> {
    let odd = "and.b32 %r3, %r0, 1;\nsetp.eq.u32 %p1, %r3, 1;\n";
    let low = "setp.lt.u32 %p1, %r0, 200;\nsetp.eq.u32 %p2, %r0, 77;\n";
    let bit = "selp.u32 %r9, 1, 0, %p3;";
    let one = |name: &str, body: String, expected: u32| case(name, 96, &body, move |_| expected);
    vec![
        one("popc", format!("{odd}bar.red.popc.u32 %r9, 0, %p1;"), 48),
        one(
            "popc of a negated predicate, by thread count",
            format!("{low}bar.cta.red.popc.u32 %r9, 3, 96, !%p2;"),
            95,
        ),
        one(
            "and",
            format!("{low}bar.red.and.pred %p3, 0, %p1;\n{bit}"),
            1,
        ),
        one(
            "not and",
            format!("{odd}bar.red.and.pred %p3, 0, %p1;\n{bit}"),
            0,
        ),
        one("or", format!("{low}bar.red.or.pred %p3, 1, %p2;\n{bit}"), 1),
        one(
            "not or",
            format!("{low}bar.red.or.pred %p3, 0, !%p1;\n{bit}"),
            0,
        ),
        one(
            "one after the other",
            format!(
                "{low}bar.red.popc.u32 %r4, 0, %p1;\nbar.red.popc.u32 %r5, 0, %p2;\n\
                 bar.red.or.pred %p3, 0, %p2;\n{bit}\nadd.u32 %r9, %r9, %r4;\n\
                 mul.lo.u32 %r5, %r5, 1000;\nadd.u32 %r9, %r9, %r5;"
            ),
            1097,
        ),
        one(
            "in divergent code",
            format!(
                "{odd}@%p1 bra A;\nbarrier.red.popc.u32 %r9, 0, !%p1;\nbra B;\n\
                 A: barrier.red.popc.u32 %r9, 0, !%p1;\nB:"
            ),
            48,
        ),
        case(
            "orders memory as others do",
            64,
            &format!(
                "{}{odd}st.shared.u32 [%x3], %r0;\nbarrier.red.popc.aligned.u32 %r5, 0, %p1;\n\
                 ld.shared.u32 %r9, [%x4];\nadd.u32 %r9, %r9, %r5;",
                shared(64)
            ),
            |t| (t ^ 63) + 32,
        ),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = waits();
    cases.push(producer());
    cases.extend(reductions());
    cases
}

#[test]
fn threads_wait_for_each_other() {
    check(&waits());
}

#[test]
fn producers_need_not_wait() {
    check(&[producer()]);
}

#[test]
fn barriers_reduce_predicates() {
    check(&reductions());
}

#[test]
fn refusals() {
    for instruction in [
        "bar.arrive 0",
        "bar.sync",
        "bar.sync 0, 32, 64",
        "bar.red.xor.pred %p0, 0, %p1",
        "bar.red.popc.pred %p0, 0, %p1",
        "bar.red.and.u32 %r0, 0, %p1",
        "bar.red.popc.u32 %r0",
        "bar.red.and.pred %p0, 0, %r1",
        "bar.sync.gpu 0",
        "barrier.wait 0",
    ] {
        refuses("sm_90", instruction);
    }
}

fn kernel(body: &str) -> String {
    storing("sm_80", &format!("mov.u32 %r9, 0;\n{body}"))
}

#[test]
fn what_lacks_a_barrier_is_a_race() {
    let launch = Launch::linear(1, 64);
    for wait in [
        "",
        "bar.warp.sync -1;",
        // only arriving orders nothing for the warp itself
        "bar.arrive 1, 128;",
    ] {
        let body = format!(
            "{}st.shared.u32 [%x3], %r0;\n{wait}\nld.shared.u32 %r9, [%x4];",
            shared(64)
        );
        finds_among(&kernel(&body), &launch, "SharedRace");
    }
    // the consumer does not wait for the producer
    let body = ".shared .align 4 .b32 s[1];\nsetp.ge.u32 %p1, %r0, 32;\n@%p1 bra C;\n\
                setp.eq.u32 %p2, %r0, 0;\n@%p2 st.shared.u32 [s], 5;\nbar.arrive 2, 64;\nbra E;\n\
                C: bar.arrive 2, 64;\n@%p2 ld.shared.u32 %r9, [s];\nE:";
    let report = report(&kernel(body), &launch, 4096, Schedule::Forward);
    assert!(report.is_clean(), "nobody has read yet: {report}");
    let body = body.replace("@%p2 ld", "ld");
    finds_among(&kernel(&body), &launch, "SharedRace");
}

#[test]
fn aligned_barriers_need_the_whole_warp() {
    let launch = Launch::linear(1, 64);
    let half = "and.b32 %r3, %r0, 31;\nsetp.lt.u32 %p1, %r3, 16;\n";
    // the others wait at another barrier, and are woken by this one
    let two = format!("{half}@%p1 bra A;\nbar.sync 0;\nbra B;\nA: bar.sync 0;\nB:");
    finds_only(&kernel(&two), &launch, "DivergentBarrier");
    let guarded = format!("{half}@%p1 bar.sync 0;\nbar.sync 0;");
    finds_among(&kernel(&guarded), &launch, "DivergentBarrier");
    let report = report(&kernel(&two), &launch, 4096, Schedule::Forward);
    let ViolationKind::DivergentBarrier {
        barrier,
        active,
        live,
    } = report.violations[0].kind
    else {
        panic!("{report}");
    };
    assert_eq!((barrier, live), (0, u32::MAX));
    assert!(active == 0xffff || active == 0xffff_0000, "{active:#x}");
}

#[test]
fn waiting_for_ever() {
    let launch = Launch::linear(1, 64);
    let upper = "setp.ge.u32 %p1, %r0, 32;\n";
    for body in [
        // two barriers
        format!("{upper}@%p1 bra A;\nbar.sync 0;\nbra B;\nA: bar.sync 1;\nB:"),
        // more threads than the block has
        "bar.sync 0, 96;".to_owned(),
        // one that is left over
        format!("bar.sync 0, 64;\n@{}%p1 bar.sync 2, 64;", ""),
        format!("{upper}@%p1 bar.arrive 3, 64;\n@%p1 bar.sync 4, 64;\n@!%p1 bar.sync 3, 64;"),
    ] {
        let body = format!("{upper}{body}");
        finds(&kernel(&body), &launch, &["Deadlock"]);
    }
    let report = report(&kernel("bar.sync 0, 96;"), &launch, 4096, Schedule::Forward);
    let ViolationKind::Deadlock { waiting } = &report.violations[0].kind else {
        panic!("{report}");
    };
    assert_eq!(waiting.len(), 2);
    assert_eq!((waiting[0].warp, waiting[0].lanes), (0, u32::MAX));
    assert_eq!(waiting[1].what, "bar.sync 0, 96");
}

#[test]
fn counts_that_do_not_fit() {
    let launch = Launch::linear(1, 64);
    let upper = "setp.ge.u32 %p1, %r0, 32;\nmov.u32 %r5, 0;\n";
    for body in [
        "@%p1 bra A;\nbar.sync 0, 64;\nbra B;\nA: bar.sync 0, 96;\nB:",
        "@%p1 bra A;\nbar.sync 0;\nbra B;\nA: bar.sync 0, 64;\nB:",
        "bar.sync 0, 40;",
        "bar.sync 0, %r5;",
        "bar.arrive 0, %r5;",
        "@%p1 bra A;\nbar.sync 0, 64;\nbra B;\nA: bar.arrive 0, 64;\nbar.arrive 1, 96;\n\
         bar.arrive 1, 96;\nB:",
        "mov.u32 %r5, 16;\nbar.sync %r5;",
    ] {
        let ptx = kernel(&format!("{upper}{body}"));
        finds_among(&ptx, &launch, "BarrierMisuse");
    }
}

#[test]
fn threads_that_have_left() {
    // whole warps, and lanes of a warp, that return before the barrier
    let launch = Launch::linear(1, 96);
    for leave in ["setp.ge.u32 %p1, %r0, 64;", "setp.ge.u32 %p1, %r0, 40;"] {
        let body = format!("{leave}\n@%p1 ret;\nbar.sync 0;");
        finds_only(&kernel(&body), &launch, "PartialBarrier");
        let named = format!("{leave}\n@%p1 ret;\nbar.sync 0, 64;");
        finds(&kernel(&named), &launch, &[]);
    }
    let report = report(
        &kernel("setp.ge.u32 %p1, %r0, 40;\n@%p1 ret;\nbar.sync 0;"),
        &launch,
        4096,
        Schedule::Reverse,
    );
    assert_eq!(
        report.violations[0].kind,
        ViolationKind::PartialBarrier {
            barrier: 0,
            arrived: 40,
            expected: 96
        }
    );
    // after the last barrier all may go
    finds(
        &kernel("bar.sync 0;\nsetp.ge.u32 %p1, %r0, 40;\n@%p1 ret;"),
        &launch,
        &[],
    );
}
