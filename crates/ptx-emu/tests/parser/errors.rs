//! Refused texts: the message, with the place of the token that does not fit.

use crate::{in_body, in_module};
use ptx_emu::ast::Ast;

#[track_caller]
fn refused(text: &str, message: &str) {
    let error = Ast::parse(text).expect_err(text);
    assert_eq!(error.to_string(), message, "{text}");
}

/// The body begins in line 5.
#[track_caller]
fn body(statements: &str, message: &str) {
    refused(&in_body(statements), message);
}

/// The declarations begin in line 4.
#[track_caller]
fn module(declarations: &str, message: &str) {
    refused(&in_module(declarations), message);
}

#[test]
fn of_the_header() {
    refused(
        "/* 1\n2\n 3*/ hello",
        "3:6: found `hello`, expected `.version`",
    );
    refused("", "1:1: found the end of the text, expected `.version`");
    refused("// x\n  hello", "2:3: found `hello`, expected `.version`");
    refused(
        ".version 8",
        "1:10: found `8`, expected a version such as 8.0",
    );
    refused(
        ".version 8.0f",
        "1:10: found `8.0f`, expected a version such as 8.0",
    );
    refused(
        ".version 8.0",
        "1:13: found the end of the text, expected `.target`",
    );
    refused(
        ".version 8.0 .target ;",
        "1:22: found `;`, expected an architecture such as sm_80",
    );
}

#[test]
fn of_declarations() {
    module(
        ".section .debug_str { \"a\n\" }",
        "4:23: found `\"`, expected `}`",
    );
    module(
        "foo",
        "4:1: found `foo`, expected a directive such as `.entry`",
    );
    module(
        ".texref t;",
        "4:1: found `.texref`, expected a directive such as `.entry`",
    );
    module(
        ".visible .target",
        "4:10: found `.target`, expected `.entry`, `.func` or a state space",
    );
    module(
        ".global x;",
        "4:9: found `x`, expected a type such as `.b32`",
    );
    module(
        ".global .q32 x;",
        "4:9: found `.q32`, expected a type such as `.b32`",
    );
    module(
        ".global .v3 .u32 x;",
        "4:9: found `.v3`, expected a type such as `.b32`",
    );
    module(
        ".global .u32 .u32 x;",
        "4:14: found `.u32`, expected a name",
    );
    module(
        ".global .align 3 .u32 x;",
        "4:16: found `3`, expected a power of two",
    );
    module(".global .u32 5;", "4:14: found `5`, expected a name");
    module(
        ".global .u32 x[-1];",
        "4:16: found `-`, expected an array dimension",
    );
    module(".global .u32 x[1;", "4:17: found `;`, expected `]`");
    module(
        ".global .u32 x = ;",
        "4:18: found `;`, expected an initial value",
    );
    module(".global .u32 x = -y;", "4:19: found `y`, expected a number");
    module(
        ".global .u32 x = {1 2};",
        "4:21: found `2`, expected `,` or `}`",
    );
    module(
        ".global .u64 x = {0xff(y)};",
        "4:23: found `(`, expected `,` or `}`",
    );
    module(
        ".global .u32 x",
        "4:15: found the end of the text, expected `,` or `;`",
    );
    module(
        ".reg .b32 %r<4294967296>;",
        "4:14: found `4294967296`, expected a number of at most 32 bits",
    );
    module(".file 1 x", "4:9: found `x`, expected a path in quotes");
    module(
        ".file 1 \"x\n\"",
        "4:9: found `\"`, expected a path in quotes",
    );
    module(
        ".section .debug_str { .b8 1 ",
        "4:28: found the end of the text, expected `}`",
    );
    module(
        ".pragma nounroll;",
        "4:9: found `nounroll`, expected a text in quotes",
    );
}

#[test]
fn of_functions() {
    module(
        ".entry (.param .u32 r) k() {}",
        "4:8: found `(`, expected the name of a function",
    );
    module(
        ".entry {}",
        "4:8: found `{`, expected the name of a function",
    );
    module(
        ".entry k(.u32 x) {}",
        "4:10: found `.u32`, expected a state space such as `.param`",
    );
    module(
        ".entry k(.global .u32 x) {}",
        "4:23: found `x`, expected a parameter in `.param` or `.reg`",
    );
    module(
        ".entry k(.param .u32 x",
        "4:23: found the end of the text, expected `,` or `)`",
    );
    module(
        ".entry k() .fast {}",
        "4:12: found `.fast`, expected a directive such as `.maxntid`, `{` or `;`",
    );
    module(
        ".entry k() .maxntid 1, {}",
        "4:24: found `{`, expected a number",
    );
    module(".entry k() ret;", "4:12: found `ret`, expected `{` or `;`");
    module(
        ".entry k() {\nret;",
        "5:5: found the end of the text, expected a statement or `}`",
    );
}

