//! `mul`, `mad`, their 24-bit forms, and dot products of bytes.

use crate::ast::{Instruction, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::isa::lanes;
use crate::isa::operands::{each, no_type, push};
use crate::num::{integer, wide};
use crate::program::Op;

/// `mul{.lo,.hi,.wide}` and `mad{.lo,.hi,.wide}{.sat}`
pub(super) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let Some(part) = form.choice(&["lo", "hi", "wide"]) else {
        return Err(form.unsupported("it names none of `.lo`, `.hi`, `.wide`"));
    };
    let add = form.name == "mad";
    let sat = add && part == "hi" && form.flag("sat");
    let ty = form.ty()?;
    form.done()?;
    if sat && ty != Type::S32 {
        return Err(form.unsupported("`.sat` with a type other than `.s32`"));
    }
    if part == "wide" {
        let (op, result) = double(d, &form, ty)?;
        return if add {
            push(d, &form, instruction, op, [result, ty, ty, result])
        } else {
            push(d, &form, instruction, op, [result, ty, ty])
        };
    }
    if !add {
        let op = if part == "lo" {
            each!(d, form, ty, |a, b| a.wrapping_mul(b),
                U16: u16, S16: u16, U32: u32, S32: u32, U64: u64, S64: u64)
        } else {
            each!(d, form, ty, |a, b|
                U16: u16 => wide::mul_hi_u16, S16: i16 => wide::mul_hi_s16,
                U32: u32 => wide::mul_hi_u32, S32: i32 => wide::mul_hi_s32,
                U64: u64 => wide::mul_hi_u64, S64: i64 => wide::mul_hi_s64)
        };
        return push(d, &form, instruction, op, [ty; 3]);
    }
    let op = match part {
        "lo" => each!(d, form, ty, |a, b, c| a.wrapping_mul(b).wrapping_add(c),
            U16: u16, S16: u16, U32: u32, S32: u32, U64: u64, S64: u64),
        _ if sat => lanes!(d, |a: i32, b: i32, c: i32| -> i32 {
            wide::mad_hi_sat(a, b, c)
        }),
        _ => match ty {
            Type::U16 => lanes!(d, |a: u16, b: u16, c: u16| -> u16 {
                wide::mul_hi_u16(a, b).wrapping_add(c)
            }),
            Type::S16 => lanes!(d, |a: i16, b: i16, c: i16| -> i16 {
                wide::mul_hi_s16(a, b).wrapping_add(c)
            }),
            Type::U32 => lanes!(d, |a: u32, b: u32, c: u32| -> u32 {
                wide::mul_hi_u32(a, b).wrapping_add(c)
            }),
            Type::S32 => lanes!(d, |a: i32, b: i32, c: i32| -> i32 {
                wide::mul_hi_s32(a, b).wrapping_add(c)
            }),
            Type::U64 => lanes!(d, |a: u64, b: u64, c: u64| -> u64 {
                wide::mul_hi_u64(a, b).wrapping_add(c)
            }),
            Type::S64 => lanes!(d, |a: i64, b: i64, c: i64| -> i64 {
                wide::mul_hi_s64(a, b).wrapping_add(c)
            }),
            _ => return Err(no_type(&form)),
        },
    };
    push(d, &form, instruction, op, [ty; 4])
}

/// `.wide`: the op, and the type of its result.
fn double(d: &Decoder<'_, '_>, form: &Form<'_>, ty: Type) -> Result<(Op, Type), LoadError> {
    let add = form.name == "mad";
    Ok(match (ty, add) {
        (Type::U16, false) => (
            lanes!(d, |a: u16, b: u16| -> u32 { u32::from(a) * u32::from(b) }),
            Type::U32,
        ),
        (Type::S16, false) => (
            lanes!(d, |a: i16, b: i16| -> i32 { i32::from(a) * i32::from(b) }),
            Type::S32,
        ),
        (Type::U32, false) => (
            lanes!(d, |a: u32, b: u32| -> u64 { u64::from(a) * u64::from(b) }),
            Type::U64,
        ),
        (Type::S32, false) => (
            lanes!(d, |a: i32, b: i32| -> i64 { i64::from(a) * i64::from(b) }),
            Type::S64,
        ),
        (Type::U16, true) => (
            lanes!(d, |a: u16, b: u16, c: u32| -> u32 {
                (u32::from(a) * u32::from(b)).wrapping_add(c)
            }),
            Type::U32,
        ),
        (Type::S16, true) => (
            lanes!(d, |a: i16, b: i16, c: i32| -> i32 {
                (i32::from(a) * i32::from(b)).wrapping_add(c)
            }),
            Type::S32,
        ),
        (Type::U32, true) => (
            lanes!(d, |a: u32, b: u32, c: u64| -> u64 {
                (u64::from(a) * u64::from(b)).wrapping_add(c)
            }),
            Type::U64,
        ),
        (Type::S32, true) => (
            lanes!(d, |a: i32, b: i32, c: i64| -> i64 {
                (i64::from(a) * i64::from(b)).wrapping_add(c)
            }),
            Type::S64,
        ),
        _ => return Err(no_type(form)),
    })
}

