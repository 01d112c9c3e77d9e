//! The last accesses to each cell of an array, a cell being a 4-byte word or a byte.
//!
//! Per cell: a key (stamp and flags) and a name (warp, lane, instruction) of the last write; and for each warp
//! a key (stamp, lane, whether other lanes read too) of its last read. One row of reads per warp makes the
//! check exact: a clock entry says "all of warp `u` up to stamp `s`", so of several reads by one warp the last
//! decides, while reads of two warps with different stamps cannot be joined into one entry.
//!
//! Keys compare as numbers by their stamp. Key 0 is "never", which is before everything. A write that is
//! pending has the highest stamp and so is never ordered.

#![allow(
    clippy::needless_bitwise_bool,
    reason = "the loops over cells must not branch, so that they can be vectorised"
)]

use super::order::{KEY_SHIFT, Order};
use super::present::{INSTRUCTION_SHIFT, LOW, PENDING, PENDING_KEY, Present};
use super::walk::{any, update};
use super::{Conflict, Findings, RaceKind};
use crate::access::{Cells, MANY};

/// Last writes and last reads of an array of cells.
#[derive(Clone, Debug, Default)]
pub(super) struct Plane {
    /// Per cell: stamp and flags (`MANY`, `ATOMIC`, `PENDING`).
    write: Vec<u32>,
    /// Per cell: warp (5 bits), lane (5), instruction (22) of the last write.
    name: Vec<u32>,
    /// Per warp and cell: stamp, `MANY`, lane of the last read.
    reads: Vec<u32>,
    /// From one warp's row of `reads` to the next.
    stride: usize,
    /// Key that no write's key exceeds.
    newest_write: u32,
    /// Where those writes lie that not every warp is ordered after.
    written: Range,
    /// Stamp of the last read of each warp.
    newest_read: [u32; 32],
    /// Per warp, where those reads lie that not every warp is ordered after.
    read: [Range; 32],
    /// Cells that may be pending.
    pending: usize,
}

/// Cells from `from` to before `to`.
#[derive(Clone, Copy, Debug, Default)]
struct Range {
    from: usize,
    to: usize,
}

impl Range {
    #[inline(always)]
    fn of(first: usize, cells: &Cells) -> Range {
        let to = first + cells.extent;
        Range { from: first, to }
    }

    #[inline(always)]
    fn meets(self, other: Range) -> bool {
        (self.from < other.to) & (other.from < self.to)
    }

    /// The least range around both, or just the other one.
    #[inline(always)]
    fn and(self, other: Range, both: bool) -> Range {
        Range {
            from: if both {
                self.from.min(other.from)
            } else {
                other.from
            },
            to: if both {
                self.to.max(other.to)
            } else {
                other.to
            },
        }
    }
}

impl Plane {
    /// Makes room for `cells` cells and `warps` warps. Returns whether the history was lost.
    pub(super) fn fit(&mut self, cells: usize, warps: usize) -> bool {
        // A row is 64 bytes off a multiple of the page, so that rows do not share their cache sets.
        let enough = self.write.len() >= cells && self.reads.len() >= warps * self.stride;
        if !enough {
            let cells = cells.max(self.write.len());
            let warps = warps.max(self.reads.len() / self.stride.max(1));
            self.stride = cells.next_multiple_of(1024) + 16;
            self.write = vec![0; cells];
            self.name = vec![0; cells];
            self.reads = vec![0; warps * self.stride];
            self.newest_write = 0;
            self.newest_read = [0; 32];
            self.pending = 0;
        }
        !enough
    }

    /// Forgets everything but pending writes.
    pub(super) fn clear(&mut self) {
        for key in &mut self.write {
            *key = if *key & PENDING == 0 { 0 } else { *key };
        }
        self.reads.fill(0);
        self.newest_write = if self.pending > 0 { PENDING_KEY } else { 0 };
        self.newest_read = [0; 32];
    }

    /// Forgets pending writes: their block is over.
    pub(super) fn drop_pending(&mut self) {
        if self.pending > 0 {
            self.done(0, self.write.len(), 0, 0);
            self.pending = 0;
            self.newest_write = self.write.iter().copied().max().unwrap_or(0);
        }
    }

    /// Turns pending writes of a range into writes with the given key; `newest` is that of the present.
    pub(super) fn done(&mut self, from: usize, count: usize, key: u32, newest: u32) {
        let to = from.saturating_add(count).min(self.write.len());
        for cell in self.write.get_mut(from..to).into_iter().flatten() {
            if *cell & PENDING != 0 {
                *cell = key | (*cell & MANY);
                self.pending = self.pending.saturating_sub(1);
            }
        }
        if self.pending == 0 && self.newest_write >= PENDING_KEY {
            self.newest_write = newest | LOW;
        }
    }

