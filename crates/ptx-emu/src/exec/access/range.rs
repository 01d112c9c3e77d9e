//! Accesses of bulk copies: any number of bytes by one lane, with the checks and counts that the
//! accesses of single instructions have.

use std::sync::Arc;

use crate::access::Pattern;
use crate::exec::Cx;
use crate::exec::access::{
    GlobalAccess, Kind, Memory, Place, Reached, Request, explain, locate, space, watch, within,
};
use crate::exec::clocks::Clocks;
use crate::exec::mbarrier::{BYTES, Landing};
use crate::program::Op;
use crate::report::ViolationKind;
use crate::shadow::Who;

/// Bytes that one lane accesses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub lane: usize,
    pub place: Place,
    pub address: u64,
    pub bytes: u32,
    pub kind: Kind,
}

/// The patterns of the last few lengths.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges {
    kept: Vec<(u32, Arc<Pattern>)>,
    oldest: usize,
}

impl Ranges {
    fn get(&mut self, lane: usize, at: usize, bytes: u32) -> Arc<Pattern> {
        let line = u32::try_from(at % 128).expect("below 128");
        let lane = u32::try_from(lane).expect("a lane");
        let mut kept = self.kept.iter();
        let same = |p: &Pattern| p.mask == 1 << lane && p.bytes == bytes;
        if let Some((_, pattern)) = kept.find(|(l, p)| *l == line && same(p)) {
            return Arc::clone(pattern);
        }
        let pattern = Arc::new(Pattern::range(lane, line, bytes));
        let new = (line, Arc::clone(&pattern));
        if self.kept.len() < 8 {
            self.kept.push(new);
        } else {
            self.kept[self.oldest] = new;
            self.oldest = (self.oldest + 1) % 8;
        }
        pattern
    }
}

/// Where a range lies, if it is aligned and lies within one memory; otherwise that is reported.
pub(crate) fn find(cx: &mut Cx<'_>, op: &Op, range: Range, align: u32) -> Option<Reached> {
    let Range { lane, address, .. } = range;
    let (place, low) = within(range.place, address);
    if low % u64::from(align) != 0 {
        let kind = ViolationKind::Misaligned {
            space: space(place),
            address,
            alignment: align,
        };
        cx.violate(op, lane, kind);
        return None;
    }
    let request = Request {
        which: 0,
        place,
        kind: range.kind,
        bytes: range.bytes,
        mask: 1 << lane,
    };
    let last = &mut cx.worker.allocations[op.index as usize];
    let high = low.saturating_add(u64::from(range.bytes));
    let bytes = cx.warp.local_bytes;
    let writes = range.kind.writes();
    let found = locate(cx.grid, cx.rank, bytes, last, (place, writes), low..high);
    let found = found.filter(|(memory, _)| match memory {
        Memory::Shared(rank) => *rank as usize == cx.rank || !cx.blocks[*rank as usize].over(),
        Memory::Local => false,
        _ => true,
    });
    if let Some((memory, offset)) = found {
        Some(Reached { memory, offset })
    } else {
        explain::outside(cx, op, &request, lane, address);
        None
    }
}

/// Copies a range out, with its checks.
pub(crate) fn read(cx: &mut Cx<'_>, op: &Op, lane: usize, reached: Reached, into: &mut [u8]) {
    let bytes = u32::try_from(into.len()).unwrap_or(u32::MAX);
    cx.view(reached.memory).copy_to(reached.offset, into);
    if cx.grid.checked && bytes > 0 {
        touch(cx, op, lane, reached, bytes, Kind::Read);
    }
}

/// Copies a range into global memory, with its checks.
pub(crate) fn write(cx: &mut Cx<'_>, op: &Op, lane: usize, reached: Reached, data: &[u8]) {
    let bytes = u32::try_from(data.len()).unwrap_or(u32::MAX);
    if cx.grid.checked && bytes > 0 {
        touch(cx, op, lane, reached, bytes, Kind::Write);
    }
    cx.view(reached.memory).copy_from(reached.offset, data);
}

/// The checks of a range of shared memory of a block that a copy fills. It is pending until the
/// landing is over; `clocks` order it before what comes after.
pub(crate) fn land(
    cx: &mut Cx<'_>,
    op: &Op,
    lane: usize,
    (rank, offset): (usize, usize),
    bytes: u32,
    clocks: &mut Clocks,
) -> Landing {
    let at = u32::try_from(offset).unwrap_or(u32::MAX);
    if cx.grid.checked {
        let reached = Reached {
            memory: Memory::Shared(u32::try_from(rank).unwrap_or(0)),
            offset,
        };
        touch(cx, op, lane, reached, bytes, Kind::Copy);
    }
    let warp = cx.warp.index;
    let order = &mut cx.blocks[rank].order;
    let arrival = order.arrival(warp, clocks.of(rank));
    Landing {
        rank,
        offset: at,
        bytes,
        arrival,
    }
}

