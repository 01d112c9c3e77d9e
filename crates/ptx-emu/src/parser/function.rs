//! Kernels, functions and call prototypes (PTX ISA 11.1 and 11.4).

use super::lexer::Kind;
use super::{Parser, Result};
use crate::ast::{CallPrototype, Function, Linkage, Position};

/// What may stand between the parameters and the body, without the dot.
const DIRECTIVES: [&str; 12] = [
    "maxnreg",
    "maxntid",
    "reqntid",
    "minnctapersm",
    "maxnctapersm",
    "noreturn",
    "explicitcluster",
    "reqnctapercluster",
    "maxclusterrank",
    "blocksareclusters",
    "abi_preserve",
    "abi_preserve_control",
];

impl<'a> Parser<'a> {
    /// `.entry name (params) directives { … }`, `.func (returns) name (params) directives;`, from
    /// `.entry` or `.func` on.
    pub(super) fn function(&mut self, linkage: Linkage) -> Result<Function<'a>> {
        let entry = self.advance().text == ".entry";
        while self.directive() == Some("attribute") {
            self.advance();
            self.skip_parentheses()?;
        }
        let returns = if !entry && self.at(b'(') {
            self.parameters()?
        } else {
            Vec::new()
        };
        let position = self.token.position;
        let name = self.name("the name of a function")?;
        let params = self.optional_parameters()?;
        let directives = self.directives()?;
        let body = match self.token.kind {
            Kind::Mark(b';') => {
                self.advance();
                None
            }
            Kind::Mark(b'{') => Some(self.block()?),
            _ => return self.fail("`{` or `;`"),
        };
        Ok(Function {
            position,
            entry,
            linkage,
            name,
            returns,
            params,
            directives,
            body,
        })
    }

    /// `.callprototype (returns) _ (params);`, from `.callprototype` on.
    pub(super) fn prototype(
        &mut self,
        position: Position,
        name: &'a str,
    ) -> Result<CallPrototype<'a>> {
        self.advance();
        let returns = self.optional_parameters()?;
        self.name("`_`")?;
        let params = self.optional_parameters()?;
        self.directives()?;
        self.expect(b';', "`;`")?;
        Ok(CallPrototype {
            position,
            name,
            returns,
            params,
        })
    }

    fn optional_parameters(&mut self) -> Result<Vec<crate::ast::Variable<'a>>> {
        if self.at(b'(') {
            self.parameters()
        } else {
            Ok(Vec::new())
        }
    }

    /// `.maxntid 128, 1, 1 .minnctapersm 2 …`
    fn directives(&mut self) -> Result<Vec<(&'a str, Vec<u64>)>> {
        let mut directives = Vec::new();
        while let Some(name) = self.directive() {
            if name == "pragma" {
                self.skip_pragma()?;
                continue;
            }
            if !DIRECTIVES.contains(&name) {
                return self.fail("a directive such as `.maxntid`, `{` or `;`");
            }
            self.advance();
            let mut numbers = Vec::new();
            if self.token.kind == Kind::Number {
                numbers.push(self.integer("a number")?);
                while self.eat(b',') {
                    numbers.push(self.integer("a number")?);
                }
            }
            directives.push((name, numbers));
        }
        Ok(directives)
    }
}
