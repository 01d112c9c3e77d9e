//! `atom` and `red`.

mod form;
mod list;

use crate::case::{Case, check, module};
use crate::control::{of_block, words};
use crate::faults::{refuses, report};
use list::forms;
use ptx_emu::{Launch, Schedule};

/// Threads that meet at one address: whoever comes next sees what the one before left.
fn meetings() -> Vec<Case> {
    let permutation = |name: &str, body: &str, blocks: u32, last: u32| {
        let text = format!(
            ".reg .b32 %r<10>; .reg .b64 %x<4>; .reg .pred %p;\n\
             mov.u32 %r0, %ctaid.x; mov.u32 %r1, %tid.x; mad.lo.u32 %r2, %r0, 64, %r1;\n\
             ld.param.u64 %x0, [p0]; add.s64 %x1, %x0, 4; mad.wide.u32 %x1, %r2, 4, %x1;\n\
             {body}\nst.global.u32 [%x1], %r9;"
        );
        Case {
            name: name.to_owned(),
            ptx: module("sm_80", 1, &text),
            launch: Launch::linear(blocks, 64),
            inputs: vec![],
            output: 4 + 256 * blocks as usize,
            check: Box::new(move |found| {
                let mut all: Vec<u32> = found
                    .chunks_exact(4)
                    .map(|c| u32::from_le_bytes(c.try_into().unwrap()))
                    .collect();
                if all[0] != last {
                    return Err(format!("{} is left, expected {last}", all[0]));
                }
                all.remove(0);
                all.sort_unstable();
                let count = u32::try_from(all.len()).unwrap();
                if all.into_iter().eq(0..count) {
                    Ok(())
                } else {
                    Err("some number was given twice, or never".to_owned())
                }
            }),
        }
    };
    vec![
        permutation("tickets", "atom.global.add.u32 %r9, [%x0], 1;", 4, 256),
        permutation("tickets by inc", "atom.inc.u32 %r9, [%x0], 999;", 2, 128),
        permutation(
            "tickets by a loop of cas",
            "ld.volatile.global.u32 %r3, [%x0];\nL: add.u32 %r4, %r3, 1;\n\
             atom.global.cas.b32 %r9, [%x0], %r3, %r4;\nsetp.ne.u32 %p, %r9, %r3;\n\
             mov.u32 %r3, %r9;\n@%p bra L;",
            2,
            128,
        ),
        of_block(
            "sm_80",
            "a histogram in shared memory",
            96,
            ".shared .align 4 .b32 bins[8];\nmov.u64 %x2, bins;\nand.b32 %r1, %r0, 7;\n\
             mad.wide.u32 %x3, %r1, 4, %x2;\nsetp.lt.u32 %p1, %r0, 8;\n\
             @%p1 st.shared.u32 [%x3], 0;\nbar.sync 0;\nred.shared.add.u32 [%x3], %r0;\n\
             bar.sync 0;\nld.shared.u32 %r9, [%x3];",
            |t| (0..96).filter(|other| other % 8 == t % 8).sum(),
        ),
        of_block(
            "sm_80",
            "guarded, in divergent code, with a displacement, and a result that nobody wants",
            64,
            ".shared .align 4 .b32 sum[2];\nsetp.eq.u32 %p1, %r0, 0;\n\
             @%p1 st.shared.u32 [sum+4], 0;\nbar.sync 0;\nsetp.lt.u32 %p2, %r0, 40;\n\
             setp.ge.u32 %p3, %r0, 10;\n@!%p2 bra E;\n@%p3 atom.shared.add.u32 _, [sum+4], %r0;\n\
             E: bar.sync 0;\nld.shared.u32 %r9, [sum+4];",
            |_| (10..40).sum(),
        ),
        of_block(
            "sm_80",
            "a cache policy",
            64,
            "ld.param.u64 %x0, [p0];\nmad.wide.u32 %x1, %r0, 4, %x0;\n\
             createpolicy.fractional.L2::evict_last.b64 %x2, 0f3F800000;\n\
             atom.global.add.L2::cache_hint.u32 %r9, [%x1], 5, %x2;\n\
             red.global.add.L2::cache_hint.u32 [%x1], 5, %x2;\n\
             ld.global.L2::cache_hint.u32 %r9, [%x1], %x2;\n\
             st.global.L2::cache_hint.u32 [%x1], %r9, %x2;",
            |_| 10,
        ),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = forms();
    cases.extend(meetings());
    cases
}

#[test]
fn every_form() {
    check(&forms());
}

#[test]
fn threads_take_turns() {
    check(&meetings());
}

const TICKETS: &str = "ld.param.u64 %x0, [p0]; add.s64 %x0, %x0, 1024;\n\
                       atom.global.add.u32 %r9, [%x0], 1;";

#[test]
fn lanes_take_turns_in_the_order_of_the_schedule() {
    use crate::control::storing;
    use ptx_emu::{Arg, Device, DeviceSpec, Module};
    let module = Module::parse(&storing("sm_80", TICKETS)).unwrap();
    let run = |schedule| {
        let mut device = Device::new(DeviceSpec::h200());
        device.set_schedule(schedule);
        let buffer = device.alloc(2048).unwrap();
        device.write(&buffer, &[0; 2048]).unwrap();
        let args = [Arg::in_out(&buffer)];
        let report = device.launch(&module, "t", &Launch::linear(1, 32), &args);
        assert!(report.unwrap().is_clean());
        device.read(&buffer).unwrap()[..128].to_vec()
    };
    let ascending = run(Schedule::Forward);
    assert_eq!(ascending, words(0..32));
    let descending = run(Schedule::Reverse);
    assert_eq!(descending, words((0..32).rev()));
    let drawn = run(Schedule::Shuffle(3));
    assert_ne!(drawn, ascending);
    assert_ne!(drawn, descending);
    assert_ne!(drawn, run(Schedule::Shuffle(4)));
    assert_eq!(drawn, run(Schedule::Shuffle(3)));
}

#[test]
fn counts() {
    use crate::control::storing;
    let body = ".shared .align 8 .b64 s[32];\nmov.u64 %x2, s;\nand.b32 %r1, %r0, 3;\n\
                mad.wide.u32 %x3, %r0, 8, %x2;\nmov.u64 %x4, 0;\nst.shared.u64 [%x3], %x4;\n\
                mad.wide.u32 %x3, %r1, 8, %x2;\nbar.sync 0;\nred.shared.add.u64 [%x3], 1;\n\
                ld.param.u64 %x5, [p0]; add.s64 %x5, %x5, 1024;\nmad.wide.u32 %x6, %r0, 4, %x5;\n\
                red.global.add.u32 [%x6], 1;\nred.global.add.u32 [%x5], 1;\nmov.u32 %r9, 0;";
    let report = report(
        &storing("sm_80", body),
        &Launch::linear(1, 32),
        1024,
        Schedule::Forward,
    );
    assert!(report.is_clean(), "{report}");
    let shared = report.counters.shared_atomics;
    assert_eq!(
        (shared.requests, shared.operations, shared.passes),
        (1, 32, 8)
    );
    let global = report.counters.global_atomics;
    assert_eq!((global.requests, global.operations), (2, 64));
    assert_eq!((global.passes, global.sectors), (33, 5));
}

#[test]
fn refusals() {
    for instruction in [
        "atom.global.add.b32 %r0, [%x0], %r1",
        "atom.global.and.u32 %r0, [%x0], %r1",
        "atom.global.exch.b16 %h0, [%x0], %h1",
        "atom.global.exch.u32 %r0, [%x0], %r1",
        "atom.global.exch.b128 %x0, [%x0], %x1",
        "atom.global.cas.b128 %x0, [%x0], %x1, %x2",
        "atom.global.cas.b32 %r0, [%x0], %r1",
        "atom.global.add.u32 %r0, [%x0], %r1, %r2",
        "atom.global.add.u32 %r0, [%x0]",
        "atom.global.add.u32 [%x0], %r0",
        "red.global.add.u32 %r0, [%x0], %r0",
        "atom.global.inc.u64 %x0, [%x0], %x1",
        "atom.global.inc.s32 %r0, [%x0], %r1",
        "atom.global.max.f32 %r0, [%x0], %r1",
        "atom.global.min.noftz.f16 %h0, [%x0], %h1",
        "atom.global.add.f16 %h0, [%x0], %h1",
        "atom.global.add.noftz.f32 %r0, [%x0], %r1",
        "atom.shared.v2.add.f32 {%r0, %r1}, [s], {%r2, %r3}",
        "atom.global.v8.add.noftz.f16x2 %r0, [%x0], %r1",
        "atom.global.v2.min.f32 {%r0, %r1}, [%x0], {%r2, %r3}",
        "atom.global.v2.add.f32 {%r0, %r1}, [%x0], %r2",
        "atom.global.v2.add.u32 {%r0, %r1}, [%x0], {%r2, %r3}",
        "atom.local.add.u32 %r0, [%x0], %r1",
        "atom.global.add.u64 %x0, [%x0], %r1",
        "atom.global.add.u32 %x0, [%x0], %r1",
        "atom.global.u32 %r0, [%x0], %r1",
        "atom.global.add.wt.u32 %r0, [%x0], %r1",
        "atom.shared.add.L2::cache_hint.u32 %r0, [s], %r1, %x0",
        "atom.global.add.L2::cache_hint.u32 %r0, [%x0], %r1, %r2",
        "atom.add.u32 %r0, [p0], %r1",
        "red.global.cas.b32 [%x0], %r0, %r1",
        "red.global.exch.b32 [%x0], %r0",
        "red.acquire.gpu.global.add.u32 [%x0], %r0",
        "red.async.relaxed.cluster.global.add.u32 [%x0], %r0",
        "ld.release.gpu.global.u32 %r0, [%x0]",
        "st.acquire.gpu.global.u32 [%x0], %r0",
    ] {
        refuses("sm_90", instruction);
    }
}
