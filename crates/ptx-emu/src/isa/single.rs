//! Arithmetic of f32, and of pairs of them (PTX ISA 9.7.3).

use crate::ast::{Instruction, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::isa::constant::{by_flag, by_mode, push, rounding, rounding_required};
use crate::isa::lanes;
use crate::num::{Round, approx, minmax, single};
use crate::program::Op;

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    if form.flag("f32x2") {
        return pairs(d, form, instruction);
    }
    let ty = form.ty()?;
    if ty != Type::F32 {
        return Err(form.unsupported("it names a second type"));
    }
    let (op, sources) = match form.name {
        "add" | "sub" | "mul" | "fma" | "mad" => arithmetic(d, &mut form)?,
        "div" => (quotient(d, &mut form)?, 2),
        "min" | "max" => extreme(d, &mut form, instruction.operands.len() == 4)?,
        "abs" | "neg" => (sign(d, &mut form), 1),
        "copysign" => (
            lanes!(d, |a: f32, b: f32| -> f32 { single::copysign(a, b) }),
            2,
        ),
        _ => return Err(form.unsupported("it has no form for f32")),
    };
    form.done()?;
    push(d, &form, instruction, op, sources, Type::F32)
}

/// `.ftz` of an operand.
#[inline(always)]
pub(super) fn flush<const FTZ: bool>(x: f32) -> f32 {
    if FTZ { single::ftz(x) } else { x }
}

/// `.ftz` and `.sat` of a result.
#[inline(always)]
fn finish<const FTZ: bool, const SAT: bool>(x: f32) -> f32 {
    let x = flush::<FTZ>(x);
    if SAT { single::sat(x) } else { x }
}

/// Rounding of `add`, `sub` and `mul`, where `.rn` is the default, and of `fma` and `mad`.
fn mode(form: &mut Form<'_>) -> Result<Round, LoadError> {
    match form.name {
        "fma" | "mad" => rounding_required(form),
        _ => Ok(rounding(form).unwrap_or(Round::Near)),
    }
}

/// `add`, `sub`, `mul`, `fma` with `.rnd{.ftz}{.sat}`.
fn arithmetic(d: &Decoder<'_, '_>, form: &mut Form<'_>) -> Result<(Op, usize), LoadError> {
    macro_rules! two {
        ($f:path, $mode:expr, $ftz:expr, $sat:expr) => {
            by_mode!($mode, MODE => by_flag!($ftz, FTZ => by_flag!($sat, SAT => {
                lanes!(d, wide |a: f32, b: f32| -> f32 {
                    finish::<FTZ, SAT>($f(flush::<FTZ>(a), flush::<FTZ>(b), MODE))
                })
            })))
        };
    }
    let mode = mode(form)?;
    let (ftz, sat) = (form.flag("ftz"), form.flag("sat"));
    Ok(match form.name {
        "add" => (two!(single::add, mode, ftz, sat), 2),
        "sub" => (two!(single::sub, mode, ftz, sat), 2),
        "mul" => (two!(single::mul, mode, ftz, sat), 2),
        _ => {
            let op = by_mode!(mode, MODE => by_flag!(ftz, FTZ => by_flag!(sat, SAT => {
                lanes!(d, wide |a: f32, b: f32, c: f32| -> f32 {
                    let (a, b, c) = (flush::<FTZ>(a), flush::<FTZ>(b), flush::<FTZ>(c));
                    finish::<FTZ, SAT>(single::fma(a, b, c, MODE))
                })
            })));
            (op, 3)
        }
    })
}

/// `div` with `.approx`, `.full` or a rounding.
fn quotient(d: &Decoder<'_, '_>, form: &mut Form<'_>) -> Result<Op, LoadError> {
    macro_rules! two {
        ($ftz:expr, |$a:ident, $b:ident| $body:expr) => {
            by_flag!($ftz, FTZ => lanes!(d, |$a: f32, $b: f32| -> f32 {
                let ($a, $b) = (flush::<FTZ>($a), flush::<FTZ>($b));
                flush::<FTZ>($body)
            }))
        };
    }
    let ftz = form.flag("ftz");
    Ok(match form.choice(&["approx", "full"]) {
        Some("approx") => two!(ftz, |a, b| approx::div_approx(a, b)),
        Some(_) => two!(ftz, |a, b| approx::div_full(a, b)),
        None => {
            let Some(mode) = rounding(form) else {
                return Err(form.unsupported("it names neither .approx, .full nor a rounding"));
            };
            by_mode!(mode, MODE => two!(ftz, |a, b| single::div(a, b, MODE)))
        }
    })
}

