//! File scope: module directives, sections of debugging text, variables, functions (PTX ISA 4.3.1).

use super::lexer::{Kind, Token};
use super::{Parser, Result};
use crate::ast::{Ast, Linkage, Space};

/// `.extern`, `.visible`, `.weak`, `.common`, without the dot.
pub(super) fn linkage(name: &str) -> Option<Linkage> {
    Some(match name {
        "extern" => Linkage::Extern,
        "visible" => Linkage::Visible,
        "weak" => Linkage::Weak,
        "common" => Linkage::Common,
        _ => return None,
    })
}

/// The state space of a declaration, without the dot.
pub(super) fn space(name: &str) -> Option<Space> {
    Some(match name {
        "reg" => Space::Reg,
        "param" => Space::Param,
        "const" => Space::Const,
        "global" => Space::Global,
        "local" => Space::Local,
        "shared" => Space::Shared,
        _ => return None,
    })
}

impl<'a> Parser<'a> {
    pub(super) fn module(mut self) -> Result<Ast<'a>> {
        if self.directive() != Some("version") {
            return self.fail("`.version`");
        }
        self.advance();
        let mut ast = Ast {
            version: self.version()?,
            target: Vec::new(),
            address_size: 64,
            files: Vec::new(),
            debug_strings: Vec::new(),
            variables: Vec::new(),
            functions: Vec::new(),
        };
        while self.token.kind != Kind::End {
            self.item(&mut ast)?;
        }
        if ast.target.is_empty() {
            return self.fail("`.target`");
        }
        Ok(ast)
    }

    /// `8.7`; `7.10` is ten, so not a decimal number.
    fn version(&mut self) -> Result<(u32, u32)> {
        let number = self.token;
        let parts = match number.kind {
            Kind::Number => number.text.split_once('.'),
            _ => None,
        };
        let version = parts.and_then(|(major, minor)| {
            let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
            if !(digits(major) && digits(minor)) {
                return None;
            }
            Some((major.parse().ok()?, minor.parse().ok()?))
        });
        let Some(version) = version else {
            return self.fail("a version such as 8.0");
        };
        self.advance();
        Ok(version)
    }

    fn item(&mut self, ast: &mut Ast<'a>) -> Result<()> {
        let Some(mut directive) = self.directive() else {
            return self.fail("a directive such as `.entry`");
        };
        match directive {
            "target" => {
                self.advance();
                ast.target
                    .extend(self.names("an architecture such as sm_80")?);
                return Ok(());
            }
            "address_size" => {
                self.advance();
                ast.address_size = self.small("an address size")?;
                return Ok(());
            }
            "file" => {
                let file = self.file()?;
                ast.files.push(file);
                return Ok(());
            }
            "section" => return self.section(ast),
            "pragma" => return self.skip_pragma(),
            _ => {}
        }
        let mut seen = Linkage::Internal;
        if let Some(found) = linkage(directive) {
            seen = found;
            self.advance();
            directive = self.directive().unwrap_or_default();
        }
        match directive {
            "entry" | "func" => {
                let function = self.function(seen)?;
                ast.functions.push(function);
                Ok(())
            }
            _ if space(directive).is_some() => {
                self.variables(seen, |variable| ast.variables.push(variable))
            }
            _ if seen == Linkage::Internal => self.fail("a directive such as `.entry`"),
            _ => self.fail("`.entry`, `.func` or a state space"),
        }
    }

    /// `.file index "path" [, time, size]`
    pub(super) fn file(&mut self) -> Result<(u32, &'a str)> {
        self.advance();
        let index = self.small("a file index")?;
        if self.token.kind != Kind::Text {
            return self.fail("a path in quotes");
        }
        let path = self.advance().text;
        while self.eat(b',') {
            self.integer("a number")?;
        }
        Ok((index, &path[1..path.len() - 1]))
    }

    /// `.section .debug_info { … }`: passed over, save for the strings that `.loc` refers to.
    fn section(&mut self, ast: &mut Ast<'a>) -> Result<()> {
        self.advance();
        let strings = self.directive() == Some("debug_str");
        if !matches!(self.token.kind, Kind::Directive | Kind::Word) {
            return self.fail("the name of a section");
        }
        self.advance();
        self.expect(b'{', "`{`")?;
        let mut before: Option<Token<'a>> = None;
        let mut string: Option<(&'a str, Vec<u8>)> = None;
        loop {
            let token = self.token;
            match token.kind {
                Kind::Mark(b'}') => break,
                Kind::End | Kind::Unknown | Kind::Mark(b'{') => return self.fail("`}`"),
                Kind::Mark(b':') if strings => {
                    let finished = string.take();
                    ast.debug_strings.extend(finished.map(decode));
                    string = before.map(|token| (token.text, Vec::new()));
                }
                Kind::Number => {
                    if let Some((_, bytes)) = &mut string {
                        let byte = self.integer("a byte")?;
                        bytes.extend(u8::try_from(byte));
                        before = Some(token);
                        continue;
                    }
                }
                _ => {}
            }
            before = Some(token);
            self.advance();
        }
        self.advance();
        ast.debug_strings.extend(string.map(decode));
        Ok(())
    }
}

/// The text before the first NUL.
fn decode((label, bytes): (&str, Vec<u8>)) -> (&str, String) {
    let text = bytes.split(|&b| b == 0).next().unwrap_or_default();
    (label, String::from_utf8_lossy(text).into_owned())
}
