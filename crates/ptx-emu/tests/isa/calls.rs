//! Functions, branches by table, and programs that do not come to their end.

use crate::case::{Case, check, program};
use crate::control::words;
use crate::faults::{finds, kinds, refuses, report};
use ptx_emu::{Launch, Schedule, ViolationKind};

/// A module of functions, and a kernel whose threads store `%r9`.
fn text(functions: &str, body: &str) -> String {
    let kernel = crate::control::storing("sm_80", body);
    let (head, kernel) = kernel.split_at(kernel.find(".visible").unwrap());
    format!("{head}{functions}\n{kernel}")
}

fn case(name: &str, functions: &str, body: &str, expected: impl Fn(u32) -> u32) -> Case {
    let expected = words((0..64).map(expected));
    let launch = Launch::linear(1, 64);
    program(name, text(functions, body), launch, vec![], expected)
}

const AFFINE: &str = ".func (.param .b32 out) affine(.param .b32 a, .param .b64 b, .param .b32 c) {\n\
    .reg .b32 %r<6>; .reg .b64 %x<3>;\n\
    ld.param.u32 %r1, [a]; ld.param.u64 %x1, [b]; ld.param.u32 %r2, [c];\n\
    mov.b64 {%r3, %r4}, %x1; mad.lo.u32 %r5, %r1, %r3, %r2; add.u32 %r5, %r5, %r4;\n\
    st.param.b32 [out], %r5; ret;\n}\n";

const CALL_AFFINE: &str = "{ .param .b32 a0; .param .b64 a1; .param .b32 a2; .param .b32 r;\n\
    st.param.b32 [a0], %r1; st.param.b64 [a1], %x5; st.param.b32 [a2+0], %r3;\n\
    call.uni (r), affine, (a0, a1, a2);\nld.param.b32 %r9, [r+0]; }\n";

fn plain() -> Vec<Case> {
    vec![
        case(
            "several parameters and a result",
            AFFINE,
            &format!(
                "mov.u32 %r1, %r0; mov.u32 %r2, 3; mov.u32 %r4, 1000; mov.b64 %x5, {{%r2, %r4}};\n\
                 mov.u32 %r3, 5;\n{CALL_AFFINE}mov.u32 %r1, %r9;\n{CALL_AFFINE}"
            ),
            |t| (t * 3 + 1005) * 3 + 1005,
        ),
        case(
            "a structure as an array of bytes, both ways",
            ".func (.param .align 8 .b8 out[16]) swap(.param .align 8 .b8 in[16]) {\n\
             .reg .b32 %r<6>; .reg .b64 %x<3>; .reg .b16 %h<3>;\n\
             ld.param.u8 %h1, [in]; ld.param.u16 %h2, [in+2]; ld.param.u32 %r1, [in+4];\n\
             ld.param.u64 %x1, [in+8];\n\
             st.param.b64 [out], %x1; st.param.b32 [out+8], %r1; st.param.b16 [out+12], %h2;\n\
             st.param.b8 [out+14], %h1; st.param.b8 [out+15], 0; ret;\n}\n",
            "{ .param .align 8 .b8 a[16]; .param .align 8 .b8 r[16]; .reg .b64 %y<3>;\n\
             st.param.b32 [a], 0x01020304; st.param.b32 [a+4], %r0; mov.u64 %y0, 0x500000007;\n\
             st.param.b64 [a+8], %y0; call (r), swap, (a);\nld.param.b64 %y1, [r];\n\
             ld.param.v2.b32 {%r1, %r2}, [r+8]; mov.b64 {%r3, %r4}, %y1; }\n\
             mad.lo.u32 %r9, %r3, 10, %r4; mad.lo.u32 %r9, %r9, 100, %r1;\n\
             sub.u32 %r2, %r2, 0x00040102; add.u32 %r9, %r9, %r2;",
            |t| 7500 + t,
        ),
        case(
            "no result, no parameters; effects in memory",
            ".shared .align 4 .b32 sum[1];\n\
             .func add(.param .b64 at, .param .b32 value) {\n\
             .reg .b32 %r<3>; .reg .b64 %x<3>;\n\
             ld.param.u64 %x1, [at]; ld.param.u32 %r1, [value]; red.shared.add.u32 [%x1], %r1;\n}\n\
             .func meet() { bar.sync 0; ret; }\n",
            "mov.u64 %x2, sum; setp.eq.u32 %p1, %r0, 0; @%p1 st.shared.u32 [sum], 100;\n\
             call.uni meet;\n{ .param .b64 a0; .param .b32 a1;\n\
             st.param.b64 [a0], %x2; st.param.b32 [a1], %r0; call.uni add, (a0, a1); }\n\
             call.uni meet, ();\nld.shared.u32 %r9, [sum];",
            |_| 100 + 64 * 63 / 2,
        ),
        case(
            "a function that calls another, and one that is declared before it is defined",
            ".func (.param .b32 out) twice(.param .b32 in);\n\
             .func (.param .b32 out) more(.param .b32 in) {\n\
             .reg .b32 %r<3>; ld.param.u32 %r1, [in]; add.u32 %r1, %r1, 1;\n\
             { .param .b32 a; .param .b32 r; st.param.b32 [a], %r1; call (r), twice, (a);\n\
             ld.param.b32 %r2, [r]; }\nadd.u32 %r2, %r2, %r1; st.param.b32 [out], %r2; ret;\n}\n\
             .func (.param .b32 out) twice(.param .b32 in) {\n\
             .reg .b32 %r<3>; ld.param.u32 %r1, [in]; add.u32 %r1, %r1, %r1;\n\
             st.param.b32 [out], %r1; ret;\n}\n",
            "{ .param .b32 a; .param .b32 r; st.param.b32 [a], %r0; call (r), more, (a);\n\
             ld.param.b32 %r9, [r]; }",
            |t| 3 * (t + 1),
        ),
    ]
}

