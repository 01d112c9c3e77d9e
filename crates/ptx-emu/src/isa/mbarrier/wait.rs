//! Waiting for a phase.

use crate::device::Schedule;
use crate::exec::access::Kind;
use crate::exec::clocks;
use crate::exec::mbarrier::Problem;
use crate::exec::warp::{State, next_random};
use crate::exec::{Cx, Entry, Flow};
use crate::isa::mbarrier::operate::{Spot, change, report, spots};
use crate::isa::mbarrier::{PARITY, RELAXED, TEST};
use crate::lanes::{Lane, lanes_of};
use crate::program::Op;
use crate::simd::{Handler, Level};

/// `mbarrier.test_wait`, `mbarrier.try_wait`
///
/// Lanes that find their phase incomplete sleep until it is complete, or until no thread of the
/// cluster can go on without them; that may take as long as the PTX ISA allows. Programs that do
/// not look at the predicate are found out because sometimes the answer comes at once.
pub(super) struct Wait;

impl Handler for Wait {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let spots = spots::<L>(cx, op, Kind::Sync);
        wait(cx, op, &spots)
    }
}

#[inline(never)]
fn wait(cx: &mut Cx<'_>, op: &Op, spots: &[Option<Spot>; 32]) -> Flow {
    let (mut over, mut sleep) = (0, None);
    let mut last = None;
    for lane in lanes_of(cx.mask) {
        // what has no object must not wait for ever
        over |= 1 << lane;
        let Some(spot) = spots[lane] else { continue };
        if spot.0 != cx.rank {
            let problem = "only threads of its own block can wait for it";
            report(cx, op, lane, spot, problem.to_owned());
            continue;
        }
        let Some(phase) = cx.blocks[spot.0].mbarriers.phase(spot.1) else {
            change(cx, op, lane, spot, |_| ((), Ok(())));
            continue;
        };
        match is_over(cx, op, lane, phase) {
            Ok(true) => {}
            Ok(false) => {
                over &= !(1 << lane);
                let offset = spot.1;
                sleep.get_or_insert(State::Mbarrier { offset, phase });
                continue;
            }
            Err(problem) => report(cx, op, lane, spot, problem),
        }
        if last != Some(spot) {
            observe(cx, spot, op.aux & RELAXED == 0);
            last = Some(spot);
        }
    }
    let mut flow = Flow::Next;
    if let Some(state) = sleep
        && cx.entry == Entry::Fresh
    {
        if !answers_at_once(cx, op) {
            cx.pc -= 1;
            cx.wait = state;
            return Flow::Wait;
        }
        flow = Flow::Yield;
    }
    let pred = &mut cx.warp.regs.preds[op.d as usize];
    *pred = *pred & !cx.mask | over;
    flow
}

/// Whether the phase that a lane names is complete, where the object is in `phase`.
fn is_over(cx: &Cx<'_>, op: &Op, lane: usize, phase: u32) -> Result<bool, Problem> {
    if op.aux & PARITY != 0 {
        let parity = u32::load(&cx.warp.regs, op.b)[lane];
        if parity > 1 {
            return Err(format!("a phase parity of {parity}; it is 0 or 1"));
        }
        return Ok(phase & 1 != parity);
    }
    let state = u64::load(&cx.warp.regs, op.b)[lane];
    match phase.wrapping_sub(u32::try_from(state >> 32).unwrap_or(0)) {
        0 => Ok(false),
        1 => Ok(true),
        apart => Err(format!(
            "the state is that of a phase {} steps from the present one; only the present phase \
             and the one before can be waited for",
            apart.cast_signed()
        )),
    }
}

fn answers_at_once(cx: &mut Cx<'_>, op: &Op) -> bool {
    if op.aux & TEST != 0 {
        cx.warp.failed = !cx.warp.failed;
        return cx.warp.failed;
    }
    matches!(cx.grid.schedule, Schedule::Shuffle(_)) && next_random(&mut cx.worker.random) & 1 != 0
}

/// The warp knows that all but the present phase of an object are complete.
fn observe(cx: &mut Cx<'_>, (rank, offset): Spot, acquires: bool) {
    let Some(object) = cx.blocks[rank].mbarriers.get(offset) else {
        return;
    };
    let landed = object.landed();
    let done = std::mem::take(&mut object.done);
    for landing in landed {
        let block = &mut cx.blocks[landing.rank];
        let (offset, bytes) = (u64::from(landing.offset), u64::from(landing.bytes));
        let (shadow, order) = (&mut block.shadow, &block.order);
        shadow.async_arrived(offset, bytes, landing.arrival, order);
    }
    if acquires {
        clocks::acquire(cx, &done);
    }
    if let Some(object) = cx.blocks[rank].mbarriers.get(offset) {
        object.done = done;
    }
}
