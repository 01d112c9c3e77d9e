//! What the parser reads, what it refuses, and that it never panics.

mod declarations;
mod errors;
mod instructions;
mod real;
mod robust;
mod writer;

use ptx_emu::ast::{Ast, Function, Instruction, Operand, Statement};

/// Lines before each text of `in_module`.
const HEADER: &str = ".version 8.0\n.target sm_80\n.address_size 64\n";

/// A whole text with `declarations` at file scope.
fn in_module(declarations: &str) -> String {
    format!("{HEADER}{declarations}")
}

/// A whole text with `statements` as the body of a kernel, from line 5 on.
fn in_body(statements: &str) -> String {
    in_module(&format!(".entry k() {{\n{statements}\n}}"))
}

fn parsed(text: &str) -> Ast<'_> {
    Ast::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn only_function<'a, 'b>(ast: &'b Ast<'a>) -> &'b Function<'a> {
    assert_eq!(ast.functions.len(), 1);
    &ast.functions[0]
}

/// The statements of the only function.
fn statements<'a, 'b>(ast: &'b Ast<'a>) -> &'b [Statement<'a>] {
    only_function(ast).body.as_ref().expect("a body")
}

fn instruction<'a, 'b>(statement: &'b Statement<'a>) -> &'b Instruction<'a> {
    match statement {
        Statement::Instruction(instruction) => instruction,
        other => panic!("{other:?} is no instruction"),
    }
}

fn name(text: &str) -> Operand<'_> {
    Operand::Name(text)
}

/// `[base + offset]`
fn address(base: &str, offset: i64) -> Operand<'_> {
    Operand::Address {
        base: Some(base),
        offset,
        rest: Vec::new(),
    }
}