/// `%r9 = f(%r1)`
fn call(target: &str, tail: &str) -> String {
    format!(
        "{{ .param .b32 a; .param .b32 r; st.param.b32 [a], %r1; call (r), {target}, (a){tail};\n\
         ld.param.b32 %r9, [r]; }}\n"
    )
}

const FIBONACCI: &str = ".func (.param .b32 out) fibonacci(.param .b32 in) {\n\
    .reg .b32 %r<6>; .reg .pred %p<2>; .local .align 4 .b8 own[8]; .reg .b64 %x<3>;\n\
    ld.param.u32 %r1, [in]; mov.u32 %r4, %r1; setp.lt.u32 %p1, %r1, 2; @%p1 bra E;\n\
    st.local.u32 [own+4], %r1; sub.u32 %r2, %r1, 1;\n\
    { .param .b32 a; .param .b32 r; st.param.b32 [a], %r2; call (r), fibonacci, (a);\n\
    ld.param.b32 %r3, [r]; }\n\
    ld.local.u32 %r5, [own+4]; sub.u32 %r2, %r5, 2;\n\
    { .param .b32 a; .param .b32 r; st.param.b32 [a], %r2; call (r), fibonacci, (a);\n\
    ld.param.b32 %r4, [r]; }\n\
    add.u32 %r4, %r4, %r3;\nE: st.param.b32 [out], %r4; ret;\n}\n";

fn fibonacci(n: u32) -> u32 {
    (0..n).fold((0, 1), |(a, b), _| (b, a + b)).0
}