    /// The first write in the way of the present access. `first` is the lowest cell.
    #[inline(always)]
    pub(super) fn check_writes(&self, first: usize, cells: &Cells, now: &Present) -> Findings {
        if self.writes_are_ordered(now) || !self.written.meets(Range::of(first, cells)) {
            return None;
        }
        let write = self.write.get(first..first + cells.extent)?;
        let limit = now.limit.cast_signed();
        if !any(cells, write, write, |_, key, _| key.cast_signed() >= limit) {
            return None;
        }
        self.examine_writes(first, cells, now)
    }

    /// Whether the last write of a cell is by `warp`, or ordered before its present.
    pub(super) fn is_write_before(&self, at: usize, warp: u32, order: &Order) -> bool {
        let (Some(key), Some(name)) = (self.write.get(at), self.name.get(at)) else {
            return true;
        };
        let known = &order.known[warp as usize & 31];
        name & 31 == warp & 31 || key >> KEY_SHIFT <= known[(name & 31) as usize]
    }

    /// The instruction of the last write of a cell.
    pub(super) fn writer(&self, at: usize) -> Option<u32> {
        self.name.get(at).map(|name| name >> INSTRUCTION_SHIFT)
    }

    /// Whether every write is ordered before the present access.
    #[inline(always)]
    pub(super) fn writes_are_ordered(&self, now: &Present) -> bool {
        self.newest_write < now.limit
    }

    #[inline(never)]
    fn examine_writes(&self, first: usize, cells: &Cells, now: &Present) -> Findings {
        let write = self.write.get(first..first + cells.extent)?;
        let name = self.name.get(first..first + cells.extent)?;
        // Mostly a thread comes back to its own word; only then comes the clock, which is a look-up per word.
        let strange = any(cells, write, name, |tag, key, name| {
            (key.cast_signed() >= now.limit.cast_signed()) & !now.is_same_thread(key, name, tag)
        });
        if !strange {
            return None;
        }
        let clash = any(cells, write, name, |tag, key, name| {
            now.clashes_with_write(key, name, tag)
        });
        if !clash {
            return None;
        }
        let mut pairs = cells.places.iter().zip(&cells.tags);
        pairs.find_map(|(&place, &tag)| {
            let at = first + place as usize;
            self.write_conflict(at, tag, now)
        })
    }

    /// The conflict of the present access by the lanes of `tag` with the last write of one cell.
    pub(super) fn write_conflict(&self, at: usize, tag: u32, now: &Present) -> Findings {
        let (key, name) = (*self.write.get(at)?, *self.name.get(at)?);
        let lane = (key & MANY == 0).then_some(name >> 5 & 31);
        let own = name & 31 == now.owner && key & PENDING == 0;
        if own && now.is_ordered_by_lane(key, lane, tag) {
            return None;
        }
        now.clashes_with_write(key, name, tag).then_some(Conflict {
            kind: if key & PENDING == 0 {
                RaceKind::ReadAfterWrite
            } else {
                RaceKind::PendingCopy
            },
            offset: at as u64,
            lane: tag & 31,
            other_warp: name & 31,
            other_lane: lane,
            other_instruction: Some(name >> INSTRUCTION_SHIFT),
        })
    }

