//! Memory requests: from the addresses of a warp to bytes, with all checks and counts on the way.

use std::ops::Range;

use crate::access::{Pattern, Spot};
use crate::decode::NARROW_ADDRESS;
use crate::exec::{Cx, Grid};
use crate::lanes::{Lane, Registers, lanes_of};
use crate::memory::bytes::Bytes;
use crate::memory::window;
use crate::program::Op;
use crate::report::Space;
use crate::simd::{Level, leveled};

mod check;
pub(crate) mod explain;
mod global;
mod kind;
pub(crate) mod range;
mod strong;
mod watch;

use check::{check, check_inner};
use global::GlobalAccess;
pub(crate) use kind::Kind;

/// The state space that an instruction names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Global,
    Shared,
    Local,
    Param,
    Generic,
}

/// Which memory a request met, and where in it its first active lane lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    pub memory: Memory,
    pub offset: usize,
}

/// One of the memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// An allocation, by index.
    Global(u32),
    /// Shared memory of the block of this rank in the cluster.
    Shared(u32),
    Local,
    Param,
}

/// Where the lanes of an instruction point: what a register holds plus a displacement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pointers {
    pub slot: u32,
    /// A register of 32 bits.
    pub narrow: bool,
    pub offset: i64,
}

impl Pointers {
    /// Where a load, a store and the like point, or the first address of what has two.
    #[inline(always)]
    pub(crate) fn of(op: &Op) -> Self {
        Self {
            slot: op.a,
            narrow: op.aux & NARROW_ADDRESS != 0,
            offset: op.x,
        }
    }

    /// The address of one lane.
    #[inline(always)]
    fn lane(self, regs: &Registers, lane: usize) -> u64 {
        let offset = self.offset.cast_unsigned();
        if self.narrow {
            // 32-bit address arithmetic wraps
            u64::from(regs.word(self.slot, lane)).wrapping_add(offset) & 0xffff_ffff
        } else {
            regs.double(self.slot, lane).wrapping_add(offset)
        }
    }
}

/// A request: the lanes `mask` touch `bytes` bytes each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// Which of the instruction's two pattern caches.
    pub which: u8,
    pub place: Place,
    pub kind: Kind,
    pub bytes: u32,
    pub mask: u32,
}

impl Request {
    /// Index of the pattern cache.
    #[inline(always)]
    fn cache(&self, op: &Op) -> usize {
        cache_of(op, self.which)
    }
}

/// Index of one of an instruction's two pattern caches.
#[inline(always)]
fn cache_of(op: &Op, which: u8) -> usize {
    2 * op.index as usize + usize::from(which)
}

impl Cx<'_> {
    /// The bytes of a memory.
    #[inline(always)]
    pub(crate) fn view(&self, memory: Memory) -> Bytes<'_> {
        match memory {
            Memory::Global(index) => self.grid.memory.allocations[index as usize].storage.view(),
            Memory::Shared(rank) => self.blocks[rank as usize].shared.view(),
            Memory::Local => self.warp.local.view(),
            Memory::Param => self.grid.params.view(),
        }
    }

    /// The pattern of the request that `reach` has just let through.
    #[inline(always)]
    pub(crate) fn pattern(&self, op: &Op, which: u8) -> &Pattern {
        let cache = &self.worker.patterns[cache_of(op, which)];
        cache.recent().expect("the request was let through")
    }

    /// Fills `Worker::addresses`.
    #[inline(always)]
    pub(crate) fn address_lanes(&mut self, pointers: Pointers) {
        let regs = &self.warp.regs;
        let offset = pointers.offset.cast_unsigned();
        if pointers.narrow {
            let bases = u32::load(regs, pointers.slot);
            for (lane, base) in self.worker.addresses.iter_mut().zip(bases) {
                // 32-bit address arithmetic wraps
                *lane = u64::from(base).wrapping_add(offset) & 0xffff_ffff;
            }
        } else {
            let bases = u64::load(regs, pointers.slot);
            for (lane, base) in self.worker.addresses.iter_mut().zip(bases) {
                *lane = base.wrapping_add(offset);
            }
        }
    }
}

