//! `mbarrier` (PTX ISA 9.7.13.15).

mod operate;
mod wait;

use crate::ast::{Instruction, Operand, Type};
use crate::decode::form::{Form, LoadError};
use crate::decode::{Decoder, NARROW_ADDRESS};
use crate::exec::access::Place;
use crate::isa::memory::place;
use crate::program::Op;
use operate::{Adjust, Arrive, ArriveCopies, End, Init, PendingCount};
use wait::Wait;

pub(crate) use operate::complete_tx;

/// Bits of `Op::aux`: the place in the lowest three, then flags.
const COUNTED: u32 = 8;
const EXPECTS: u32 = 16;
const NO_COMPLETE: u32 = 32;
const DROPS: u32 = 64;
const RELAXED: u32 = 128;
const PARITY: u32 = 256;
/// It returns at once.
const TEST: u32 = 512;
/// The arrival is not made up for by one more that is expected.
const NO_INC: u32 = 1024;

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let names = [
        "init",
        "inval",
        "expect_tx",
        "complete_tx",
        "arrive",
        "arrive_drop",
        "test_wait",
        "try_wait",
        "pending_count",
    ];
    // `mbarrier.arrive.expect_tx` has two of the names
    let name = form.choice(&names);
    match name {
        Some("init") => init(d, form, instruction),
        Some("inval") => inval(d, form, instruction),
        Some("expect_tx" | "complete_tx") => {
            adjust(d, form, instruction, name == Some("expect_tx"))
        }
        Some("arrive" | "arrive_drop") => {
            let drops = if name == Some("arrive_drop") {
                DROPS
            } else {
                0
            };
            arrive(d, form, instruction, drops)
        }
        Some("test_wait" | "try_wait") => {
            let test = if name == Some("test_wait") { TEST } else { 0 };
            waiting(d, form, instruction, test)
        }
        Some(_) => {
            b64(&mut form)?;
            let [count, state] = form.operands(instruction)?;
            let mut op = d.op::<PendingCount>();
            op.d = d.dst(&form, count, Type::B32)?;
            op.a = d.src(&form, state, Type::B64)?;
            d.push(op);
            Ok(())
        }
        None => Err(form.unsupported("unknown operation")),
    }
}

/// What every form ends with.
fn b64(form: &mut Form<'_>) -> Result<(), LoadError> {
    if !form.flag("b64") {
        return Err(form.unsupported("objects have the type `.b64`"));
    }
    form.done()
}

/// `.sem.scope`; whether it orders nothing.
fn relaxed(form: &mut Form<'_>, meaning: &'static str) -> Result<u32, LoadError> {
    let found = form.choice(&[meaning, "relaxed"]);
    let scope = form.choice(&["cta", "cluster"]);
    match (found, scope) {
        (Some(_), None) | (None, Some(_)) => {
            Err(form.unsupported("it has a scope without a meaning, or the other way round"))
        }
        (Some("relaxed"), Some(_)) => Ok(RELAXED),
        (None, None) | (Some(_), Some(_)) => Ok(0),
    }
}

/// The state space: shared memory, or any address in it.
fn shared(form: &mut Form<'_>) -> Result<u32, LoadError> {
    match place(form) {
        place @ (Place::Shared | Place::Generic) => Ok(place as u32),
        _ => Err(form.unsupported("objects lie in shared memory")),
    }
}

/// Puts the address of an object into `a`, `x` and `aux`.
fn target<'a>(
    d: &mut Decoder<'_, 'a>,
    op: &mut Op,
    form: &Form<'a>,
    operand: &Operand<'a>,
) -> Result<(), LoadError> {
    let address = d.address(form, operand)?;
    if address.param {
        return Err(form.operand("a parameter", "an address in shared memory"));
    }
    op.a = address.slot;
    op.x = address.offset;
    if address.narrow {
        op.aux |= NARROW_ADDRESS;
    }
    Ok(())
}

