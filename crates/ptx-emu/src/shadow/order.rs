//! What happens before what within one block: a vector clock of warp granularity.
//!
//! All warps share one stamp, which advances at every synchronisation. An access carries the stamp of its time.
//! `known[w][u]` is the last stamp up to which warp `u`'s accesses are ordered before the present of warp `w`.
//! The order is transitive: who synchronises passes on all that it knows.
//!
//! Granularity: the lanes of a warp synchronise together, except by `bar.warp.sync` of a part of it. If one lane arrives at an mbarrier, the accesses of
//! its whole warp count as released. This can hide a missing `bar.warp.sync` and never accuses an ordered program.

use std::collections::BTreeMap;

use super::lanes::LaneOrder;

/// Accesses of each warp, up to a stamp, that a synchronisation object passes on.
pub(crate) type Clock = [u32; 32];

/// The time of an asynchronous access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival(pub(super) u32);

/// The stamps have 25 bits, so that keys compare alike as signed numbers (which vector instructions prefer); the
/// highest one stands for "not done yet".
const LAST_STAMP: u32 = (1 << 25) - 2;

/// Low bits of a key that are not its stamp.
pub(super) const KEY_SHIFT: u32 = 6;

/// Orders the accesses of the warps of one block.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// Stamp of the accesses made now.
    stamp: u32,
    pub(super) known: [[u32; 32]; 32],
    /// Of each warp, the least of `known` over the block's warps.
    floor: [u32; 32],
    /// Stamp up to which everything is ordered before the present of every warp.
    pub(super) level: u32,
    /// The block's warps.
    warps: u32,
    /// Warps that will not access anything any more.
    exited: u32,
    exhausted: bool,
    /// Of warps parts of which were synchronised: the order of their lanes.
    lanes: BTreeMap<u32, Box<LaneOrder>>,
}

impl Order {
    /// For a block of `warps` warps (1 to 32).
    pub(crate) fn new(warps: u32) -> Order {
        let mut order = Order {
            stamp: 0,
            known: [[0; 32]; 32],
            floor: [0; 32],
            level: 0,
            warps: 0,
            exited: 0,
            exhausted: false,
            lanes: BTreeMap::new(),
        };
        order.next_block(warps);
        order
    }

    /// Begins another block: all that went before is ordered before it, so that its shadow need not be cleared.
    pub(crate) fn next_block(&mut self, warps: u32) {
        self.warps = u32::MAX >> (32 - warps.clamp(1, 32));
        self.exited = 0;
        self.lanes.clear();
        self.level();
    }

    /// Starts counting from 1, for a shadow that was cleared while all warps stood at one barrier.
    pub(super) fn restart(&mut self) {
        self.stamp = 0;
        self.exhausted = false;
        self.lanes.clear();
        self.level();
    }

    /// Whether the stamps are used up. Races may then go unnoticed (none is invented) until the shadow is
    /// cleared at a barrier of the whole block.
    pub(crate) fn exhausted(&self) -> bool {
        self.exhausted
    }

    /// Whether so many stamps are used that the next block had better start with a clear shadow.
    pub(super) fn is_worn(&self) -> bool {
        self.stamp > LAST_STAMP / 2
    }

    /// Synchronises all threads of the warps in `participants`: `bar.sync` and its kin. Warps that have exited
    /// count as arrived.
    pub(crate) fn barrier(&mut self, participants: u32) {
        let arrived = participants | self.exited;
        if arrived & self.warps == self.warps {
            self.level();
            return;
        }
        let mut joined = [0; 32];
        for warp in members(arrived) {
            join(&mut joined, &self.known[warp]);
        }
        for warp in members(arrived) {
            joined[warp] = self.stamp;
        }
        for warp in members(participants) {
            self.known[warp] = joined;
            self.refloor(warp);
        }
        self.advance();
    }

    /// Completes a barrier at which some warps only arrived (`bar.arrive`, by [`Order::release`] into
    /// `arrived`) and those in `waiting` also wait.
    pub(crate) fn barrier_with(&mut self, waiting: u32, arrived: &Clock) {
        for warp in members(waiting) {
            join(&mut self.known[warp], arrived);
        }
        self.barrier(waiting);
    }

