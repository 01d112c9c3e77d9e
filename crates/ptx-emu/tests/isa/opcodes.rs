//! Which opcodes have a program here: `opcodes.txt`, for those who want to know whether theirs are held to
//! a result.

use std::collections::BTreeSet;
use std::path::Path;

use ptx_emu::ast::{Ast, Statement};

use crate::conformance::all;

fn collect(statements: &[Statement<'_>], found: &mut BTreeSet<String>) {
    for statement in statements {
        match statement {
            Statement::Block(inner) => collect(inner, found),
            Statement::Instruction(instruction) => {
                found.insert(instruction.opcode.to_owned());
            }
            _ => {}
        }
    }
}

#[test]
fn the_list_has_the_opcodes_of_all_programs() {
    let mut found = BTreeSet::new();
    for case in all() {
        let ast = Ast::parse(&case.ptx).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        for body in ast.functions.iter().filter_map(|f| f.body.as_ref()) {
            collect(body, &mut found);
        }
    }
    let list = include_str!("opcodes.txt");
    let listed: BTreeSet<String> = list.lines().map(str::to_owned).collect();
    if found == listed {
        return;
    }
    let lines: Vec<_> = found.iter().map(String::as_str).collect();
    let text = lines.join("\n") + "\n";
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("opcodes.txt");
    std::fs::write(&path, text).unwrap();
    panic!(
        "tests/isa/opcodes.txt lacks {:#?} and has {:#?} too many; the right list is {}",
        found.difference(&listed).collect::<Vec<_>>(),
        listed.difference(&found).collect::<Vec<_>>(),
        path.display()
    );
}