/// `min` and `max` of two operands, `{.ftz}{.NaN}{.xorsign.abs}`, or of three,
/// `{.ftz}{.NaN}{.abs}`.
fn extreme(
    d: &Decoder<'_, '_>,
    form: &mut Form<'_>,
    three: bool,
) -> Result<(Op, usize), LoadError> {
    macro_rules! op {
        ($f:path, $ftz:expr, $abs:expr) => {
            by_flag!($ftz, FTZ => by_flag!($abs, ABS => if three {
                let op = lanes!(d, |a: f32, b: f32, c: f32| -> f32 {
                    let size = |x| if ABS { single::abs(x) } else { x };
                    let [a, b, c] = [a, b, c].map(|x| size(flush::<FTZ>(x)));
                    $f($f(a, b), c)
                });
                (op, 3)
            } else {
                let op = lanes!(d, |a: f32, b: f32| -> f32 {
                    let (a, b) = (flush::<FTZ>(a), flush::<FTZ>(b));
                    if ABS {
                        minmax::xorsign($f(single::abs(a), single::abs(b)), a, b)
                    } else {
                        $f(a, b)
                    }
                });
                (op, 2)
            }))
        };
    }
    let (ftz, nan) = (form.flag("ftz"), form.flag("NaN"));
    let (xorsign, abs) = (form.flag("xorsign"), form.flag("abs"));
    match (three, xorsign, abs) {
        (true, true, _) => {
            return Err(form.unsupported("modifier `.xorsign` with three sources"));
        }
        (false, true, false) => {
            return Err(form.unsupported("modifier `.xorsign` without `.abs`"));
        }
        (false, false, true) => {
            return Err(form.unsupported("modifier `.abs` without `.xorsign`"));
        }
        _ => {}
    }
    Ok(match (form.name, nan) {
        ("min", false) => op!(minmax::min, ftz, abs),
        ("min", true) => op!(minmax::min_nan, ftz, abs),
        (_, false) => op!(minmax::max, ftz, abs),
        (_, true) => op!(minmax::max_nan, ftz, abs),
    })
}

/// `abs{.ftz}`, `neg{.ftz}`
fn sign(d: &Decoder<'_, '_>, form: &mut Form<'_>) -> Op {
    let ftz = form.flag("ftz");
    if form.name == "abs" {
        by_flag!(ftz, FTZ => lanes!(d, |a: f32| -> f32 { single::abs(flush::<FTZ>(a)) }))
    } else {
        by_flag!(ftz, FTZ => lanes!(d, |a: f32| -> f32 { single::neg(flush::<FTZ>(a)) }))
    }
}

/// Both values of a pair, the first in the low half.
#[inline(always)]
fn split(pair: u64) -> [f32; 2] {
    [
        f32::from_bits(pair as u32),
        f32::from_bits((pair >> 32) as u32),
    ]
}

#[inline(always)]
fn join(low: f32, high: f32) -> u64 {
    u64::from(low.to_bits()) | u64::from(high.to_bits()) << 32
}

/// `add`, `sub`, `mul`, `fma` with `.rnd{.ftz}.f32x2`.
fn pairs<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    macro_rules! two {
        ($f:path, $mode:expr, $ftz:expr) => {
            by_mode!($mode, MODE => by_flag!($ftz, FTZ => {
                lanes!(d, |a: u64, b: u64| -> u64 {
                    let [a, b] = [a, b].map(|x| split(x).map(flush::<FTZ>));
                    let each = |i: usize| flush::<FTZ>($f(a[i], b[i], MODE));
                    join(each(0), each(1))
                })
            }))
        };
    }
    if !matches!(form.name, "add" | "sub" | "mul" | "fma") {
        return Err(form.unsupported("it has no form for f32x2"));
    }
    let mode = mode(&mut form)?;
    let ftz = form.flag("ftz");
    form.done()?;
    let (op, sources) = match form.name {
        "add" => (two!(single::add, mode, ftz), 2),
        "sub" => (two!(single::sub, mode, ftz), 2),
        "mul" => (two!(single::mul, mode, ftz), 2),
        _ => {
            let op = by_mode!(mode, MODE => by_flag!(ftz, FTZ => {
                lanes!(d, |a: u64, b: u64, c: u64| -> u64 {
                    let [a, b, c] = [a, b, c].map(|x| split(x).map(flush::<FTZ>));
                    let each = |i: usize| flush::<FTZ>(single::fma(a[i], b[i], c[i], MODE));
                    join(each(0), each(1))
                })
            }));
            (op, 3)
        }
    };
    push(d, &form, instruction, op, sources, Type::B64)
}
