//! Variables of a module, parameters of functions and of kernels.

use ptx_emu::{Arg, Checks, Device, DeviceSpec, Launch, Module, Simd};

use crate::case::{Case, check, program};
use crate::memory::bytes;

/// Variables of a module: with initial values, constant, without.
fn variables() -> Vec<Case> {
    let text = ".version 8.6\n.target sm_80\n.address_size 64\n\
        .const .align 4 .b8 c[8] = {1, 2, 3, 4, 5, 6, 7, 8};\n\
        .global .align 4 .u32 g[3] = {0x01020304, 17};\n\
        .global .align 8 .f64 f = 1.5;\n.global .align 8 .u64 where = g;\n\
        .global .align 8 .u64 generic_where = generic(g)+4;\n.global .align 4 .u32 zero;\n\
        .visible .entry t(.param .u64 p0)\n{\n.reg .b16 %h<2>;\n.reg .b32 %r<9>;\n\
        .reg .b64 %x<9>;\nld.param.u64 %x0, [p0];\nld.const.u32 %r0, [c+4];\nst.global.u32 [%x0], %r0;\n\
        mov.u64 %x1, c;\nld.const.v2.u16 {%h0, %h1}, [%x1];\nmov.b32 %r1, {%h1, %h0};\n\
        st.global.u32 [%x0+4], %r1;\ncvta.const.u64 %x2, %x1;\nld.u8 %r2, [%x2+2];\n\
        st.global.u32 [%x0+8], %r2;\nld.global.u32 %r3, [g];\nst.global.u32 [%x0+12], %r3;\n\
        ld.global.u64 %x3, [where];\nld.global.u32 %r4, [%x3+4];\nst.global.u32 [%x0+16], %r4;\n\
        ld.global.u64 %x3, [generic_where];\nld.u32 %r4, [%x3+4];\nst.global.u32 [%x0+20], %r4;\n\
        ld.global.f64 %x4, [f];\nst.global.f64 [%x0+24], %x4;\nld.global.u32 %r5, [zero];\n\
        st.global.u32 [%x0+32], %r5;\nret;\n}\n"
        .to_owned();
    let words: [u32; 6] = [0x0807_0605, 0x0201_0403, 3, 0x0102_0304, 17, 0];
    let mut expected: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    expected.extend(1.5_f64.to_le_bytes());
    expected.extend([0; 4]);
    vec![program(
        "variables of a module",
        text,
        Launch::linear(1, 1),
        vec![],
        expected,
    )]
}

/// A function that gets a structure and returns one, as a compiler writes it, and one that is
/// given the address of its caller's variable.
fn functions() -> Vec<Case> {
    let text = ".version 8.6\n.target sm_80\n.address_size 64\n\
        .func (.param .align 8 .b8 result[16]) swap(.param .align 8 .b8 pair[16], .param .b32 n)\n\
        {\n.reg .b32 %r<9>;\n.reg .b64 %x<9>;\n.reg .b16 %h<3>;\n\
        ld.param.u64 %x0, [pair];\nld.param.v2.u32 {%r0, %r1}, [pair+8];\n\
        ld.param.s8 %h0, [pair+3];\nmov.b64 %x1, pair;\nld.param.u32 %r3, [%x1+4];\n\
        ld.param.u32 %r2, [n];\nadd.u32 %r0, %r0, %r2;\nadd.u32 %r1, %r1, %r3;\n\
        st.param.b64 [result+8], %x0;\nst.param.v2.b32 [result], {%r0, %r1};\nret;\n}\n\
        .func fill(.param .b64 at, .param .b32 n)\n{\n.reg .b32 %r<3>;\n.reg .b64 %x<3>;\n\
        ld.param.u64 %x0, [at];\nld.param.u32 %r0, [n];\nst.u32 [%x0+4], %r0;\nret;\n}\n\
        .visible .entry t(.param .u64 p0, .param .u64 p1)\n{\n\
        .local .align 8 .b8 mine[16];\n.reg .b32 %r<9>;\n.reg .b64 %x<9>;\n\
        ld.param.u64 %x0, [p0];\nld.param.u64 %x1, [p1];\nmov.u32 %r0, %tid.x;\n\
        mul.wide.u32 %x2, %r0, 16;\nadd.u64 %x1, %x1, %x2;\nmul.wide.u32 %x3, %r0, 24;\n\
        add.u64 %x0, %x0, %x3;\nld.global.u64 %x4, [%x1];\nld.global.u64 %x5, [%x1+8];\n\
        {\n.param .align 8 .b8 a[16];\n.param .b32 b;\n.param .align 8 .b8 r[16];\n\
        st.param.b64 [a], %x4;\nst.param.b64 [a+8], %x5;\nst.param.b32 [b], %r0;\n\
        call.uni (r), swap, (a, b);\n\
        ld.param.b64 %x6, [r];\nld.param.b64 %x7, [r+8];\n}\n\
        st.global.u64 [%x0], %x6;\nst.global.u64 [%x0+8], %x7;\n\
        mov.u64 %x2, mine;\ncvta.local.u64 %x3, %x2;\nst.local.u32 [mine], 11;\n\
        {\n.param .b64 a;\n.param .b32 b;\nst.param.b64 [a], %x3;\nst.param.b32 [b], %r0;\n\
        call.uni fill, (a, b);\n}\n\
        ld.local.v2.u32 {%r1, %r2}, [%x2];\nst.global.v2.u32 [%x0+16], {%r1, %r2};\nret;\n}\n"
        .to_owned();
    let input = bytes(16 * 64, 3);
    let word = |t: usize, i: usize| {
        let at = 16 * t + 4 * i;
        u32::from_le_bytes(input[at..at + 4].try_into().unwrap())
    };
    let expected = (0..64_usize).flat_map(|t| {
        let thread = u32::try_from(t).unwrap();
        [
            word(t, 2).wrapping_add(thread),
            word(t, 3).wrapping_add(word(t, 1)),
            word(t, 0),
            word(t, 1),
            11,
            thread,
        ]
    });
    let expected = expected.flat_map(u32::to_le_bytes).collect();
    vec![program(
        "functions",
        text,
        Launch::linear(1, 64),
        vec![input.clone()],
        expected,
    )]
}