    /// Synchronises the lanes of one warp: `bar.warp.sync`.
    pub(crate) fn warp_sync(&mut self, warp: u32) {
        let warp = (warp & 31) as usize;
        self.known[warp][warp] = self.stamp;
        self.refloor(warp);
        self.advance();
    }

    /// Synchronises some lanes of one warp with each other: `bar.warp.sync` of a part of it.
    pub(crate) fn lane_sync(&mut self, warp: u32, members: u32) {
        let lanes = self.lanes.entry(warp & 31);
        lanes
            .or_insert_with(|| Box::new(LaneOrder::new()))
            .sync(members, self.stamp);
        self.advance();
    }

    /// The order of the lanes of a warp, if parts of it were synchronised.
    pub(super) fn lanes(&self, warp: u32) -> Option<&LaneOrder> {
        self.lanes.get(&(warp & 31)).map(Box::as_ref)
    }

    /// Adds all that is ordered before the present of `warp`, and what it did itself, to a clock.
    pub(crate) fn release(&mut self, warp: u32, clock: &mut Clock) {
        let warp = (warp & 31) as usize;
        join(clock, &self.known[warp]);
        clock[warp] = self.stamp;
        self.advance();
    }

    /// Adds one access that `warp` makes now by way of an asynchronous engine to a clock.
    pub(crate) fn arrival(&mut self, warp: u32, clock: &mut Clock) -> Arrival {
        let key = self.key();
        let warp = (warp & 31) as usize;
        clock[warp] = clock[warp].max(self.stamp);
        self.advance();
        Arrival(key)
    }

    /// Orders all that was released into a clock before the present of `warp`.
    ///
    /// A warp that acquires its own release (also by way of others) counts as synchronised: the shadow keeps one read per warp and word
    /// and could not tell lanes that read before the release from lanes that read after it.
    pub(crate) fn acquire(&mut self, warp: u32, clock: &Clock) {
        let at = (warp & 31) as usize;
        let own = clock[at] > self.known[at][at];
        join(&mut self.known[at], clock);
        if own {
            self.warp_sync(warp);
        } else {
            self.refloor(at);
        }
    }

    /// All threads of a warp have exited.
    pub(crate) fn exit(&mut self, warp: u32) {
        self.exited |= 1 << (warp & 31);
    }

    /// The present stamp as a key without flags.
    #[inline(always)]
    pub(super) fn key(&self) -> u32 {
        self.stamp << KEY_SHIFT
    }

    /// Keys below this belong to accesses that are ordered before the present of `warp`, whoever made them.
    #[inline(always)]
    pub(super) fn limit(&self, warp: usize) -> u32 {
        (self.floor[warp & 31] + 1) << KEY_SHIFT
    }

    /// Everything so far is ordered before the present of every warp.
    fn level(&mut self) {
        let warps = 32 - self.warps.leading_zeros() as usize;
        self.known[..warps].fill([self.stamp; 32]);
        self.floor = [self.stamp; 32];
        self.level = self.stamp;
        self.advance();
    }

    /// Leaves only `left` stamps.
    #[cfg(test)]
    pub(super) fn age(&mut self, left: u32) {
        self.stamp = LAST_STAMP - left;
    }

    fn refloor(&mut self, warp: usize) {
        let known = self.known[warp];
        let least = members(self.warps).map(|other| known[other]).min();
        self.floor[warp] = least.unwrap_or(0);
    }

    fn advance(&mut self) {
        if self.stamp < LAST_STAMP {
            self.stamp += 1;
        } else {
            self.exhausted = true;
        }
    }
}

/// The bits that are set in a mask.
fn members(mask: u32) -> impl Iterator<Item = usize> {
    (0..32).filter(move |bit| mask >> bit & 1 == 1)
}

pub(crate) fn join(into: &mut Clock, other: &Clock) {
    for (mine, theirs) in into.iter_mut().zip(other) {
        *mine = (*mine).max(*theirs);
    }
}
