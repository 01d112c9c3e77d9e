//! Lanes that do not take part where they should.

use crate::control::storing;
use crate::faults::{finds, kinds, report};
use ptx_emu::{Launch, Schedule, ViolationKind};

fn warp(body: &str) -> String {
    storing("sm_80", &format!("mov.u32 %r9, 0;\n{body}"))
}

#[test]
fn reading_a_lane_that_does_not_take_part() {
    let one = Launch::linear(1, 32);
    let outside = "setp.lt.u32 %p1, %r0, 16;\n@!%p1 bra E;\n\
                   shfl.sync.bfly.b32 %r9, %r0, 16, 31, 0xffff;\nE:";
    finds(&warp(outside), &one, &["ShuffleFromInactive"]);
    // the lane is there, but names another group
    let stranger = "setp.lt.u32 %p1, %r0, 16;\nselp.u32 %r2, 0xffff, 0xffff0000, %p1;\n\
                    shfl.sync.down.b32 %r9, %r0, 1, 31, %r2;";
    let report = report(&warp(stranger), &one, 64, Schedule::Forward);
    assert_eq!(kinds(&report), ["ShuffleFromInactive"]);
    assert_eq!(
        report.violations[0].kind,
        ViolationKind::ShuffleFromInactive {
            lane: 15,
            source_lane: 16
        }
    );
    // lanes that no thread has; the others read in range
    let absent = "shfl.sync.down.b32 %r9, %r0, 4, 31, -1;";
    finds(
        &warp(absent),
        &Launch::linear(1, 20),
        &["ShuffleFromInactive"],
    );
    let present = "shfl.sync.down.b32 %r9, %r0, 4, 0x1c1f, -1;";
    finds(&warp(present), &Launch::linear(1, 20), &[]);
    // the value is then the lane's own
    let value = "ld.param.u64 %x0, [p0];\nmad.wide.u32 %x1, %r0, 4, %x0;\n\
                 setp.lt.u32 %p1, %r0, 16;\n@!%p1 bra E;\n\
                 shfl.sync.bfly.b32 %r1, %r0, 16, 31, 0xffff;\nsetp.ne.u32 %p2, %r1, %r0;\n\
                 @%p2 trap;\nE:";
    finds(&warp(value), &one, &["ShuffleFromInactive"]);
}

#[test]
fn lanes_that_never_come() {
    let one = Launch::linear(1, 32);
    for instruction in [
        "shfl.sync.bfly.b32 %r9, %r0, 0, 31, -1;",
        "shfl.sync.bfly.b32 %r9, %r0, 0, 31, %r5;",
        "vote.sync.ballot.b32 %r9, %p1, -1;",
        "match.any.sync.b32 %r9, %r0, -1;",
        "redux.sync.add.u32 %r9, %r0, -1;",
        "bar.warp.sync -1;",
    ] {
        let half = "mov.u32 %r5, -1;\nsetp.lt.u32 %p1, %r0, 16;\n@!%p1 bra E;\n";
        // those that do not come go on to their end
        let passed = warp(&format!("{half}{instruction}\nE:"));
        finds(&passed, &one, &["InactiveLanes"]);
        // in a loop that some leave early, while others wait for them
        let loops = "mov.u32 %r5, -1;\nmov.u32 %r3, 0;\nsetp.ge.u32 %p1, %r0, 1;\nL:\n";
        let end = "add.u32 %r3, %r3, 1;\nsetp.le.u32 %p2, %r3, %r0;\n@%p2 bra L;";
        let passed = warp(&format!("{loops}{instruction}\n{end}"));
        finds(&passed, &one, &["InactiveLanes"]);
        // a barrier of the block waits elsewhere
        let other = format!("{half}{instruction}\nE: bar.sync 0;");
        finds(&warp(&other), &one, &["InactiveLanes"]);
        // they have exited at once
        let early =
            format!("setp.ge.u32 %p1, %r0, 16;\nmov.u32 %r5, -1;\n@%p1 ret;\n{instruction}");
        finds(&warp(&early), &one, &[]);
        let early = format!(
            "setp.ge.u32 %p1, %r0, 16;\nmov.u32 %r5, -1;\n@%p1 bra X;\n{instruction}\nbra Y;\n\
             X: bra Z;\nZ: ret;\nY:"
        );
        finds(&warp(&early), &one, &[]);
    }
}

#[test]
fn a_lane_that_is_not_in_its_own_mask() {
    let one = Launch::linear(1, 32);
    for instruction in [
        "shfl.sync.idx.b32 %r9, %r0, 1, 31, 0x0fffffff;",
        "vote.sync.any.pred %p3, %p1, 0x0fffffff;",
        "redux.sync.add.u32 %r9, %r0, 0x0fffffff;",
        "match.all.sync.b32 %r9, %r0, 0x0fffffff;",
        "bar.warp.sync 0x0fffffff;",
    ] {
        let ptx = warp(&format!("setp.lt.u32 %p1, %r0, 16;\n{instruction}"));
        finds(&ptx, &one, &["InactiveLanes"]);
    }
}
