//! Statements of bodies: instructions, operands, labels, scopes, calls.

use crate::{address, in_body, instruction, name, parsed, statements};
use ptx_emu::ast::{Loc, Operand, Position, Space, Statement, Type};

/// Parses one instruction; its guard, opcode and operands.
#[track_caller]
fn check(text: &str, guard: Option<(&str, bool)>, opcode: &str, operands: &[Operand<'_>]) {
    for gap in ["", "\n", "\r\n\t", " // note\n", "/* a\n; */"] {
        let text = in_body(&text.replace('~', gap));
        let ast = parsed(&text);
        let found = instruction(&statements(&ast)[0]);
        assert_eq!(found.guard, guard, "{text}");
        assert_eq!(found.opcode, opcode, "{text}");
        assert_eq!(found.operands, operands, "{text}");
        assert_eq!(statements(&ast).len(), 1, "{text}");
    }
}

#[test]
fn plain_instructions() {
    let sum = [name("%r1"), name("%r2"), Operand::Int(-1)];
    check("add.s32 ~%r1~,~%r2,~-1~;", None, "add.s32", &sum);
    check("ret~;", None, "ret", &[]);
    let branch = [name("$L__BB0_2")];
    check("@~%p1 bra $L__BB0_2;", Some(("%p1", false)), "bra", &branch);
    check(
        "@~!~p bra.uni DONE;",
        Some(("p", true)),
        "bra.uni",
        &[name("DONE")],
    );
    let special = [name("%r1"), name("%cluster_ctaid.x")];
    check("mov.u32 %r1,%cluster_ctaid.x~;", None, "mov.u32", &special);
}

#[test]
fn modifiers_with_two_colons() {
    let load = [name("%f1"), address("%rd1", 0)];
    let opcode = "ld.global.nc.L1::no_allocate.L2::128B.f32";
    check(&format!("{opcode}~ %f1,[%rd1];"), None, opcode, &load);
    let opcode = "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint";
    let map = Operand::Address {
        base: Some("%rd3"),
        offset: 0,
        rest: vec![Operand::Vector(vec![name("%r8"), name("%r9")])],
    };
    let operands = [address("%r6", 0), map, address("%r7", 0), name("%rd4")];
    check(
        &format!("{opcode} [%r6], [%rd3~,~{{%r8,~%r9}}], [%r7], %rd4;"),
        None,
        opcode,
        &operands,
    );
}

#[test]
fn addresses() {
    let cases = [
        ("[%rd1+80]", address("%rd1", 80)),
        ("[~%rd1~+~-4~]", address("%rd1", -4)),
        ("[%rd1 - 0x10]", address("%rd1", -16)),
        ("[sym+4+8]", address("sym", 12)),
        ("[sym--4-1]", address("sym", 3)),
        ("[gcount]", address("gcount", 0)),
        ("[a].unified", address("a", 0)),
        (
            "[16]",
            Operand::Address {
                base: None,
                offset: 16,
                rest: vec![],
            },
        ),
        (
            "[texture, sampler, {%f1, _}]",
            Operand::Address {
                base: Some("texture"),
                offset: 0,
                rest: vec![
                    name("sampler"),
                    Operand::Vector(vec![name("%f1"), Operand::Sink]),
                ],
            },
        ),
    ];
    for (text, operand) in cases {
        let operands = [name("%r1"), operand];
        check(&format!("ld.u32 %r1,~{text}~;"), None, "ld.u32", &operands);
    }
}

#[test]
fn constants_and_other_operands() {
    let cases = [
        ("0", Operand::Int(0)),
        ("-2147483648", Operand::Int(-2_147_483_648)),
        ("4294967295U", Operand::Int(0xffff_ffff)),
        ("0xffffffffffffffff", Operand::Int(-1)),
        ("-9223372036854775808", Operand::Int(i64::MIN)),
        ("1364590687093260288", Operand::Int(0x12f0_0000_0000_0000)),
        ("0f3F800000", Operand::F32(0x3f80_0000)),
        ("-0f3F800000", Operand::F32(0xbf80_0000)),
        ("0d3FF8000000000000", Operand::F64(0x3ff8_0000_0000_0000)),
        ("1.5", Operand::F64(0x3ff8_0000_0000_0000)),
        ("-1.5e0", Operand::F64(0xbff8_0000_0000_0000)),
        ("1.5e-1", Operand::F64(0.15_f64.to_bits())),
        ("!~p", Operand::Not("p")),
        ("-~%r1", Operand::Negative("%r1")),
        ("_", Operand::Sink),
        ("buf+16", Operand::Offset("buf", 16)),
        ("%rs1~", name("%rs1")),
        ("WARP_SZ", name("WARP_SZ")),
    ];
    for (text, operand) in cases {
        check(&format!("op.b32 ~{text};"), None, "op.b32", &[operand]);
    }
}

#[test]
fn vectors_and_pairs() {
    let zero_high = Operand::Vector(vec![Operand::Int(0), name("%rs13")]);
    check(
        "mov.b32 %f3,{0,%rs13};",
        None,
        "mov.b32",
        &[name("%f3"), zero_high],
    );
    let halves = Operand::Vector(vec![name("low"), name("high")]);
    check(
        "mov.b32 {low,~high},%r2;",
        None,
        "mov.b32",
        &[halves, name("%r2")],
    );
    let pair = |first, second| Operand::Pair(Box::new(first), Box::new(second));
    check(
        "elect.sync _|P~,%r12;",
        None,
        "elect.sync",
        &[pair(Operand::Sink, name("P")), name("%r12")],
    );
    check(
        "shfl.sync.bfly.b32 ~%r1|%p1, %r2, 16, 31, -1;",
        None,
        "shfl.sync.bfly.b32",
        &[
            pair(name("%r1"), name("%p1")),
            name("%r2"),
            Operand::Int(16),
            Operand::Int(31),
            Operand::Int(-1),
        ],
    );
    check(
        "setp.lt.and.s32 p|_, a, 1, !q;",
        None,
        "setp.lt.and.s32",
        &[
            pair(name("p"), Operand::Sink),
            name("a"),
            Operand::Int(1),
            Operand::Not("q"),
        ],
    );
}

#[test]
fn calls() {
    let list = |names: &[&'static str]| Operand::List(names.iter().map(|n| name(n)).collect());
    check(
        "call.uni (~retval0~),~\n_Z3reci,~\n(\nparam0,~param1\n)\n;",
        None,
        "call.uni",
        &[
            list(&["retval0"]),
            name("_Z3reci"),
            list(&["param0", "param1"]),
        ],
    );
    check(
        "call (r),~ %rd30, (p)~, prototype_2;",
        None,
        "call",
        &[
            list(&["r"]),
            name("%rd30"),
            list(&["p"]),
            name("prototype_2"),
        ],
    );
    check("call f, ();", None, "call", &[name("f"), list(&[])]);
}

#[test]
fn cp_async_with_source_size() {
    let operands = [
        address("%r1", 0),
        address("%rd1", 0),
        Operand::Int(16),
        name("%r2"),
    ];
    let opcode = "cp.async.cg.shared.global";
    check(
        &format!("{opcode} [%r1],[%rd1],16,~%r2;"),
        None,
        opcode,
        &operands,
    );
}

/// Names and labels repeat from block to block; declarations, instructions and labels share lines.
#[test]
fn inline_assembly_in_its_own_scope() {
    let text = in_body(
        "{.reg .pred P1;LAB:mbarrier.try_wait.parity.shared::cta.b64 P1,[%r1],%r2;@P1 bra DONE;bra LAB;DONE:}\n\
         {.reg.b16 lo,hi;mov.b32 {lo,hi},%r2;;DONE:}",
    );
    let ast = parsed(&text);
    let [Statement::Block(wait), Statement::Block(split)] = statements(&ast) else {
        panic!("two blocks expected: {ast:?}");
    };
    let Statement::Variable(predicate) = &wait[0] else {
        panic!("a declaration expected: {wait:?}");
    };
    assert_eq!((predicate.space, predicate.ty), (Space::Reg, Type::Pred));
    assert!(matches!(wait[1], Statement::Label(_, "LAB")));
    assert_eq!(
        instruction(&wait[2]).opcode,
        "mbarrier.try_wait.parity.shared::cta.b64"
    );
    assert_eq!(instruction(&wait[3]).guard, Some(("P1", false)));
    let end = Position {
        line: 5,
        column: 95,
    };
    assert_eq!(wait[5], Statement::Label(end, "DONE"));
    assert_eq!(wait.len(), 6);
    let names: Vec<_> = split[..2]
        .iter()
        .map(|statement| match statement {
            Statement::Variable(v) => (v.name, v.ty, v.position.line, v.position.column),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, [("lo", Type::B16, 6, 11), ("hi", Type::B16, 6, 14)]);
    assert!(matches!(split[3], Statement::Label(_, "DONE")));
    assert_eq!(split.len(), 4);
}

#[test]
fn call_sequence_declares_its_parameters() {
    let text = in_body(
        "{ // callseq 0, 0\n.reg .b32 temp_param_reg;\n.param .b32 param0;\nst.param.b32 [param0+0], %r5;\n\
         .param .align 8 .b8 retval0[16];\ncall.uni (retval0), \n_Z3reci, \n(\nparam0\n);\n\
         ld.param.b32 %r6, [retval0+4];\n} // callseq 0",
    );
    let ast = parsed(&text);
    let [Statement::Block(block)] = statements(&ast) else {
        panic!("one block expected");
    };
    let Statement::Variable(result) = &block[3] else {
        panic!("{:?}", block[3]);
    };
    assert_eq!(result.space, Space::Param);
    assert_eq!((result.align, result.name), (Some(8), "retval0"));
    assert_eq!(result.dims, [Some(16)]);
    let call = instruction(&block[4]);
    assert_eq!((call.position.line, call.operands.len()), (10, 3));
    assert_eq!(instruction(&block[5]).operands[1], address("retval0", 4));
}

#[test]
fn tables_and_prototypes_behind_labels() {
    let text = in_body(
        "ts: .branchtargets L1, L2;\nL1:L2:brx.idx %r1, ts;\ncs: .calltargets f, g;\n\
         prototype_2 : .callprototype (.param .b32 _) _ (.param .b32 _, .param .align 8 .b8 _[16]) .noreturn;\n\
         none: .callprototype _ ();",
    );
    let ast = parsed(&text);
    let body = statements(&ast);
    let at = |line, column| Position { line, column };
    assert_eq!(
        body[0],
        Statement::BranchTargets(at(5, 1), "ts", vec!["L1", "L2"])
    );
    assert_eq!(body[1], Statement::Label(at(6, 1), "L1"));
    assert_eq!(body[2], Statement::Label(at(6, 4), "L2"));
    assert_eq!(
        body[4],
        Statement::CallTargets(at(7, 1), "cs", vec!["f", "g"])
    );
    let (Statement::CallPrototype(first), Statement::CallPrototype(second)) = (&body[5], &body[6])
    else {
        panic!("{body:?}");
    };
    assert_eq!((first.name, first.position), ("prototype_2", at(8, 1)));
    assert_eq!((first.returns.len(), first.params.len()), (1, 2));
    assert_eq!(first.params[1].dims, [Some(16)]);
    assert_eq!((second.returns.len(), second.params.len()), (0, 0));
}

#[test]
fn source_lines() {
    let text = in_body(
        ".loc\t1 5 3\nret;.loc 2 3 4, function_name $L__info_string0, inlined_at 1 12 7\n\
         .loc 1 2 3, function_name .debug_str+8, inlined_at 4 5 6 ret;\n.pragma \"nounroll\";",
    );
    let ast = parsed(&text);
    let plain = Loc {
        file: 1,
        line: 5,
        column: 3,
        inlined_at: None,
        function: None,
    };
    let inlined = Loc {
        file: 2,
        line: 3,
        column: 4,
        inlined_at: Some((1, 12, 7)),
        function: Some("$L__info_string0"),
    };
    let body = statements(&ast);
    assert_eq!(body[0], Statement::Loc(plain));
    assert_eq!(body[2], Statement::Loc(inlined));
    assert!(matches!(
        body[3],
        Statement::Loc(Loc {
            inlined_at: Some((4, 5, 6)),
            ..
        })
    ));
    assert_eq!(body.len(), 5);
}
