//! Bit fields and searches for bits: `bfe bfi bmsk szext`, `brev popc clz bfind fns`.

use crate::ast::{Instruction, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::{Cx, Flow};
use crate::isa::lanes;
use crate::isa::operands::{each, no_type, push};
use crate::lanes::{Lane, each as by_lane};
use crate::num::bits;
use crate::program::Op;
use crate::simd::{Handler, Level};

pub(super) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let moded = matches!(form.name, "bmsk" | "szext");
    let mode = moded.then(|| form.choice(&["clamp", "wrap"])).flatten();
    let ty = form.ty()?;
    form.done()?;
    if moded && mode.is_none() {
        return Err(form.unsupported("it names none of `.clamp`, `.wrap`"));
    }
    let clamp = mode == Some("clamp");
    match form.name {
        "bfe" => {
            let op = match ty {
                Type::U32 => lanes!(d, |a: u32, b: u32, c: u32| -> u32 {
                    bits::bfe_u32(a, b, c)
                }),
                Type::S32 => lanes!(d, |a: u32, b: u32, c: u32| -> u32 {
                    bits::bfe_s32(a, b, c)
                }),
                Type::U64 => lanes!(d, |a: u64, b: u32, c: u32| -> u64 {
                    bits::bfe_u64(a, b, c)
                }),
                Type::S64 => lanes!(d, |a: u64, b: u32, c: u32| -> u64 {
                    bits::bfe_s64(a, b, c)
                }),
                _ => return Err(no_type(&form)),
            };
            push(d, &form, instruction, op, [ty, ty, Type::U32, Type::U32])
        }
        "bfi" => insert(d, &form, instruction, ty),
        "bmsk" => {
            let op = match (ty, clamp) {
                (Type::B32, true) => lanes!(d, |a: u32, b: u32| -> u32 { bits::bmsk(a, b, true) }),
                (Type::B32, false) => {
                    lanes!(d, |a: u32, b: u32| -> u32 { bits::bmsk(a, b, false) })
                }
                _ => return Err(no_type(&form)),
            };
            push(d, &form, instruction, op, [ty; 3])
        }
        _ => {
            let op = match (ty, clamp) {
                (Type::U32, true) => lanes!(d, |a: u32, b: u32| -> u32 {
                    bits::szext(a, b, true, false)
                }),
                (Type::U32, false) => lanes!(d, |a: u32, b: u32| -> u32 {
                    bits::szext(a, b, false, false)
                }),
                (Type::S32, true) => {
                    lanes!(d, |a: u32, b: u32| -> u32 { bits::szext(a, b, true, true) })
                }
                (Type::S32, false) => lanes!(d, |a: u32, b: u32| -> u32 {
                    bits::szext(a, b, false, true)
                }),
                _ => return Err(no_type(&form)),
            };
            push(d, &form, instruction, op, [ty; 3])
        }
    }
}

/// `bfi f, a, b, position, length`
fn insert<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    instruction: &Instruction<'a>,
    ty: Type,
) -> Result<(), LoadError> {
    let mut op = match ty {
        Type::B32 => d.op::<Insert32>(),
        Type::B64 => d.op::<Insert64>(),
        _ => return Err(no_type(form)),
    };
    let [result, a, b, position, length] = form.operands(instruction)?;
    op.d = d.dst(form, result, ty)?;
    op.a = d.src(form, a, ty)?;
    op.b = d.src(form, b, ty)?;
    op.c = d.src(form, position, Type::U32)?;
    op.aux = d.src(form, length, Type::U32)?;
    d.push(op);
    Ok(())
}

macro_rules! inserts {
    ($($name:ident $word:ident $insert:path;)*) => { $(
        struct $name;

        impl Handler for $name {
            #[inline(always)]
            fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
                let regs = &mut cx.warp.regs;
                let a = $word::load(regs, op.a);
                let b = $word::load(regs, op.b);
                let position = u32::load(regs, op.c);
                let length = u32::load(regs, op.aux);
                let result = by_lane(|lane| {
                    $insert(a[lane], b[lane], position[lane], length[lane])
                });
                $word::store(regs, op.d, cx.mask, &result);
                Flow::Next
            }
        }
    )* };
}

inserts! {
    Insert32 u32 bits::bfi_b32;
    Insert64 u64 bits::bfi_b64;
}

/// `brev popc clz bfind fns`
pub(super) fn search<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let shift = form.name == "bfind" && form.flag("shiftamt");
    let ty = form.ty()?;
    form.done()?;
    let op = match (form.name, ty) {
        ("brev", _) => {
            let op = each!(d, form, ty, |a| a.reverse_bits(), B32: u32, B64: u64);
            return push(d, &form, instruction, op, [ty; 2]);
        }
        ("fns", Type::B32) => {
            let op = lanes!(d, |a: u32, b: u32, c: i32| -> u32 { bits::fns(a, b, c) });
            return push(d, &form, instruction, op, [ty; 4]);
        }
        ("popc", Type::B32) => lanes!(d, |a: u32| -> u32 { a.count_ones() }),
        ("popc", Type::B64) => lanes!(d, |a: u64| -> u32 { a.count_ones() }),
        ("clz", Type::B32) => lanes!(d, |a: u32| -> u32 { a.leading_zeros() }),
        ("clz", Type::B64) => lanes!(d, |a: u64| -> u32 { a.leading_zeros() }),
        ("bfind", Type::U32) if shift => lanes!(d, |a: u32| -> u32 { bits::bfind_u32(a, true) }),
        ("bfind", Type::U32) => lanes!(d, |a: u32| -> u32 { bits::bfind_u32(a, false) }),
        ("bfind", Type::S32) if shift => lanes!(d, |a: i32| -> u32 { bits::bfind_s32(a, true) }),
        ("bfind", Type::S32) => lanes!(d, |a: i32| -> u32 { bits::bfind_s32(a, false) }),
        ("bfind", Type::U64) if shift => lanes!(d, |a: u64| -> u32 { bits::bfind_u64(a, true) }),
        ("bfind", Type::U64) => lanes!(d, |a: u64| -> u32 { bits::bfind_u64(a, false) }),
        ("bfind", Type::S64) if shift => lanes!(d, |a: i64| -> u32 { bits::bfind_s64(a, true) }),
        ("bfind", Type::S64) => lanes!(d, |a: i64| -> u32 { bits::bfind_s64(a, false) }),
        _ => return Err(no_type(&form)),
    };
    push(d, &form, instruction, op, [Type::U32, ty])
}
