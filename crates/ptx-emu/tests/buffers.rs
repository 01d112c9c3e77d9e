//! What a launch asked of each buffer among its arguments.

use ptx_emu::{Arg, Checks, Device, DeviceSpec, Launch, Module, Report};

/// `y[i] = x[i] + x[0]` for one block of 64 threads; then thread 0 adds 1 to `n`.
const PROGRAM: &str = "
    .version 7.0 .target sm_80 .address_size 64
    .visible .entry t(.param .u32 unused, .param .u64 x, .param .u64 y, .param .u64 n) {
        .reg .pred %p; .reg .b32 %r<5>; .reg .b64 %d<6>;
        ld.param.u64 %d1, [x]; ld.param.u64 %d2, [y]; ld.param.u64 %d3, [n];
        mov.u32 %r1, %tid.x;
        mad.wide.u32 %d4, %r1, 4, %d1; mad.wide.u32 %d5, %r1, 4, %d2;
        ld.global.u32 %r2, [%d4]; ld.global.u32 %r3, [%d1];
        add.u32 %r2, %r2, %r3;
        st.global.u32 [%d5], %r2;
        setp.ne.u32 %p, %r1, 0;
        @%p ret;
        atom.global.add.u32 %r4, [%d3], 1;
        ret;
    }";

fn run(device: &mut Device, buffers: [Arg; 3]) -> Report {
    let [x, y, n] = buffers;
    let module = Module::parse(PROGRAM).unwrap();
    let args = [Arg::u32(0), x, y, n];
    let report = device
        .launch(&module, "t", &Launch::linear(1, 64), &args)
        .unwrap();
    assert!(report.is_clean(), "{report}");
    report
}

/// Argument, bytes, sectors read and written, distinct bytes read and written.
fn rows(report: &Report) -> Vec<(usize, [u64; 5])> {
    let buffers = report.buffers.iter();
    let row = |b: &ptx_emu::BufferTraffic| {
        let sectors = [b.sectors_read, b.sectors_written];
        assert_eq!(
            [b.requested_read(), b.requested_written()],
            sectors.map(|s| 32 * s)
        );
        let distinct = [b.distinct_bytes_read, b.distinct_bytes_written];
        let numbers = [b.bytes, sectors[0], sectors[1], distinct[0], distinct[1]];
        (b.argument, numbers)
    };
    buffers.map(row).collect()
}

#[test]
fn parts_of_one_allocation_are_told_apart() {
    let mut device = Device::new(DeviceSpec::h200());
    let all = device.alloc(1024).unwrap();
    device.write(&all, &[0; 1024]).unwrap();
    let parts = [
        Arg::input(&all.slice(0..256)),
        Arg::output(&all.slice(256..512)),
        Arg::in_out(&all.slice(768..772)),
    ];
    let report = run(&mut device, parts);
    // two warps: 4 sectors each of x, and its first sector once more; the counter is read and written
    let expected = [
        (1, [256, 8 + 2, 0, 256, 0]),
        (2, [256, 0, 8, 0, 256]),
        (3, [4, 1, 1, 32, 32]),
    ];
    assert_eq!(rows(&report), expected);
}

#[test]
fn a_buffer_that_is_two_arguments_has_all_at_the_first() {
    let mut device = Device::new(DeviceSpec::h200());
    let x = device.alloc(256).unwrap();
    let n = device.alloc(4).unwrap();
    device.write(&x, &[0; 256]).unwrap();
    device.write(&n, &[0; 4]).unwrap();
    // both warps read x[0], which the first writes
    device.set_checks(Checks {
        counters: true,
        ..Checks::NONE
    });
    let report = run(
        &mut device,
        [Arg::input(&x), Arg::in_out(&x), Arg::in_out(&n)],
    );
    let expected = [
        (1, [256, 10, 8, 256, 256]),
        (2, [256, 0, 0, 256, 256]),
        (3, [4, 1, 1, 32, 32]),
    ];
    assert_eq!(rows(&report), expected);
}

#[test]
fn nothing_is_listed_where_nothing_is_counted() {
    let mut device = Device::new(DeviceSpec::h200());
    let x = device.alloc(516).unwrap();
    device.write(&x, &[0; 516]).unwrap();
    device.set_checks(Checks::NONE);
    let parts = [0..256, 256..512, 512..516].map(|part| Arg::in_out(&x.slice(part)));
    assert_eq!(run(&mut device, parts).buffers, []);
}
