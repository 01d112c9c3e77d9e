//! What is found.

use super::{ping_pong, text, wait};
use crate::faults::{finds, refuses};
use ptx_emu::{Launch, Schedule};

fn wrong(threads: u32, counts: [u32; 2], body: &str, expected: &[&str]) {
    finds(&text(counts, body), &Launch::linear(1, threads), expected);
}

#[test]
fn a_ring_without_a_wait_is_found() {
    let whole = ping_pong();
    for object in ["c", "b"] {
        let wait = format!("mbarrier.try_wait.parity.shared::cta.b64 %p7, [{object}]");
        let place = whole.ptx.find(&wait).unwrap();
        let end = place + whole.ptx[place..].find("\n@!").unwrap();
        let text = format!(
            "{}setp.eq.u32 %p7, 0, 0;{}",
            &whole.ptx[..place],
            &whole.ptx[end..]
        );
        for schedule in crate::case::SCHEDULES {
            let report = crate::faults::report(&text, &Launch::linear(1, 64), 64, schedule);
            assert!(!report.is_clean(), "{object}, {schedule:?}");
        }
    }
}

#[test]
fn rules_of_objects() {
    // no object
    wrong(
        1,
        [1, 1],
        "mov.u32 %r2, s;\nmbarrier.arrive.shared::cta.b64 _, [%r2];",
        &["Mbarrier"],
    );
    wrong(
        1,
        [1, 1],
        "mov.u32 %r2, s;\nmbarrier.try_wait.parity.shared::cta.b64 %p1, [%r2], 0;",
        &["Mbarrier"],
    );
    wrong(
        1,
        [1, 1],
        "mbarrier.inval.shared::cta.b64 [s];",
        &["Mbarrier"],
    );
    // an object twice, or a count of 0
    wrong(
        1,
        [1, 1],
        "mbarrier.init.shared::cta.b64 [b], 1;",
        &["Mbarrier"],
    );
    wrong(
        1,
        [1, 1],
        "mov.u32 %r2, s;\nmbarrier.init.shared.b64 [%r2], 0;",
        &["Mbarrier"],
    );
    // its bytes
    wrong(1, [1, 1], "ld.shared.u32 %r9, [b+4];", &["Mbarrier"]);
    wrong(1, [1, 1], "st.shared.u8 [c+7], 0;", &["Mbarrier"]);
    wrong(1, [1, 1], "atom.shared.add.u32 %r9, [c], 1;", &["Mbarrier"]);
    wrong(
        1,
        [1, 1],
        "mbarrier.arrive.shared::cta.b64 _, [b+4];",
        &["Misaligned"],
    );
    wrong(
        1,
        [1, 1],
        "mbarrier.arrive.shared::cta.b64 _, [b+8192];",
        &["OutOfBounds"],
    );
    wrong(
        1,
        [1, 1],
        "mbarrier.arrive.b64 _, [%x0];",
        &["InvalidAddressSpace"],
    );
    // counts
    wrong(
        1,
        [2, 1],
        "mbarrier.arrive.shared::cta.b64 _, [b], 3;",
        &["Mbarrier"],
    );
    wrong(
        1,
        [2, 1],
        "mbarrier.arrive.shared::cta.b64 _, [b], 0;",
        &["Mbarrier"],
    );
    wrong(
        1,
        [2, 1],
        "mbarrier.arrive.noComplete.shared::cta.b64 %x1, [b], 2;",
        &["Mbarrier"],
    );
    wrong(
        1,
        [2, 1],
        "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [b], 1048575;\n\
         mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [b], 1;",
        &["Mbarrier"],
    );
    wrong(
        1,
        [2, 1],
        "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [b], 1048575;\n\
         mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [b], 1;",
        &["Mbarrier"],
    );
    // phases
    wrong(
        1,
        [2, 1],
        "mbarrier.test_wait.parity.shared::cta.b64 %p1, [b], 2;",
        &["Mbarrier"],
    );
    wrong(
        1,
        [1, 1],
        "mbarrier.arrive.shared::cta.b64 %x1, [b];\nmbarrier.arrive.shared::cta.b64 _, [b];\n\
         mbarrier.test_wait.shared::cta.b64 %p1, [b], %x1;",
        &["Mbarrier"],
    );
}

#[test]
fn waits_that_do_not_help() {
    // nobody comes
    for wait_kind in ["try_wait", "test_wait"] {
        wrong(
            64,
            [65, 1],
            &format!(
                "mbarrier.arrive.shared::cta.b64 _, [b];\n{}",
                wait("b", "0", "L").replace("try_wait", wait_kind)
            ),
            &["Deadlock"],
        );
    }
    // the answer is not looked at: not every order shows it
    let body = "setp.lt.u32 %p1, %r0, 32;\n@%p1 st.shared.u32 [%r1], %r0;\n\
                @%p1 mbarrier.arrive.shared::cta.b64 _, [b];\n@%p1 bra E;\n\
                mbarrier.test_wait.parity.shared::cta.b64 %p2, [b], 0;\n\
                ld.shared.u32 %r9, [%r1+-128];\nE:";
    let text = text([32, 1], body);
    let found = [ptx_emu::Schedule::Reverse, ptx_emu::Schedule::Shuffle(1)].map(|schedule| {
        let report = crate::faults::report(&text, &Launch::linear(1, 64), 64, schedule);
        !report.is_clean()
    });
    assert!(found[0] || found[1]);
    // what orders nothing
    wrong(
        64,
        [32, 1],
        &format!(
            "setp.lt.u32 %p1, %r0, 32;\n@%p1 st.shared.u32 [%r1], %r0;\n\
             @%p1 mbarrier.arrive.relaxed.cta.shared::cta.b64 _, [b];\n@%p1 bra E;\n{}\n\
             ld.shared.u32 %r9, [%r1+-128];\nE:",
            wait("b", "0", "L")
        ),
        &["SharedRace"],
    );
    // not initialised for all
    let early = text_without_barrier("mbarrier.arrive.shared::cta.b64 _, [b];");
    let report = crate::faults::report(&early, &Launch::linear(1, 64), 64, Schedule::default());
    assert!(
        crate::faults::kinds(&report).contains(&"SharedRace".to_owned()),
        "{report}"
    );
}

fn text_without_barrier(body: &str) -> String {
    text([64, 1], body).replace("bar.sync 0;", "")
}

#[test]
fn forms_that_do_not_exist() {
    for instruction in [
        "mbarrier.init.shared::cta.b32 [s], 1",
        "mbarrier.init.global.b64 [s], 1",
        "mbarrier.arrive.acquire.cta.shared::cta.b64 _, [s]",
        "mbarrier.arrive.release.shared::cta.b64 _, [s]",
        "mbarrier.arrive.noComplete.shared::cta.b64 %x1, [s]",
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [s]",
        "mbarrier.try_wait.shared::cluster.b64 %p1, [s], %x1",
        "mbarrier.try_wait.parity.shared::cta.b64 %p1, [s], %x1",
        "mbarrier.test_wait.parity.shared::cta.b64 %p1, [s], %r1, %r2",
        "mbarrier.wait.shared::cta.b64 %p1, [s], %x1",
        "cp.async.mbarrier.wait.b64 [s]",
    ] {
        refuses("sm_90a", instruction);
    }
}