/// `mul24` and `mad24`
pub(super) fn of_24_bits<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let Some(part) = form.choice(&["lo", "hi"]) else {
        return Err(form.unsupported("it names none of `.lo`, `.hi`"));
    };
    let add = form.name == "mad24";
    let sat = add && part == "hi" && form.flag("sat");
    let ty = form.ty()?;
    form.done()?;
    let signed = match ty {
        Type::S32 => true,
        Type::U32 if !sat => false,
        _ => return Err(no_type(&form)),
    };
    if add {
        let op = match (part, signed, sat) {
            ("lo", false, _) => lanes!(d, |a: u32, b: u32, c: u32| -> u32 {
                wide::mad24_lo(a, b, c, false)
            }),
            ("lo", true, _) => lanes!(d, |a: u32, b: u32, c: u32| -> u32 {
                wide::mad24_lo(a, b, c, true)
            }),
            (_, false, _) => lanes!(d, |a: u32, b: u32, c: u32| -> u32 {
                wide::mad24_hi(a, b, c, false)
            }),
            (_, true, false) => lanes!(d, |a: u32, b: u32, c: u32| -> u32 {
                wide::mad24_hi(a, b, c, true)
            }),
            (_, true, true) => lanes!(d, |a: u32, b: u32, c: i32| -> i32 {
                wide::mad24_hi_sat(a, b, c)
            }),
        };
        return push(d, &form, instruction, op, [ty; 4]);
    }
    let op = match (part, signed) {
        ("lo", false) => lanes!(d, |a: u32, b: u32| -> u32 { wide::mul24_lo(a, b, false) }),
        ("lo", true) => lanes!(d, |a: u32, b: u32| -> u32 { wide::mul24_lo(a, b, true) }),
        (_, false) => lanes!(d, |a: u32, b: u32| -> u32 { wide::mul24_hi(a, b, false) }),
        (_, true) => lanes!(d, |a: u32, b: u32| -> u32 { wide::mul24_hi(a, b, true) }),
    };
    push(d, &form, instruction, op, [ty; 3])
}

/// The two types of a dot product: whether each is signed.
fn signs(form: &mut Form<'_>) -> Result<(bool, bool), LoadError> {
    let signed = |ty, form: &Form<'_>| match ty {
        Type::U32 => Ok(false),
        Type::S32 => Ok(true),
        _ => Err(no_type(form)),
    };
    let (a, b) = (form.ty()?, form.ty()?);
    form.done()?;
    Ok((signed(a, form)?, signed(b, form)?))
}

/// `dp4a`
pub(super) fn of_bytes<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    macro_rules! dp4a {
        ($a:literal, $b:literal) => {
            lanes!(d, |a: u32, b: u32, c: u32| -> u32 {
                integer::dp4a(a, b, c, $a, $b)
            })
        };
    }
    let op = match signs(&mut form)? {
        (false, false) => dp4a!(false, false),
        (false, true) => dp4a!(false, true),
        (true, false) => dp4a!(true, false),
        (true, true) => dp4a!(true, true),
    };
    push(d, &form, instruction, op, [Type::B32; 4])
}

/// `dp2a`
pub(super) fn of_halves<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    macro_rules! dp2a {
        ($high:literal, $a:literal, $b:literal) => {
            lanes!(d, |a: u32, b: u32, c: u32| -> u32 {
                integer::dp2a(a, b, c, $high, $a, $b)
            })
        };
    }
    let Some(part) = form.choice(&["lo", "hi"]) else {
        return Err(form.unsupported("it names none of `.lo`, `.hi`"));
    };
    let (a, b) = signs(&mut form)?;
    let op = match (part == "hi", a, b) {
        (false, false, false) => dp2a!(false, false, false),
        (false, false, true) => dp2a!(false, false, true),
        (false, true, false) => dp2a!(false, true, false),
        (false, true, true) => dp2a!(false, true, true),
        (true, false, false) => dp2a!(true, false, false),
        (true, false, true) => dp2a!(true, false, true),
        (true, true, false) => dp2a!(true, true, false),
        (true, true, true) => dp2a!(true, true, true),
    };
    push(d, &form, instruction, op, [Type::B32; 4])
}
