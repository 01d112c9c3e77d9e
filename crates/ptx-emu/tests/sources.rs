//! The CUDA sources of the tests: all compile, and the planted faults survive the compiler.

mod support;

use std::collections::BTreeSet;
use std::fs;

use support::compile::{folder, ptx};
use support::faults::{FAULTS, Wrong};
use support::kernels::SOURCES;

const ARCHS: [u32; 2] = [80, 90];

/// Sources in a folder, as the tests name them.
fn sources(name: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder().join(name)).unwrap();
    entries
        .map(|entry| format!("{name}/{}", entry.unwrap().file_name().to_string_lossy()))
        .collect()
}

#[test]
fn every_kernel_compiles() {
    let listed: BTreeSet<_> = SOURCES.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(listed, sources("kernels"));
    for (file, options) in SOURCES {
        for arch in ARCHS {
            let text = ptx(file, options, arch);
            assert!(text.contains(&format!(".target sm_{arch}")));
            assert!(text.contains(".visible .entry "));
        }
    }
}

#[test]
fn every_fault_is_an_instruction_of_its_line() {
    let listed: BTreeSet<_> = FAULTS.iter().map(support::faults::Fault::file).collect();
    assert_eq!(listed, sources("faults"));
    for fault in FAULTS {
        let lines = fault.lines();
        assert_eq!(
            lines.is_empty(),
            fault.wrong == Wrong::Launch,
            "{}",
            fault.name
        );
        for arch in ARCHS {
            let text = ptx(&fault.file(), &[], arch);
            assert!(text.contains(&format!(".visible .entry {}(", fault.name)));
            for line in &lines {
                let accesses = instructions(&text, *line);
                let acts = accesses.iter().any(|opcode| {
                    let kind = opcode.split('.').next().unwrap_or_default();
                    ACTS.contains(&kind)
                });
                assert!(acts, "{} line {line}: {accesses:?}", fault.name);
            }
        }
    }
}

/// First parts of the opcodes that touch memory or wait for other threads.
const ACTS: [&str; 8] = ["ld", "st", "atom", "bar", "shfl", "mma", "ldmatrix", "cp"];

/// Opcodes between the line marks of `line` and the next ones.
fn instructions(text: &str, line: u32) -> Vec<String> {
    let (mut here, mut found) = (false, Vec::new());
    for statement in text.lines().map(str::trim) {
        if let Some(mark) = statement.strip_prefix(".loc") {
            here = mark.split_whitespace().nth(1) == Some(&line.to_string());
        } else if here && statement.ends_with(';') {
            found.extend(statement.split_whitespace().next().map(str::to_owned));
        }
    }
    found
}
