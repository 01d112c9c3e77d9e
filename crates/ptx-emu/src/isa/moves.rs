//! `mov` and `cvta` (PTX ISA 9.7.9).

use crate::ast::{Instruction, Operand, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::decode::operand::wide;
use crate::exec::{Cx, Flow};
use crate::isa::lanes;
use crate::isa::operands::{no_type, plain};
use crate::lanes::{Lane, each};
use crate::memory::window;
use crate::program::Op;
use crate::simd::{Handler, Level};

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    match form.name {
        "cvta" => address(d, form, instruction),
        _ => mov(d, form, instruction),
    }
}

fn mov<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let ty = form.ty()?;
    form.done()?;
    if ty != Type::Pred && !(plain(ty) && ty.bytes() > 1) {
        return Err(no_type(&form));
    }
    let [to, from] = form.operands(instruction)?;
    match (to, from) {
        (Operand::Vector(_), _) | (_, Operand::Vector(_))
            if !matches!(ty, Type::B16 | Type::B32 | Type::B64) =>
        {
            return Err(form.unsupported("a vector needs `.b16`, `.b32` or `.b64`"));
        }
        (Operand::Vector(parts), _) => return unpack(d, &form, ty, parts, from),
        (_, Operand::Vector(parts)) => return pack(d, &form, ty, to, parts),
        _ => {}
    }
    if ty == Type::Pred {
        let (source, flip) = d.pred_src(&form, from)?;
        let mut op = d.op::<MovPred>();
        op.d = d.pred_dst(&form, to)?;
        op.a = source;
        op.b = flip;
        d.push(op);
        return Ok(());
    }
    if let Operand::Name("%clock" | "%clock_hi" | "%clock64" | "%globaltimer") = from {
        return Err(form.unsupported("time is not modelled"));
    }
    if let Some((frame, offset)) = d.local(from) {
        let mut op = if wide(ty) {
            lanes!(d, |a: u64, b: u64| -> u64 { a.wrapping_add(b) })
        } else {
            lanes!(d, |a: u64, b: u64| -> u32 { low(a.wrapping_add(b)) })
        };
        op.d = d.dst(&form, to, ty)?;
        op.a = frame;
        op.b = d.immediate(offset.cast_unsigned(), Type::U64);
        d.push(op);
        return Ok(());
    }
    let mut op = if wide(ty) {
        lanes!(d, wide |a: u64| -> u64 { a })
    } else {
        lanes!(d, wide |a: u32| -> u32 { a })
    };
    op.a = d.src(&form, from, ty)?;
    op.d = d.dst(&form, to, ty)?;
    if let Operand::Int(value) = from
        && ty.bytes() == 4
    {
        d.moves_constant(op.d, (*value).cast_unsigned() as u32);
    }
    d.push(op);
    Ok(())
}

#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "local memory is below 4 GiB"
)]
fn low(address: u64) -> u32 {
    address as u32
}

/// Type of the parts of a value of type `ty` that is taken apart into `count`.
fn part(form: &Form<'_>, ty: Type, count: usize) -> Result<Type, LoadError> {
    match (ty.bytes() as usize / count, ty.bytes() as usize % count) {
        (1, 0) => Ok(Type::B8),
        (2, 0) => Ok(Type::B16),
        (4, 0) => Ok(Type::B32),
        (8, 0) => Ok(Type::B64),
        _ => Err(form.operand(format!("a vector of {count}"), "2 or 4 equal parts")),
    }
}

fn unpack<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    ty: Type,
    parts: &[Operand<'a>],
    from: &Operand<'a>,
) -> Result<(), LoadError> {
    let each = part(form, ty, parts.len())?;
    let source = d.src(form, from, ty)?;
    let slots = parts
        .iter()
        .map(|part| d.dst(form, part, each))
        .collect::<Result<Vec<_>, _>>()?;
    let mut op = d.op::<Unpack>();
    op.a = source;
    op.list = d.list(&slots);
    op.c = u32::try_from(slots.len()).unwrap_or(0);
    op.x = i64::from(each.bytes() * 8);
    op.aux = u32::from(wide(ty));
    d.push(op);
    Ok(())
}

