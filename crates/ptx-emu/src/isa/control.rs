//! Branches, calls and the end of a thread (PTX ISA 9.7.12).

mod call;

use crate::ast::{Instruction, Operand, Type};
use crate::decode::form::{Form, LoadError};
use crate::decode::{Decoder, Symbol};
use crate::exec::warp::State;
use crate::exec::{Cx, Flow};
use crate::lanes::{Lane, lanes_of};
use crate::program::{Op, Program};
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
    let guarded = op.guarded();
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
        if op.guarded() || jumps && op.aux <= pc {
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
        d.op::<call::Return>()
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
            let [target] = form.operands(instruction)?;
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
            let [index, list] = form.operands(instruction)?;
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
        _ => call::call(d, &form, instruction)?,
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
        if cx.block().barriers.any_pending() {
            for id in 0..16 {
                crate::isa::barrier::complete(cx, op, id);
            }
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