    /// The first read in the way of the present write. `first` is the lowest cell.
    #[inline(always)]
    pub(super) fn check_reads(&self, first: usize, cells: &Cells, now: &Present) -> Findings {
        if self.reads_are_ordered(now) {
            return None;
        }
        let place = Range::of(first, cells);
        for other in 0..32 {
            let late = self.newest_read[other] > now.known[other];
            if !(late & self.read[other].meets(place)) {
                continue;
            }
            let row = other * self.stride + first;
            let reads = self.reads.get(row..row + cells.extent)?;
            let ordered = (now.known[other] << KEY_SHIFT | LOW).cast_signed();
            if !any(cells, reads, reads, |_, key, _| key.cast_signed() > ordered) {
                continue;
            }
            if other != now.warp || self.own_reads_clash(first, cells, now) {
                let found = self.first_read_conflict(first, cells, other, now);
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    /// Whether lanes other than the writing one read a word since the warp was last synchronised.
    #[inline(never)]
    fn own_reads_clash(&self, first: usize, cells: &Cells, now: &Present) -> bool {
        let row = now.warp * self.stride + first;
        let Some(reads) = self.reads.get(row..row + cells.extent) else {
            return false;
        };
        any(cells, reads, reads, |tag, key, _| {
            now.clashes_with_read(key, now.warp, tag)
        })
    }

    #[cold]
    #[inline(never)]
    fn first_read_conflict(
        &self,
        first: usize,
        cells: &Cells,
        other: usize,
        now: &Present,
    ) -> Findings {
        let mut pairs = cells.places.iter().zip(&cells.tags);
        pairs.find_map(|(&place, &tag)| self.read_conflict(first + place as usize, other, tag, now))
    }

    /// Whether no warp has read anything that is not ordered before the present access.
    #[inline(always)]
    pub(super) fn reads_are_ordered(&self, now: &Present) -> bool {
        let mut late = false;
        for (newest, known) in self.newest_read.iter().zip(now.known) {
            late |= newest > known;
        }
        !late
    }

    /// The conflict of the present write by the lanes of `tag` with the last read of one cell by one warp.
    fn read_conflict(&self, at: usize, other: usize, tag: u32, now: &Present) -> Findings {
        let key = *self.reads.get(other * self.stride + at)?;
        let lane = (key & MANY == 0).then_some(key & 31);
        if other == now.warp && now.is_ordered_by_lane(key, lane, tag) {
            return None;
        }
        now.clashes_with_read(key, other, tag).then(|| Conflict {
            kind: RaceKind::WriteAfterRead,
            offset: at as u64,
            lane: tag & 31,
            other_warp: u32::try_from(other).unwrap_or(u32::MAX),
            other_lane: lane,
            other_instruction: None,
        })
    }

    /// The conflict of the present write with the last reads of one cell.
    pub(super) fn any_read_conflict(&self, at: usize, tag: u32, now: &Present) -> Findings {
        let late = |other: &usize| self.newest_read[*other] > now.known[*other];
        let mut others = (0..32).filter(late);
        others.find_map(|other| self.read_conflict(at, other, tag, now))
    }

    /// Records a read.
    #[inline(always)]
    pub(super) fn note_read(&mut self, first: usize, cells: &Cells, now: &Present) {
        let warp = now.warp & 31;
        let kept = self.newest_read[warp] > now.level;
        self.read[warp] = self.read[warp].and(Range::of(first, cells), kept);
        self.newest_read[warp] = now.key >> KEY_SHIFT;
        let row = now.warp * self.stride + first;
        let Some(reads) = self.reads.get_mut(row..row + cells.extent) else {
            return;
        };
        // Reads that the warp has synchronised since are replaced; a later one joins them otherwise.
        let ordered = (now.known[now.warp & 31] << KEY_SHIFT | LOW).cast_signed();
        let key = now.key;
        update(cells, reads, |tag, read| {
            let new = key | tag;
            let joins = (read.cast_signed() > ordered) & ((read ^ new) & LOW != 0);
            new | if joins { MANY } else { 0 }
        });
    }

    /// Records a write with the given flags.
    #[inline(always)]
    pub(super) fn note_write(&mut self, first: usize, cells: &Cells, now: &Present, flags: u32) {
        let kept = self.newest_write >> KEY_SHIFT > now.level;
        self.written = self.written.and(Range::of(first, cells), kept);
        self.newest_write = self.newest_write.max(now.key | LOW);
        let key = now.key | flags;
        let who = now.owner | now.instruction << INSTRUCTION_SHIFT;
        if self.pending > 0 || flags & PENDING != 0 {
            self.note_among_pending(first, cells, key, who);
            return;
        }
        let Some(write) = self.write.get_mut(first..first + cells.extent) else {
            return;
        };
        let Some(name) = self.name.get_mut(first..first + cells.extent) else {
            return;
        };
        update(cells, write, |tag, _| key | (tag & MANY));
        update(cells, name, |tag, _| who | (tag & 31) << 5);
    }

    /// Records a write where pending writes must be counted.
    #[inline(never)]
    fn note_among_pending(&mut self, first: usize, cells: &Cells, key: u32, who: u32) {
        let pending = key & PENDING != 0;
        let key = if pending { PENDING_KEY } else { key };
        if pending {
            self.newest_write = u32::MAX;
        }
        for (&place, &tag) in cells.places.iter().zip(&cells.tags) {
            let at = first + place as usize;
            let was = self.write[at] & PENDING != 0;
            // A write to a pending word is an error already; the copy stays, as it will still arrive.
            if was && !pending {
                continue;
            }
            self.pending += usize::from(pending && !was);
            self.write[at] = key | (tag & MANY);
            self.name[at] = who | (tag & 31) << 5;
        }
    }
}
