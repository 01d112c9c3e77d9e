//! Calls of functions and their return (PTX ISA 9.7.12, "call").

use std::rc::Rc;

use crate::ast::{Instruction, Operand, Type};
use crate::decode::form::{Form, LoadError};
use crate::decode::module::FUNCTION_WINDOW;
use crate::decode::{Decoder, Symbol};
use crate::exec::warp::{Frame, State};
use crate::exec::{Cx, Flow};
use crate::lanes::{Lane, Lanes, Registers, lanes_of};
use crate::memory::window;
use crate::program::{Callee, Op};
use crate::report::ViolationKind;
use crate::simd::{Handler, Level};

/// `call (results), function, (arguments), prototype`. Arguments and results are variables in the
/// frame of the caller; they are copied to and from the frame of the function.
pub(super) fn call<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    form.done()?;
    let mut results: &[Operand<'a>] = &[];
    let mut arguments: &[Operand<'a>] = &[];
    let mut operands = instruction.operands.as_slice();
    if let [Operand::List(list), rest @ ..] = operands {
        results = list;
        operands = rest;
    }
    let [target, rest @ ..] = operands else {
        return Err(form.operand("no function", "a function to call"));
    };
    if let [Operand::List(list), ..] = rest {
        arguments = list;
    }
    let mut list = vec![];
    for part in [arguments, results] {
        list.push(u32::try_from(part.len()).unwrap_or(0));
        for operand in part {
            let place = d.local(operand);
            let (_, at) =
                place.ok_or_else(|| form.operand(format!("{operand:?}"), "a `.param` variable"))?;
            list.push(u32::try_from(at).unwrap_or(0));
        }
    }
    let mut op = d.op::<Call>();
    op.b = u32::try_from(d.function_index()).unwrap_or(0);
    op.aux = u32::MAX;
    let direct = match target {
        Operand::Name(name) => match d.lookup(name) {
            Some(Symbol::Function(index)) => Some(index),
            _ => None,
        },
        _ => None,
    };
    if let Some(index) = direct {
        op.aux = d.callee(index);
    } else {
        op.a = d.src(form, target, Type::U64)?;
        // any function of the module may be meant: number and index of each
        let all: Vec<u32> = (0..d.module_functions())
            .filter_map(|index| u32::try_from(index).ok())
            .filter(|index| !d.is_entry(*index))
            .collect();
        op.c = u32::try_from(list.len()).unwrap_or(0);
        list.push(u32::try_from(all.len()).unwrap_or(0));
        for index in all {
            list.push(index);
            list.push(d.callee(index));
        }
    }
    op.list = d.list(&list);
    d.push(op);
    Ok(())
}

/// Most calls within each other.
const MOST_DEPTH: u32 = 10_000;

struct Call;

impl Handler for Call {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        if op.aux != u32::MAX {
            return enter(cx, op, op.aux, cx.mask);
        }
        // an address: the lanes of one function after the other
        let address = u64::load(&cx.warp.regs, op.a);
        let first = address[cx.mask.trailing_zeros() as usize];
        let same = lanes_of(cx.mask).filter(|lane| address[*lane] == first);
        let same: u32 = same.fold(0, |mask, lane| mask | 1 << lane);
        let lists = &cx.grid.program.lists;
        let table = (op.list + op.c) as usize;
        let count = lists[table] as usize;
        let pairs = lists[table + 1..table + 1 + 2 * count].chunks_exact(2);
        let found = pairs
            .filter(|pair| FUNCTION_WINDOW + u64::from(pair[0]) == first)
            .map(|pair| pair[1])
            .next();
        let Some(function) = found else {
            cx.violate(op, same.trailing_zeros() as usize, ViolationKind::Trap);
            return Flow::Stop;
        };
        let others = cx.mask & !same;
        let frame = cx.warp.frame.clone();
        cx.warp.push(cx.pc - 1, others, frame, State::Ready);
        cx.active &= !others;
        enter(cx, op, function, same)
    }
}

#[inline(never)]
fn enter(cx: &mut Cx<'_>, op: &Op, function: u32, mask: u32) -> Flow {
    let program = cx.grid.program;
    let callee = &program.functions[function as usize];
    let parent = cx.warp.frame.take();
    let depth = parent.as_ref().map_or(0, |frame| frame.depth) + 1;
    let base = parent
        .as_ref()
        .map_or(program.functions[0].local_bytes, |frame| frame.local_end)
        .next_multiple_of(16);
    if depth > MOST_DEPTH {
        cx.violate(op, mask.trailing_zeros() as usize, ViolationKind::Trap);
        return Flow::Stop;
    }
    let end = base + callee.local_bytes;
    if end > cx.warp.local_bytes && cx.warp.resize_local(end.next_power_of_two()).is_none() {
        cx.violate(op, mask.trailing_zeros() as usize, ViolationKind::Trap);
        return Flow::Stop;
    }
    // A function that is under way already finds its registers as the outer call left them.
    let mut outer = parent.as_ref();
    let mut under_way = function == 0;
    while let Some(frame) = outer {
        under_way |= frame.function == function;
        outer = frame.parent.as_ref();
    }
    let saved = under_way.then(|| {
        let (slot, slots) = callee.slots;
        let (pred, preds) = callee.preds;
        let regs = &cx.warp.regs;
        (
            regs.slots[slot as usize..(slot + slots) as usize].to_vec(),
            regs.preds[pred as usize..(pred + preds) as usize].to_vec(),
        )
    });
    let (arguments, _) = arguments(program, op);
    let from = frame_offsets(cx, op);
    copy(cx, mask, &from, arguments, base, &callee.params);
    let address = [u64::from(window::LOCAL_START + base); 32];
    address_store(cx, callee.frame, mask, &address);
    let frame = Frame {
        back: cx.pc,
        function,
        depth,
        local_end: end,
        saved,
        call: op.index,
        parent: parent.clone(),
    };
    cx.warp.push(cx.pc, cx.active & !mask, parent, State::Ready);
    cx.warp
        .push(callee.start, mask, Some(Rc::new(frame)), State::Ready);
    Flow::Switch
}

