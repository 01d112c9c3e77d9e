//! Registers that are read before anything was written to them: zero, whatever ran before, so that
//! results do not depend on which thread of the host runs which block. A GPU promises nothing here.

use ptx_emu::{Arg, Device, DeviceSpec, Launch, Module};

/// Runs kernel `t` of a module in blocks of 32 threads, one after the other; its output.
fn run(ptx: &str, blocks: u32, bytes: u64) -> Vec<u8> {
    let module = Module::parse(ptx).unwrap();
    let mut device = Device::new(DeviceSpec::h200());
    device.set_threads(1);
    let out = device.alloc(bytes).unwrap();
    let launch = Launch::linear(blocks, 32);
    let report = device.launch(&module, "t", &launch, &[Arg::output(&out)]);
    report.unwrap();
    device.read(&out).unwrap()
}

#[test]
fn zero_in_every_block() {
    let bytes = run(
        ".version 8.0 .target sm_80 .address_size 64
        .visible .entry t(.param .u64 p0) {
            .reg .b32 %r<6>; .reg .b64 %d<5>; .reg .pred %p<3>;
            ld.param.u64 %d1, [p0];
            mov.u32 %r1, %ctaid.x; mov.u32 %r2, %tid.x; mov.u32 %r3, %ntid.x;
            mad.lo.u32 %r2, %r1, %r3, %r2;
            mul.wide.u32 %d2, %r2, 16;
            add.u64 %d2, %d1, %d2;
            // on one way only, and by a guard
            setp.lt.u32 %p1, %r2, 7;
            @%p1 bra PAST;
            mov.u32 %r4, 5;
            PAST:
            @%p1 mov.u64 %d3, 9;
            @%p2 mov.u32 %r4, 8;
            st.global.v2.u32 [%d2], {%r4, %r5};
            st.global.u64 [%d2+8], %d3;
            setp.eq.u32 %p2, %r2, %r2;
            mov.u32 %r5, 7;
            mov.u32 %r4, 6;
            mov.u64 %d3, -1;
            ret;
        }",
        3,
        16 * 96,
    );
    for (thread, found) in bytes.chunks(16).enumerate() {
        let (set, wide) = if thread < 7 { (0, 9) } else { (5, 0) };
        let mut right = [0; 16];
        right[0] = set;
        right[8] = wide;
        assert_eq!(found, right, "thread {thread}");
    }
}

#[test]
fn a_guarded_move_is_no_constant() {
    let bytes = run(
        ".version 8.0 .target sm_80 .address_size 64
        .visible .entry t(.param .u64 p0) {
            .reg .b32 %r<5>; .reg .b64 %d<3>; .reg .pred %p<2>;
            ld.param.u64 %d1, [p0];
            mov.u32 %r1, %tid.x;
            mul.wide.u32 %d2, %r1, 4;
            add.u64 %d2, %d1, %d2;
            setp.lt.u32 %p1, %r1, 7;
            @%p1 mov.u32 %r2, 9;
            add.u32 %r3, %r1, 100;
            shfl.sync.idx.b32 %r4, %r3, %r2, 31, -1;
            st.global.u32 [%d2], %r4;
            ret;
        }",
        1,
        4 * 32,
    );
    for (thread, found) in bytes.chunks(4).enumerate() {
        let right = if thread < 7 { 109_u32 } else { 100 };
        assert_eq!(found, right.to_le_bytes(), "thread {thread}");
    }
}
