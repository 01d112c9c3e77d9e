use super::super::kind::{Nearest, OtherSite, RaceKind, Space, Tool, ViolationKind, Waiting};
use super::*;

fn other() -> OtherSite {
    OtherSite {
        ptx_line: 40,
        source: Some(SourceLine::new("k.cu", 9, 5)),
    }
}

fn nearest(offset: i64) -> Nearest {
    Nearest {
        name: "x".to_owned(),
        offset,
        size: 1024,
    }
}

fn race(access: RaceKind, same_warp: bool) -> ViolationKind {
    ViolationKind::SharedRace {
        address: 0x1_0000_0400,
        access,
        other_thread: Some([3, 0, 0]),
        other: Some(other()),
        same_warp,
    }
}

/// Every kind with its tool, its name and its sentence.
fn every_kind() -> Vec<(Tool, &'static str, ViolationKind, &'static str)> {
    use Tool::{Initcheck, Memcheck, Racecheck, Synccheck};
    vec![
        (
            Memcheck,
            "out_of_bounds",
            ViolationKind::OutOfBounds {
                space: Space::Global,
                address: 0x10_0000_0404,
                bytes: 4,
                write: true,
                nearest: Some(nearest(1028)),
            },
            "global write of 4 bytes at 0x1000000404, 4 bytes after the end of `x` (1024 bytes); \
             guard the index, or make the buffer larger",
        ),
        (
            Memcheck,
            "misaligned",
            ViolationKind::Misaligned {
                space: Space::Shared,
                address: 0x1_0000_0408,
                alignment: 16,
            },
            "shared address 0x100000408 is 8 bytes past a multiple of 16; align the data, or use \
             narrower accesses",
        ),
        (
            Memcheck,
            "use_after_free",
            ViolationKind::UseAfterFree {
                address: 0x10_0000_0000,
                bytes: 16,
                write: false,
                nearest: Some(nearest(0)),
            },
            "read of 16 bytes at 0x1000000000, which is freed: offset 0 of `x` (1024 bytes); keep \
             the buffer until the launch is over",
        ),
        (
            Memcheck,
            "null_address",
            ViolationKind::NullAddress {
                address: 8,
                bytes: 8,
                write: false,
            },
            "read of 8 bytes at 0x8, in the null page; a pointer was not set: check the kernel \
             arguments",
        ),
        (
            Memcheck,
            "invalid_address_space",
            ViolationKind::InvalidAddressSpace {
                expected: Space::Global,
                found: Some(Space::Shared),
                address: 0x1_0000_0400,
            },
            "address 0x100000400 is not in global memory but in shared memory; convert it with \
             `cvta`, or use a generic access",
        ),
        (
            Memcheck,
            "read_only_memory",
            ViolationKind::ReadOnlyMemory {
                space: Space::Const,
                address: 0x40,
            },
            "write to constant memory at 0x40, which a kernel may only read",
        ),
        (
            Memcheck,
            "write_to_input",
            ViolationKind::WriteToInput {
                argument: 2,
                address: 0x10_0000_0100,
            },
            "write at 0x1000000100 to argument 2, which the launch declares as an input; declare \
             it as an output, or correct the pointer",
        ),
        (
            Memcheck,
            "remote_block_exited",
            ViolationKind::RemoteBlockExited {
                rank: 1,
                address: 0x1_0200_0400,
            },
            "access at 0x102000400 to shared memory of block 1 of the cluster, which has exited; \
             put a cluster barrier before its end",
        ),
        (
            Memcheck,
            "trap",
            ViolationKind::Trap,
            "`trap` was executed: a failed assertion of the kernel",
        ),
        (
            Initcheck,
            "uninitialised",
            ViolationKind::Uninitialised {
                space: Space::Local,
                address: 0x2_0000_0000,
                bytes: 4,
            },
            "local read of 4 bytes at 0x200000000 that nothing has written; write them first, or \
             do not use the value",
        ),
        (
            Racecheck,
            "shared_race",
            race(RaceKind::ReadAfterWrite, false),
            "shared read after write at 0x100000400, against thread (3, 0, 0) (PTX line 40, \
             k.cu:9:5); put a barrier between them",
        ),
        (
            Racecheck,
            "copy_not_awaited",
            ViolationKind::CopyNotAwaited {
                address: 0x1_0000_0400,
                write: false,
                other: Some(other()),
            },
            "shared read at 0x100000400, which an asynchronous copy still fills (PTX line 40, \
             k.cu:9:5); wait for it (`cp.async.wait_group`), then put a barrier",
        ),
        (
            Racecheck,
            "global_conflict",
            ViolationKind::GlobalConflict {
                address: 0x10_0000_0000,
                other_block: None,
                access: RaceKind::WriteAfterWrite,
            },
            "global write after write at 0x1000000000, between this block and several others, \
             with no order between them; use atomics, or two launches",
        ),
        (
            Racecheck,
            "async_proxy",
            ViolationKind::AsyncProxy {
                address: 0x1_0000_0400,
                other: None,
            },
            "the asynchronous proxy reads 0x100000400, which an ordinary store wrote; put \
             `fence.proxy.async` in the writing thread before the barrier",
        ),
        (
            Synccheck,
            "partial_barrier",
            ViolationKind::PartialBarrier {
                barrier: 0,
                arrived: 96,
                expected: 128,
            },
            "barrier 0 was reached by 96 of 128 threads; every thread that has not exited must \
             reach it",
        ),
        (
            Synccheck,
            "divergent_barrier",
            ViolationKind::DivergentBarrier {
                barrier: 1,
                active: 0xffff,
                live: u32::MAX,
            },
            "barrier 1 is executed by lanes 0x0000ffff of a warp whose live lanes are 0xffffffff; \
             move it out of the branch, or reconverge first",
        ),
        (
            Synccheck,
            "inactive_lanes",
            ViolationKind::InactiveLanes {
                required: u32::MAX,
                active: 0xff,
            },
            "lanes 0xffffffff are named, but only 0x000000ff execute it, lanes 0xffffff00 are \
             missing; name the lanes that do, or move it out of the branch",
        ),
        (
            Synccheck,
            "shuffle_from_inactive",
            ViolationKind::ShuffleFromInactive {
                lane: 15,
                source_lane: 31,
            },
            "lane 15 reads from lane 31, which does not take part: the value is undefined; \
             include that lane, or limit the width",
        ),
        (
            Synccheck,
            "deadlock",
            ViolationKind::Deadlock {
                waiting: [1, 2]
                    .map(|warp| Waiting {
                        warp,
                        lanes: 1,
                        ptx_line: 60 + warp,
                        what: "barrier 0".to_owned(),
                    })
                    .to_vec(),
            },
            "no thread can go on; 2 groups of lanes wait: warp 1 lanes 0x00000001 at PTX line 61: \
             barrier 0; warp 2 lanes 0x00000001 at PTX line 62: barrier 0",
        ),
        (
            Synccheck,
            "run_away",
            ViolationKind::RunAway { limit: 1_000_000 },
            "more than 1,000,000 warp instructions; look for a loop without end, or raise the \
             limit",
        ),
        (
            Synccheck,
            "mbarrier",
            ViolationKind::Mbarrier {
                address: 0x1_0000_0400,
                problem: "initialised while threads wait".to_owned(),
            },
            "mbarrier at 0x100000400: initialised while threads wait",
        ),
    ]
}

