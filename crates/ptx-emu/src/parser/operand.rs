//! Operands of instructions (PTX ISA 6).

use super::lexer::{Kind, Token};
use super::number::Number;
use super::{Parser, Result};
use crate::ast::Operand;

impl<'a> Parser<'a> {
    pub(super) fn operand(&mut self) -> Result<Operand<'a>> {
        let first = self.single()?;
        if !matches!(first, Operand::Name(_) | Operand::Sink) || !self.eat(b'|') {
            return Ok(first);
        }
        let second = match self.token.kind {
            Kind::Word => sink_or_name(self.register()?),
            _ => return self.fail("a register"),
        };
        Ok(Operand::Pair(Box::new(first), Box::new(second)))
    }

    fn single(&mut self) -> Result<Operand<'a>> {
        match self.token.kind {
            Kind::Word => {
                let name = self.register()?;
                if self.at(b'+') || self.at(b'-') {
                    return Ok(Operand::Offset(name, self.offset()?));
                }
                Ok(sink_or_name(name))
            }
            Kind::Number => self.constant("an operand"),
            Kind::Mark(b'!') => {
                self.advance();
                Ok(Operand::Not(self.name("a predicate register")?))
            }
            Kind::Mark(b'-') => self.negative(),
            Kind::Mark(b'[') => self.nested(Self::address),
            Kind::Mark(b'{') => self.nested(|parser| {
                parser.advance();
                if parser.at(b'}') {
                    return parser.fail("an operand");
                }
                let elements = parser.list(b'}', "`,` or `}`", Self::operand)?;
                Ok(Operand::Vector(elements))
            }),
            Kind::Mark(b'(') => self.nested(|parser| {
                parser.advance();
                let arguments = parser.list(b')', "`,` or `)`", Self::operand)?;
                Ok(Operand::List(arguments))
            }),
            _ => self.fail("an operand"),
        }
    }

    /// `-4`, `-%r1`
    fn negative(&mut self) -> Result<Operand<'a>> {
        let minus = self.token;
        self.advance();
        if self.token.kind == Kind::Word {
            return Ok(Operand::Negative(self.register()?));
        }
        self.number_behind(minus, "a number or a register")
    }

    /// A name, with the component that adheres to it: `%tid.x`.
    fn register(&mut self) -> Result<&'a str> {
        let (start, mut end) = (self.token.start, self.token.end());
        self.name("a register")?;
        if self.token.kind == Kind::Directive && self.token.start == end {
            end = self.advance().end();
        }
        Ok(self.lexer.slice(start, end))
    }

    /// A number with or without a minus.
    pub(super) fn constant(&mut self, expected: &str) -> Result<Operand<'a>> {
        let sign = self.token;
        self.eat(b'-');
        self.number_behind(sign, expected)
    }

    /// A number behind `sign`, which counts only where it is a minus.
    fn number_behind(&mut self, sign: Token<'a>, expected: &str) -> Result<Operand<'a>> {
        let negative = sign.is(b'-');
        let value = match (self.number_token(), negative) {
            (Some(Number::Int(bits)), false) => Operand::Int(bits.cast_signed()),
            (Some(Number::Int(bits)), true) => Operand::Int(bits.cast_signed().wrapping_neg()),
            (Some(Number::Single(bits)), false) => Operand::F32(bits),
            (Some(Number::Single(bits)), true) => Operand::F32(bits ^ 1 << 31),
            (Some(Number::Double(bits)), false) => Operand::F64(bits),
            (Some(Number::Double(bits)), true) => Operand::F64(bits ^ 1 << 63),
            (None, _) if self.token.kind == Kind::Number => {
                return self.fail("a number of at most 64 bits");
            }
            (None, _) => return self.fail(expected),
        };
        self.advance();
        Ok(value)
    }

    /// `+ 4`, `- 4`, `+-4`, any number of them, none included; wraps around.
    pub(super) fn offset(&mut self) -> Result<i64> {
        let mut sum = 0_i64;
        while self.at(b'+') || self.at(b'-') {
            let mut negative = false;
            while self.at(b'+') || self.at(b'-') {
                negative ^= self.advance().is(b'-');
            }
            let bytes = self.integer("an offset in bytes")?.cast_signed();
            sum = if negative {
                sum.wrapping_sub(bytes)
            } else {
                sum.wrapping_add(bytes)
            };
        }
        Ok(sum)
    }

    /// `[name + offset, …]`
    fn address(&mut self) -> Result<Operand<'a>> {
        self.advance();
        let (mut base, mut offset) = (None, 0);
        match self.token.kind {
            Kind::Word => base = Some(self.register()?),
            Kind::Number => offset = self.integer("an address")?.cast_signed(),
            Kind::Mark(b'-') => {}
            _ => return self.fail("an address"),
        }
        offset = self.offset()?.wrapping_add(offset);
        let mut rest = Vec::new();
        while self.eat(b',') {
            rest.push(self.operand()?);
        }
        self.expect(
            b']',
            if rest.is_empty() {
                "`+`, `,` or `]`"
            } else {
                "`,` or `]`"
            },
        )?;
        // `ld.global [a].unified`
        if self.directive() == Some("unified") {
            self.advance();
        }
        Ok(Operand::Address { base, offset, rest })
    }
}

fn sink_or_name(name: &str) -> Operand<'_> {
    match name {
        "_" => Operand::Sink,
        _ => Operand::Name(name),
    }
}
