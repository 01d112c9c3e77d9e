//! Barriers of a block: `bar`, `barrier`, and of a warp: `bar.warp.sync` (PTX ISA 9.7.13).

use crate::ast::{Instruction, Operand, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::barrier::Misuse;
use crate::exec::collect::gather_groups;
use crate::exec::warp::State;
use crate::exec::{Cx, Entry, Flow};
use crate::lanes::Lane;
use crate::program::{Op, Traffic};
use crate::report::ViolationKind;
use crate::simd::{Handler, Level};

/// Bits of `Op::aux`.
const ALIGNED: u32 = 1;
const COUNTED: u32 = 2;
const REDUCE_COUNT: u32 = 4;
const REDUCE_ALL: u32 = 8;
const REDUCE_ANY: u32 = 16;
const REDUCES: u32 = REDUCE_COUNT | REDUCE_ALL | REDUCE_ANY;

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    if form.flag("warp") {
        form.flag("sync");
        form.done()?;
        let [members] = form.operands(instruction)?;
        let mut op = d.op::<WarpSync>();
        op.a = d.src(&form, members, Type::B32)?;
        op.traffic = Traffic::WarpBarrier;
        d.push(op);
        return Ok(());
    }
    if form.flag("cluster") {
        return Err(form.unsupported("barriers of a cluster"));
    }
    form.flag("cta");
    let mut aux = if form.flag("aligned") || form.name == "bar" {
        ALIGNED
    } else {
        0
    };
    let kind = form.choice(&["sync", "arrive", "red"]).unwrap_or("sync");
    if kind == "red" {
        aux |= match form.choice(&["popc", "and", "or"]) {
            Some("popc") => REDUCE_COUNT,
            Some("and") => REDUCE_ALL,
            Some("or") => REDUCE_ANY,
            _ => return Err(form.unsupported("a reduction other than popc, and, or")),
        };
        let ty = form.ty()?;
        if (ty, aux & REDUCE_COUNT != 0) != (Type::U32, true)
            && (ty, aux & REDUCE_COUNT == 0) != (Type::Pred, true)
        {
            return Err(form.unsupported("a reduction of this type"));
        }
    }
    form.done()?;
    let mut operands = instruction.operands.as_slice();
    let mut op = match kind {
        "arrive" => d.op::<Arrive>(),
        _ => d.op::<Sync>(),
    };
    if kind == "red" {
        let [result, middle @ .., value] = operands else {
            return Err(form.operand("too few operands", "a result and a predicate"));
        };
        op.d = if aux & REDUCE_COUNT == 0 {
            d.pred_dst(&form, result)?
        } else {
            d.dst(&form, result, Type::U32)?
        };
        let (pred, flip) = d.pred_src(&form, value)?;
        op.list = d.list(&[pred, flip]);
        operands = middle;
    }
    let zero = Operand::Int(0);
    op.a = d.src(&form, operands.first().unwrap_or(&zero), Type::U32)?;
    if let Some(count) = operands.get(1) {
        op.b = d.src(&form, count, Type::U32)?;
        aux |= COUNTED;
    }
    let few = if kind == "arrive" { 2 } else { 1 };
    if !(few..=2).contains(&operands.len()) {
        let found = format!("{} operands", operands.len());
        return Err(form.operand(found, "a barrier, and a number of threads"));
    }
    op.aux = aux;
    d.push(op);
    Ok(())
}

/// `bar.sync`, `bar.red`
struct Sync;

impl Handler for Sync {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let reduces = op.aux & REDUCES != 0;
        if reduces && cx.entry == Entry::Resumed {
            return result(cx, op);
        }
        arrive(cx, op, true, reduces)
    }
}

struct Arrive;

impl Handler for Arrive {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        arrive(cx, op, false, false)
    }
}

