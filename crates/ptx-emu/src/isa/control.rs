//! Branches, calls and the end of a thread (PTX ISA 9.7.12).

use std::rc::Rc;

use crate::ast::{Instruction, Operand, Type};
use crate::decode::form::{Form, LoadError};
use crate::decode::module::FUNCTION_WINDOW;
use crate::decode::{Decoder, Symbol};
use crate::exec::warp::{Frame, State};
use crate::exec::{Cx, Flow};
use crate::lanes::{Lane, Lanes, Registers, lanes_of};
use crate::memory::window;
use crate::program::{Callee, Op, Program};
use crate::report::ViolationKind;
use crate::simd::{Handler, Level};

/// Values of `Op::x` that say what leaves a block of code.
const BRANCH: i64 = 1;
const LEAVE: i64 = 2;
const TABLE: i64 = 3;

/// Where a block of code can go from its last op.
pub(crate) struct Exits {
    pub labels: Vec<u32>,
    pub falls_through: bool,
}

/// Where control can go after `op`, of a function whose labels are not resolved yet.
pub(crate) fn exits(op: &Op, targets: &[Vec<u32>]) -> Exits {
    let guarded = op.guard != 0 || op.flip == 0;
    let labels = match op.x {
        _ if !op.ends_block => Vec::new(),
        BRANCH => vec![op.aux],
        TABLE => targets.get(op.c as usize).cloned().unwrap_or_default(),
        _ => Vec::new(),
    };
    Exits {
        labels,
        falls_through: guarded || !op.ends_block,
    }
}

/// Whether a lane of the kernel itself exits at once where it is, at op `pc`.
fn exits_at(program: &Program, mut pc: u32) -> bool {
    loop {
        let Some(op) = program.ops.get(pc as usize) else {
            return false;
        };
        // the first of these is a `Jump`
        let jumps = op.class.is_none() && !op.ends_block || op.ends_block && op.x == BRANCH;
        if op.guard != 0 || op.flip == 0 || jumps && op.aux <= pc {
            return false;
        }
        if !jumps {
            return op.ends_block && op.x == LEAVE;
        }
        pc = op.aux;
    }
}

/// Puts the place of a label where the label was.
pub(crate) fn resolve(op: &mut Op, place: &impl Fn(u32) -> u32) {
    if op.x == BRANCH {
        op.aux = place(op.aux);
    }
}

/// Gives a table branch its list of places.
pub(crate) fn resolve_table(op: &mut Op, tables: &[Vec<u32>], lists: &mut Vec<u32>) {
    if op.ends_block && op.x == TABLE {
        let table = tables.get(op.c as usize).map_or(&[][..], Vec::as_slice);
        op.list = u32::try_from(lists.len()).unwrap_or(u32::MAX);
        op.aux = u32::try_from(table.len()).unwrap_or(0);
        lists.extend_from_slice(table);
    }
}

/// Ends a function that has no `ret` as its last instruction.
pub(crate) fn end(d: &mut Decoder<'_, '_>) {
    d.unguarded();
    let op = leaving(d);
    d.push(Op { class: None, ..op });
}

fn leaving(d: &Decoder<'_, '_>) -> Op {
    let mut op = if d.in_kernel() {
        d.op::<Exit>()
    } else {
        d.op::<Return>()
    };
    op.x = LEAVE;
    op.ends_block = true;
    op
}

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    form.flag("uni");
    match form.name {
        "bra" => {
            form.done()?;
            let [target] = d.operands(&form, instruction)?;
            let mut op = d.op::<Branch>();
            op.aux = label(d, &form, target)?;
            op.x = BRANCH;
            op.ends_block = true;
            d.push(op);
        }
        "brx" => {
            if !form.flag("idx") {
                return Err(form.unsupported("only `brx.idx` is known"));
            }
            form.done()?;
            let [index, list] = d.operands(&form, instruction)?;
            let mut op = d.op::<TableBranch>();
            op.a = d.src(&form, index, Type::U32)?;
            op.c = match list {
                Operand::Name(name) => match d.lookup(name) {
                    Some(Symbol::Targets(index)) => index,
                    _ => return Err(form.operand(format!("`{name}`"), "a list of targets")),
                },
                other => return Err(form.operand(format!("{other:?}"), "a list of targets")),
            };
            op.x = TABLE;
            op.ends_block = true;
            d.push(op);
        }
        "ret" => {
            form.done()?;
            let op = leaving(d);
            d.push(op);
        }
        "exit" => {
            form.done()?;
            let mut op = d.op::<Exit>();
            op.x = LEAVE;
            op.ends_block = true;
            d.push(op);
        }
        "trap" => {
            form.done()?;
            let mut op = d.op::<Trap>();
            op.x = LEAVE;
            op.ends_block = true;
            d.push(op);
        }
        "nanosleep" => {
            form.ty()?;
            form.done()?;
            let op = d.op::<Sleep>();
            d.push(op);
        }
        _ => call(d, form, instruction)?,
    }
    Ok(())
}

