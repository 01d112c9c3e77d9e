//! Statements of a body (PTX ISA 4.3).

use super::lexer::{Kind, Token};
use super::module::{linkage, space};
use super::{Parser, Result};
use crate::ast::{Instruction, Linkage, Loc, Statement};

impl<'a> Parser<'a> {
    /// `{ … }`
    pub(super) fn block(&mut self) -> Result<Vec<Statement<'a>>> {
        self.nested(|parser| {
            parser.expect(b'{', "`{`")?;
            let mut statements = Vec::new();
            while !parser.eat(b'}') {
                parser.statement(&mut statements)?;
            }
            Ok(statements)
        })
    }

    fn statement(&mut self, into: &mut Vec<Statement<'a>>) -> Result<()> {
        match self.token.kind {
            Kind::Word => {
                let word = self.advance();
                let statement = if self.eat(b':') {
                    self.labelled(word)?
                } else {
                    Statement::Instruction(self.instruction(word, None)?)
                };
                into.push(statement);
            }
            Kind::Directive => return self.body_directive(into),
            Kind::Mark(b'@') => {
                let instruction = self.guarded()?;
                into.push(Statement::Instruction(instruction));
            }
            Kind::Mark(b'{') => {
                let block = self.block()?;
                into.push(Statement::Block(block));
            }
            // Inline assembly that ends in `;` may get another one.
            Kind::Mark(b';') => {
                self.advance();
            }
            _ => return self.fail("a statement or `}`"),
        }
        Ok(())
    }

    fn body_directive(&mut self, into: &mut Vec<Statement<'a>>) -> Result<()> {
        match self.directive().unwrap_or_default() {
            "loc" => {
                let loc = self.loc()?;
                into.push(Statement::Loc(loc));
                Ok(())
            }
            "pragma" => self.skip_pragma(),
            name => {
                let mut seen = Linkage::Internal;
                if let Some(found) = linkage(name) {
                    seen = found;
                    self.advance();
                }
                if self.directive().and_then(space).is_none() {
                    return self.fail("a declaration, an instruction or `}`");
                }
                self.variables(seen, |variable| into.push(Statement::Variable(variable)))
            }
        }
    }

    /// What a label names: a place, or a list of targets.
    fn labelled(&mut self, label: Token<'a>) -> Result<Statement<'a>> {
        let (position, name) = (label.position, label.text);
        match self.directive() {
            Some("branchtargets") => {
                self.advance();
                let targets = self.names("a label")?;
                self.expect(b';', "`,` or `;`")?;
                Ok(Statement::BranchTargets(position, name, targets))
            }
            Some("calltargets") => {
                self.advance();
                let targets = self.names("a function")?;
                self.expect(b';', "`,` or `;`")?;
                Ok(Statement::CallTargets(position, name, targets))
            }
            Some("callprototype") => {
                let prototype = self.prototype(position, name)?;
                Ok(Statement::CallPrototype(prototype))
            }
            _ => Ok(Statement::Label(position, name)),
        }
    }

    /// `@p add …;`, `@!p add …;`
    fn guarded(&mut self) -> Result<Instruction<'a>> {
        self.advance();
        let negated = self.eat(b'!');
        let predicate = self.name("a predicate register")?;
        if self.token.kind != Kind::Word {
            return self.fail("an instruction");
        }
        let word = self.advance();
        self.instruction(word, Some((predicate, negated)))
    }

    /// `add.s32 a, b, c;` behind its first word.
    fn instruction(
        &mut self,
        word: Token<'a>,
        guard: Option<(&'a str, bool)>,
    ) -> Result<Instruction<'a>> {
        let mut end = word.end();
        while self.token.kind == Kind::Directive && self.token.start == end {
            end = self.advance().end();
        }
        if self.token.kind == Kind::Directive {
            return self.fail("an operand (modifiers follow their opcode without a blank)");
        }
        let mut operands = Vec::new();
        if !self.eat(b';') {
            operands.push(self.operand()?);
            while !self.eat(b';') {
                self.expect(b',', "`,` or `;`")?;
                operands.push(self.operand()?);
            }
        }
        Ok(Instruction {
            position: word.position,
            guard,
            opcode: self.lexer.slice(word.start, end),
            operands,
        })
    }

    /// `.loc file line column [, function_name label[+offset], inlined_at file line column]`
    fn loc(&mut self) -> Result<Loc<'a>> {
        self.advance();
        let (file, line, column) = self.place()?;
        let (mut function, mut inlined_at) = (None, None);
        while self.eat(b',') {
            match self.token.text {
                "function_name" => {
                    self.advance();
                    if !matches!(self.token.kind, Kind::Word | Kind::Directive) {
                        return self.fail("a label");
                    }
                    function = Some(self.advance().text);
                    self.offset()?;
                }
                "inlined_at" => {
                    self.advance();
                    inlined_at = Some(self.place()?);
                }
                _ => return self.fail("`function_name` or `inlined_at`"),
            }
        }
        Ok(Loc {
            file,
            line,
            column,
            inlined_at,
            function,
        })
    }

    fn place(&mut self) -> Result<(u32, u32, u32)> {
        let file = self.small("a file index")?;
        let line = self.small("a line")?;
        Ok((file, line, self.small("a column")?))
    }
}
