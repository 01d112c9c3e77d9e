//! What the operations do.

use crate::exec::access::{Kind, Memory, Pointers, Request, reach, reach_lane};
use crate::exec::clocks::{self, Clocks};
use crate::exec::mbarrier::{Landing, MOST, Object, Problem};
use crate::exec::{Cx, Flow};
use crate::isa::mbarrier::{COUNTED, DROPS, EXPECTS, NO_COMPLETE, NO_INC, RELAXED};
use crate::isa::memory::place_of;
use crate::lanes::{Lane, lanes_of};
use crate::memory::window;
use crate::program::Op;
use crate::report::{Space, ViolationKind};
use crate::simd::{Handler, Level};

/// Where an object lies: the rank of its block, and the offset in its shared memory.
pub(super) type Spot = (usize, u32);

/// The object that each active lane names; lanes whose address is wrong have none.
#[inline(never)]
pub(super) fn spots<L: Level>(cx: &mut Cx<'_>, op: &Op, kind: Kind) -> [Option<Spot>; 32] {
    cx.address_lanes(Pointers::of(op));
    let addresses = cx.worker.addresses;
    let first = addresses[cx.mask.trailing_zeros() as usize & 31];
    let request = Request {
        which: 0,
        place: place_of(op),
        kind,
        bytes: 8,
        mask: cx.mask,
    };
    let mut spots = [None; 32];
    if lanes_of(cx.mask).all(|lane| addresses[lane] == first)
        && let Some(reached) = reach::<L>(cx, op, &request)
        && let Memory::Shared(rank) = reached.memory
    {
        let offset = u32::try_from(reached.offset).expect("within shared memory");
        spots = [Some((rank as usize, offset)); 32];
        cx.worker.addresses = addresses;
        return spots;
    }
    cx.worker.addresses = addresses;
    for lane in lanes_of(cx.mask) {
        spots[lane] = spot(cx, op, &request, lane);
    }
    spots
}

fn spot(cx: &mut Cx<'_>, op: &Op, request: &Request, lane: usize) -> Option<Spot> {
    let reached = reach_lane(cx, op, request, lane)?;
    let found = match reached.memory {
        Memory::Shared(rank) => {
            let offset = u32::try_from(reached.offset).expect("within shared memory");
            return Some((rank as usize, offset));
        }
        Memory::Global(_) => Space::Global,
        Memory::Local => Space::Local,
        Memory::Param => Space::Param,
    };
    let kind = ViolationKind::InvalidAddressSpace {
        expected: Space::Shared,
        found: Some(found),
        address: cx.worker.addresses[lane],
    };
    cx.violate(op, lane, kind);
    None
}

pub(super) fn report(
    cx: &mut Cx<'_>,
    op: &Op,
    lane: usize,
    (rank, offset): Spot,
    problem: Problem,
) {
    let far = if rank == cx.rank { 0 } else { rank as u64 + 1 };
    let address = u64::from(offset + window::SHARED_START) | far << window::RANK_SHIFT;
    cx.violate(op, lane, ViolationKind::Mbarrier { address, problem });
}

/// Changes an object, if there is one; a phase that is then complete ends. The first problem of
/// `change` is reported.
pub(super) fn change<T>(
    cx: &mut Cx<'_>,
    op: &Op,
    lane: usize,
    spot: Spot,
    change: impl FnOnce(&mut Object) -> (T, Result<(), Problem>),
) -> Option<T> {
    let mbarriers = &mut cx.blocks[spot.0].mbarriers;
    mbarriers.events += 1;
    let Some(object) = mbarriers.get(spot.1) else {
        let problem = "it is used, but was not initialised; put `mbarrier.init` and a barrier \
                       before it";
        report(cx, op, lane, spot, problem.to_owned());
        return None;
    };
    let (result, outcome) = change(object);
    object.settle();
    if let Err(problem) = outcome {
        report(cx, op, lane, spot, problem);
    }
    Some(result)
}

/// A handler that finds the objects of the lanes and leaves the rest to a function.
macro_rules! at_spots {
    ($handler:ident, $kind:expr, $operate:ident) => {
        impl Handler for $handler {
            #[inline(always)]
            fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
                let spots = spots::<L>(cx, op, $kind);
                $operate(cx, op, &spots);
                Flow::Next
            }
        }
    };
}

/// `mbarrier.init`
pub(super) struct Init;

at_spots!(Init, Kind::Init, init);

#[inline(never)]
fn init(cx: &mut Cx<'_>, op: &Op, spots: &[Option<Spot>; 32]) {
    let counts = u32::load(&cx.warp.regs, op.b);
    for lane in lanes_of(cx.mask) {
        let Some(spot) = spots[lane] else { continue };
        let count = counts[lane];
        if count == 0 || count > MOST {
            let problem = format!("a count of {count}; it is 1 to {MOST}");
            report(cx, op, lane, spot, problem);
        }
        let block = &mut cx.blocks[spot.0];
        let old = block.mbarriers.get(spot.1).map(|object| object.waits_for());
        block.mbarriers.init(spot.1, count.clamp(1, MOST));
        block.watch();
        if let Some(old) = old {
            let problem = format!(
                "it is initialised again while it is in use ({old}); end it by `mbarrier.inval` \
                 first"
            );
            report(cx, op, lane, spot, problem);
        }
    }
}

/// `mbarrier.inval`
pub(super) struct End;

at_spots!(End, Kind::Init, end);