fn init<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let mut op = d.op::<Init>();
    op.aux = shared(&mut form)?;
    b64(&mut form)?;
    let [at, count] = form.operands(instruction)?;
    target(d, &mut op, &form, at)?;
    op.b = d.src(&form, count, Type::U32)?;
    d.push(op);
    Ok(())
}

fn inval<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let mut op = d.op::<End>();
    op.aux = shared(&mut form)?;
    b64(&mut form)?;
    let [at] = form.operands(instruction)?;
    target(d, &mut op, &form, at)?;
    d.push(op);
    Ok(())
}

fn adjust<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
    expects: bool,
) -> Result<(), LoadError> {
    let mut op = d.op::<Adjust>();
    relaxed(&mut form, "relaxed")?;
    op.aux = shared(&mut form)?;
    if expects {
        op.aux |= EXPECTS;
    }
    b64(&mut form)?;
    let [at, count] = form.operands(instruction)?;
    target(d, &mut op, &form, at)?;
    op.b = d.src(&form, count, Type::U32)?;
    d.push(op);
    Ok(())
}

fn arrive<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
    drops: u32,
) -> Result<(), LoadError> {
    let mut op = d.op::<Arrive>();
    let extra = form.choice(&["expect_tx", "noComplete"]);
    let relaxed = relaxed(&mut form, "release")?;
    op.aux = shared(&mut form)? | drops | relaxed;
    b64(&mut form)?;
    let (operands, sunk) = match instruction.operands.as_slice() {
        // the result may be left out for objects of other blocks
        all @ [crate::ast::Operand::Address { .. }, ..] => (all, true),
        [state, rest @ ..] => {
            op.d = d.dst(&form, state, Type::B64)?;
            (rest, false)
        }
        [] => return Err(form.operand("no operands", "an address")),
    };
    let count = match operands {
        [_] if extra.is_none() => None,
        [_, count] => Some(count),
        _ => return Err(form.operand(format!("{} operands", operands.len()), "1 or 2")),
    };
    if sunk {
        op.d = 0;
    }
    target(d, &mut op, &form, &operands[0])?;
    if let Some(count) = count {
        op.b = d.src(&form, count, Type::U32)?;
        op.aux |= COUNTED;
    }
    op.aux |= match extra {
        Some("expect_tx") => EXPECTS,
        Some(_) => NO_COMPLETE,
        None => 0,
    };
    d.push(op);
    Ok(())
}

fn waiting<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
    test: u32,
) -> Result<(), LoadError> {
    let mut op = d.op::<Wait>();
    let parity = form.flag("parity");
    let relaxed = relaxed(&mut form, "acquire")?;
    if form.has("shared::cluster") {
        return Err(form.unsupported("only the block's own objects can be waited for"));
    }
    op.aux = shared(&mut form)? | test | relaxed;
    b64(&mut form)?;
    let (result, at, state) = match instruction.operands.as_slice() {
        [result, at, state] => (result, at, state),
        [result, at, state, hint] if test == 0 => {
            d.src(&form, hint, Type::U32)?;
            (result, at, state)
        }
        other => {
            let found = format!("{} operands", other.len());
            return Err(form.operand(found, "a predicate, an address and a phase"));
        }
    };
    op.d = d.pred_dst(&form, result)?;
    target(d, &mut op, &form, at)?;
    op.b = if parity {
        op.aux |= PARITY;
        d.src(&form, state, Type::U32)?
    } else {
        d.src(&form, state, Type::B64)?
    };
    d.push(op);
    Ok(())
}

/// `cp.async.mbarrier.arrive`
pub(crate) fn copies<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    form.flag("mbarrier");
    if !form.flag("arrive") {
        return Err(form.unsupported("unknown operation"));
    }
    let mut op = d.op::<ArriveCopies>();
    if form.flag("noinc") {
        op.aux |= NO_INC;
    }
    op.aux |= shared(&mut form)?;
    b64(&mut form)?;
    let [at] = form.operands(instruction)?;
    target(d, &mut op, &form, at)?;
    d.push(op);
    Ok(())
}
