//! Bulk copies: `cp.async.bulk` (PTX ISA 9.7.9.25.4 and 9.7.9.27).
//!
//! The bytes are copied when the instruction is run. Shared memory that is written stays pending
//! until somebody has seen the phase of the mbarrier complete; shared memory that is read must not
//! change until the copy's group was waited for.

mod tensor;
mod units;

use crate::ast::{Instruction, Operand, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::Flow;
use crate::exec::access::Kind;
use crate::exec::{Cx, access::Place};
use crate::isa::memory::without_policy;
use crate::isa::operands::{alone, wait_group};
use crate::lanes::Lane;
use crate::memory::window;
use crate::program::{Op, Traffic};
use crate::report::{Space, ViolationKind};
use crate::simd::{Handler, Level};
use units::{Arrival, Unit, address, deliver, get, lane_by_lane, put, source, target};

/// `Op::aux`: to the blocks of a mask.
const MULTICAST: u32 = 1;
/// The source is in shared memory.
const FROM_SHARED: u32 = 2;

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    if form.has("reduce") {
        return Err(form.unsupported("reductions by bulk copies"));
    }
    form.flag("async");
    form.flag("bulk");
    if form.flag("commit_group") {
        return alone::<Commit>(d, &form, instruction);
    }
    if form.flag("wait_group") {
        // that the source is read is all that a wait is for here
        form.flag("read");
        return wait_group::<Wait>(d, &form, instruction);
    }
    if form.flag("tensor") {
        return tensor::decode(d, form, instruction);
    }
    if form.flag("prefetch") {
        return prefetch(d, form, instruction);
    }
    let hinted = form.flag("L2::cache_hint");
    match form.choice(&["mbarrier::complete_tx::bytes", "bulk_group"]) {
        Some("bulk_group") => {
            if spaces(&mut form) != [Some("global"), Some("shared::cta")] {
                return Err(form.unsupported("groups are those of `.global.shared::cta`"));
            }
            form.done()?;
            let operands = without_policy(d, &form, instruction, hinted)?;
            let [to, from, size] = operands else {
                return Err(count(&form, operands));
            };
            let mut op = d.op::<Store>();
            let list = [
                address(d, &form, to)?,
                address(d, &form, from)?,
                [d.src(&form, size, Type::U32)?, 0, 0, 0],
            ];
            op.list = d.list(list.as_flattened());
            op.traffic = Traffic::CopyOut;
            d.push(op);
            Ok(())
        }
        Some(_) => load(d, form, instruction, hinted),
        None => Err(form.unsupported("it names no way of completion")),
    }
}

/// `.dst.src`
fn spaces(form: &mut Form<'_>) -> [Option<&'static str>; 2] {
    let names = ["global", "shared::cta", "shared::cluster"];
    [form.choice(&names), form.choice(&names)]
}

fn count(form: &Form<'_>, operands: &[Operand<'_>]) -> LoadError {
    form.operand(format!("{} operands", operands.len()), "those of its form")
}

fn load<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
    hinted: bool,
) -> Result<(), LoadError> {
    let mut op = d.op::<Load>();
    let spaces = spaces(&mut form);
    let multicast = form.flag("multicast::cluster");
    match spaces {
        [Some("shared::cluster"), Some("global")] => op.traffic = Traffic::CopyPastL1,
        [Some("shared::cta"), Some("global")] if !multicast => op.traffic = Traffic::CopyPastL1,
        [Some("shared::cluster"), Some("shared::cta")] if !multicast && !hinted => {
            op.aux |= FROM_SHARED;
            op.traffic = Traffic::CopyOut;
        }
        _ => return Err(form.unsupported("copies between these state spaces")),
    }
    form.done()?;
    let operands = without_policy(d, &form, instruction, hinted)?;
    let [to, from, size, mbarrier, rest @ ..] = operands else {
        return Err(count(&form, operands));
    };
    let mut scalars = [d.src(&form, size, Type::U32)?, 0, 0, 0];
    match rest {
        [] if !multicast => {}
        [mask] if multicast => {
            op.aux |= MULTICAST;
            scalars[1] = d.src(&form, mask, Type::U16)?;
        }
        _ => return Err(count(&form, operands)),
    }
    let list = [
        address(d, &form, to)?,
        address(d, &form, from)?,
        address(d, &form, mbarrier)?,
        scalars,
    ];
    op.list = d.list(list.as_flattened());
    d.push(op);
    Ok(())
}