fn label<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    operand: &Operand<'a>,
) -> Result<u32, LoadError> {
    if let Operand::Name(name) = operand
        && let Some(Symbol::Label(label)) = d.lookup(name)
    {
        return Ok(label);
    }
    Err(form.operand(format!("{operand:?}"), "a label of this function"))
}

/// `call (results), function, (arguments), prototype`. Arguments and results are variables in the
/// frame of the caller; they are copied to and from the frame of the function.
fn call<'a>(
    d: &mut Decoder<'_, 'a>,
    form: Form<'a>,
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
        op.a = d.src(&form, target, Type::U64)?;
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

/// A jump of all lanes, which the text does not have.
pub(crate) struct Jump;

impl Handler for Jump {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        cx.pc = op.aux;
        Flow::Jump
    }
}

struct Branch;

impl Handler for Branch {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let stay = cx.active & !cx.mask;
        if stay == 0 {
            cx.pc = op.aux;
            return Flow::Jump;
        }
        cx.worker.tallies[op.index as usize].divergent += 1;
        leave(cx, cx.pc, stay);
        leave(cx, op.aux, cx.mask);
        let frame = cx.warp.frame.take();
        cx.warp.push(cx.pc, stay, frame.clone(), State::Ready);
        cx.warp.push(op.aux, cx.mask, frame, State::Ready);
        Flow::Switch
    }
}

/// Notes that `lanes` leave the others for op `pc`.
fn leave(cx: &mut Cx<'_>, pc: u32, lanes: u32) {
    if cx.warp.frame.is_none() && exits_at(cx.grid.program, pc) {
        cx.warp.leaving |= lanes;
    }
}

struct TableBranch;

impl Handler for TableBranch {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let index = u32::load(&cx.warp.regs, op.a);
        let program = cx.grid.program;
        let table = program.list(op, op.aux as usize);
        let frame = cx.warp.frame.take();
        let stay = cx.active & !cx.mask;
        cx.warp.push(cx.pc, stay, frame.clone(), State::Ready);
        let mut rest = cx.mask;
        while rest != 0 {
            let first = index[rest.trailing_zeros() as usize];
            let same = lanes_of(rest).filter(|lane| index[*lane] == first);
            let same: u32 = same.fold(0, |mask, lane| mask | 1 << lane);
            rest &= !same;
            let Some(target) = table.get(first as usize) else {
                cx.violate(op, same.trailing_zeros() as usize, ViolationKind::Trap);
                return Flow::Stop;
            };
            if frame.is_none() && exits_at(program, *target) {
                cx.warp.leaving |= same;
            }
            cx.warp.push(*target, same, frame.clone(), State::Ready);
        }
        Flow::Switch
    }
}

struct Exit;

impl Handler for Exit {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let gone = cx.mask;
        cx.warp.live &= !gone;
        if gone == cx.active {
            cx.warp.passed |= gone & !cx.warp.leaving;
        }
        cx.active &= !gone;
        let (live, warp) = (cx.warp.live, cx.warp.index);
        cx.block().live[warp as usize] = live;
        if live == 0 {
            cx.block().order.exit(warp);
        }
        // barriers no longer wait for these lanes
        for id in 0..16 {
            crate::isa::barrier::complete(cx, op, id);
        }
        crate::exec::cluster::complete(cx);
        if cx.active == 0 {
            cx.warp.frame = None;
            return Flow::Switch;
        }
        Flow::Next
    }
}

struct Trap;

impl Handler for Trap {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        cx.violate(op, cx.mask.trailing_zeros() as usize, ViolationKind::Trap);
        Flow::Stop
    }
}

struct Sleep;

impl Handler for Sleep {
    #[inline(always)]
    fn run<L: Level>(_: &mut Cx<'_>, _: &Op) -> Flow {
        Flow::Yield
    }
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

struct Return;

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
