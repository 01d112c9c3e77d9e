//! Damaged texts: an error or a tree, never a panic, and quickly.

use crate::real;
use ptx_emu::ast::Ast;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::time::{Duration, Instant};

/// Texts of a compiler, and one that has each construct of the grammar once.
const TEXTS: [&str; 4] = [
    include_str!("ptx/everything.ptx"),
    real::TEXTS[0].1,
    real::TEXTS[1].1,
    real::TEXTS[2].1,
];

/// Parses, and checks that an error lies inside of the text.
fn try_parse(text: &str) {
    if let Err(error) = Ast::parse(text) {
        let line = text.lines().count().max(1);
        assert!(error.position().line as usize <= line, "{error}\n{text}");
        assert!(text.contains(error.found()), "{error}\n{text}");
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn undamaged_texts() {
    for text in TEXTS {
        Ast::parse(text).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn texts_that_end_anywhere() {
    for text in TEXTS {
        for end in (0..text.len()).filter(|&end| text.is_char_boundary(end)) {
            try_parse(&text[..end]);
        }
    }
}

#[test]
fn texts_that_begin_anywhere() {
    for text in TEXTS {
        for start in (0..text.len()).step_by(7) {
            try_parse(&format!(".version 8.0\n.target sm_80\n{}", &text[start..]));
            try_parse(&format!(
                ".version 8.0\n.target sm_80\n.func f {{{}",
                &text[start..]
            ));
        }
    }
}

/// Bytes replaced, removed, doubled and moved; pieces of the language thrown in.
#[test]
fn mutated_texts() {
    const PIECES: [&str; 24] = [
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ";",
        ",",
        ":",
        "::",
        "|",
        "@",
        "!",
        "-",
        "+",
        "\"",
        "/*",
        "//",
        "0f",
        "1.5e",
        "\0",
        "\u{2207}",
        ".section .debug_str {",
        "\\",
    ];
    let mut random = SmallRng::seed_from_u64(1);
    for round in 0..20_000 {
        let text = TEXTS[round % TEXTS.len()];
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..random.random_range(1..5) {
            let at = random.random_range(0..bytes.len());
            let to = random.random_range(at..bytes.len().min(at + 40));
            match random.random_range(0..5) {
                0 => bytes[at] = random.random(),
                1 => drop(bytes.drain(at..to)),
                2 => {
                    let piece = PIECES[random.random_range(0..PIECES.len())];
                    drop(bytes.splice(at..at, piece.bytes()));
                }
                3 => {
                    let copy = bytes[at..to].to_vec();
                    let target = random.random_range(0..bytes.len());
                    drop(bytes.splice(target..target, copy));
                }
                _ => bytes[at] ^= 1 << random.random_range(0..8),
            }
        }
        try_parse(&String::from_utf8_lossy(&bytes));
    }
}

/// A quadratic parser would need minutes for these.
#[test]
fn time_is_linear() {
    const COUNT: usize = 200_000;
    let pieces = [
        "\"", "\"\\", "/*", "\\", "+", "-", "1.", ".a::", "a:", "a|", "@@", "\n", "{}", "{",
        "a b.c ", "[a+", "L:", "ret;",
    ];
    let starts = [
        ".func f {",
        ".func f { mov.b32 a, b",
        ".section .debug_str {",
        ".global .u32 x = {1,",
        "",
    ];
    let begin = Instant::now();
    for start in starts {
        for piece in pieces {
            let text = format!(
                ".version 8.0\n.target sm_80\n{start}{}",
                piece.repeat(COUNT)
            );
            try_parse(&text);
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(20));
}

/// 25 MB/s asked, hundreds expected.
#[test]
fn a_hundred_kilobytes_take_milliseconds() {
    let (_, text) = real::TEXTS[0];
    let (header, rest) = text.split_at(text.find(".address_size").expect("a header"));
    let large = format!("{header}{}", rest.repeat(100_000 / rest.len() + 1));
    let fastest = (0..10)
        .map(|_| {
            let begin = Instant::now();
            let ast = Ast::parse(&large).expect("a repeated text");
            let time = begin.elapsed();
            assert!(ast.functions.len() > 10);
            time
        })
        .min();
    println!("{} bytes: {fastest:?}", large.len());
    assert!(fastest < Some(Duration::from_millis(4)), "{fastest:?}");
}
