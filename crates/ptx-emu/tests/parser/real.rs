//! Whole texts of NVIDIA's run-time compiler 12.9; `ptx/` has the sources, with their options.

use crate::instruction;
use crate::writer;
use ptx_emu::ast::{Ast, Loc, Statement};

pub(crate) const TEXTS: [(&str, &str); 3] = [
    ("calls", include_str!("ptx/calls.ptx")),
    ("hopper", include_str!("ptx/hopper.ptx")),
    ("inlined", include_str!("ptx/inlined.ptx")),
];

/// Nothing is lost: the tree, written out again, is the text but for blanks, comments, and what the
/// parser passes over.
#[test]
fn trees_hold_all_of_the_text() {
    for (name, text) in TEXTS {
        for end in ["", "\0", "\n \0\0"] {
            let text = format!("{text}{end}");
            let ast = Ast::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            let (written, expected) = (writer::write(&ast), writer::normalized(&text));
            let differ = written
                .bytes()
                .zip(expected.bytes())
                .position(|(a, b)| a != b)
                .unwrap_or(written.len().min(expected.len()));
            let around = |text: &str| {
                let piece = text.get(differ.saturating_sub(60)..text.len().min(differ + 60));
                piece.unwrap_or_default().to_owned()
            };
            assert!(
                written == expected,
                "{name}:\n{}\n{}",
                around(&written),
                around(&expected)
            );
        }
    }
}

#[test]
fn line_ends_do_not_matter() {
    for (name, text) in TEXTS {
        let windows = text.replace('\n', "\r\n");
        assert_eq!(Ast::parse(&windows), Ast::parse(text), "{name}");
    }
}

/// Each opcode stands where its position says.
#[test]
fn positions_point_at_opcodes() {
    fn visit(statements: &[Statement<'_>], lines: &[&str], seen: &mut usize) {
        for statement in statements {
            match statement {
                Statement::Block(inner) => visit(inner, lines, seen),
                Statement::Instruction(found) => {
                    let line = lines[found.position.line as usize - 1];
                    let rest = &line[found.position.column as usize - 1..];
                    assert!(rest.starts_with(found.opcode), "{rest}");
                    *seen += 1;
                }
                _ => {}
            }
        }
    }
    for (name, text) in TEXTS {
        let ast = Ast::parse(text).expect(name);
        let lines: Vec<_> = text.lines().collect();
        let mut seen = 0;
        for function in &ast.functions {
            visit(
                function.body.as_deref().unwrap_or_default(),
                &lines,
                &mut seen,
            );
        }
        assert!(seen > 20, "{name}: {seen} instructions");
    }
}

#[test]
fn inlined_functions_have_names() {
    let (_, text) = TEXTS[2];
    let ast = Ast::parse(text).expect("inlined");
    assert_eq!(ast.files, [(1, "/kernels/inlined.cu")]);
    let body = ast.functions[0].body.as_ref().expect("a kernel");
    let leaf = body
        .iter()
        .find_map(|statement| match statement {
            Statement::Loc(loc) if loc.inlined_at == Some((1, 6, 4)) => loc.function,
            _ => None,
        })
        .expect("leaf() is inlined into mid()");
    let name = ast.debug_strings.iter().find(|(label, _)| *label == leaf);
    assert_eq!(name.map(|(_, text)| text.as_str()), Some("_Z4leafff"));
    assert!(body.iter().any(|s| matches!(
        s,
        Statement::Loc(Loc {
            line: 8,
            function: None,
            ..
        })
    )));
}

#[test]
fn a_guarded_instruction_of_inline_assembly() {
    let (_, text) = TEXTS[1];
    let ast = Ast::parse(text).expect("hopper");
    let elected = ast.functions[0]
        .body
        .iter()
        .flatten()
        .find_map(|s| match s {
            Statement::Block(block) => block
                .iter()
                .find(|s| matches!(s, Statement::Instruction(i) if i.opcode == "st.shared.u32")),
            _ => None,
        });
    let store = instruction(elected.expect("a store of the elected thread"));
    assert_eq!(store.guard, Some(("P", false)));
}
