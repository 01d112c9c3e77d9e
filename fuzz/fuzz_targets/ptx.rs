//! Any text as PTX.
#![no_main]

use ptx_emu::ast::Ast;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    match Ast::parse(&text) {
        Ok(ast) => drop(ast.clone()),
        Err(error) => {
            assert!(text.contains(error.found()));
            assert!(!error.to_string().is_empty());
        }
    }
});