fn address_store(cx: &mut Cx<'_>, slot: u32, mask: u32, address: &[u64; 32]) {
    u64::store(&mut cx.warp.regs, slot, mask, address);
}

/// Offsets of the arguments and results of a call in the caller's frame.
fn arguments<'p>(program: &'p crate::program::Program, op: &Op) -> (&'p [u32], &'p [u32]) {
    let list = &program.lists[op.list as usize..];
    let (count, list) = (list[0] as usize, &list[1..]);
    let (arguments, list) = list.split_at(count);
    (arguments, &list[1..=list[0] as usize])
}

/// Where the caller's frame lies, per lane.
fn frame_offsets(cx: &Cx<'_>, op: &Op) -> [u32; 32] {
    let frame = cx.grid.program.functions[op.b as usize].frame;
    u64::load(&cx.warp.regs, frame)
        .map(|at| u32::try_from(at & 0xffff_ffff).unwrap_or(0))
        // lanes that are not in the function have none
        .map(|at| at.wrapping_sub(window::LOCAL_START))
}

/// Copies variables of each lane from the caller's frame to one at `base`.
fn copy(
    cx: &mut Cx<'_>,
    mask: u32,
    from: &[u32; 32],
    places: &[u32],
    base: u32,
    into: &[(u32, u32)],
) {
    for (place, (offset, bytes)) in places.iter().zip(into) {
        for lane in lanes_of(mask) {
            move_local(cx, lane, from[lane] + place, base + offset, *bytes);
        }
    }
}

fn move_local(cx: &mut Cx<'_>, lane: usize, from: u32, into: u32, bytes: u32) {
    let warp = &mut *cx.warp;
    let start = lane * warp.local_stride() as usize;
    let (from, into, bytes) = (start + from as usize, start + into as usize, bytes as usize);
    let end = start + warp.local_bytes as usize;
    if from + bytes > end || into + bytes > end {
        return;
    }
    let mut copy = vec![0; bytes];
    warp.local.view().copy_to(from, &mut copy);
    warp.local.view().copy_from(into, &copy);
    for at in 0..bytes {
        if warp.local_written.missing(from + at, 1).is_none() {
            warp.local_written.mark(into + at, 1);
        }
    }
}

pub(super) struct Return;

impl Handler for Return {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, _: &Op) -> Flow {
        go_back(cx)
    }
}

/// Gives the lanes of `mask` the registers that a call further out left.
fn restore(regs: &mut Registers, callee: &Callee, saved: &[Lanes], mask: u32) {
    let mut rest = saved;
    let mut slot = callee.slots.0;
    while let Some((value, after)) = rest.split_first() {
        let within = |(first, count): &(u32, u32)| (*first..first + 2 * count).contains(&slot);
        // the lanes of a 64-bit register lie across both of its slots
        let pair: Result<[u64; 32], _> = match rest.get(..2) {
            Some(pair) if callee.wide.iter().any(within) => bytemuck::cast_slice(pair).try_into(),
            _ => [][..].try_into(),
        };
        if let Ok(pair) = pair {
            u64::store(regs, slot, mask, &pair);
            (slot, rest) = (slot + 2, &after[1..]);
        } else {
            u32::store(regs, slot, mask, &value.0);
            (slot, rest) = (slot + 1, after);
        }
    }
}

#[inline(never)]
fn go_back(cx: &mut Cx<'_>) -> Flow {
    let program = cx.grid.program;
    let mask = cx.mask;
    let Some(frame) = cx.warp.frame.take() else {
        return Flow::Stop;
    };
    let callee = &program.functions[frame.function as usize];
    let call = &program.ops[frame.call as usize];
    let (_, results) = arguments(program, call);
    let own = frame.local_end - callee.local_bytes;
    if let Some((slots, preds)) = &frame.saved {
        restore(&mut cx.warp.regs, callee, slots, mask);
        let pred = callee.preds.0 as usize;
        for (at, value) in preds.iter().enumerate() {
            let pred = &mut cx.warp.regs.preds[pred + at];
            *pred = *pred & !mask | value & mask;
        }
    }
    // with the caller's registers back, its frame is known again
    let into = frame_offsets(cx, call);
    for (place, (offset, bytes)) in results.iter().zip(&callee.returns) {
        for lane in lanes_of(mask) {
            move_local(cx, lane, own + offset, into[lane] + place, *bytes);
        }
    }
    let rest = cx.active & !mask;
    cx.warp
        .push(frame.back, mask, frame.parent.clone(), State::Ready);
    cx.warp.push(cx.pc, rest, Some(frame), State::Ready);
    Flow::Switch
}
