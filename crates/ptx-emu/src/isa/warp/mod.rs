//! Instructions by which the lanes of a warp exchange values (PTX ISA 9.7.9.6, 9.7.13).

mod shuffle;
mod vote;

use crate::ast::{Instruction, Operand, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::{Cx, Flow};
use crate::lanes::Lane;
use crate::program::Op;
use crate::simd::{Handler, Level};
pub(crate) use shuffle::settle as settle_shuffle;
use vote::{Ballot, Elect, MatchAll, MatchAny, Reduce, Vote, operation};

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    if form.name == "activemask" {
        let ty = form.ty()?;
        form.done()?;
        if ty != Type::B32 {
            return Err(form.unsupported("its type"));
        }
        let [result] = form.operands(instruction)?;
        let mut op = d.op::<Active>();
        op.d = d.dst(&form, result, Type::B32)?;
        d.push(op);
        return Ok(());
    }
    if !form.flag("sync") {
        return Err(form.unsupported("the form without `.sync` is obsolete"));
    }
    match form.name {
        "shfl" => shuffle::decode(d, form, instruction),
        "vote" => votes(d, form, instruction),
        "match" => matches(d, form, instruction),
        "redux" => reduction(d, form, instruction),
        _ => elect(d, &form, instruction),
    }
}

/// `d|p`: a register and a predicate, of which either may be missing.
fn pair<'o, 'a>(operand: &'o Operand<'a>) -> (&'o Operand<'a>, &'o Operand<'a>) {
    match operand {
        Operand::Pair(first, second) => (first, second),
        first => (first, &Operand::Sink),
    }
}

fn votes<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let mode = form.choice(&["all", "any", "uni", "ballot"]);
    let ty = form.ty()?;
    form.done()?;
    let [result, value, members] = form.operands(instruction)?;
    let mut op = match (mode, ty) {
        (Some("all"), Type::Pred) => d.op::<Vote<{ vote::ALL }>>(),
        (Some("any"), Type::Pred) => d.op::<Vote<{ vote::ANY }>>(),
        (Some("uni"), Type::Pred) => d.op::<Vote<{ vote::UNIFORM }>>(),
        (Some("ballot"), Type::B32) => d.op::<Ballot>(),
        _ => return Err(form.unsupported("no vote of this mode and type")),
    };
    op.d = if ty == Type::Pred {
        d.pred_dst(&form, result)?
    } else {
        d.dst(&form, result, ty)?
    };
    (op.a, op.aux) = d.pred_src(&form, value)?;
    op.c = d.src(&form, members, Type::B32)?;
    d.push(op);
    Ok(())
}

fn matches<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let mode = form.choice(&["any", "all"]);
    let ty = form.ty()?;
    form.done()?;
    let [result, value, members] = form.operands(instruction)?;
    let mut op = match (mode, ty) {
        (Some("any"), Type::B32) => d.op::<MatchAny<u32>>(),
        (Some("any"), Type::B64) => d.op::<MatchAny<u64>>(),
        (Some("all"), Type::B32) => d.op::<MatchAll<u32>>(),
        (Some("all"), Type::B64) => d.op::<MatchAll<u64>>(),
        _ => return Err(form.unsupported("no match of this mode and type")),
    };
    let (register, pred) = match mode {
        Some("all") => pair(result),
        _ => (result, &Operand::Sink),
    };
    op.d = d.dst(&form, register, Type::B32)?;
    op.b = d.pred_dst(&form, pred)?;
    op.a = d.src(&form, value, ty)?;
    op.c = d.src(&form, members, Type::B32)?;
    d.push(op);
    Ok(())
}

fn reduction<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let mode = form.choice(&["add", "min", "max", "and", "or", "xor"]);
    let ty = form.ty()?;
    form.done()?;
    let [result, value, members] = form.operands(instruction)?;
    let mut op = match (mode, ty) {
        (Some("add"), Type::U32 | Type::S32) => d.op::<Reduce<{ operation::ADD }>>(),
        (Some("min"), Type::U32) => d.op::<Reduce<{ operation::MIN_U }>>(),
        (Some("max"), Type::U32) => d.op::<Reduce<{ operation::MAX_U }>>(),
        (Some("min"), Type::S32) => d.op::<Reduce<{ operation::MIN_S }>>(),
        (Some("max"), Type::S32) => d.op::<Reduce<{ operation::MAX_S }>>(),
        (Some("and"), Type::B32) => d.op::<Reduce<{ operation::AND }>>(),
        (Some("or"), Type::B32) => d.op::<Reduce<{ operation::OR }>>(),
        (Some("xor"), Type::B32) => d.op::<Reduce<{ operation::XOR }>>(),
        _ => return Err(form.unsupported("no reduction of this operation and type")),
    };
    op.d = d.dst(&form, result, ty)?;
    op.a = d.src(&form, value, ty)?;
    op.c = d.src(&form, members, Type::B32)?;
    d.push(op);
    Ok(())
}

fn elect<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    form.done()?;
    let [result, members] = form.operands(instruction)?;
    let Operand::Pair(register, pred) = result else {
        return Err(form.operand(format!("{result:?}"), "a register and a predicate, `d|p`"));
    };
    let mut op = d.op::<Elect>();
    op.d = d.dst(form, register, Type::B32)?;
    op.b = d.pred_dst(form, pred)?;
    op.c = d.src(form, members, Type::B32)?;
    d.push(op);
    Ok(())
}

struct Active;

impl Handler for Active {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        u32::store(&mut cx.warp.regs, op.d, cx.mask, &[cx.mask; 32]);
        Flow::Next
    }
}

/// Writes a predicate in the lanes of `mask`.
#[inline(always)]
fn put_pred(cx: &mut Cx<'_>, pred: u32, mask: u32, value: u32) {
    let pred = &mut cx.warp.regs.preds[pred as usize];
    *pred = *pred & !mask | value & mask;
}