leveled! {
    /// Where a request at `Worker::addresses` leads, if all its lanes lie in one memory and are
    /// aligned; the checks that can be made for all at once have then been made and the request is
    /// counted. Otherwise the lanes are to be taken one at a time, by [`reach_lane`].
    reach = reach_inner(cx: &mut Cx<'_>, op: &Op, request: &Request) -> Option<Reached>
}

/// The same for what `pointers` name. `Worker::addresses` is of no use after it.
#[inline(always)]
pub(crate) fn reach_at<L: Level>(
    cx: &mut Cx<'_>,
    op: &Op,
    request: &Request,
    pointers: Pointers,
) -> Option<Reached> {
    let first = request.mask.trailing_zeros() as usize & 31;
    let base = pointers.lane(&cx.warp.regs, first);
    let cache = &cx.worker.patterns[request.cache(op)];
    let again = cache.again(request.mask, request.bytes, base, &cx.warp.regs, pointers);
    if let Some(reached) = again {
        if cx.grid.checked {
            check::<L>(cx, op, request, reached);
        }
        return again;
    }
    cx.address_lanes(pointers);
    reach::<L>(cx, op, request)
}

#[inline(always)]
fn reach_inner(cx: &mut Cx<'_>, op: &Op, request: &Request) -> Option<Reached> {
    let first = request.mask.trailing_zeros() as usize & 31;
    let address = cx.worker.addresses[first];
    let mut place = request.place;
    if place == Place::Generic {
        place = resolve(cx, request.mask)?;
    }
    if place == Place::Local && !localise(cx, request.mask, request.bytes) {
        return None;
    }
    let worker = &mut *cx.worker;
    let base = worker.addresses[first];
    let cache = &mut worker.patterns[request.cache(op)];
    cache.find(request.mask, request.bytes, &worker.addresses)?;
    let pattern = cache.recent()?;
    if (base | u64::from(pattern.bits)) & u64::from(request.bytes - 1) != 0 {
        return None;
    }
    let (low, high) = (pattern.steps.low(), pattern.steps.high());
    let [start, end] = [low, high].map(|end| base.wrapping_add_signed(i64::from(end)));
    let last = &mut worker.allocations[op.index as usize];
    let stride = cx.warp.local_stride();
    let writes = request.kind.writes();
    let (memory, offset) = locate(cx.grid, cx.rank, stride, last, (place, writes), start..end)?;
    if let Memory::Shared(rank) = memory
        && rank as usize != cx.rank
        && cx.blocks[rank as usize].over()
    {
        return None;
    }
    let reached = Reached {
        offset: offset + (base.wrapping_sub(start)) as usize,
        memory,
    };
    // Which block of a cluster is meant, and where a lane's local memory is, depends on the warp.
    let stays = match memory {
        Memory::Global(_) | Memory::Param => true,
        Memory::Shared(_) => cx.grid.blocks_per_cluster() == 1,
        Memory::Local => false,
    };
    if stays {
        let len = cx.view(memory).len() as u64;
        let start = address - reached.offset as u64;
        let first = start.wrapping_add_signed(-i64::from(low));
        let past = (start + len).wrapping_add_signed(1 - i64::from(high));
        cx.worker.patterns[request.cache(op)].note(Spot {
            memory,
            start,
            bases: first..past,
        });
    }
    if cx.grid.checked {
        check_inner(cx, op, request, reached);
    }
    Some(reached)
}

/// The memory that holds `low..high`, and the offset of `low` in it.
#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "offsets in memory of the host"
)]
fn locate(
    grid: &Grid<'_>,
    rank: usize,
    local_stride: u32,
    last: &mut u32,
    (place, writes): (Place, bool),
    Range {
        start: low,
        end: high,
    }: Range<u64>,
) -> Option<(Memory, usize)> {
    match place {
        Place::Global => {
            let allocations = &grid.memory.allocations;
            let mut index = *last as usize;
            if !allocations.get(index).is_some_and(|a| a.holds(low, high)) {
                index = grid.memory.find(low, high)?;
                *last = index as u32;
            }
            let allocation = &allocations[index];
            if writes && allocation.read_only {
                return None;
            }
            Some((
                Memory::Global(index as u32),
                (low - allocation.base) as usize,
            ))
        }
        Place::Shared => {
            let owner = low >> window::RANK_SHIFT;
            let own = (low & ((1 << window::RANK_SHIFT) - 1)).checked_sub(START)?;
            let rank = if owner == 0 { rank as u64 } else { owner - 1 };
            let fits = own + (high - low) <= u64::from(grid.shared_bytes);
            let there = rank < u64::from(grid.blocks_per_cluster());
            (fits && there).then_some((Memory::Shared(rank as u32), own as usize))
        }
        Place::Local => {
            (high <= 32 * u64::from(local_stride)).then_some((Memory::Local, low as usize))
        }
        Place::Param => {
            let own = low.checked_sub(u64::from(window::PARAM_START))?;
            let fits = own + (high - low) <= grid.params.view().len() as u64;
            (fits && !writes).then_some((Memory::Param, own as usize))
        }
        Place::Generic => None,
    }
}

