//! Integer arithmetic (PTX ISA 9.7.1), and that with carry (9.7.2).

mod carry;
mod product;

use crate::ast::{Instruction, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::isa::lanes;
use crate::isa::operands::{each, no_type, push};
use crate::num::integer as num;
use crate::num::packed::int16x2 as pair;

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    match form.name {
        "addc" | "subc" | "madc" => carry::decode(d, form, instruction),
        _ if form.has("cc") => carry::decode(d, form, instruction),
        "mul" | "mad" => product::decode(d, form, instruction),
        "mul24" | "mad24" => product::of_24_bits(d, form, instruction),
        "dp4a" => product::of_bytes(d, form, instruction),
        "dp2a" => product::of_halves(d, form, instruction),
        "abs" | "neg" => one(d, form, instruction),
        "sad" => sad(d, form, instruction),
        _ => two(d, form, instruction),
    }
}

fn one<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let ty = form.ty()?;
    form.done()?;
    let op = if form.name == "abs" {
        each!(d, form, ty, |a| a.wrapping_abs(), S16: i16, S32: i32, S64: i64)
    } else {
        each!(d, form, ty, |a| a.wrapping_neg(), S16: i16, S32: i32, S64: i64)
    };
    push(d, &form, instruction, op, [ty; 2])
}

fn two<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    if let Some(pairs) = form.choice(&["u16x2", "s16x2"]) {
        return two_pairs(d, form, instruction, pairs == "s16x2");
    }
    let sat = form.has("sat") && matches!(form.name, "add" | "sub") && form.flag("sat");
    let relu = form.has("relu") && matches!(form.name, "min" | "max") && form.flag("relu");
    let ty = form.ty()?;
    form.done()?;
    if (sat || relu) && ty != Type::S32 {
        let which = if sat { "`.sat`" } else { "`.relu`" };
        return Err(form.unsupported(&format!("{which} with a type other than `.s32`")));
    }
    let op = match form.name {
        "add" if sat => lanes!(d, |a: i32, b: i32| -> i32 { num::add_sat(a, b) }),
        "sub" if sat => lanes!(d, |a: i32, b: i32| -> i32 { num::sub_sat(a, b) }),
        "min" if relu => lanes!(d, |a: i32, b: i32| -> i32 { num::relu_s32(a.min(b)) }),
        "max" if relu => lanes!(d, |a: i32, b: i32| -> i32 { num::relu_s32(a.max(b)) }),
        "add" => each!(d, form, ty, |a, b| a.wrapping_add(b),
            U16: u16, S16: u16, U32: u32, S32: u32, U64: u64, S64: u64),
        "sub" => each!(d, form, ty, |a, b| a.wrapping_sub(b),
            U16: u16, S16: u16, U32: u32, S32: u32, U64: u64, S64: u64),
        "min" => each!(d, form, ty, |a, b| a.min(b),
            U16: u16, S16: i16, U32: u32, S32: i32, U64: u64, S64: i64),
        "max" => each!(d, form, ty, |a, b| a.max(b),
            U16: u16, S16: i16, U32: u32, S32: i32, U64: u64, S64: i64),
        "div" => each!(d, form, ty, |a, b|
            U16: u16 => num::div_u16, U32: u32 => num::div_u32, U64: u64 => num::div_u64,
            S16: i16 => num::div_s16, S32: i32 => num::div_s32, S64: i64 => num::div_s64),
        "rem" => each!(d, form, ty, |a, b|
            U16: u16 => num::rem_u16, U32: u32 => num::rem_u32, U64: u64 => num::rem_u64,
            S16: i16 => num::rem_s16, S32: i32 => num::rem_s32, S64: i64 => num::rem_s64),
        _ => return Err(no_type(&form)),
    };
    push(d, &form, instruction, op, [ty; 3])
}

/// `.u16x2` and `.s16x2`: two halves at a time.
fn two_pairs<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
    signed: bool,
) -> Result<(), LoadError> {
    let relu = signed && matches!(form.name, "min" | "max") && form.flag("relu");
    form.done()?;
    let op = match (form.name, signed, relu) {
        ("add", ..) => lanes!(d, |a: u32, b: u32| -> u32 { pair::add(a, b) }),
        ("min", false, _) => lanes!(d, |a: u32, b: u32| -> u32 { pair::min_u16(a, b) }),
        ("max", false, _) => lanes!(d, |a: u32, b: u32| -> u32 { pair::max_u16(a, b) }),
        ("min", true, false) => lanes!(d, |a: u32, b: u32| -> u32 { pair::min_s16(a, b) }),
        ("max", true, false) => lanes!(d, |a: u32, b: u32| -> u32 { pair::max_s16(a, b) }),
        ("min", true, true) => {
            lanes!(d, |a: u32, b: u32| -> u32 {
                pair::relu(pair::min_s16(a, b))
            })
        }
        ("max", true, true) => {
            lanes!(d, |a: u32, b: u32| -> u32 {
                pair::relu(pair::max_s16(a, b))
            })
        }
        _ => return Err(no_type(&form)),
    };
    push(d, &form, instruction, op, [Type::B32; 3])
}

fn sad<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let ty = form.ty()?;
    form.done()?;
    let op = each!(d, form, ty, |a, b, c|
        U16: u16 => num::sad_u16, U32: u32 => num::sad_u32, U64: u64 => num::sad_u64,
        S16: i16 => num::sad_s16, S32: i32 => num::sad_s32, S64: i64 => num::sad_s64);
    push(d, &form, instruction, op, [ty; 4])
}
