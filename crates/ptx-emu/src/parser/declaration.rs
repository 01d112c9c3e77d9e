//! Variables, registers and parameters, and their initial values (PTX ISA 5.4).

use super::lexer::Kind;
use super::module::space;
use super::{Parser, Result, mismatch};
use crate::ast::{Init, Linkage, Operand, Space, Type, Variable};

/// What stands before the names of a declaration.
#[derive(Clone, Copy)]
struct Head {
    space: Space,
    linkage: Linkage,
    align: Option<u32>,
    vector: u8,
    ty: Type,
}

impl<'a> Parser<'a> {
    /// `.space … name, name, …;`, from the state space on.
    pub(super) fn variables(
        &mut self,
        linkage: Linkage,
        mut found: impl FnMut(Variable<'a>),
    ) -> Result<()> {
        let head = self.head(linkage)?;
        loop {
            found(self.declarator(head)?);
            if !self.eat(b',') {
                return self.expect(b';', "`,` or `;`");
            }
        }
    }

    /// `(.param .b32 a, .reg .b32 b, …)`
    pub(super) fn parameters(&mut self) -> Result<Vec<Variable<'a>>> {
        self.expect(b'(', "`(`")?;
        self.list(b')', "`,` or `)`", |parser| {
            let head = parser.head(Linkage::Internal)?;
            if !matches!(head.space, Space::Param | Space::Reg) {
                return parser.fail("a parameter in `.param` or `.reg`");
            }
            parser.declarator(head)
        })
    }

    fn head(&mut self, linkage: Linkage) -> Result<Head> {
        let Some(space) = self.directive().and_then(space) else {
            return self.fail("a state space such as `.param`");
        };
        self.advance();
        let (mut align, mut vector, mut ty) = (None, 1, None);
        while let Some(directive) = self.directive() {
            match directive {
                "align" => align = Some(self.alignment()?),
                "attribute" => {
                    self.advance();
                    self.skip_parentheses()?;
                }
                "ptr" if ty.is_some() => self.skip_pointer()?,
                "v2" | "v4" | "v8" if ty.is_none() => {
                    vector = directive.as_bytes()[1] - b'0';
                    self.advance();
                }
                _ if ty.is_none() => {
                    ty = Type::named(directive);
                    if ty.is_none() {
                        return self.fail("a type such as `.b32`");
                    }
                    self.advance();
                }
                _ => break,
            }
        }
        let Some(ty) = ty else {
            return self.fail("a type such as `.b32`");
        };
        Ok(Head {
            space,
            linkage,
            align,
            vector,
            ty,
        })
    }

    /// `.align 16`
    fn alignment(&mut self) -> Result<u32> {
        self.advance();
        let token = self.token;
        let align = self.small("an alignment")?;
        if align.is_power_of_two() {
            Ok(align)
        } else {
            Err(mismatch(token, "a power of two"))
        }
    }

    /// `.ptr .global .align 16`: what a parameter points to.
    fn skip_pointer(&mut self) -> Result<()> {
        self.advance();
        if self.directive().and_then(space).is_some() {
            self.advance();
        }
        if self.directive() == Some("align") {
            self.alignment()?;
        }
        Ok(())
    }

    /// `name`, `name<count>`, `name[dim]…`, any of them with an initial value.
    fn declarator(&mut self, head: Head) -> Result<Variable<'a>> {
        let position = self.token.position;
        let name = self.name("a name")?;
        let mut count = None;
        if self.eat(b'<') {
            count = Some(self.small("a number of registers")?);
            self.expect(b'>', "`>`")?;
        }
        let mut dims = Vec::new();
        while self.eat(b'[') {
            if self.eat(b']') {
                dims.push(None);
            } else {
                dims.push(Some(self.integer("an array dimension")?));
                self.expect(b']', "`]`")?;
            }
        }
        let init = if self.eat(b'=') {
            Some(self.init()?)
        } else {
            None
        };
        Ok(Variable {
            position,
            space: head.space,
            linkage: head.linkage,
            align: head.align,
            ty: head.ty,
            vector: head.vector,
            name,
            count,
            dims,
            init,
        })
    }

    fn init(&mut self) -> Result<Init<'a>> {
        match self.token.kind {
            Kind::Mark(b'{') => self.nested(|parser| {
                parser.advance();
                let items = parser.list(b'}', "`,` or `}`", Self::init)?;
                Ok(Init::List(items))
            }),
            Kind::Word => {
                let mut symbol = self.advance().text;
                let generic = symbol == "generic" && self.eat(b'(');
                if generic {
                    symbol = self.name("a symbol")?;
                    self.expect(b')', "`)`")?;
                }
                let signed = self.at(b'+') || self.at(b'-');
                if !generic && !signed {
                    return Ok(Init::Value(Operand::Name(symbol)));
                }
                Ok(Init::Address {
                    symbol,
                    offset: self.offset()?,
                    generic,
                })
            }
            Kind::Number | Kind::Mark(b'-') => Ok(Init::Value(self.constant("a number")?)),
            _ => self.fail("an initial value"),
        }
    }
}
