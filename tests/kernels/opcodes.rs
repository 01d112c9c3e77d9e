//! Every instruction that the kernels use is held to a result by a program of the emulator's tests, which
//! also run on a GPU where there is one.

use std::collections::{BTreeMap, BTreeSet};

use ptx_emu::ast::{Ast, Statement};

use crate::table::built;

/// Opcodes, with all modifiers, that have a program.
const HELD: &str = include_str!("../../crates/ptx-emu/tests/isa/opcodes.txt");

/// Calls `visit` with every opcode of a body.
fn opcodes<'a>(statements: &[Statement<'a>], visit: &mut impl FnMut(&'a str)) {
    for statement in statements {
        match statement {
            Statement::Block(inner) => opcodes(inner, visit),
            Statement::Instruction(instruction) => visit(instruction.opcode),
            _ => {}
        }
    }
}

#[test]
fn every_opcode_of_the_kernels_has_a_program() {
    let held: BTreeSet<&str> = HELD.lines().collect();
    // where one without a program was met first
    let mut lacking: BTreeMap<&str, String> = BTreeMap::new();
    let mut used = BTreeSet::new();
    for module in built() {
        let ast = Ast::parse(module.ptx).unwrap();
        for function in &ast.functions {
            let body = function.body.as_deref().unwrap_or_default();
            opcodes(body, &mut |opcode| {
                used.insert(opcode);
                if !held.contains(opcode) {
                    let place = || function.name.to_owned();
                    lacking.entry(opcode).or_insert_with(place);
                }
            });
        }
    }
    println!("{} opcodes", used.len());
    assert!(used.len() > 50 && used.iter().any(|o| o.starts_with("mma.sync")));
    assert!(
        lacking.is_empty(),
        "no program of crates/ptx-emu/tests/isa has {lacking:#?}"
    );
}
