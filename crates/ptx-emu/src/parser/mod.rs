//! Reads PTX as NVIDIA's compilers write it (ISA up to 9.0) and as inline assembly brings it.
//!
//! One pass over the tokens, one token ahead, time linear in the text. Nothing is looked up here:
//! unknown opcodes and undeclared names are the business of whoever uses the tree.

mod body;
mod declaration;
mod error;
mod function;
mod lexer;
mod module;
mod number;
mod operand;

use self::lexer::{Kind, Lexer, Token};
use crate::ast::Ast;

pub use self::error::ParseError;

/// Braces, brackets and parentheses inside of each other; bounds the recursion.
const DEEPEST: u32 = 64;

type Result<T> = std::result::Result<T, ParseError>;

impl<'a> Ast<'a> {
    /// Reads a PTX text; NUL bytes at its end are ignored.
    ///
    /// # Errors
    ///
    /// The first token that does not fit, its place, and what could have stood there.
    pub fn parse(text: &'a str) -> std::result::Result<Self, ParseError> {
        parse(text)
    }
}

/// Reads a PTX text.
pub(crate) fn parse(text: &str) -> std::result::Result<Ast<'_>, ParseError> {
    Parser::new(text).module()
}

fn mismatch(token: Token<'_>, expected: &str) -> ParseError {
    ParseError::new(token.position, token.text, expected)
}

/// The tokens of a text, seen through a window of one.
struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    depth: u32,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        let mut lexer = Lexer::new(text);
        let token = lexer.next();
        Self {
            lexer,
            token,
            depth: 0,
        }
    }

    /// Moves on by one token, and returns the one that was passed.
    fn advance(&mut self) -> Token<'a> {
        std::mem::replace(&mut self.token, self.lexer.next())
    }

    /// The present token does not fit.
    fn fail<T>(&self, expected: &str) -> Result<T> {
        Err(mismatch(self.token, expected))
    }

    fn at(&self, mark: u8) -> bool {
        self.token.is(mark)
    }

    /// Passes over `mark` where it is the present token.
    fn eat(&mut self, mark: u8) -> bool {
        let found = self.at(mark);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, mark: u8, expected: &str) -> Result<()> {
        if self.eat(mark) {
            Ok(())
        } else {
            self.fail(expected)
        }
    }

    /// The name of the present directive, without its dot.
    fn directive(&self) -> Option<&'a str> {
        match self.token.kind {
            Kind::Directive => Some(&self.token.text[1..]),
            _ => None,
        }
    }

    fn name(&mut self, expected: &str) -> Result<&'a str> {
        match self.token.kind {
            Kind::Word => Ok(self.advance().text),
            _ => self.fail(expected),
        }
    }

    /// `name, name, …`
    fn names(&mut self, expected: &str) -> Result<Vec<&'a str>> {
        let mut names = vec![self.name(expected)?];
        while self.eat(b',') {
            names.push(self.name(expected)?);
        }
        Ok(names)
    }

    /// An integer without a sign.
    fn integer(&mut self, expected: &str) -> Result<u64> {
        match self.number_token() {
            Some(number::Number::Int(value)) => {
                self.advance();
                Ok(value)
            }
            _ => self.fail(expected),
        }
    }

    fn small(&mut self, expected: &str) -> Result<u32> {
        let token = self.token;
        let value = self.integer(expected)?;
        u32::try_from(value).map_err(|_| mismatch(token, "a number of at most 32 bits"))
    }

    /// The value of the present token, where it is a sound number.
    fn number_token(&self) -> Option<number::Number> {
        match self.token.kind {
            Kind::Number => number::number(self.token.text),
            _ => None,
        }
    }

    /// Items between commas up to `close`, which is passed; the opening mark has been passed.
    fn list<T>(
        &mut self,
        close: u8,
        expected: &str,
        item: impl Fn(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut items = Vec::new();
        if self.eat(close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.eat(close) {
                return Ok(items);
            }
            self.expect(b',', expected)?;
        }
    }

    /// Runs `inner` one level deeper.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == DEEPEST {
            return self.fail("at most 64 levels of brackets");
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Passes over `(…)`, whatever is inside.
    fn skip_parentheses(&mut self) -> Result<()> {
        self.expect(b'(', "`(`")?;
        let mut open = 1_u64;
        while open > 0 {
            match self.token.kind {
                Kind::Mark(b'(') => open += 1,
                Kind::Mark(b')') => open -= 1,
                Kind::End | Kind::Unknown => return self.fail("`)`"),
                _ => {}
            }
            self.advance();
        }
        Ok(())
    }

    /// `.pragma "…", "…";`
    fn skip_pragma(&mut self) -> Result<()> {
        self.advance();
        loop {
            if self.token.kind != Kind::Text {
                return self.fail("a text in quotes");
            }
            self.advance();
            if !self.eat(b',') {
                return self.expect(b';', "`,` or `;`");
            }
        }
    }
}
