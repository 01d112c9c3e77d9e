//! Printing that survives a closed pipe.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};
use serde::Serialize;

/// Prints `text` and a line end to stdout. A reader that has gone away ends the program quietly.
pub(crate) fn line(text: &str) -> Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.context("stdout cannot be written"),
    }
}

/// Prints a value as JSON on stdout.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    line(&serde_json::to_string_pretty(value).context("the result cannot be written as JSON")?)
}

/// Prints a remark to stderr. One that cannot be written is lost; there is nowhere to say so.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "pvt: {text}");
}
