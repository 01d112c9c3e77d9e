//! An opcode taken apart, and the errors of decoding.

use crate::ast::{Instruction, Operand, Position, Type};
use crate::parser::ParseError;

/// Why a text cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The text is not PTX.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// An instruction, or a form of one, that is not supported. Nothing was run.
    #[error(
        "{position}: `{instruction}` is not supported: {reason}; \
         the README lists the instructions that are"
    )]
    Unsupported {
        /// Where it stands.
        position: Position,
        /// The instruction as written.
        instruction: String,
        /// What of it is not known.
        reason: String,
    },
    /// An operand of the wrong kind, width or number.
    #[error("{position}: `{instruction}` has {found}, expected {expected}")]
    Operand {
        /// Where the instruction stands.
        position: Position,
        /// Its opcode.
        instruction: String,
        /// The operand.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A name that nothing declares.
    #[error("{position}: nothing here is named `{name}`, expected {expected}")]
    Unknown {
        /// Where it is used.
        position: Position,
        /// The name.
        name: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A declaration that cannot be.
    #[error("{position}: `{name}`: {problem}")]
    Declaration {
        /// Where it stands.
        position: Position,
        /// What it declares.
        name: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

/// An opcode: its name, and the modifiers that nothing has asked for yet.
#[derive(Clone, Debug)]
pub(crate) struct Form<'a> {
    pub name: &'a str,
    pub position: Position,
    opcode: &'a str,
    rest: Vec<&'a str>,
}

impl<'a> Form<'a> {
    pub(crate) fn of(instruction: &Instruction<'a>) -> Self {
        let mut parts = instruction.opcode.split('.');
        Self {
            name: parts.next().unwrap_or(""),
            position: instruction.position,
            opcode: instruction.opcode,
            rest: parts.collect(),
        }
    }

    /// Takes a modifier; whether it was there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let at = self.rest.iter().position(|part| *part == name);
        at.map(|at| self.rest.remove(at)).is_some()
    }

    /// Whether a modifier is there that nothing has taken.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.rest.contains(&name)
    }

    /// Takes the first modifier that is one of `names`.
    pub(crate) fn choice(&mut self, names: &[&'static str]) -> Option<&'static str> {
        for (at, part) in self.rest.iter().enumerate() {
            if let Some(name) = names.iter().find(|name| *name == part) {
                self.rest.remove(at);
                return Some(name);
            }
        }
        None
    }

    /// Takes the first modifier that begins with `start`; what follows that.
    pub(crate) fn after(&mut self, start: &str) -> Option<&'a str> {
        let at = self.rest.iter().position(|part| part.starts_with(start))?;
        self.rest.remove(at).strip_prefix(start)
    }

    /// Takes the first modifier that names a type.
    pub(crate) fn ty(&mut self) -> Result<Type, LoadError> {
        self.maybe_ty()
            .ok_or_else(|| self.unsupported("it names no type"))
    }

    /// Takes the first modifier that names a type, if any does.
    pub(crate) fn maybe_ty(&mut self) -> Option<Type> {
        let at = self.rest.iter().position(|p| Type::named(p).is_some())?;
        Type::named(self.rest.remove(at))
    }

    /// Elements of `.v2`, `.v4`, `.v8`; 1 without.
    pub(crate) fn vector(&mut self) -> usize {
        match self.choice(&["v2", "v4", "v8"]) {
            Some("v2") => 2,
            Some("v4") => 4,
            Some("v8") => 8,
            _ => 1,
        }
    }

    /// An error if a modifier is left that nothing took.
    pub(crate) fn done(&self) -> Result<(), LoadError> {
        match self.rest.first() {
            None => Ok(()),
            Some(part) => Err(self.unsupported(&format!("unknown modifier `.{part}`"))),
        }
    }

    /// Exactly `N` operands.
    pub(crate) fn operands<'o, const N: usize>(
        &self,
        instruction: &'o Instruction<'a>,
    ) -> Result<&'o [Operand<'a>; N], LoadError> {
        instruction.operands.as_slice().try_into().map_err(|_| {
            self.operand(
                format!("{} operands", instruction.operands.len()),
                &format!("{N}"),
            )
        })
    }

    /// Elements of a vector operand, or the operand itself as the only one.
    pub(crate) fn elements<'o>(
        &self,
        operand: &'o Operand<'a>,
        count: usize,
    ) -> Result<&'o [Operand<'a>], LoadError> {
        let elements = match operand {
            Operand::Vector(elements) => elements.as_slice(),
            single => std::slice::from_ref(single),
        };
        if elements.len() == count {
            Ok(elements)
        } else {
            Err(self.operand(
                format!("{} elements", elements.len()),
                &format!("a vector of {count}"),
            ))
        }
    }

    /// An integer that must be known when the module is loaded.
    pub(crate) fn number(&self, operand: &Operand<'a>) -> Result<i64, LoadError> {
        match operand {
            Operand::Int(value) => Ok(*value),
            other => Err(self.operand(format!("{other:?}"), "an integer constant")),
        }
    }

    pub(crate) fn unsupported(&self, reason: &str) -> LoadError {
        LoadError::Unsupported {
            position: self.position,
            instruction: self.opcode.to_owned(),
            reason: reason.to_owned(),
        }
    }

    pub(crate) fn operand(&self, found: impl Into<String>, expected: &str) -> LoadError {
        LoadError::Operand {
            position: self.position,
            instruction: self.opcode.to_owned(),
            found: found.into(),
            expected: expected.to_owned(),
        }
    }
}
