//! What is counted and found.

use super::PLAIN;
use crate::case::module;
use crate::faults::{kinds, refuses};
use ptx_emu::{Arg, Device, DeviceSpec, Launch, MatrixType, Module, Report, Schedule};

fn run(ptx: &str, threads: u32, schedule: Schedule) -> Report {
    let module = Module::parse(ptx).unwrap_or_else(|error| panic!("{error}\n{ptx}"));
    let mut device = Device::new(DeviceSpec::h200());
    device.set_schedule(schedule);
    device.set_budget(100_000);
    let mut args = Vec::new();
    let blank = vec![0; 65536];
    for bytes in [vec![blank], PLAIN.inputs()].concat() {
        let buffer = device.alloc(bytes.len() as u64).unwrap();
        device.write(&buffer, &bytes).unwrap();
        args.push(Arg::in_out(&buffer));
    }
    device
        .launch(&module, "t", &Launch::linear(1, threads), &args)
        .unwrap()
}

fn finds(ptx: &str, expected: &[&str]) {
    for schedule in crate::case::SCHEDULES {
        let report = run(ptx, 128, schedule);
        assert_eq!(kinds(&report), expected, "with {schedule:?}: {report}");
    }
}

#[test]
fn products_are_counted() {
    let counters = run(&PLAIN.text("", ""), 128, Schedule::Forward).counters;
    assert_eq!(counters.matrix_operations[MatrixType::Bf16], 1);
    assert_eq!(counters.matrix_flops[MatrixType::Bf16], 2 * 64 * 16 * 16);
}

#[test]
fn rules_of_operands() {
    finds(&PLAIN.text("", ""), &[]);
    // the barrier before
    let early = PLAIN.text("", "").replace("bar.sync 0;\n", "");
    for schedule in crate::case::SCHEDULES {
        let found = kinds(&run(&early, 128, schedule));
        let known = ["SharedRace", "Uninitialised"];
        assert!(
            !found.is_empty() && found.iter().all(|k| known.contains(&k.as_str())),
            "{found:?}"
        );
    }
    // ordinary stores, and no fence for the proxy
    finds(
        &PLAIN.text("", "").replace("fence.proxy.async;\n", ""),
        &["AsyncProxy"],
    );
    // a fence after the barrier does as well
    let late = PLAIN.text("fence.proxy.async.shared::cta;\n", "");
    finds(&late.replacen("fence.proxy.async;\n", "", 1), &[]);
    let elsewhere = PLAIN
        .text("", "")
        .replace("proxy.async;", "proxy.async.global;");
    finds(&elsewhere, &["AsyncProxy"]);
    // matrices are overwritten before the wait, by a thread of the first warp
    let write = "setp.eq.u32 %p3, %r0, 0;\n@%p3 st.shared.u32 [sb], 0;\n";
    let over = PLAIN.text("", write);
    for schedule in crate::case::SCHEDULES {
        let found = kinds(&run(&over, 128, schedule));
        assert!(found.contains(&"SharedRace".to_owned()), "{found:?}");
    }
    // a warp that has waited may write what others of the group still multiply: they all have begun
    let after = PLAIN.text("", "").replace(
        "wait_group.sync.aligned 0;\n",
        &format!("wait_group.sync.aligned 0;\n{write}"),
    );
    finds(&after, &[]);
    // one group of two is not waited for
    let second = PLAIN.text("", "").replace(
        "wait_group.sync.aligned 0;\n",
        &format!("wait_group.sync.aligned 1;\n{write}"),
    );
    for schedule in crate::case::SCHEDULES {
        let found = run(&second, 128, schedule);
        // nobody ever waits: what is read last is not known
        assert!(found.violations.len() <= 1, "{found}");
    }
    // beyond shared memory
    let beyond = PLAIN.text("mov.b64 %x4, -1;\n", "");
    finds(&beyond, &["OutOfBounds"]);
    // three warps do not make a group
    let alone = PLAIN
        .text("setp.lt.u32 %p3, %r0, 32;\n@%p3 bra E;\n", "")
        .replace("\nret;", "\nE: ret;");
    assert!(run(&alone, 128, Schedule::Forward).is_clean());
    // lanes are missing
    let part = PLAIN
        .text("setp.eq.u32 %p3, %r0, 5;\n@%p3 bra E;\n", "")
        .replace("\nret;", "\nE: ret;");
    let found = kinds(&run(&part, 128, Schedule::Forward));
    assert!(found.contains(&"InactiveLanes".to_owned()), "{found:?}");
}

#[test]
fn forms_that_do_not_exist() {
    let d = "{%r0, %r1, %r2, %r3}";
    let mma = "wgmma.mma_async.sync.aligned";
    for instruction in [
        format!("{mma}.m64n8k8.f32.bf16.bf16 {d}, %x0, %x1, %p1, 1, 1, 0, 0"),
        format!("{mma}.m64n8k16.f16.bf16.bf16 {{%r0, %r1}}, %x0, %x1, %p1, 1, 1, 0, 0"),
        format!("{mma}.m64n12k16.f32.bf16.bf16 {d}, %x0, %x1, %p1, 1, 1, 0, 0"),
        format!("{mma}.m64n8k16.f32.bf16.bf16 {d}, %x0, %x1, %p1, 1, 1, 0"),
        format!("{mma}.m64n8k16.f32.bf16.bf16 {d}, %x0, %x1, %p1, 1, 2, 0, 0"),
        format!("{mma}.m64n8k16.f32.bf16.bf16 {d}, %x0, %x1, %p1, 1, 1, 0, 2"),
        format!("{mma}.m64n8k8.f32.tf32.tf32 {d}, %x0, %x1, %p1, 1, 1, 0, 0"),
        format!("{mma}.m64n8k32.s32.s8.s8 {d}, %x0, %x1, %p1"),
        format!("{mma}.sp.m64n8k32.f32.bf16.bf16 {d}, %x0, %x1, %r1, 0, %p1, 1, 1, 0, 0"),
        "wgmma.fence.aligned".to_owned(),
        "wgmma.wait_group.sync.aligned %r1".to_owned(),
        "setmaxnreg.inc.sync.aligned.u32 260".to_owned(),
        "setmaxnreg.dec.sync.aligned.u32 20".to_owned(),
        "setmaxnreg.dec.sync.aligned.u32 100".to_owned(),
    ] {
        refuses("sm_90a", &instruction);
    }
    let counts = "setmaxnreg.inc.sync.aligned.u32 240;\nsetmaxnreg.dec.sync.aligned.u32 24;";
    crate::faults::finds(&module("sm_90a", 1, counts), &Launch::linear(1, 128), &[]);
}
