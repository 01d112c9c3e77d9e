//! `shl shr shf prmt`

use crate::ast::{Instruction, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::isa::lanes;
use crate::isa::operands::{no_type, push};
use crate::num::bits;
use crate::num::permute::{Permute, prmt};

/// `shl` and `shr`: by 32 bits, whatever the type.
pub(super) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let ty = form.ty()?;
    form.done()?;
    let op = match (form.name, ty) {
        ("shl", Type::B16) => lanes!(d, |a: u16, b: u32| -> u16 { bits::shl_b16(a, b) }),
        ("shl", Type::B32) => lanes!(d, |a: u32, b: u32| -> u32 { bits::shl_b32(a, b) }),
        ("shl", Type::B64) => lanes!(d, |a: u64, b: u32| -> u64 { bits::shl_b64(a, b) }),
        ("shr", Type::B16 | Type::U16) => {
            lanes!(d, |a: u16, b: u32| -> u16 { bits::shr_u16(a, b) })
        }
        ("shr", Type::B32 | Type::U32) => {
            lanes!(d, |a: u32, b: u32| -> u32 { bits::shr_u32(a, b) })
        }
        ("shr", Type::B64 | Type::U64) => {
            lanes!(d, |a: u64, b: u32| -> u64 { bits::shr_u64(a, b) })
        }
        ("shr", Type::S16) => lanes!(d, |a: i16, b: u32| -> i16 { bits::shr_s16(a, b) }),
        ("shr", Type::S32) => lanes!(d, |a: i32, b: u32| -> i32 { bits::shr_s32(a, b) }),
        ("shr", Type::S64) => lanes!(d, |a: i64, b: u32| -> i64 { bits::shr_s64(a, b) }),
        _ => return Err(no_type(&form)),
    };
    push(d, &form, instruction, op, [ty, ty, Type::U32])
}

/// `shf.{l,r}.{clamp,wrap}.b32`
pub(super) fn funnel<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let side = form.choice(&["l", "r"]);
    let mode = form.choice(&["clamp", "wrap"]);
    let ty = form.ty()?;
    form.done()?;
    if ty != Type::B32 {
        return Err(no_type(&form));
    }
    let op = match (side, mode) {
        (Some("l"), Some("clamp")) => lanes!(d, |a: u32, b: u32, c: u32| -> u32 {
            bits::shf_l(a, b, c, true)
        }),
        (Some("l"), Some(_)) => lanes!(d, |a: u32, b: u32, c: u32| -> u32 {
            bits::shf_l(a, b, c, false)
        }),
        (Some(_), Some("clamp")) => lanes!(d, |a: u32, b: u32, c: u32| -> u32 {
            bits::shf_r(a, b, c, true)
        }),
        (Some(_), Some(_)) => lanes!(d, |a: u32, b: u32, c: u32| -> u32 {
            bits::shf_r(a, b, c, false)
        }),
        _ => return Err(form.unsupported("it names no direction or mode")),
    };
    push(d, &form, instruction, op, [ty; 4])
}

/// `prmt.b32{.mode}`
pub(super) fn permute<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    macro_rules! permute {
        ($mode:ident) => {
            lanes!(d, |a: u32, b: u32, c: u32| -> u32 {
                prmt(a, b, c, Permute::$mode)
            })
        };
    }
    let mode = form.choice(&["f4e", "b4e", "rc8", "ecl", "ecr", "rc16"]);
    let ty = form.ty()?;
    form.done()?;
    if ty != Type::B32 {
        return Err(no_type(&form));
    }
    let op = match mode.and_then(Permute::named).unwrap_or(Permute::Generic) {
        Permute::Generic => permute!(Generic),
        Permute::F4e => permute!(F4e),
        Permute::B4e => permute!(B4e),
        Permute::Rc8 => permute!(Rc8),
        Permute::Ecl => permute!(Ecl),
        Permute::Ecr => permute!(Ecr),
        Permute::Rc16 => permute!(Rc16),
    };
    push(d, &form, instruction, op, [ty; 4])
}
