//! One handler per form: modifiers become constants of the code that an op runs.

use crate::ast::{Instruction, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::num::Round;
use crate::program::Op;

/// `by_mode!(mode, M => op)`: the op whose constant `M` is the rounding mode that `mode` holds.
macro_rules! by_mode {
    ($mode:expr, $name:ident => $op:expr) => {
        match $mode {
            $crate::num::Round::Near => {
                const $name: $crate::num::Round = $crate::num::Round::Near;
                $op
            }
            $crate::num::Round::Zero => {
                const $name: $crate::num::Round = $crate::num::Round::Zero;
                $op
            }
            $crate::num::Round::Down => {
                const $name: $crate::num::Round = $crate::num::Round::Down;
                $op
            }
            $crate::num::Round::Up => {
                const $name: $crate::num::Round = $crate::num::Round::Up;
                $op
            }
        }
    };
}
pub(super) use by_mode;

/// `by_flag!(flag, F => op)`: the op whose constant `F` is what `flag` holds.
macro_rules! by_flag {
    ($flag:expr, $name:ident => $op:expr) => {
        if $flag {
            const $name: bool = true;
            $op
        } else {
            const $name: bool = false;
            $op
        }
    };
}
pub(super) use by_flag;

/// Takes `.rn`, `.rz`, `.rm` or `.rp`.
pub(super) fn rounding(form: &mut Form<'_>) -> Option<Round> {
    Round::named(form.choice(&["rn", "rz", "rm", "rp"])?)
}

/// Takes the rounding modifier of an instruction that has no default.
pub(super) fn rounding_required(form: &mut Form<'_>) -> Result<Round, LoadError> {
    rounding(form).ok_or_else(|| form.unsupported("it names no rounding: .rn, .rz, .rm or .rp"))
}

/// Gives `op` a destination and `sources` operands, all of type `ty`, and pushes it.
pub(super) fn push<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    instruction: &Instruction<'a>,
    mut op: Op,
    sources: usize,
    ty: Type,
) -> Result<(), LoadError> {
    let operands = &instruction.operands;
    let [to, from @ ..] = operands.as_slice() else {
        return Err(form.operand("no operands", "a register to write"));
    };
    if from.len() != sources {
        let found = format!("{} operands", operands.len());
        return Err(form.operand(found, &format!("{}", sources + 1)));
    }
    for (slot, source) in [&mut op.a, &mut op.b, &mut op.c].into_iter().zip(from) {
        *slot = d.src(form, source, ty)?;
    }
    op.d = d.dst(form, to, ty)?;
    d.push(op);
    Ok(())
}