/// Lanes call one of two functions by its address.
fn pointers() -> Vec<Case> {
    let function = |name: &str, by: &str| {
        format!(
            ".func (.param .b32 r) {name}(.param .b32 a)\n{{\n.reg .b32 %r<3>;\n\
             ld.param.u32 %r0, [a];\n{by}.u32 %r1, %r0, 5;\nst.param.b32 [r], %r1;\nret;\n}}\n"
        )
    };
    let text = format!(
        ".version 8.6\n.target sm_80\n.address_size 64\n{}{}\
         .visible .entry t(.param .u64 p0)\n{{\n.reg .pred %p;\n.reg .b32 %r<9>;\n\
         .reg .b64 %x<9>;\nld.param.u64 %x0, [p0];\nmov.u32 %r0, %tid.x;\n\
         mul.wide.u32 %x1, %r0, 4;\nadd.u64 %x0, %x0, %x1;\nand.b32 %r1, %r0, 1;\n\
         setp.ne.u32 %p, %r1, 0;\nmov.u64 %x2, more;\nmov.u64 %x3, times;\n\
         selp.b64 %x4, %x2, %x3, %p;\n{{\n.param .b32 a;\n.param .b32 r;\n\
         st.param.b32 [a], %r0;\n\
         kind: .callprototype (.param .b32 _) _ (.param .b32 _);\n\
         call (r), %x4, (a), kind;\nld.param.b32 %r2, [r];\n}}\n\
         st.global.u32 [%x0], %r2;\nret;\n}}\n",
        function("more", "add"),
        function("times", "mul.lo")
    );
    let of = |t: u32| if t % 2 == 1 { t + 5 } else { t * 5 };
    let expected = (0..64).flat_map(|t| of(t).to_le_bytes()).collect();
    vec![program(
        "pointers to functions",
        text,
        Launch::linear(1, 64),
        vec![],
        expected,
    )]
}

pub(crate) fn cases() -> Vec<Case> {
    [variables(), functions(), pointers()]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn variables_of_a_module() {
    check(&variables());
}

#[test]
fn addresses_of_functions() {
    check(&pointers());
}

#[test]
fn parameters_of_functions() {
    check(&functions());
}

/// A structure as a parameter of a kernel, read by name and by address.
#[test]
fn a_structure_as_a_parameter() {
    let text = ".version 8.6\n.target sm_80\n.address_size 64\n\
        .visible .entry t(.param .u64 out, .param .align 8 .b8 s[24], .param .s8 last)\n{\n\
        .reg .b16 %h<4>;\n.reg .b32 %r<9>;\n.reg .b64 %x<9>;\n\
        ld.param.u64 %x0, [out];\nld.param.u32 %r0, [s];\nld.param.s16 %r1, [s+6];\n\
        ld.param.v2.u16 {%h0, %h1}, [s+4];\nmov.b32 %r2, {%h0, %h1};\n\
        ld.param.v2.u32 {%r3, %r4}, [s+8];\nld.param.s8 %x1, [s+7];\n\
        mov.b64 %x2, s;\nld.param.u64 %x3, [%x2+16];\ncvta.param.u64 %x4, %x2;\n\
        ld.u8 %r5, [%x4+17];\nld.param.s8 %h2, [last];\nmov.b32 %r6, {%h2, %h2};\n\
        st.global.u32 [%x0], %r0;\nst.global.u32 [%x0+4], %r1;\nst.global.u32 [%x0+8], %r2;\n\
        st.global.v2.u32 [%x0+16], {%r3, %r4};\nst.global.u64 [%x0+24], %x1;\n\
        st.global.u64 [%x0+32], %x3;\nst.global.u32 [%x0+40], %r5;\n\
        st.global.u32 [%x0+44], %r6;\nst.global.u32 [%x0+12], 0;\nret;\n}\n";
    let given: Vec<u8> = (0..24).map(|i| 0x80 + 5 * i).collect();
    let mut expected = given[..4].to_vec();
    expected.extend([given[6], given[7], 0xff, 0xff]);
    expected.extend(&given[4..8]);
    expected.extend([0; 4]);
    expected.extend(&given[8..16]);
    expected.extend([given[7], 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    expected.extend(&given[16..24]);
    expected.extend([given[17], 0, 0, 0]);
    expected.extend([0xfe, 0xff, 0xfe, 0xff]);
    for simd in Simd::available() {
        for checks in [Checks::ALL, Checks::NONE] {
            let module = Module::parse_for(text, simd).unwrap();
            let mut device = Device::new(DeviceSpec::h200());
            device.set_checks(checks);
            let out = device.alloc(48).unwrap();
            let args = [Arg::output(&out), Arg::bytes(&given), Arg::bytes(&[0xfe])];
            let report = device
                .launch(&module, "t", &Launch::linear(1, 1), &args)
                .unwrap();
            assert!(report.is_clean(), "{report}");
            assert_eq!(device.read(&out).unwrap(), expected);
        }
    }
}