#[inline(never)]
fn end(cx: &mut Cx<'_>, op: &Op, spots: &[Option<Spot>; 32]) {
    for lane in lanes_of(cx.mask) {
        let Some(spot) = spots[lane] else { continue };
        if cx.blocks[spot.0].mbarriers.end(spot.1) {
            cx.blocks[spot.0].watch();
        } else {
            let problem = "it is invalidated, but was not initialised";
            report(cx, op, lane, spot, problem.to_owned());
        }
    }
}

/// `mbarrier.expect_tx`, `mbarrier.complete_tx`
pub(super) struct Adjust;

at_spots!(Adjust, Kind::Sync, adjust);

#[inline(never)]
fn adjust(cx: &mut Cx<'_>, op: &Op, spots: &[Option<Spot>; 32]) {
    let bytes = u32::load(&cx.warp.regs, op.b);
    for lane in lanes_of(cx.mask) {
        let Some(spot) = spots[lane] else { continue };
        change(cx, op, lane, spot, |object| {
            let outcome = if op.aux & EXPECTS != 0 {
                object.expect(bytes[lane])
            } else {
                object.complete_tx(bytes[lane])
            };
            ((), outcome)
        });
    }
}

/// `mbarrier.arrive`, `mbarrier.arrive_drop`
pub(super) struct Arrive;

at_spots!(Arrive, Kind::Sync, arrive);

#[inline(never)]
fn arrive(cx: &mut Cx<'_>, op: &Op, spots: &[Option<Spot>; 32]) {
    let mut counts = [1; 32];
    let mut bytes = [0; 32];
    if op.aux & EXPECTS != 0 {
        bytes = u32::load(&cx.warp.regs, op.b);
    } else if op.aux & COUNTED != 0 {
        counts = u32::load(&cx.warp.regs, op.b);
    }
    let mut states = [0; 32];
    let mut released = None;
    for lane in lanes_of(cx.mask) {
        let Some(spot) = spots[lane] else { continue };
        // the lanes of a warp release together
        if op.aux & RELAXED == 0 && released != Some(spot) {
            release(cx, spot);
            released = Some(spot);
        }
        let state = change(cx, op, lane, spot, |object| {
            let state = object.state();
            let mut outcome = Ok(());
            if op.aux & EXPECTS != 0 {
                outcome = object.expect(bytes[lane]);
            }
            if op.aux & NO_COMPLETE != 0 && object.is_last(counts[lane]) {
                let problem = "`.noComplete`, but it is the last arrival of the phase";
                outcome = outcome.and(Err(problem.to_owned()));
            }
            if op.aux & DROPS != 0 {
                object.leave(counts[lane]);
            }
            (state, outcome.and(object.arrive(counts[lane])))
        });
        states[lane] = state.unwrap_or(0);
    }
    u64::store(&mut cx.warp.regs, op.d, cx.mask, &states);
}

/// Releases what the warp did into an object.
fn release(cx: &mut Cx<'_>, (rank, offset): Spot) {
    let object = cx.blocks[rank].mbarriers.get(offset);
    let Some(mut clocks) = object.map(|object| std::mem::take(&mut object.clocks)) else {
        return;
    };
    clocks::release(cx, &mut clocks);
    if let Some(object) = cx.blocks[rank].mbarriers.get(offset) {
        object.clocks = clocks;
    }
}

/// `mbarrier.pending_count`
pub(super) struct PendingCount;

impl Handler for PendingCount {
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "the count is the low half")]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let counts = u64::load(&cx.warp.regs, op.a).map(|state| state as u32);
        u32::store(&mut cx.warp.regs, op.d, cx.mask, &counts);
        Flow::Next
    }
}

/// `cp.async.mbarrier.arrive`: an arrival when the copies of the lane so far have come. They come
/// at once, but who has not seen the phase complete must not touch them.
pub(super) struct ArriveCopies;

at_spots!(ArriveCopies, Kind::Sync, arrive_copies);

#[inline(never)]
fn arrive_copies(cx: &mut Cx<'_>, op: &Op, spots: &[Option<Spot>; 32]) {
    let (rank, warp) = (cx.rank, cx.warp.index);
    let mut released = None;
    for lane in lanes_of(cx.mask) {
        let Some(spot) = spots[lane] else { continue };
        if released != Some(spot) {
            release(cx, spot);
            released = Some(spot);
        }
        let mut copies = Vec::new();
        cx.warp
            .copies
            .wait(1 << lane, None, |copy| copies.push(copy));
        let order = &mut cx.blocks[rank].order;
        let mut clock = [0; 32];
        let arrival = order.arrival(warp, &mut clock);
        change(cx, op, lane, spot, |object| {
            crate::shadow::join(object.clocks.of(rank), &clock);
            for copy in copies {
                object.land(Landing {
                    rank,
                    offset: copy.offset,
                    bytes: copy.bytes,
                    arrival,
                });
            }
            let arrives = op.aux & NO_INC != 0;
            ((), if arrives { object.arrive(1) } else { Ok(()) })
        });
    }
}

/// Bytes of a bulk copy have come; `land` gives the copy, with the clocks of the object for what it
/// is ordered before.
pub(crate) fn complete_tx(
    cx: &mut Cx<'_>,
    op: &Op,
    lane: usize,
    spot: Spot,
    bytes: u32,
    land: impl FnOnce(&mut Cx<'_>, &mut Clocks) -> Option<Landing>,
) {
    let object = cx.blocks[spot.0].mbarriers.get(spot.1);
    let mut clocks = object.map(|object| std::mem::take(&mut object.clocks));
    let landing = land(cx, clocks.get_or_insert_default());
    change(cx, op, lane, spot, |object| {
        object.clocks = clocks.unwrap_or_default();
        if let Some(landing) = landing {
            object.land(landing);
        }
        ((), object.complete_tx(bytes))
    });
}
