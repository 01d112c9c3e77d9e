//! What is counted and found.

use super::{LOAD, WAIT, ring, text};
use crate::case::module;
use crate::faults::{finds, kinds, refuses};
use ptx_emu::{Arg, Device, DeviceSpec, Launch, Module, Report, Schedule};

#[test]
fn copies_are_counted() {
    let report = run(&ring(2).ptx, &Launch::linear(1, 96), Schedule::Forward);
    assert!(report.is_clean(), "{report}");
    let counters = report.counters;
    assert_eq!(counters.async_loads.requests, 12);
    assert_eq!(counters.async_loads.bytes, 6 * 512);
    assert_eq!(counters.async_loads.sectors, 6 * 16);
    assert_eq!(counters.shared_copies.bytes, 6 * 512);
    assert_eq!(counters.distinct_bytes_read, 6 * 512);
}

/// Runs a text with an output of 4 KiB and, if it wants one, an input of as much.
fn run(ptx: &str, launch: &Launch, schedule: Schedule) -> Report {
    let module = Module::parse(ptx).unwrap_or_else(|error| panic!("{error}\n{ptx}"));
    let mut device = Device::new(DeviceSpec::h200());
    device.set_schedule(schedule);
    device.set_budget(100_000);
    let buffers = [(); 2].map(|()| {
        let buffer = device.alloc(4096).unwrap();
        device.write(&buffer, &[0; 4096]).unwrap();
        buffer
    });
    let mut args = vec![Arg::in_out(&buffers[0])];
    if ptx.contains("p1") {
        args.push(Arg::input(&buffers[1]));
    }
    device.launch(&module, "t", launch, &args).unwrap()
}

