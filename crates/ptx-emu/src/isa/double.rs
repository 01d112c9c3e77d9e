//! Arithmetic of f64 (PTX ISA 9.7.3).

use crate::ast::{Instruction, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::isa::constant::{by_mode, push, rounding, rounding_required};
use crate::isa::lanes;
use crate::num::{Round, double, minmax};
use crate::program::Op;

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let ty = form.ty()?;
    if ty != Type::F64 {
        return Err(form.unsupported("it names a second type"));
    }
    let (op, sources) = operation(d, &mut form)?;
    form.done()?;
    push(d, &form, instruction, op, sources, Type::F64)
}

fn operation(d: &Decoder<'_, '_>, form: &mut Form<'_>) -> Result<(Op, usize), LoadError> {
    macro_rules! two {
        ($f:path, $mode:expr) => {
            by_mode!($mode, MODE => lanes!(d, |a: f64, b: f64| -> f64 { $f(a, b, MODE) }))
        };
    }
    let mode = match form.name {
        "add" | "sub" | "mul" => rounding(form).unwrap_or(Round::Near),
        "fma" | "mad" | "div" => rounding_required(form)?,
        _ => Round::Near,
    };
    Ok(match form.name {
        "add" => (two!(double::add, mode), 2),
        "sub" => (two!(double::sub, mode), 2),
        "mul" => (two!(double::mul, mode), 2),
        "div" => (two!(double::div, mode), 2),
        "fma" | "mad" => {
            let op = by_mode!(mode, MODE => lanes!(d, |a: f64, b: f64, c: f64| -> f64 {
                double::fma(a, b, c, MODE)
            }));
            (op, 3)
        }
        "min" => (
            lanes!(d, |a: f64, b: f64| -> f64 { minmax::min_double(a, b) }),
            2,
        ),
        "max" => (
            lanes!(d, |a: f64, b: f64| -> f64 { minmax::max_double(a, b) }),
            2,
        ),
        "copysign" => (
            lanes!(d, |a: f64, b: f64| -> f64 { double::copysign(a, b) }),
            2,
        ),
        "abs" => (lanes!(d, |a: f64| -> f64 { double::abs(a) }), 1),
        "neg" => (lanes!(d, |a: f64| -> f64 { double::neg(a) }), 1),
        _ => return Err(form.unsupported("it has no form for f64")),
    })
}
