//! The rule: whether an earlier access and the present one are a race.

#![allow(
    clippy::needless_bitwise_bool,
    reason = "the loops over cells must not branch, so that they can be vectorised"
)]

use super::Who;
use super::lanes::LaneOrder;
use super::order::{KEY_SHIFT, Order};
use crate::access::MANY;

/// In the key of a write: an atomic one.
pub(super) const ATOMIC: u32 = 1;
/// In the key of a write: an asynchronous copy that was not waited for.
pub(super) const PENDING: u32 = 2;

/// Key of a pending write, which nothing is ordered after.
pub(super) const PENDING_KEY: u32 = ((1 << 31) - 1) & !LOW | PENDING;
/// All that is not the stamp.
pub(super) const LOW: u32 = (1 << KEY_SHIFT) - 1;
/// Where the instruction is in a name.
pub(super) const INSTRUCTION_SHIFT: u32 = 10;

/// The present access, as the loops need it.
#[derive(Clone, Copy)]
pub(super) struct Present<'a> {
    pub warp: usize,
    /// The warp as part of a name.
    pub owner: u32,
    /// Stamp of the access, as a key without flags.
    pub key: u32,
    /// What is ordered before it, by warp.
    pub known: &'a [u32; 32],
    /// Keys below are ordered before it.
    pub limit: u32,
    /// The stamp up to which everything is ordered before everyone's present.
    pub level: u32,
    /// Flags of writes that it does not conflict with.
    pub forgive: u32,
    pub instruction: u32,
    /// The order of the lanes of its warp, if parts of it were synchronised.
    pub lanes: Option<&'a LaneOrder>,
}

impl<'a> Present<'a> {
    #[inline(always)]
    pub(super) fn new(who: Who, order: &'a Order, forgive: u32) -> Present<'a> {
        let warp = (who.warp & 31) as usize;
        Present {
            warp,
            owner: who.warp & 31,
            key: order.key(),
            known: &order.known[warp],
            limit: order.limit(warp),
            level: order.level,
            forgive,
            instruction: who.instruction,
            lanes: order.lanes(who.warp),
        }
    }

    /// Whether a write with this key and name conflicts with the present access by the lanes of `tag`.
    #[inline(always)]
    pub(super) fn clashes_with_write(&self, key: u32, name: u32, tag: u32) -> bool {
        let late = key >> KEY_SHIFT > self.known[(name & 31) as usize];
        late & !self.is_same_thread(key, name, tag) & (key & self.forgive == 0)
    }

    /// Whether one thread did a write with this key and name, and it is the only lane of `tag`.
    #[inline(always)]
    pub(super) fn is_same_thread(&self, key: u32, name: u32, tag: u32) -> bool {
        let owner = self.owner | (tag & 31) << 5;
        let others = (key & (MANY | PENDING)) | (tag & MANY);
        (name & 0x3ff ^ owner) | others == 0
    }

    /// Whether a read of warp `other` with this key conflicts with the present write by the lanes of `tag`.
    #[inline(always)]
    pub(super) fn clashes_with_read(&self, key: u32, other: usize, tag: u32) -> bool {
        let late = key >> KEY_SHIFT > self.known[other & 31];
        let same_thread = (other == self.warp) & ((key & LOW) == tag) & (tag & MANY == 0);
        late & !same_thread
    }

    /// Whether a synchronisation of part of the warp orders an access of the same warp before the
    /// present one by the lanes of `tag`. `other`: the lane, if it was one.
    pub(super) fn is_ordered_by_lane(&self, key: u32, other: Option<u32>, tag: u32) -> bool {
        let stamp = key >> KEY_SHIFT;
        self.lanes
            .is_some_and(|lanes| lanes.orders(tag & 31, other, stamp))
    }
}
