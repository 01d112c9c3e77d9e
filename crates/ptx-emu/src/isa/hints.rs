//! Hints for caches and schedulers, which change no result (PTX ISA 9.7.9, 9.7.13, 9.7.19).

use crate::ast::{Instruction, Operand, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::{Cx, Flow};
use crate::lanes::Lane;
use crate::program::Op;
use crate::simd::{Handler, Level};

const PRIORITIES: [&str; 4] = [
    "L2::evict_last",
    "L2::evict_normal",
    "L2::evict_first",
    "L2::evict_unchanged",
];

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    match form.name {
        "createpolicy" => policy(d, form, instruction),
        "prefetch" | "prefetchu" => prefetch(d, form, instruction),
        "applypriority" => priority(d, form, instruction),
        "griddepcontrol" => dependents(d, form, instruction),
        "pmevent" => event(d, form, instruction),
        // a write of values that nobody knows
        _ => Err(form.unsupported("memory without a value is not modelled")),
    }
}

/// Takes one of `names`, which must be there.
fn required(form: &mut Form<'_>, names: &[&'static str]) -> Result<&'static str, LoadError> {
    form.choice(names)
        .ok_or_else(|| form.unsupported(&format!("none of `.{}`", names.join(" ."))))
}

fn push_nothing(d: &mut Decoder<'_, '_>) {
    let op = d.op::<Nothing>();
    d.push(op);
}

fn prefetch<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let uniform = form.name == "prefetchu";
    if form.flag("tensormap") {
        form.choice(&["const", "param"]);
    } else if uniform {
        required(&mut form, &["L1"])?;
    } else if form.has("global") {
        form.flag("global");
        required(
            &mut form,
            &["L1", "L2", "L2::evict_last", "L2::evict_normal"],
        )?;
    } else {
        form.flag("local");
        required(&mut form, &["L1", "L2"])?;
    }
    form.done()?;
    let [at] = form.operands(instruction)?;
    d.address(&form, at)?;
    push_nothing(d);
    Ok(())
}

fn priority<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    form.flag("global");
    required(&mut form, &["L2::evict_normal"])?;
    form.done()?;
    let [at, size] = form.operands(instruction)?;
    d.address(&form, at)?;
    match form.number(size)? {
        128 => push_nothing(d),
        other => return Err(form.operand(format!("a size of {other}"), "128")),
    }
    Ok(())
}

fn dependents<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    required(&mut form, &["launch_dependents", "wait"])?;
    form.done()?;
    let [] = form.operands(instruction)?;
    push_nothing(d);
    Ok(())
}

fn event<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    form.flag("mask");
    form.done()?;
    let [index] = form.operands(instruction)?;
    form.number(index)?;
    push_nothing(d);
    Ok(())
}

/// `createpolicy`: the value is opaque, and nothing looks at it.
fn policy<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let kind = required(&mut form, &["fractional", "range", "cvt"])?;
    if kind == "cvt" {
        required(&mut form, &["L2"])?;
    } else {
        if kind == "range" {
            form.flag("global");
        }
        required(&mut form, &PRIORITIES)?;
        form.choice(&["L2::evict_first", "L2::evict_unchanged"]);
    }
    if form.ty()? != Type::B64 {
        return Err(form.unsupported("a policy has 64 bits"));
    }
    form.done()?;
    let value = match (kind, instruction.operands.as_slice()) {
        ("cvt", [_, property]) => d.src(&form, property, Type::B64)?,
        ("fractional", [_]) => d.immediate(NORMAL, Type::B64),
        ("fractional", [_, fraction]) => {
            d.src(&form, fraction, Type::F32)?;
            d.immediate(NORMAL, Type::B64)
        }
        ("range", [_, at @ Operand::Address { .. }, primary, total]) => {
            d.address(&form, at)?;
            d.src(&form, primary, Type::B32)?;
            d.src(&form, total, Type::B32)?;
            d.immediate(NORMAL, Type::B64)
        }
        (_, operands) => {
            let found = format!("{} operands", operands.len());
            return Err(form.operand(found, "those of this kind of policy"));
        }
    };
    let mut op = d.op::<Policy>();
    op.a = value;
    op.d = d.dst(&form, &instruction.operands[0], Type::B64)?;
    d.push(op);
    Ok(())
}

/// What compilers write for "as usual".
const NORMAL: u64 = 0x1000_0000_0000_0000;

struct Policy;

impl Handler for Policy {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let value = u64::load(&cx.warp.regs, op.a);
        u64::store(&mut cx.warp.regs, op.d, cx.mask, &value);
        Flow::Next
    }
}

/// No effect.
pub(super) struct Nothing;

impl Handler for Nothing {
    #[inline(always)]
    fn run<L: Level>(_: &mut Cx<'_>, _: &Op) -> Flow {
        Flow::Next
    }
}