fn prefetch<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    if !form.flag("L2") || !form.flag("global") {
        return Err(form.unsupported("only `.L2.global` is known"));
    }
    let hinted = form.flag("L2::cache_hint");
    form.done()?;
    let operands = without_policy(d, &form, instruction, hinted)?;
    let [from, size] = operands else {
        return Err(count(&form, operands));
    };
    let mut op = d.op::<Prefetch>();
    let list = [
        address(d, &form, from)?,
        [d.src(&form, size, Type::U32)?, 0, 0, 0],
    ];
    op.list = d.list(list.as_flattened());
    d.push(op);
    Ok(())
}

/// The size of a copy, which must be a multiple of 16.
fn size(cx: &mut Cx<'_>, op: &Op, slot: u32, lane: usize, start: u64) -> Option<u32> {
    let size = u32::load(&cx.warp.regs, slot)[lane];
    if size % 16 == 0 {
        return Some(size);
    }
    let kind = ViolationKind::Misaligned {
        space: if start < window::GLOBAL {
            Space::Shared
        } else {
            Space::Global
        },
        address: start.wrapping_add(u64::from(size)),
        alignment: 16,
    };
    cx.violate(op, lane, kind);
    None
}

/// `cp.async.bulk` into shared memory.
struct Load;

lane_by_lane!(Load, load_lane);

#[inline(never)]
fn load_lane(cx: &mut Cx<'_>, op: &Op, lane: usize) {
    let list = cx.grid.program.list(op, 16);
    let [to, from, mbarrier] = [0, 4, 8].map(|at| units::at(cx, &list[at..at + 4], lane));
    let bytes = u32::load(&cx.warp.regs, list[12])[lane];
    let data = size(cx, op, list[12], lane, to).and_then(|size| {
        let place = if op.aux & FROM_SHARED != 0 {
            Place::Shared
        } else {
            Place::Global
        };
        get(cx, op, source(lane, place, from, size), 16)
    });
    let blocks = (op.aux & MULTICAST != 0).then(|| u32::load(&cx.warp.regs, list[13])[lane]);
    let arrival = Arrival {
        to,
        mbarrier,
        bytes,
        align: 16,
    };
    deliver(cx, op, lane, arrival, blocks, data.as_deref());
}

/// `cp.async.bulk.global.shared::cta`
struct Store;

lane_by_lane!(Store, store_lane);

#[inline(never)]
fn store_lane(cx: &mut Cx<'_>, op: &Op, lane: usize) {
    let list = cx.grid.program.list(op, 12);
    let [to, from] = [0, 4].map(|at| units::at(cx, &list[at..at + 4], lane));
    let Some(size) = size(cx, op, list[8], lane, from) else {
        return;
    };
    let Some(data) = get(cx, op, source(lane, Place::Shared, from, size), 16) else {
        return;
    };
    put(cx, op, target(lane, to, size), 16, &data);
    units::reads(cx, op, lane, from, size);
}

struct Commit;

impl Handler for Commit {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, _: &Op) -> Flow {
        cx.warp.bulk.commit(cx.mask);
        Flow::Next
    }
}

/// `cp.async.bulk.wait_group`
struct Wait;

impl Handler for Wait {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        if !cx.warp.bulk.is_empty() {
            units::wait(cx, u32::try_from(op.x).unwrap_or(0));
        }
        Flow::Next
    }
}

/// `cp.async.bulk.prefetch`: changes nothing, but must name memory.
struct Prefetch;

lane_by_lane!(Prefetch, prefetch_lane);

#[inline(never)]
fn prefetch_lane(cx: &mut Cx<'_>, op: &Op, lane: usize) {
    let list = cx.grid.program.list(op, 8);
    let from = units::at(cx, &list[..4], lane);
    if let Some(size) = size(cx, op, list[4], lane, from) {
        let range = Unit {
            kind: Kind::Read,
            ..source(lane, Place::Global, from, size)
        };
        crate::exec::access::range::find(cx, op, range, 16);
    }
}