const START: u64 = window::SHARED_START as u64;

/// The state space of an address, and the address in it.
#[inline(always)]
fn within(place: Place, address: u64) -> (Place, u64) {
    match (place, address >> 32) {
        (Place::Generic, 1) => (Place::Shared, address - window::SHARED),
        (Place::Generic, 2) => (Place::Local, address - window::LOCAL),
        (Place::Generic, 3) => (Place::Param, address - window::PARAM),
        (Place::Generic, _) => (Place::Global, address),
        _ => (place, address),
    }
}

/// The space in which all generic addresses lie, if it is one; they become addresses in it.
#[inline(always)]
fn resolve(cx: &mut Cx<'_>, mask: u32) -> Option<Place> {
    let addresses = &mut cx.worker.addresses;
    let first = addresses[mask.trailing_zeros() as usize & 31];
    let (place, offset) = within(Place::Generic, first);
    if place == Place::Global {
        return Some(place);
    }
    if lanes_of(mask).any(|lane| addresses[lane] >> 32 != first >> 32) {
        return None;
    }
    for address in addresses {
        *address = address.wrapping_sub(first - offset);
    }
    Some(place)
}

/// Turns offsets in each lane's local memory into offsets in that of the warp.
#[inline(always)]
fn localise(cx: &mut Cx<'_>, mask: u32, bytes: u32) -> bool {
    let each = u64::from(cx.warp.local_bytes);
    let start = u64::from(window::LOCAL_START);
    let addresses = &mut cx.worker.addresses;
    let fits = |address: u64| address >= start && address - start + u64::from(bytes) <= each;
    let stride = u64::from(cx.warp.local_stride());
    if !lanes_of(mask).all(|lane| fits(addresses[lane])) {
        return false;
    }
    for (lane, address) in addresses.iter_mut().enumerate() {
        *address = address
            .wrapping_sub(start)
            .wrapping_add(lane as u64 * stride);
    }
    true
}

/// Where one lane's access leads; nothing if it is wrong, which is then reported.
#[cold]
#[inline(never)]
pub(crate) fn reach_lane(
    cx: &mut Cx<'_>,
    op: &Op,
    request: &Request,
    lane: usize,
) -> Option<Reached> {
    let address = cx.worker.addresses[lane];
    let single = Request {
        mask: 1 << lane,
        ..*request
    };
    let saved = cx.worker.addresses;
    let reached = reach_inner(cx, op, &single);
    cx.worker.addresses = saved;
    if reached.is_none() {
        explain::wrong(cx, op, &single, lane, address);
    }
    reached
}

/// The space of a memory, for reports.
pub(crate) fn space(place: Place) -> Space {
    match place {
        Place::Global => Space::Global,
        Place::Shared => Space::Shared,
        Place::Local => Space::Local,
        Place::Param => Space::Param,
        Place::Generic => Space::Generic,
    }
}