#[test]
fn kinds_have_their_tool_name_and_message() {
    for (tool, name, kind, message) in every_kind() {
        assert_eq!((kind.tool(), kind.name()), (tool, name));
        assert_eq!(kind.to_string(), message);
    }
}

#[test]
fn races_say_what_would_order_them() {
    for (access, same_warp, advice) in [
        (RaceKind::WriteAfterRead, false, "put a barrier between"),
        (RaceKind::WriteAfterRead, true, "`__syncwarp()`"),
        (RaceKind::SameInstruction, true, "let one lane write"),
    ] {
        let message = race(access, same_warp).to_string();
        assert!(message.contains(advice), "{message}");
        assert_eq!(message.contains("of the same warp"), same_warp);
    }
}

#[test]
fn places_near_an_allocation_are_named() {
    for (offset, text) in [
        (-4, "4 bytes before `x` (1024 bytes)"),
        (0, "offset 0 of `x` (1024 bytes)"),
        (1023, "offset 1023 of `x` (1024 bytes)"),
        (1024, "0 bytes after the end of `x` (1024 bytes)"),
        (
            i64::MIN,
            "9223372036854775808 bytes before `x` (1024 bytes)",
        ),
    ] {
        assert_eq!(nearest(offset).to_string(), text);
    }
}

fn violation() -> Violation {
    let mut source = SourceLine::new("/src/kernels/tile.cuh", 12, 5);
    source.inlined_at.push(CallSite {
        file: "gemm.cu".to_owned(),
        line: 70,
        column: 9,
    });
    let kind = ViolationKind::Misaligned {
        space: Space::Global,
        address: 0x10_0000_0002,
        alignment: 4,
    };
    let mut violation = Violation::new(kind, "gemm", 88, "st.global.f32 [%rd4], %f1;")
        .at([1, 2, 0], [31, 0, 0])
        .in_source(Some(source));
    violation.count = 1025;
    violation
}

#[test]
fn displays_where_it_happened() {
    assert_eq!(
        violation().to_string(),
        "\
memcheck: misaligned: global address 0x1000000002 is 2 bytes past a multiple of 4; align the data, or use narrower accesses
    in gemm, block (1, 2, 0), thread (31, 0, 0), and 1,024 more like it
    at /src/kernels/tile.cuh:12:5 (inlined at gemm.cu:70:9)
    PTX line 88: st.global.f32 [%rd4], %f1;"
    );
    let source = violation().source.unwrap();
    assert_eq!(format!("{source:#}"), "tile.cuh:12");
}

#[test]
fn json_has_names_and_data() {
    assert_eq!(
        serde_json::to_string(&violation()).unwrap(),
        concat!(
            r#"{"tool":"memcheck","name":"misaligned","message":"global address 0x1000000002 is 2 "#,
            r#"bytes past a multiple of 4; align the data, or use narrower accesses","#,
            r#""data":{"space":"global","address":68719476738,"alignment":4},"kernel":"gemm","#,
            r#""block":[1,2,0],"thread":[31,0,0],"ptx_line":88,"#,
            r#""statement":"st.global.f32 [%rd4], %f1;","source":{"file":"/src/kernels/tile.cuh","#,
            r#""line":12,"column":5,"inlined_at":[{"file":"gemm.cu","line":70,"column":9}]},"#,
            r#""count":1025}"#
        )
    );
    let race = serde_json::to_value(race(RaceKind::SameInstruction, true)).unwrap();
    assert_eq!(race["access"], "same_instruction");
    assert_eq!(race["other"]["source"]["line"], 9);
}
