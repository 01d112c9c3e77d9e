//! What is wrong with a text, and where.

use crate::ast::Position;

/// Longest piece of the text that a message repeats, in characters.
const LONGEST: usize = 40;

/// A text that is not PTX: `12:5: found `foo`, expected a register name`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{position}: found {}, expected {expected}", shown(found))]
pub struct ParseError {
    position: Position,
    found: String,
    expected: String,
}

impl ParseError {
    pub(super) fn new(position: Position, found: &str, expected: &str) -> Self {
        Self {
            position,
            found: found.to_owned(),
            expected: expected.to_owned(),
        }
    }

    /// First character of what was found.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The token that was found; empty at the end of the text.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What could have stood there instead, in words.
    pub fn expected(&self) -> &str {
        &self.expected
    }
}

fn shown(found: &str) -> String {
    if found.is_empty() {
        return "the end of the text".to_owned();
    }
    let cut = found.char_indices().nth(LONGEST);
    let (piece, more) = cut.map_or((found, ""), |(end, _)| (&found[..end], "…"));
    let mut text = String::from("`");
    for c in piece.chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text + more + "`"
}
