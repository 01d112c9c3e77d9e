//! Splits a text into tokens (PTX ISA 4.2 to 4.5), whatever its lines and blanks.

use crate::ast::Position;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An identifier: a letter, or one of `_$%`, then letters, digits, `_` and `$`.
    Word,
    /// A point and what adheres to it: `.u32`, `.shared::cluster`.
    Directive,
    /// Begins with a digit; not checked further.
    Number,
    /// In double quotes.
    Text,
    /// One character of punctuation.
    Mark(u8),
    /// A character that starts no token, or a text or comment that does not end.
    Unknown,
    /// Behind the last token.
    End,
}

/// A token, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// As written; empty at the end.
    pub(super) text: &'a str,
    /// Bytes before it in the whole text.
    pub(super) start: usize,
    pub(super) position: Position,
}

impl Token<'_> {
    /// Offset of the byte behind the token.
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    pub(super) fn is(&self, mark: u8) -> bool {
        self.kind == Kind::Mark(mark)
    }
}

/// Goes through a text from front to back; each byte is looked at a bounded number of times.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    line_start: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        // The compiler's buffer ends in NUL, and so may what was read from it.
        Self {
            text: text.trim_end_matches(|c: char| c == '\0' || c.is_ascii_whitespace()),
            at: 0,
            line: 1,
            line_start: 0,
        }
    }

    /// What lies between two offsets of tokens.
    pub(super) fn slice(&self, start: usize, end: usize) -> &'a str {
        &self.text[start..end]
    }

    /// The next token; an `End` again and again behind the last one.
    pub(super) fn next(&mut self) -> Token<'a> {
        let unfinished = self.skip_blanks().err();
        let start = unfinished.unwrap_or(self.at);
        let position = self.position(start);
        let kind = if unfinished.is_some() {
            self.at = start + 2;
            Kind::Unknown
        } else {
            self.scan()
        };
        Token {
            kind,
            text: &self.text[start..self.at],
            start,
            position,
        }
    }

    fn position(&self, offset: usize) -> Position {
        Position {
            line: self.line,
            column: u32::try_from(offset - self.line_start + 1).unwrap_or(u32::MAX),
        }
    }

    fn byte(&self, ahead: usize) -> u8 {
        let bytes = self.text.as_bytes();
        bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn advance_while(&mut self, wanted: impl Fn(u8) -> bool) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().position(|&b| !wanted(b)).unwrap_or(rest.len());
    }

    /// Passes over blanks, comments and `@@DWARF` lines; the offset of a comment that does not end
    /// is the error.
    fn skip_blanks(&mut self) -> Result<(), usize> {
        loop {
            match (self.byte(0), self.byte(1)) {
                (b'\n', _) => {
                    self.at += 1;
                    self.new_line();
                }
                (b' ' | b'\t' | b'\r' | 0x0b | 0x0c, _) => self.at += 1,
                (b'/', b'/') | (b'@', b'@') => self.advance_while(|b| b != b'\n'),
                (b'/', b'*') => {
                    let inside = self.at + 2;
                    let length = self.text[inside..].find("*/").ok_or(self.at)?;
                    for offset in inside..inside + length {
                        if self.text.as_bytes()[offset] == b'\n' {
                            self.at = offset + 1;
                            self.new_line();
                        }
                    }
                    self.at = inside + length + 2;
                }
                _ => return Ok(()),
            }
        }
    }

    fn new_line(&mut self) {
        self.line = self.line.saturating_add(1);
        self.line_start = self.at;
    }

    /// Moves over one token.
    fn scan(&mut self) -> Kind {
        if self.at == self.text.len() {
            return Kind::End;
        }
        match self.byte(0) {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'$' | b'%' => {
                self.at += 1;
                self.advance_while(is_name);
                Kind::Word
            }
            b'0'..=b'9' => self.number(),
            b'.' if is_name(self.byte(1)) => {
                self.at += 1;
                self.advance_while(is_name);
                while self.byte(0) == b':' && self.byte(1) == b':' && is_name(self.byte(2)) {
                    self.at += 2;
                    self.advance_while(is_name);
                }
                Kind::Directive
            }
            b'"' => self.quoted(),
            mark @ (b'{' | b'}' | b'(' | b')' | b'[' | b']' | b',' | b';' | b':' | b'|' | b'!'
            | b'+' | b'-' | b'@' | b'<' | b'>' | b'=') => {
                self.at += 1;
                Kind::Mark(mark)
            }
            _ => {
                let other = self.text[self.at..].chars().next();
                self.at += other.map_or(0, char::len_utf8);
                Kind::Unknown
            }
        }
    }

    /// Digits, letters, and in a decimal number a point and a signed exponent.
    fn number(&mut self) -> Kind {
        let start = self.at;
        self.advance_while(is_name);
        let prefixed = self.text.as_bytes()[start] == b'0'
            && matches!(
                self.text.as_bytes().get(start + 1),
                Some(b'x' | b'X' | b'f' | b'F' | b'd' | b'D' | b'b' | b'B')
            );
        if prefixed {
            return Kind::Number;
        }
        // `1.minnctapersm` is a number and a directive, `1.5` and `1.` are numbers.
        let after = self.byte(1);
        if self.byte(0) == b'.' && (after.is_ascii_digit() || !is_name(after)) {
            self.at += 1;
            self.advance_while(is_name);
        }
        let exponent = matches!(self.text.as_bytes()[self.at - 1], b'e' | b'E');
        if exponent && matches!(self.byte(0), b'+' | b'-') && self.byte(1).is_ascii_digit() {
            self.at += 1;
            self.advance_while(is_name);
        }
        Kind::Number
    }

    /// A text in quotes, which ends on its line; a backslash takes the next character along.
    fn quoted(&mut self) -> Kind {
        let bytes = self.text.as_bytes();
        let mut end = self.at + 1;
        loop {
            match bytes.get(end) {
                Some(b'"') => {
                    self.at = end + 1;
                    return Kind::Text;
                }
                Some(b'\\') if bytes.get(end + 1) != Some(&b'\n') => end += 2,
                None | Some(b'\n') => {
                    self.at += 1;
                    return Kind::Unknown;
                }
                Some(_) => end += 1,
            }
        }
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')
}
