//! Logic, shifts and bit fields (PTX ISA 9.7.8, and of 9.7.1 what works on bits).

mod field;
mod shift;

use crate::ast::{Instruction, Operand, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::{Cx, Flow};
use crate::isa::operands::{each, no_type, push};
use crate::lanes::{Lane, each, mask_of};
use crate::num::permute::lop3;
use crate::program::Op;
use crate::simd::{Handler, Level};

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    match form.name {
        "lop3" => three_inputs(d, form, instruction),
        "shl" | "shr" => shift::decode(d, form, instruction),
        "shf" => shift::funnel(d, form, instruction),
        "prmt" => shift::permute(d, form, instruction),
        "brev" | "popc" | "clz" | "bfind" | "fns" => field::search(d, form, instruction),
        "bfe" | "bfi" | "bmsk" | "szext" => field::decode(d, form, instruction),
        _ => bitwise(d, form, instruction),
    }
}

/// `and or xor not cnot`
fn bitwise<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let ty = form.ty()?;
    form.done()?;
    if ty == Type::Pred && form.name != "cnot" {
        return predicates(d, &form, instruction);
    }
    if matches!(form.name, "not" | "cnot") {
        let op = if form.name == "not" {
            each!(d, form, ty, |a| !a, B16: u16, B32: u32, B64: u64)
        } else {
            each!(d, form, ty, |a| (a == 0).into(), B16: u16, B32: u32, B64: u64)
        };
        return push(d, &form, instruction, op, [ty; 2]);
    }
    let op = match form.name {
        "and" => each!(d, form, ty, |a, b| a & b, B16: u16, B32: u32, B64: u64),
        "or" => each!(d, form, ty, |a, b| a | b, B16: u16, B32: u32, B64: u64),
        _ => each!(d, form, ty, |a, b| a ^ b, B16: u16, B32: u32, B64: u64),
    };
    push(d, &form, instruction, op, [ty; 3])
}

/// `and or xor not` of predicates: all lanes in one mask.
fn predicates<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let (mut op, result, a, b) = if form.name == "not" {
        let [result, a] = form.operands(instruction)?;
        (d.op::<PredNot>(), result, a, None)
    } else {
        let [result, a, b] = form.operands(instruction)?;
        let op = match form.name {
            "and" => d.op::<PredAnd>(),
            "or" => d.op::<PredOr>(),
            "xor" => d.op::<PredXor>(),
            _ => return Err(no_type(form)),
        };
        (op, result, a, Some(b))
    };
    op.d = d.pred_dst(form, result)?;
    (op.a, op.c) = d.pred_src(form, a)?;
    if let Some(b) = b {
        (op.b, op.aux) = d.pred_src(form, b)?;
    }
    d.push(op);
    Ok(())
}

/// Sources `a` and `b`, flipped by `c` and `aux`.
macro_rules! pred_handlers {
    ($($name:ident |$a:ident, $b:ident| $result:expr;)*) => { $(
        struct $name;

        impl Handler for $name {
            #[inline(always)]
            fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
                let regs = &mut cx.warp.regs;
                let $a = regs.preds[op.a as usize] ^ op.c;
                let $b = regs.preds[op.b as usize] ^ op.aux;
                regs.set_pred(op.d, cx.mask, $result);
                Flow::Next
            }
        }
    )* };
}

pred_handlers! {
    PredAnd |a, b| a & b;
    PredOr |a, b| a | b;
    PredXor |a, b| a ^ b;
    PredNot |a, _b| !a;
}

/// `lop3.b32 d, a, b, c, lut` and `lop3.{or,and}.b32 d|p, a, b, c, lut, q`
fn three_inputs<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let combine = form.choice(&["or", "and"]);
    let ty = form.ty()?;
    form.done()?;
    if ty != Type::B32 {
        return Err(no_type(&form));
    }
    let (mut op, result, [a, b, c, table]) = match combine {
        None => {
            let [result, sources @ ..] = form.operands::<5>(instruction)?;
            (d.op::<Lop3>(), result, sources)
        }
        Some(combine) => {
            let [results, sources @ .., q] = form.operands::<6>(instruction)?;
            let Operand::Pair(result, p) = results else {
                return Err(form.operand(format!("{results:?}"), "a register and a predicate"));
            };
            let p = d.pred_dst(&form, p)?;
            let (q, flip) = d.pred_src(&form, q)?;
            let mut op = if combine == "and" {
                d.op::<Lop3Pred<true>>()
            } else {
                d.op::<Lop3Pred<false>>()
            };
            op.list = d.list(&[p, q, flip]);
            (op, &**result, sources)
        }
    };
    op.d = d.dst(&form, result, ty)?;
    op.a = d.src(&form, a, ty)?;
    op.b = d.src(&form, b, ty)?;
    op.c = d.src(&form, c, ty)?;
    let table = form.number(table)?;
    let byte = u8::try_from(table);
    let byte = byte.map_err(|_| form.operand(format!("the table {table}"), "0 to 255"))?;
    op.aux = u32::from(byte);
    d.push(op);
    Ok(())
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the table is a byte")]
fn lop3_lanes(cx: &mut Cx<'_>, op: &Op) -> [u32; 32] {
    let regs = &mut cx.warp.regs;
    let a = u32::load(regs, op.a);
    let b = u32::load(regs, op.b);
    let c = u32::load(regs, op.c);
    let table = op.aux as u8;
    let result = each(|lane| lop3(a[lane], b[lane], c[lane], table));
    u32::store(regs, op.d, cx.mask, &result);
    result
}

struct Lop3;

impl Handler for Lop3 {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        lop3_lanes(cx, op);
        Flow::Next
    }
}

struct Lop3Pred<const AND: bool>;

impl<const AND: bool> Handler for Lop3Pred<AND> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let program = cx.grid.program;
        let &[p, q, flip] = program.list(op, 3) else {
            return Flow::Next;
        };
        let q = cx.warp.regs.preds[q as usize] ^ flip;
        let any = lop3_lanes(cx, op);
        let any = mask_of(&each(|lane| any[lane] != 0));
        let value = if AND { any & q } else { any | q };
        cx.warp.regs.set_pred(p, cx.mask, value);
        Flow::Next
    }
}