fn divergent() -> Vec<Case> {
    let two = ".func (.param .b32 out) low(.param .b32 in) {\n\
        .reg .b32 %r<3>; ld.param.u32 %r1, [in]; add.u32 %r2, %r1, 100;\n\
        st.param.b32 [out], %r2; ret;\n}\n\
        .func (.param .b32 out) high(.param .b32 in) {\n\
        .reg .b32 %r<3>; ld.param.u32 %r1, [in]; mul.lo.u32 %r2, %r1, 3;\n\
        st.param.b32 [out], %r2; ret;\n}\n";
    vec![
        case(
            "recursion, each lane to a depth of its own",
            FIBONACCI,
            &format!("and.b32 %r1, %r0, 7;\n{}", call("fibonacci", "")),
            |t| fibonacci(t % 8),
        ),
        case(
            "calls in a branch, and both",
            two,
            &format!(
                "mov.u32 %r1, %r0; and.b32 %r2, %r0, 1; setp.eq.u32 %p1, %r2, 0; @%p1 bra A;\n\
                 {}bra B;\nA: {}B: mov.u32 %r1, %r9;\n{}",
                call("low", ""),
                call("high", ""),
                call("low", "")
            ),
            |t| if t % 2 == 0 { 3 * t + 100 } else { t + 200 },
        ),
        case(
            "a guarded call",
            two,
            "mov.u32 %r9, 1; setp.lt.u32 %p1, %r0, 5;\n\
             { .param .b32 a; .param .b32 r; st.param.b32 [a], %r0; st.param.b32 [r], 7;\n\
             @%p1 call (r), high, (a);\nld.param.b32 %r9, [r]; }",
            |t| if t < 5 { 3 * t } else { 7 },
        ),
        case(
            "early returns, and a loop, within a function",
            ".func (.param .b32 out) log(.param .b32 in) {\n\
             .reg .b32 %r<4>; .reg .pred %p<3>;\n\
             ld.param.u32 %r1, [in]; mov.u32 %r2, 0; st.param.b32 [out], 77;\n\
             setp.eq.u32 %p1, %r1, 0; @%p1 ret;\n\
             L: st.param.b32 [out], %r2; shr.u32 %r1, %r1, 1; setp.eq.u32 %p2, %r1, 0; @%p2 ret;\n\
             add.u32 %r2, %r2, 1; bra L;\n}\n",
            &format!("mov.u32 %r1, %r0;\n{}add.u32 %r9, %r9, 1;", call("log", "")),
            |t| if t == 0 { 78 } else { t.ilog2() + 1 },
        ),
        case(
            "local variables by address: their own, and the caller's",
            ".func (.param .b32 out) sum(.param .b64 in) {\n\
             .local .align 8 .b8 depot[16]; .reg .b64 %SP; .reg .b64 %SPL; .reg .b32 %r<5>;\n\
             .reg .b64 %x<3>; mov.u64 %SPL, depot; cvta.local.u64 %SP, %SPL;\n\
             ld.param.u64 %x1, [in]; ld.u32 %r1, [%x1]; ld.u32 %r2, [%x1+4];\n\
             st.u32 [%SP+8], %r1; st.local.u32 [%SPL+12], %r2; ld.local.v2.u32 {%r3, %r4}, [depot+8];\n\
             add.u32 %r3, %r3, %r4; st.param.b32 [out], %r3; ret;\n}\n",
            ".local .align 8 .b8 depot[8]; .reg .b64 %SP; .reg .b64 %SPL;\n\
             mov.u64 %SPL, depot; cvta.local.u64 %SP, %SPL; st.local.u32 [%SPL], %r0;\n\
             st.u32 [%SP+4], 500;\n\
             { .param .b64 a; .param .b32 r; st.param.b64 [a], %SP; call (r), sum, (a);\n\
             ld.param.b32 %r9, [r]; }\nld.local.u32 %r1, [depot]; add.u32 %r9, %r9, %r1;",
            |t| 500 + 2 * t,
        ),
        case(
            "exit from within a function",
            ".func quit(.param .b32 in) {\n.reg .b32 %r<2>; .reg .pred %p<2>;\n\
             ld.param.u32 %r1, [in]; setp.gt.u32 %p1, %r1, 9; @%p1 exit; ret;\n}\n",
            "{ .param .b32 a; st.param.b32 [a], %r0; call quit, (a); }\nmov.u32 %r9, 5;",
            |t| if t > 9 { 0 } else { 5 },
        ),
        case(
            "lanes that take different ways within a function meet behind it",
            ".func (.param .b32 out) part(.param .b32 in) {\n.reg .b32 %r<3>; .reg .pred %p<2>;\n\
             ld.param.u32 %r1, [in]; setp.lt.u32 %p1, %r1, 7; @%p1 bra A;\n\
             st.param.b32 [out], 1; ret;\nA: st.param.b32 [out], 2; ret;\n}\n",
            &format!(
                "mov.u32 %r1, %r0;\n{}activemask.b32 %r2; add.u32 %r9, %r9, %r2;",
                call("part", "")
            ),
            |t| u32::from(t < 7),
        ),
    ]
}

const TABLE: &str = ".func (.param .b32 out) f0(.param .b32 in) {\n\
    .reg .b32 %r<3>; ld.param.u32 %r1, [in]; add.u32 %r2, %r1, 1; st.param.b32 [out], %r2; ret;\n}\n\
    .func (.param .b32 out) f1(.param .b32 in) {\n\
    .reg .b32 %r<3>; ld.param.u32 %r1, [in]; mul.lo.u32 %r2, %r1, %r1;\n\
    st.param.b32 [out], %r2; ret;\n}\n\
    .func (.param .b32 out) f2(.param .b32 in) {\n\
    .reg .b32 %r<3>; ld.param.u32 %r1, [in]; xor.b32 %r2, %r1, 0xff; st.param.b32 [out], %r2;\n\
    ret;\n}\n.global .align 8 .u64 table[3] = {f0, f1, f2};\n";

