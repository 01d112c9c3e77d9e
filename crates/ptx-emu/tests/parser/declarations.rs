//! File scope: module directives, variables, functions, sections.

use crate::{in_module, only_function, parsed, statements};
use ptx_emu::ast::{Ast, Init, Linkage, Operand, Position, Space, Statement, Type, Variable};

/// The variables of a text of declarations.
fn variables(text: &str) -> Vec<Variable<'_>> {
    parsed(text).variables
}

#[test]
fn module_directives() {
    let text = ".version 7.10 .target sm_90a, debug\n.address_size 32\r\n.file 1 \"/a b/\\\"c\\\".cu\"\n\
                .file 2 \"x.h\", 17, 20\n.pragma \"nounroll\";\n@@DWARF .byte 1, {\0\0";
    let ast = parsed(text);
    assert_eq!(ast.version, (7, 10));
    assert_eq!(ast.target, ["sm_90a", "debug"]);
    assert_eq!(ast.address_size, 32);
    assert_eq!(ast.files, [(1, "/a b/\\\"c\\\".cu"), (2, "x.h")]);
    assert_eq!(parsed(".version 8.0 .target sm_80").address_size, 64);
}

#[test]
fn all_that_a_variable_can_have() {
    let text = in_module(".visible .global .attribute(.managed) .align 16 .v4 .f32 v[2][3];");
    let expected = Variable {
        position: Position {
            line: 4,
            column: 58,
        },
        space: Space::Global,
        linkage: Linkage::Visible,
        align: Some(16),
        ty: Type::F32,
        vector: 4,
        name: "v",
        count: None,
        dims: vec![Some(2), Some(3)],
        init: None,
    };
    assert_eq!(variables(&text), [expected]);
}

#[test]
fn dynamic_shared_has_an_open_dimension() {
    let text =
        in_module(".extern .shared .align 16 .b8 sm[];.weak.const.u8 c;.common .global .s64 d;");
    let found = variables(&text);
    assert_eq!(found[0].dims, [None]);
    assert_eq!(
        (found[0].space, found[0].linkage),
        (Space::Shared, Linkage::Extern)
    );
    assert_eq!(
        (found[1].space, found[1].linkage),
        (Space::Const, Linkage::Weak)
    );
    assert_eq!(
        (found[2].ty, found[2].linkage),
        (Type::S64, Linkage::Common)
    );
}