#[test]
fn of_statements() {
    body("ret", "6:1: found `}`, expected an operand");
    body("\tadd.s32 %r1, ;", "5:15: found `;`, expected an operand");
    body("add.s32 %r1 %r2;", "5:13: found `%r2`, expected `,` or `;`");
    body(
        "add .s32 %r1;",
        "5:5: found `.s32`, expected an operand (modifiers follow their opcode without a blank)",
    );
    body("@1 ret;", "5:2: found `1`, expected a predicate register");
    body("@p {ret;}", "5:4: found `{`, expected an instruction");
    body("L: .branchtargets 5;", "5:19: found `5`, expected a label");
    body(
        ".surfref s;",
        "5:1: found `.surfref`, expected a declaration, an instruction or `}`",
    );
    body("ret; /* x", "5:6: found `/*`, expected a statement or `}`");
    body("5;", "5:1: found `5`, expected a statement or `}`");
    body(
        "ret; \u{e4};",
        "5:6: found `\u{e4}`, expected a statement or `}`",
    );
    body(".loc 1 2, x", "5:9: found `,`, expected a column");
    body(
        ".loc 1 2 3, nothing $L",
        "5:13: found `nothing`, expected `function_name` or `inlined_at`",
    );
}

#[test]
fn of_operands() {
    body(
        "mov.b32 a, [b;",
        "5:14: found `;`, expected `+`, `,` or `]`",
    );
    body(
        "mov.b32 a, [b+c];",
        "5:15: found `c`, expected an offset in bytes",
    );
    body("mov.b32 a, [];", "5:13: found `]`, expected an address");
    body("mov.b32 a, {};", "5:13: found `}`, expected an operand");
    body("mov.b32 a, {b c};", "5:15: found `c`, expected `,` or `}`");
    body("call (a, f;", "5:11: found `;`, expected `,` or `)`");
    body("mov.b32 a|5, b;", "5:11: found `5`, expected a register");
    body("mov.b32 5|a, b;", "5:10: found `|`, expected `,` or `;`");
    body(
        "mov.b32 !5;",
        "5:10: found `5`, expected a predicate register",
    );
    body(
        "mov.b32 -;",
        "5:10: found `;`, expected a number or a register",
    );
    for number in ["0f3F80000", "18446744073709551616", "08", "12x"] {
        let message = format!("5:12: found `{number}`, expected a number of at most 64 bits");
        body(&format!("mov.b32 a, {number};"), &message);
    }
}

#[test]
fn parts_of_an_error() {
    let error = Ast::parse(".version 8.0\r\n.target sm_80\r\n?").expect_err("a question mark");
    assert_eq!((error.position().line, error.position().column), (3, 1));
    assert_eq!(error.found(), "?");
    assert_eq!(error.expected(), "a directive such as `.entry`");
    let long = format!(".version {}", "9".repeat(1000));
    let error = Ast::parse(&long).expect_err("a long number");
    assert_eq!(error.found().len(), 1000);
    assert!(error.to_string().len() < 200, "{error}");
}

#[test]
fn nesting_is_bounded() {
    let levels = |count| {
        let (open, close) = ("{".repeat(count), "}".repeat(count));
        in_module(&format!(".entry k() {open}{close}"))
    };
    Ast::parse(&levels(64)).expect("64 levels");
    let message = "4:76: found `{`, expected at most 64 levels of brackets";
    refused(&levels(65), message);
    refused(&levels(1_000_000), message);
    for open in ["mov.b32 {", "[a,", "(", "{"] {
        let error = Ast::parse(&in_body(&format!("mov.b32 {}", open.repeat(100_000))))
            .expect_err("too deep");
        assert!(error.position().line == 5, "{error}");
    }
    let init = in_module(&format!(".global .u32 x = {}", "{".repeat(1_000_000)));
    refused(
        &init,
        "4:82: found `{`, expected at most 64 levels of brackets",
    );
}