fn without(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

#[test]
fn a_ring_without_a_wait_is_found() {
    let ptx = ring(2).ptx;
    let launch = Launch::linear(1, 96);
    for (from, to, expected) in [
        // consumers that do not wait
        (
            "@!%p7 bra CW;",
            "",
            &["CopyNotAwaited", "SharedRace", "Uninitialised", "Deadlock"][..],
        ),
        (
            "CW: mbarrier.try_wait.parity.shared::cta.b64 %p7, [%r4], %r7;\n@!%p7 bra CW;",
            "",
            &["CopyNotAwaited", "SharedRace", "Uninitialised", "Deadlock"],
        ),
        // a producer that does not
        (
            "PW: mbarrier.try_wait.parity.shared::cta.b64 %p7, [%r5], %r10;\n@!%p7 bra PW;",
            "",
            &["CopyNotAwaited", "SharedRace", "Deadlock"],
        ),
        // consumers that give a slot back before they have read it
        (
            "ld.shared.u32 %r11, [%r8];\nld.shared.u32 %r12, [%r8+256];\n\
             add.u32 %r9, %r9, %r11;\nmad.lo.u32 %r9, %r9, 3, %r12;\n\
             mbarrier.arrive.shared::cta.b64 _, [%r5];",
            "mbarrier.arrive.shared::cta.b64 _, [%r5];\n\
             ld.shared.u32 %r11, [%r8];\nld.shared.u32 %r12, [%r8+256];",
            &["CopyNotAwaited", "SharedRace"],
        ),
        // bytes that never come, and bytes that nobody announced
        ("[%x3+256], 256,", "[%x3+256], 128,", &["Deadlock"]),
        (
            "_, [%r4], 512;",
            "_, [%r4], 256;",
            &["Deadlock", "CopyNotAwaited", "SharedRace"],
        ),
    ] {
        let text = without(&ptx, from, to);
        let mut found = false;
        for schedule in crate::case::SCHEDULES {
            let report = run(&text, &launch, schedule);
            let kinds = kinds(&report);
            found |= !kinds.is_empty();
            let known = kinds.iter().all(|kind| expected.contains(&kind.as_str()));
            assert!(known, "without `{from}`, {schedule:?}: {kinds:?}");
        }
        assert!(found, "without `{from}`");
    }
}

fn wrong(parameters: usize, body: &str, expected: &[&str]) {
    for schedule in crate::case::SCHEDULES {
        let report = run(&text(parameters, body), &Launch::linear(1, 64), schedule);
        assert_eq!(
            kinds(&report),
            expected,
            "with {schedule:?}: {report}\n{body}"
        );
    }
}

#[test]
fn rules_of_bulk_copies() {
    let expect = "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [b], 256;\n";
    let loaded = |copy: &str| format!("{expect}@%p0 {LOAD} {copy};\n{WAIT}");
    wrong(2, &loaded("[s], [%x2], 256, [b]"), &[]);
    for (copy, expected) in [
        ("[s+8], [%x2], 256, [b]", "Misaligned"),
        ("[s], [%x2+4], 256, [b]", "Misaligned"),
        ("[s+8064], [%x2], 256, [b]", "OutOfBounds"),
        ("[s], [%x2+3856], 256, [b]", "OutOfBounds"),
        ("[s], [0], 256, [b]", "NullAddress"),
        ("[s], [%x2], 256, [b+8]", "Deadlock"),
    ] {
        let body = loaded(copy);
        if expected == "Deadlock" {
            wrong(2, &body, &["Mbarrier", "Deadlock"]);
        } else {
            wrong(2, &body, &[expected]);
        }
    }
    wrong(
        2,
        "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [b], 100;\n\
         @%p0 cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes [s], [%x2], 100, [b];",
        &["Misaligned"],
    );
    // onto the object itself
    let onto = text(2, &loaded("[b], [%x2], 256, [b]"));
    let report = run(&onto, &Launch::linear(1, 64), Schedule::Forward);
    assert!(kinds(&report).contains(&"Mbarrier".to_owned()), "{report}");
    // the thread that copies is no exception
    wrong(
        2,
        &format!("{expect}@%p0 {LOAD} [s], [%x2], 256, [b];\n@%p0 ld.shared.u32 %r9, [s];\n{WAIT}"),
        &["CopyNotAwaited"],
    );
    wrong(
        2,
        &format!(
            "{expect}@%p0 {LOAD} [s], [%x2], 256, [b];\n@%p0 st.shared.u32 [s+252], 0;\n{WAIT}"
        ),
        &["CopyNotAwaited"],
    );
    // another warp has waited, this one not
    wrong(
        2,
        &format!(
            "{expect}@%p0 {LOAD} [s], [%x2], 256, [b];\nsetp.lt.u32 %p1, %r0, 32;\n@%p1 bra E;\n\
             {WAIT}bar.arrive 1, 64;\nbra.uni F;\nE: ld.shared.u32 %r9, [%r1];\nF:"
        )
        .replace("bar.arrive 1, 64;\n", ""),
        &["CopyNotAwaited"],
    );
}

#[test]
fn rules_of_copies_out() {
    let filled = "st.shared.u32 [%r1], %r0;\nfence.proxy.async;\nbar.sync 0;\n";
    let out = "@%p0 cp.async.bulk.global.shared::cta.bulk_group";
    let end = "cp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;\n";
    wrong(1, &format!("{filled}{out} [%x1], [s], 256;\n{end}"), &[]);
    for (copy, expected) in [
        ("[%x1], [s], 272", "Uninitialised"),
        ("[%x1+4], [s], 256", "Misaligned"),
        ("[%x1+4000], [s], 256", "OutOfBounds"),
        ("[%x1], [s], 9000", "Misaligned"),
        ("[%x1], [s], 16384", "OutOfBounds"),
    ] {
        wrong(1, &format!("{filled}{out} {copy};\n{end}"), &[expected]);
    }
    wrong(
        2,
        &format!("{filled}{out} [%x2], [s], 256;\n{end}"),
        &["WriteToInput"],
    );
    let unfenced = filled.replace("fence.proxy.async;\n", "");
    wrong(
        1,
        &format!("{unfenced}{out} [%x1], [s], 256;\n{end}"),
        &["AsyncProxy"],
    );
    let early =
        "fence.proxy.async;\nst.shared.u16 [%r1], 0;\nst.shared.u16 [%r1+2], 1;\nbar.sync 0;\n";
    let early = early.replace(
        "st.shared.u16 [%r1], 0",
        "mov.u16 %h1, 7;\nst.shared.u16 [%r1], %h1",
    );
    let early = early.replace(", 1;", ", %h1;");
    wrong(
        1,
        &format!("{early}{out} [%x1], [s], 256;\n{end}"),
        &["AsyncProxy"],
    );
    let once = format!("{early}@%p0 fence.proxy.async.shared::cta;\n");
    wrong(1, &format!("{once}{out} [%x1], [s], 256;\n{end}"), &[]);
    // the source changes before the copy has read it
    wrong(
        1,
        &format!("{filled}{out} [%x1], [s], 256;\n@%p0 st.shared.u32 [s], 1;\n{end}"),
        &["CopyNotAwaited"],
    );
    wrong(
        1,
        &format!(
            "{filled}{out} [%x1], [s], 256;\n@%p0 cp.async.bulk.commit_group;\n\
             @%p0 cp.async.bulk.wait_group.read 1;\n@%p0 st.shared.u32 [s], 1;\n{end}"
        ),
        &["CopyNotAwaited"],
    );
    wrong(
        1,
        &format!(
            "{filled}{out} [%x1], [s], 256;\n@%p0 cp.async.bulk.commit_group;\n\
             @%p0 cp.async.bulk.wait_group.read 0;\n@%p0 st.shared.u32 [s], 1;\n{end}"
        ),
        &[],
    );
    // nothing orders the copy after the stores
    let report = run(
        &text(
            1,
            &format!("st.shared.u32 [%r1], %r0;\nbar.warp.sync -1;\n{out} [%x1], [s], 256;\n{end}"),
        ),
        &Launch::linear(1, 64),
        Schedule::Reverse,
    );
    assert!(
        kinds(&report).contains(&"SharedRace".to_owned()),
        "{report}"
    );
}

#[test]
fn forms_that_do_not_exist() {
    for instruction in [
        "cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 [%x1], [s], 16",
        "cp.async.bulk.global.shared::cta.mbarrier::complete_tx::bytes [%x1], [s], 16, [s]",
        "cp.async.bulk.shared::cta.global.bulk_group [s], [%x1], 16",
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [s], [%x1], 16",
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [s], [%x1], 16, [s], %h1",
        "cp.async.bulk.global.shared::cta.bulk_group.cp_mask [%x1], [s], 16, %h1",
        "cp.async.bulk.wait_group %r1",
        "cp.async.bulk.prefetch.L1.global [%x1], 16",
    ] {
        refuses("sm_90a", instruction);
    }
    finds(
        &module(
            "sm_90a",
            1,
            "cp.async.bulk.commit_group;\ncp.async.bulk.wait_group 3;",
        ),
        &Launch::linear(1, 32),
        &[],
    );
}