fn indirect() -> Vec<Case> {
    let pick = "rem.u32 %r2, %r0, 3; mov.u64 %x2, table; mad.wide.u32 %x3, %r2, 8, %x2;\n\
                ld.global.u64 %x4, [%x3]; mov.u32 %r1, %r0;\n";
    let of = |t: u32| match t % 3 {
        0 => t + 1,
        1 => t * t,
        _ => t ^ 0xff,
    };
    vec![
        case(
            "through a table, by prototype",
            TABLE,
            &format!(
                "{pick}proto: .callprototype (.param .b32 _) _ (.param .b32 _);\n{}",
                call("%x4", ", proto")
            ),
            of,
        ),
        case(
            "through a table, by a list of targets",
            TABLE,
            &format!(
                "{pick}targets: .calltargets f0, f1, f2;\n{}",
                call("%x4", ", targets")
            ),
            of,
        ),
        case(
            "the address of a function in a register",
            TABLE,
            &format!(
                "mov.u64 %x4, f1; mov.u32 %r1, %r0;\n\
                 proto: .callprototype (.param .b32 _) _ (.param .b32 _);\n{}",
                call("%x4", ", proto")
            ),
            |t| t * t,
        ),
        case(
            "brx.idx",
            "",
            "and.b32 %r1, %r0, 3; mov.u32 %r9, 0;\n\
             ts: .branchtargets A, B, C, B;\nbrx.idx %r1, ts;\n\
             A: add.u32 %r9, %r9, 10;\nB: add.u32 %r9, %r9, 200;\nbra D;\n\
             C: mov.u32 %r9, 5;\nD: add.u32 %r9, %r9, %r0;",
            |t| t + [210, 200, 5, 200][t as usize % 4],
        ),
        case(
            "brx.idx.uni, guarded, in a loop",
            "",
            "mov.u32 %r9, 0; mov.u32 %r2, 0; setp.lt.u32 %p1, %r0, 40;\n\
             ts: .branchtargets A, B, E;\nL: @%p1 brx.idx.uni %r2, ts;\n\
             mov.u32 %r9, 1000;\nbra E;\nA: add.u32 %r9, %r9, %r0; bra N;\n\
             B: mul.lo.u32 %r9, %r9, 2;\nN: add.u32 %r2, %r2, 1; bra L;\nE:",
            |t| if t < 40 { 2 * t } else { 1000 },
        ),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = plain();
    cases.extend(divergent());
    cases.extend(indirect());
    cases
}

#[test]
fn arguments_and_results() {
    check(&plain());
}

#[test]
fn calls_of_some_lanes() {
    check(&divergent());
}

#[test]
fn calls_and_branches_by_table() {
    check(&indirect());
}

#[test]
fn refusals() {
    for instruction in [
        "call nowhere",
        "brx.idx %r0, nowhere",
        "brx.rel %r0, nowhere",
        "bra nowhere",
        "bra.far nowhere",
        "brkpt",
    ] {
        refuses("sm_90", instruction);
    }
}

#[test]
fn loops_without_an_end() {
    let launch = Launch::linear(1, 64);
    for body in [
        "L: bra L;",
        "L: add.u32 %r1, %r1, 1; setp.ne.u32 %p1, %r0, 70; @%p1 bra L;",
        "L: nanosleep.u32 100; bra L;",
        // one warp waits for the other for ever
        "setp.lt.u32 %p1, %r0, 32; @%p1 bra B; L: bra L;\nB: bar.sync 0;",
    ] {
        finds(&text("", body), &launch, &["RunAway"]);
    }
    let endless = ".func again() { call again; ret; }\n";
    finds(&text(endless, "call again;"), &launch, &["Trap"]);
    let report = report(&text("", "L: bra L;"), &launch, 4096, Schedule::Forward);
    assert_eq!(
        report.violations[0].kind,
        ViolationKind::RunAway { limit: 100_000 }
    );
}

#[test]
fn traps() {
    let launch = Launch::linear(1, 64);
    finds(&text("", "trap;"), &launch, &["Trap"]);
    finds(
        &text("", "setp.eq.u32 %p1, %r0, 70; @%p1 trap;"),
        &launch,
        &[],
    );
    let inner = ".func stop() { trap; ret; }\n";
    finds(&text(inner, "call stop;"), &launch, &["Trap"]);
    let body = "setp.eq.u32 %p1, %r0, 37; @%p1 trap;";
    let report = report(&text("", body), &launch, 4096, Schedule::Forward);
    assert_eq!(kinds(&report), ["Trap"]);
    assert_eq!(report.violations[0].thread, [37, 0, 0]);
    // no function lies there
    let astray = "mov.u64 %x4, 64;\nproto: .callprototype _ ();\ncall %x4, (), proto;";
    finds(&text("", astray), &launch, &["Trap"]);
    let beyond = "ts: .branchtargets A, A;\nmov.u32 %r1, 2; brx.idx %r1, ts;\nA:";
    finds(&text("", beyond), &launch, &["Trap"]);
}