/// The checks and counts of a range that lies in one memory.
pub(crate) fn touch(
    cx: &mut Cx<'_>,
    op: &Op,
    lane: usize,
    reached: Reached,
    bytes: u32,
    kind: Kind,
) {
    let pattern = cx.worker.ranges.get(lane, reached.offset, bytes);
    let request = Request {
        which: 0,
        place: Place::Generic,
        kind,
        bytes,
        mask: 1 << lane,
    };
    match reached.memory {
        Memory::Global(index) => {
            let allocation = &cx.grid.memory.allocations[index as usize];
            let access = GlobalAccess {
                checks: cx.grid.checks,
                shadow: &allocation.shadow,
                acquired: &cx.worker.acquired,
                block: cx.blocks[cx.rank].number(),
                kind,
            };
            if cx.grid.checks.counters {
                let address = allocation.base + reached.offset as u64;
                let (index, sectors) = (op.index as usize, access.sectors(&pattern));
                let tally = &mut cx.worker.buffers;
                tally.add(&cx.grid.buffers, index, address, sectors);
            }
            let tally = &mut cx.worker.tallies[op.index as usize].global;
            let found = access.check(tally, reached.offset as u64, &pattern);
            explain::global_found(cx, op, &request, allocation.base, found);
            if kind.writes() {
                let start = allocation.base + reached.offset as u64;
                explain::written_input(cx, op, lane, start, bytes);
            }
        }
        Memory::Shared(rank) => shared(cx, op, &request, rank as usize, reached.offset, &pattern),
        Memory::Local | Memory::Param => {}
    }
}

fn shared(cx: &mut Cx<'_>, op: &Op, request: &Request, rank: usize, at: usize, p: &Pattern) {
    let checks = cx.grid.checks;
    let lane = request.mask.trailing_zeros() as usize;
    let offset = at as u64;
    if checks.counters {
        let tally = &mut cx.worker.tallies[op.index as usize].shared;
        tally.requests += 1;
        tally.bytes += u64::from(p.bytes);
        tally.units += u64::from(p.wavefronts);
        tally.least += u64::from(p.min_wavefronts);
    }
    let own = rank == cx.rank;
    let who = Who {
        warp: cx.warp.index,
        instruction: op.index,
    };
    let block = &mut cx.blocks[rank];
    let (mut unset, mut found, mut early) = (None, None, None);
    if checks.initialised && request.kind.reads() {
        unset = block.shadow.uninitialised(offset, p);
    }
    if checks.initialised && request.kind.writes() {
        block.shadow.fill(offset, p);
    }
    if checks.races {
        let (shadow, order) = (&mut block.shadow, &block.order);
        let seen = match request.kind {
            Kind::Read if own => shadow.read(offset, p, who, order),
            Kind::Copy => shadow.async_write(offset, p, who, order),
            _ => None,
        };
        if request.kind == Kind::Copy {
            shadow.through_proxy(offset, p, false);
        } else if own {
            early = shadow.early_for_proxy(offset, p);
        }
        // what this warp did says nothing of the order in another block
        found = seen.filter(|_| own);
    }
    if unset.is_some() || found.is_some() {
        explain::shared(cx, op, request, unset, found);
    }
    if let Some((offset, writer)) = early {
        watch::early(cx, op, request.mask, offset, writer);
    }
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    let watched = &cx.blocks[rank].watched;
    if at < watched.end && at.saturating_add(request.bytes) > watched.start {
        let write = request.kind.writes();
        watch::touches(cx, op, lane, rank, at, request.bytes, write);
    }
}

/// The mbarrier at a shared address, or where one should be: the rank of its block and the offset.
pub(crate) fn object(cx: &mut Cx<'_>, op: &Op, lane: usize, address: u64) -> Option<(usize, u32)> {
    let range = Range {
        lane,
        place: Place::Shared,
        address,
        bytes: BYTES,
        kind: Kind::Sync,
    };
    let reached = find(cx, op, range, BYTES)?;
    let Memory::Shared(rank) = reached.memory else {
        return None;
    };
    let rank = rank as usize;
    if cx.grid.checks.races && rank == cx.rank {
        let pattern = cx.worker.ranges.get(lane, reached.offset, BYTES);
        let who = Who {
            warp: cx.warp.index,
            instruction: op.index,
        };
        let block = &mut cx.blocks[rank];
        let (shadow, order) = (&mut block.shadow, &block.order);
        let found = shadow.atomic(reached.offset as u64, &pattern, who, order);
        if found.is_some() {
            let request = Request {
                which: 0,
                place: Place::Shared,
                kind: Kind::Sync,
                bytes: BYTES,
                mask: 1 << lane,
            };
            explain::shared(cx, op, &request, None, found);
        }
    }
    Some((rank, u32::try_from(reached.offset).unwrap_or(u32::MAX)))
}

/// Notes that a read which began at `op` goes on until now.
pub(crate) fn read_again(cx: &mut Cx<'_>, op: &Op, lane: usize, offset: usize, bytes: u32) {
    let pattern = cx.worker.ranges.get(lane, offset, bytes);
    let who = Who {
        warp: cx.warp.index,
        instruction: op.index,
    };
    let block = cx.block();
    let (shadow, order) = (&mut block.shadow, &block.order);
    let found = shadow.read(offset as u64, &pattern, who, order);
    if found.is_some() {
        let request = Request {
            which: 0,
            place: Place::Shared,
            kind: Kind::Read,
            bytes,
            mask: 1 << lane,
        };
        explain::shared(cx, op, &request, None, found);
    }
}
