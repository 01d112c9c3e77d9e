//! Memory of the host: with all checks at most four times what the kernel has.

use ptx_emu::{Arg, Checks, Device, DeviceSpec, Launch, Module};

/// `x[i] = i`, and `y[i] = x[i]`, for a multiple of 256 elements.
const PROGRAM: &str = "
    .version 7.0 .target sm_80 .address_size 64
    .visible .entry fill(.param .u64 x) {
        .reg .b32 %r<5>; .reg .b64 %d<3>;
        ld.param.u64 %d1, [x];
        mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x;
        mad.lo.u32 %r4, %r2, %r3, %r1;
        mad.wide.u32 %d2, %r4, 4, %d1;
        st.global.u32 [%d2], %r4;
        ret;
    }
    .visible .entry copy(.param .u64 x, .param .u64 y) {
        .reg .b32 %r<6>; .reg .b64 %d<5>;
        ld.param.u64 %d1, [x]; ld.param.u64 %d2, [y];
        mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x;
        mad.lo.u32 %r4, %r2, %r3, %r1;
        mad.wide.u32 %d3, %r4, 4, %d1; mad.wide.u32 %d4, %r4, 4, %d2;
        ld.global.u32 %r5, [%d3];
        st.global.u32 [%d4], %r5;
        ret;
    }";

/// The most memory that this process has had, in bytes, where the system tells.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

#[test]
fn four_times_what_the_kernel_has_at_most() {
    let module = Module::parse(PROGRAM).unwrap();
    let Some(before) = peak() else {
        println!("not measured: this system has no /proc/self/status");
        return;
    };
    let elements: u32 = 16 << 20;
    let bytes = u64::from(elements) * 4;
    let mut device = Device::new(DeviceSpec::h200());
    device.set_checks(Checks::ALL);
    let x = device.alloc(bytes).unwrap();
    let y = device.alloc(bytes).unwrap();
    let launch = Launch::linear(elements / 256, 256);
    let fill = [Arg::output(&x)];
    let copy = [Arg::input(&x), Arg::output(&y)];
    for (entry, arguments) in [("fill", &fill[..]), ("copy", &copy[..])] {
        let report = device.launch(&module, entry, &launch, arguments).unwrap();
        assert!(report.is_clean(), "{report}");
    }
    let used = peak().unwrap() - before;
    // all of it was touched, or the test would say nothing
    let last = device.read(&y).unwrap();
    assert_eq!(last[last.len() - 4..], (elements - 1).to_le_bytes());
    let times = used as f64 / (2 * bytes) as f64;
    println!("{times:.2} times the memory of the kernel");
    assert!((1.0..4.0).contains(&times), "{times:.2}");
}