#[test]
fn one_declaration_of_many_names() {
    let text = in_module(".entry k { .reg.b32 a, %r<10>,b; .reg .pred\n%p<2>; }");
    let ast = parsed(&text);
    let found: Vec<_> = statements(&ast)
        .iter()
        .map(|statement| match statement {
            Statement::Variable(v) => (v.name, v.count, v.ty, v.position.line, v.position.column),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        ("a", None, Type::B32, 4, 21),
        ("%r", Some(10), Type::B32, 4, 24),
        ("b", None, Type::B32, 4, 31),
        ("%p", Some(2), Type::Pred, 5, 1),
    ];
    assert_eq!(found, expected);
}

#[test]
fn initial_values() {
    let text = in_module(
        ".global .u32 n = 4, m=-5; .global .f64 d = 0d3FF8000000000000; .global .f32 f = -1.5;\n\
         .global .b8 bytes[5] = {1, 2, 0xff, 010};\n.global .u64 tab[2] = {_Z2a1f, g+8};\n\
         .global .u64 p = generic(g)+8, q=generic(g), r = g - 4; .const .s32 mm[2][2] = {{1,2},{3,-4}};",
    );
    let int = |value| Init::Value(Operand::Int(value));
    let at = |offset, generic| Init::Address {
        symbol: "g",
        offset,
        generic,
    };
    let expected = [
        int(4),
        int(-5),
        Init::Value(Operand::F64(0x3ff8_0000_0000_0000)),
        Init::Value(Operand::F64(0xbff8_0000_0000_0000)),
        Init::List(vec![int(1), int(2), int(255), int(8)]),
        Init::List(vec![Init::Value(Operand::Name("_Z2a1f")), at(8, false)]),
        at(8, true),
        at(0, true),
        at(-4, false),
        Init::List(vec![
            Init::List(vec![int(1), int(2)]),
            Init::List(vec![int(3), int(-4)]),
        ]),
    ];
    let found: Vec<_> = variables(&text).into_iter().map(|v| v.init).collect();
    assert_eq!(found, expected.map(Some));
}

#[test]
fn parameters_of_kernels() {
    let text = in_module(
        ".visible .entry k(\n\t.param .align 8 .b8 k_param_0[48],\n\t.param .u64 .ptr .global .align 16 k_param_1,\n\
         .param .u64 .ptr k_param_2, .param .u8 flag\n)\n.maxntid 128, 1, 1\n.minnctapersm 2.maxnreg 64\n\
         .explicitcluster .reqnctapercluster 2,1,1 .pragma \"x\"; {ret;}",
    );
    let ast = parsed(&text);
    let function = only_function(&ast);
    assert!(function.entry);
    assert_eq!((function.name, function.linkage), ("k", Linkage::Visible));
    assert_eq!(
        function.position,
        Position {
            line: 4,
            column: 17
        }
    );
    let found: Vec<_> = function
        .params
        .iter()
        .map(|p| (p.name, p.ty, p.align, p.dims.clone()))
        .collect();
    let expected = [
        ("k_param_0", Type::B8, Some(8), vec![Some(48)]),
        ("k_param_1", Type::U64, None, vec![]),
        ("k_param_2", Type::U64, None, vec![]),
        ("flag", Type::U8, None, vec![]),
    ];
    assert_eq!(found, expected);
    assert_eq!(
        function.directives,
        [
            ("maxntid", vec![128, 1, 1]),
            ("minnctapersm", vec![2]),
            ("maxnreg", vec![64]),
            ("explicitcluster", vec![]),
            ("reqnctapercluster", vec![2, 1, 1]),
        ]
    );
}

#[test]
fn forward_declarations_and_returns() {
    let text = in_module(
        ".extern .func  (.param .b32 func_retval0) vprintf\n(\n\t.param .b64 a,\n\t.param .b64 b\n)\n;\n\
         .func f .noreturn;\n.weak .func (.reg .f32 r) g(.reg .f32 x) { ret; }",
    );
    let ast = parsed(&text);
    let [print, stop, body] = ast.functions.as_slice() else {
        panic!("{:?}", ast.functions);
    };
    assert_eq!((print.linkage, print.entry), (Linkage::Extern, false));
    assert_eq!((print.returns.len(), print.params.len()), (1, 2));
    assert_eq!(print.returns[0].name, "func_retval0");
    assert!(print.body.is_none());
    assert_eq!(stop.directives, [("noreturn", vec![])]);
    assert_eq!(body.returns[0].space, Space::Reg);
    assert!(body.body.is_some());
}

/// The file says "has been demoted"; the variable is inside of the function, without brackets.
#[test]
fn demoted_shared_variables() {
    let text = in_module(
        "// _ZZ3tmaE3bar has been demoted\n.entry k()\n{\n// demoted variable\n\
         .shared .align 128 .b8 _ZZ3tmaE3buf[4096];\n.shared .align 8 .u64 _ZZ3tmaE3bar;\n}",
    );
    let ast = parsed(&text);
    assert!(ast.variables.is_empty());
    let [Statement::Variable(buffer), Statement::Variable(barrier)] = statements(&ast) else {
        panic!("two variables expected");
    };
    assert_eq!(buffer.dims, [Some(4096)]);
    assert_eq!((barrier.align, barrier.ty), (Some(8), Type::U64));
    assert!(barrier.dims.is_empty());
}

#[test]
fn sections_are_passed_over_save_for_strings() {
    let text = in_module(
        ".section .debug_abbrev\n{\n.b8 1\n.b8 17,-2\n.b64 $L__tmp0+4\n.b32 .debug_info\n.b32 ($L_a)-($L_b)\n}\n\
         .section\t.debug_str\n{\n$L__info_string0:\n.b8 95,90,51,0\n\n$L__info_string1:\n.b8 95\n.b8 0x41\n.b8 0\n$L__none:\n}\n\
         .global .u32 after;",
    );
    let Ast {
        variables,
        debug_strings,
        ..
    } = parsed(&text);
    assert_eq!(variables[0].name, "after");
    let expected = [
        ("$L__info_string0", "_Z3".to_owned()),
        ("$L__info_string1", "_A".to_owned()),
        ("$L__none", String::new()),
    ];
    assert_eq!(debug_strings, expected);
}
