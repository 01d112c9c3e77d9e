//! Instructions as text, for reports.

use std::fmt::{self, Display, Formatter, Write};

use crate::ast::{Instruction, Operand};

/// An instruction on one line, without its place or comments.
pub(crate) struct Shown<'o, 'a>(pub &'o Instruction<'a>);

impl Display for Shown<'_, '_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Instruction {
            guard,
            opcode,
            operands,
            ..
        } = self.0;
        if let Some((name, negated)) = guard {
            write!(f, "@{}{name} ", if *negated { "!" } else { "" })?;
        }
        f.write_str(opcode)?;
        if !operands.is_empty() {
            f.write_char(' ')?;
        }
        list(f, operands)
    }
}

fn list(f: &mut Formatter<'_>, operands: &[Operand<'_>]) -> fmt::Result {
    for (at, operand) in operands.iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        show(f, operand)?;
    }
    Ok(())
}

fn show(f: &mut Formatter<'_>, operand: &Operand<'_>) -> fmt::Result {
    match operand {
        Operand::Name(name) => f.write_str(name),
        Operand::Int(value) => write!(f, "{value}"),
        Operand::F32(bits) => write!(f, "0f{bits:08X}"),
        Operand::F64(bits) => write!(f, "0d{bits:016X}"),
        Operand::Not(name) => write!(f, "!{name}"),
        Operand::Negative(name) => write!(f, "-{name}"),
        Operand::Sink => f.write_char('_'),
        Operand::Offset(name, offset) => write!(f, "{name}{offset:+}"),
        Operand::Address { base, offset, rest } => {
            write!(f, "[{}", base.unwrap_or(""))?;
            if *offset != 0 || base.is_none() {
                write!(f, "{offset:+}")?;
            }
            for operand in rest {
                f.write_str(", ")?;
                show(f, operand)?;
            }
            f.write_char(']')
        }
        Operand::Vector(operands) => {
            f.write_char('{')?;
            list(f, operands)?;
            f.write_char('}')
        }
        Operand::Pair(first, second) => {
            show(f, first)?;
            f.write_char('|')?;
            show(f, second)
        }
        Operand::List(operands) => {
            f.write_char('(')?;
            list(f, operands)?;
            f.write_char(')')
        }
    }
}