fn pack<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    ty: Type,
    to: &Operand<'a>,
    parts: &[Operand<'a>],
) -> Result<(), LoadError> {
    let each = part(form, ty, parts.len())?;
    let slots = parts
        .iter()
        .map(|part| d.src(form, part, each))
        .collect::<Result<Vec<_>, _>>()?;
    let mut op = d.op::<Pack>();
    op.d = d.dst(form, to, ty)?;
    op.list = d.list(&slots);
    op.c = u32::try_from(slots.len()).unwrap_or(0);
    op.x = i64::from(each.bytes() * 8);
    op.aux = u32::from(wide(ty));
    d.push(op);
    Ok(())
}

struct MovPred;

impl Handler for MovPred {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let preds = &mut cx.warp.regs.preds;
        let value = preds[op.a as usize] ^ op.b;
        let into = &mut preds[op.d as usize];
        *into = *into & !cx.mask | value & cx.mask;
        Flow::Next
    }
}

/// `mov.b32 {a, b}, c`: parts of `x` bits, the lowest first.
struct Unpack;

impl Handler for Unpack {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let program = cx.grid.program;
        let value: [u64; 32] = if op.aux == 1 {
            u64::load(&cx.warp.regs, op.a)
        } else {
            let words = u32::load(&cx.warp.regs, op.a);
            each(|lane| u64::from(words[lane]))
        };
        for (at, slot) in (0..).zip(program.list(op, op.c as usize)) {
            let part = each(|lane| (value[lane] >> (at * op.x) & ((1 << op.x) - 1)) as u32);
            u32::store(&mut cx.warp.regs, *slot, cx.mask, &part);
        }
        Flow::Next
    }
}

/// `mov.b32 c, {a, b}`
struct Pack;

impl Handler for Pack {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let program = cx.grid.program;
        let mut value = [0_u64; 32];
        for (at, slot) in (0..).zip(program.list(op, op.c as usize)) {
            let part = u32::load(&cx.warp.regs, *slot);
            for lane in 0..32 {
                value[lane] |= (u64::from(part[lane]) & ((1 << op.x) - 1)) << (at * op.x);
            }
        }
        if op.aux == 1 {
            u64::store(&mut cx.warp.regs, op.d, cx.mask, &value);
        } else {
            let narrow = each(|lane| value[lane] as u32);
            u32::store(&mut cx.warp.regs, op.d, cx.mask, &narrow);
        }
        Flow::Next
    }
}

/// `cvta{.to}.space.u64`: between an address in a window and a generic one.
fn address<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let to = form.flag("to");
    let spaces = [
        "global",
        "const",
        "shared",
        "shared::cta",
        "shared::cluster",
        "local",
        "param",
        "param::entry",
    ];
    let space = form
        .choice(&spaces)
        .ok_or_else(|| form.unsupported("it names no state space"))?;
    let ty = form.ty()?;
    form.done()?;
    if ty != Type::U64 {
        return Err(form.unsupported("addresses have 64 bits"));
    }
    let base = match space {
        "global" | "const" => 0,
        "local" => window::LOCAL,
        "param" | "param::entry" => window::PARAM,
        _ => window::SHARED,
    };
    let [result, from] = form.operands(instruction)?;
    let mut op = lanes!(d, |a: u64, b: u64| -> u64 { a.wrapping_add(b) });
    let (source, offset) = match d.local(from) {
        Some((frame, offset)) => (frame, offset),
        None => (d.src(&form, from, ty)?, 0),
    };
    op.a = source;
    op.d = d.dst(&form, result, ty)?;
    let base = if to { 0_u64.wrapping_sub(base) } else { base };
    op.b = d.immediate(base.wrapping_add_signed(offset), Type::U64);
    d.push(op);
    Ok(())
}
