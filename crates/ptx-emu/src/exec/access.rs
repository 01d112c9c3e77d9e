//! Memory requests: from the addresses of a warp to bytes, with all checks and counts on the way.

use crate::access::Pattern;
use crate::exec::{Cx, Grid};
use crate::lanes::lanes_of;
use crate::memory::bytes::Bytes;
use crate::memory::window;
use crate::program::Op;
use crate::report::Space;
use crate::shadow::Who;
use crate::simd::leveled;

pub(crate) mod explain;
mod global;
mod kind;
pub(crate) mod range;
mod strong;
mod watch;

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

/// A request: the lanes `mask` touch `bytes` bytes each at `Worker::addresses`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// Which of the instruction's two pattern caches.
    pub which: usize,
    pub place: Place,
    pub kind: Kind,
    pub bytes: u32,
    pub mask: u32,
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
    pub(crate) fn pattern(&self, op: &Op, which: usize) -> &Pattern {
        let cache = &self.worker.patterns[2 * op.index as usize + which];
        cache.recent().expect("the request was let through")
    }

    /// Fills `Worker::addresses` with a 64-bit (or narrow) slot plus a displacement.
    #[inline(always)]
    pub(crate) fn address_lanes(&mut self, slot: u32, narrow: bool, offset: i64) {
        use crate::lanes::Lane;
        let offset = offset.cast_unsigned();
        if narrow {
            let base = u32::load(&self.warp.regs, slot);
            for (address, base) in self.worker.addresses.iter_mut().zip(base) {
                // 32-bit address arithmetic wraps
                *address = u64::from(base).wrapping_add(offset) & 0xffff_ffff;
            }
        } else {
            let base = u64::load(&self.warp.regs, slot);
            for (address, base) in self.worker.addresses.iter_mut().zip(base) {
                *address = base.wrapping_add(offset);
            }
        }
    }
}

