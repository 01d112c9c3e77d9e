//! Forms that the ISA does not have: they are refused when a module is loaded, with a reason.

use ptx_emu::Module;

use crate::case::module;

const REGISTERS: &str = ".reg .pred %p<9>;\n.reg .b16 %h<9>;\n.reg .b32 %r<9>;\n.reg .b64 %x<9>;\n\
                         .shared .align 16 .b8 sh[64];\n";

fn refused(target: &str, body: &str) -> String {
    match Module::parse(&module(target, 1, &format!("{REGISTERS}{body}"))) {
        Ok(_) => panic!("`{body}` is not refused"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_form_that_does_not_exist_is_refused() {
    for (body, reason) in [
        ("add.b32 %r1, %r2, %r3;", "this type"),
        ("add.sat.u32 %r1, %r2, %r3;", "`.sat`"),
        ("add.wrap.u32 %r1, %r2, %r3;", "`.wrap`"),
        ("sub.u16x2 %r1, %r2, %r3;", "this type"),
        ("min.relu.u32 %r1, %r2, %r3;", "`.relu`"),
        ("min.relu.s16 %h1, %h2, %h3;", "`.relu`"),
        ("add.relu.s16x2 %r1, %r2, %r3;", "`.relu`"),
        ("min.sat.s32 %r1, %r2, %r3;", "`.sat`"),
        ("neg.u32 %r1, %r2;", "this type"),
        ("abs.u64 %x1, %x2;", "this type"),
        ("mul.s32 %r1, %r2, %r3;", "`.wide`"),
        ("mul.wide.u64 %x1, %x2, %x3;", "this type"),
        ("mad.lo.sat.s32 %r1, %r2, %r3, %r4;", "`.sat`"),
        ("mad.hi.sat.u32 %r1, %r2, %r3, %r4;", "`.sat`"),
        ("mad24.hi.sat.u32 %r1, %r2, %r3, %r4;", "this type"),
        ("mul24.lo.u64 %x1, %x2, %x3;", "this type"),
        ("add.cc.u16 %h1, %h2, %h3;", "this type"),
        ("madc.wide.u32 %x1, %r2, %r3, %x4;", "`.hi`"),
        ("dp4a.u32.u64 %r1, %r2, %r3, %r4;", "this type"),
        ("dp2a.u32.u32 %r1, %r2, %r3, %r4;", "`.lo`"),
        ("add.s32 %r1, %r2;", "2 operands"),
        ("add.s32 %r1, %x2, %r3;", "`%x2` of 64 bits"),
        ("and.u32 %r1, %r2, %r3;", "this type"),
        ("cnot.pred %p1, %p2;", "this type"),
        ("lop3.b32 %r1, %r2, %r3, %r4, 256;", "0 to 255"),
        ("lop3.b32 %r1, %r2, %r3, %r4, %r5;", "an integer constant"),
        ("lop3.xor.b32 %r1|%p1, %r2, %r3, %r4, 1, %p2;", "`.xor`"),
        (
            "lop3.or.b32 %r1, %r2, %r3, %r4, 1, %p2;",
            "a register and a predicate",
        ),
        ("shl.u32 %r1, %r2, %r3;", "this type"),
        ("shl.b64 %x1, %x2, %x3;", "`%x3` of 64 bits"),
        ("shf.l.b32 %r1, %r2, %r3, %r4;", "direction or mode"),
        ("prmt.b32.rc32 %r1, %r2, %r3, %r4;", "`.rc32`"),
        ("bfe.b32 %r1, %r2, %r3, %r4;", "this type"),
        ("bmsk.b32 %r1, %r2, %r3;", "`.clamp`"),
        ("popc.u32 %r1, %r2;", "this type"),
        ("clz.shiftamt.b32 %r1, %r2;", "`.shiftamt`"),
        ("setp.lt.b32 %p1, %r1, %r2;", "`.lt`"),
        ("setp.lo.s32 %p1, %r1, %r2;", "`.lo`"),
        ("setp.hi.f32 %p1, %r1, %r2;", "`.hi`"),
        ("setp.equ.u32 %p1, %r1, %r2;", "`.equ`"),
        ("setp.eq.ftz.f64 %p1, %x1, %x2;", "`.ftz`"),
        ("setp.eq.ftz.bf16 %p1, %h1, %h2;", "`.ftz`"),
        ("setp.eq.f16 %p1|%p2, %h1, %h2;", "a predicate register"),
        ("setp.eq.f16x2 %p1, %r1, %r2;", "`p|q`"),
        ("setp.eq.and.u32 %p1, %r1, %r2;", "3 operands"),
        ("setp.eq.u32 %p1, %r1, %r2, %p2;", "4 operands"),
        ("setp.u32 %p1, %r1, %r2;", "no comparison"),
        ("set.eq.u16.u32 %h1, %r1, %r2;", "this type"),
        ("set.eq.f32.f16 %r1, %h1, %h2;", "this type"),
        ("set.eq.f16.bf16 %h1, %h1, %h2;", "this type"),
        ("set.eq.ftz.bf16.f32 %h1, %r1, %r2;", "`.ftz`"),
        ("set.eq.f16x2.bf16x2 %r1, %r1, %r2;", "this type"),
        ("selp.f16 %h1, %h2, %h3, %p1;", "this type"),
        ("slct.b32.b32 %r1, %r2, %r3, %r4;", "this type"),
        ("slct.ftz.b32.s32 %r1, %r2, %r3, %r4;", "this type"),
        ("mov.f16 %h1, %h2;", "this type"),
        ("mov.b128 %r1, {%x1, %x2};", "this type"),
        ("mov.u32 {%h1, %h2}, %r1;", "a vector"),
        ("mov.b32 %r1, {%h1, %h2, %h3};", "2 or 4"),
        ("mov.u32 %r1, %clock;", "time"),
        ("cvta.shared.u32 %r1, %r2;", "64 bits"),
        ("ld.global.f16 %h1, [%x1];", "this type"),
        ("ld.global.b128 %x1, [%x1];", "this type"),
        (
            "ld.global.v8.u16 {%h1, %h2, %h3, %h4, %h5, %h6, %h7, %h8}, [%x1];",
            "`.v8`",
        ),
        ("ld.shared.v4.b64 {%x1, %x2, %x3, %x4}, [sh];", "`.v4`"),
        ("ld.global.v2.u32 {%r1, %x2}, [%x1];", "one width"),
        ("ld.global.u32 %h1, [%x1];", "at least that of the type"),
        ("ld.global.u32 %p1, [%x1];", "at least that of the type"),
        ("ld.global.v2.u32 %r1, [%x1];", "a vector of 2"),
        (
            "ld.global.L1::evict_never.u32 %r1, [%x1];",
            "`.L1::evict_never`",
        ),
        (
            "ld.global.L2::cache_hint.u32 %r1, [%x1];",
            "no cache policy",
        ),
        ("ld.release.gpu.global.u32 %r1, [%x1];", "`.release`"),
        ("st.global.nc.u32 [%x1], %r1;", "`.nc`"),
        ("st.param.u32 [p0], %r1;", "parameter"),
    ] {
        let error = refused("sm_90", body);
        assert!(error.contains(reason), "`{body}`: {error}");
    }
}