#[inline(never)]
fn arrive(cx: &mut Cx<'_>, op: &Op, waits: bool, reduces: bool) -> Flow {
    if op.aux & ALIGNED != 0
        && let Err(flow) = aligned(cx, op)
    {
        return flow;
    }
    let lane = cx.mask.trailing_zeros() as usize;
    let id = u32::load(&cx.warp.regs, op.a)[lane];
    let threads = u32::load(&cx.warp.regs, op.b)[lane];
    let threads = (op.aux & COUNTED != 0).then_some(threads);
    let Ok(id @ 0..16) = u8::try_from(id) else {
        cx.violate(
            op,
            lane,
            ViolationKind::BarrierMisuse {
                barrier: id,
                problem: "a block has barriers 0 to 15".to_owned(),
            },
        );
        return Flow::Stop;
    };
    let (warp, lanes) = (cx.warp.index, cx.mask);
    let block = cx.block();
    let phase = block.barriers.phase(id);
    let arrived = block.barriers.arrive(id, warp, lanes, threads, waits);
    block.barriers.note(id, op.statement);
    if !waits {
        block
            .order
            .release(warp, &mut block.released[usize::from(id)]);
    }
    if reduces {
        let [pred, flip] = [0, 1].map(|i| cx.grid.program.list(op, 2)[i]);
        let values = cx.warp.regs.preds[pred as usize] ^ flip;
        cx.block().barriers.reduce(id, lanes, values);
    }
    if let Err(misuse) = arrived {
        let problem = match misuse {
            Misuse::Count { first, now } => {
                format!("{now} threads are named here, {first} by those that came first (0: all)")
            }
            Misuse::Threads { now } => {
                format!("{now} threads are named, which is no multiple of 32 above 0")
            }
            Misuse::Twice => "the warp has arrived before, and nobody has left since".to_owned(),
        };
        let barrier = u32::from(id);
        cx.violate(op, lane, ViolationKind::BarrierMisuse { barrier, problem });
    }
    complete(cx, op, id);
    if !waits {
        return Flow::Next;
    }
    if reduces {
        cx.pc -= 1;
    }
    cx.wait = State::Barrier {
        id,
        phase,
        again: reduces,
    };
    Flow::Wait
}

/// All lanes of the warp that still run must come to an aligned barrier together.
fn aligned(cx: &mut Cx<'_>, op: &Op) -> Result<(), Flow> {
    let missing = cx.warp.live & !cx.mask;
    if missing == 0 {
        return Ok(());
    }
    if cx.entry != Entry::Forced {
        return Err(Flow::Collect);
    }
    let (live, active) = (cx.warp.live, cx.mask);
    let lane = active.trailing_zeros() as usize;
    let barrier = u32::load(&cx.warp.regs, op.a)[lane];
    let kind = ViolationKind::DivergentBarrier {
        barrier,
        active,
        live,
    };
    cx.violate(op, lane, kind);
    Ok(())
}

/// Completes barrier `id` of the block if all have reached it.
pub(crate) fn complete(cx: &mut Cx<'_>, op: &Op, id: u8) {
    let Some(completed) = cx.block().complete(id) else {
        return;
    };
    cx.worker.barriers += 1;
    let missing = cx.block().exited();
    if completed.whole_block && missing > 0 && cx.grid.checks.barriers {
        let statement = completed.statement;
        let expected = cx.grid.threads_per_block();
        let kind = ViolationKind::PartialBarrier {
            barrier: u32::from(completed.id),
            arrived: expected - missing,
            expected,
        };
        let op = Op {
            statement,
            ..op.clone()
        };
        let lane = cx.mask.trailing_zeros().min(31) as usize;
        cx.violate(&op, lane, kind);
    }
}

fn result(cx: &mut Cx<'_>, op: &Op) -> Flow {
    let lane = cx.mask.trailing_zeros() as usize;
    let id = u32::load(&cx.warp.regs, op.a)[lane];
    let result = cx
        .block()
        .barriers
        .result(u8::try_from(id & 15).unwrap_or(0));
    if op.aux & REDUCE_COUNT != 0 {
        u32::store(&mut cx.warp.regs, op.d, cx.mask, &[result.count; 32]);
        return Flow::Next;
    }
    let holds = if op.aux & REDUCE_ALL != 0 {
        result.all
    } else {
        result.any
    };
    let pred = &mut cx.warp.regs.preds[op.d as usize];
    *pred = *pred & !cx.mask | if holds { cx.mask } else { 0 };
    Flow::Next
}

/// `bar.warp.sync members`
struct WarpSync;

impl Handler for WarpSync {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let members = u32::load(&cx.warp.regs, op.a);
        if let Err(flow) = gather_groups(cx, op, &members) {
            return flow;
        }
        let (warp, live, mut rest) = (cx.warp.index, cx.warp.live, cx.mask);
        while rest != 0 {
            // lanes that name the same members, one group after the other
            let group = members[rest.trailing_zeros() as usize] & live;
            rest &= !(group | 1 << rest.trailing_zeros());
            let order = &mut cx.block().order;
            if group == live {
                order.warp_sync(warp);
            } else {
                order.lane_sync(warp, group);
            }
        }
        Flow::Next
    }
}