leveled! {
    /// Where a request leads, if all its lanes lie in one memory and are aligned; the checks that
    /// can be made for all at once have then been made and the request is counted. Otherwise the
    /// lanes are to be taken one at a time, by [`reach_lane`].
    reach = reach_inner(cx: &mut Cx<'_>, op: &Op, request: Request) -> Option<Reached>
}

#[inline(always)]
fn reach_inner(cx: &mut Cx<'_>, op: &Op, mut request: Request) -> Option<Reached> {
    if request.place == Place::Generic {
        request.place = resolve(cx, request.mask)?;
    }
    if request.place == Place::Local && !localise(cx, request.mask, request.bytes) {
        return None;
    }
    let worker = &mut *cx.worker;
    let index = op.index as usize;
    let cache = &mut worker.patterns[2 * index + request.which];
    let pattern = cache.get(request.mask, request.bytes, &worker.addresses)?;
    let base = worker.addresses[request.mask.trailing_zeros() as usize & 31];
    if (base | i64::from(pattern.bits).cast_unsigned()) & u64::from(request.bytes - 1) != 0 {
        return None;
    }
    let low = base.wrapping_add_signed(i64::from(pattern.low));
    let high = base.wrapping_add_signed(i64::from(pattern.high));
    let last = &mut worker.allocations[index];
    let reached = locate(
        cx.grid,
        cx.rank,
        cx.warp.local_stride(),
        last,
        request,
        low,
        high,
    )?;
    if let Memory::Shared(rank) = reached.0
        && rank as usize != cx.rank
        && cx.blocks[rank as usize].over()
    {
        return None;
    }
    let reached = Reached {
        offset: reached.1 + (base.wrapping_sub(low)) as usize,
        memory: reached.0,
    };
    if cx.grid.checked {
        check(cx, op, request, reached);
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
    request: Request,
    low: u64,
    high: u64,
) -> Option<(Memory, usize)> {
    match request.place {
        Place::Global => {
            let allocations = &grid.memory.allocations;
            let mut index = *last as usize;
            if !allocations.get(index).is_some_and(|a| a.holds(low, high)) {
                index = grid.memory.find(low, high)?;
                *last = index as u32;
            }
            let allocation = &allocations[index];
            if request.kind.writes() && allocation.read_only {
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
            (fits && !request.kind.writes()).then_some((Memory::Param, own as usize))
        }
        Place::Generic => None,
    }
}

const START: u64 = window::SHARED_START as u64;

/// The window in which generic addresses lie, if all lie in one; they become offsets in it.
#[inline(always)]
fn resolve(cx: &mut Cx<'_>, mask: u32) -> Option<Place> {
    let addresses = &mut cx.worker.addresses;
    let first = addresses[mask.trailing_zeros() as usize & 31];
    if first >= window::END {
        return Some(Place::Global);
    }
    let (place, base) = match first >> 32 {
        1 => (Place::Shared, window::SHARED),
        2 => (Place::Local, window::LOCAL),
        3 => (Place::Param, window::PARAM),
        _ => return Some(Place::Global),
    };
    if lanes_of(mask).any(|lane| addresses[lane] >> 32 != first >> 32) {
        return None;
    }
    for address in addresses {
        *address = address.wrapping_sub(base);
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

/// Checks and counts a request that lies in one memory.
#[inline(always)]
fn check(cx: &mut Cx<'_>, op: &Op, request: Request, reached: Reached) {
    let checks = cx.grid.checks;
    let index = op.index as usize;
    if checks.races && request.kind.is_strong() {
        strong::order(cx, op, request, reached);
    }
    let worker = &mut *cx.worker;
    let cache = &worker.patterns[2 * index + request.which];
    let Some(pattern) = cache.recent() else {
        return;
    };
    let offset = reached.offset as u64;
    let tally = &mut worker.tallies[index];
    match reached.memory {
        Memory::Global(allocation) => {
            let allocation = &cx.grid.memory.allocations[allocation as usize];
            let shadow = &allocation.shadow;
            let access = GlobalAccess {
                checks,
                shadow,
                acquired: &worker.acquired,
                block: cx.blocks[cx.rank].number(),
                kind: request.kind,
            };
            let (unset, conflict) = access.check(&mut tally.global, offset, pattern);
            let input = request.kind.writes() && !cx.grid.inputs.is_empty();
            if unset.is_some() || conflict.is_some() || input {
                let base = allocation.base;
                explain::global(cx, op, request, reached, base, (unset, conflict));
            }
        }
        Memory::Shared(rank) => {
            let own = rank as usize == cx.rank;
            let block = &mut cx.blocks[rank as usize];
            if checks.counters && request.kind != Kind::Peek {
                tally.shared.requests += 1;
                tally.shared.bytes += u64::from(pattern.bytes * pattern.mask.count_ones());
                tally.shared.units += u64::from(pattern.wavefronts);
                tally.shared.least += u64::from(pattern.min_wavefronts);
            }
            let mut unset = None;
            if checks.initialised {
                if request.kind.reads() {
                    unset = block.shadow.uninitialised(offset, pattern);
                }
                if request.kind.writes() {
                    block.shadow.fill(offset, pattern);
                }
            }
            let mut found = None;
            if checks.races && own {
                let who = Who {
                    warp: cx.warp.index,
                    instruction: op.index,
                };
                let (shadow, order) = (&mut block.shadow, &block.order);
                found = match request.kind {
                    Kind::Read => shadow.read(offset, pattern, who, order),
                    Kind::Write | Kind::Init => shadow.write(offset, pattern, who, order),
                    Kind::StrongRead | Kind::Peek => {
                        shadow.strong_read(offset, pattern, who, order)
                    }
                    Kind::Atomic | Kind::BlockAtomic | Kind::StrongWrite | Kind::Sync => {
                        shadow.atomic(offset, pattern, who, order)
                    }
                    Kind::Copy => shadow.async_write(offset, pattern, who, order),
                };
                if request.kind.writes() {
                    shadow.through_proxy(offset, pattern, true);
                }
            }
            let watched = block.watched.clone();
            let from = offset.wrapping_add_signed(i64::from(pattern.low));
            let to = offset.wrapping_add_signed(i64::from(pattern.high));
            let special = from < u64::from(watched.end) && to > u64::from(watched.start);
            let early = match request.kind {
                Kind::Peek if checks.races && own => block.shadow.early_for_proxy(offset, pattern),
                _ => None,
            };
            if unset.is_some() || found.is_some() {
                explain::shared(cx, op, request, unset, found);
            }
            if let Some((offset, writer)) = early {
                watch::early(cx, op, request.mask, offset, writer);
            }
            if special && !matches!(request.kind, Kind::Init | Kind::Sync) {
                watch::special(cx, op, request, reached);
            }
        }
        Memory::Local => {
            if checks.counters {
                tally.local.requests += 1;
                tally.local.bytes += u64::from(pattern.bytes * pattern.mask.count_ones());
            }
            if checks.initialised {
                let (rel, mask, bytes) = (pattern.rel, pattern.mask, pattern.bytes as usize);
                explain::local(cx, op, request.kind, reached.offset, &rel, mask, bytes);
            }
        }
        Memory::Param => {}
    }
}

/// Where one lane's access leads; nothing if it is wrong, which is then reported.
#[cold]
#[inline(never)]
pub(crate) fn reach_lane(
    cx: &mut Cx<'_>,
    op: &Op,
    request: Request,
    lane: usize,
) -> Option<Reached> {
    let address = cx.worker.addresses[lane];
    let single = Request {
        mask: 1 << lane,
        ..request
    };
    let saved = cx.worker.addresses;
    let reached = reach_inner(cx, op, single);
    cx.worker.addresses = saved;
    if reached.is_none() {
        explain::wrong(cx, op, single, lane, address);
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
