//! Shadow of one global allocation, used by all host threads at once.
//!
//! Two blocks race when both access a half-word, one of them writes, not both are atomic, and the caller cannot
//! tell an order between them. Per 4-byte word there is one 64-bit state (last writer and readers of either half),
//! changed as a whole: of two accesses, the one that comes second in the state's history sees the other. So which
//! of two blocks reports, and as which kind, can depend on how the host interleaves them, but not whether one does.
//!
//! Bounds of the check, none of which accuses an ordered program:
//! - an access to a single byte of a half-word is not checked (neighbouring blocks may own its two bytes);
//! - block numbers are kept modulo 32 766: two blocks that far apart count as one;
//! - after a race on a word is reported, its history starts from the later access;
//! - reads as strong as atomics are forgotten where other blocks read plainly.
//!
//! Memory: 2 bytes per byte for the states, 1/8 for values, 1/16 for sectors; only what was touched.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ranges::{for_ranges, lane_at, touch};
use super::states::States;
use super::{Marks, RaceKind};
use crate::access::Pattern;

/// Asks whether all other blocks that may have accessed a word are ordered before the present.
pub(crate) const EVERY_BLOCK: u32 = u32::MAX;

/// Blocks that can be told apart.
const BLOCKS: u32 = 0x7ffe;
/// Owner of a half-word: several blocks. 0 is nobody, others are a block number plus 1.
const MANY: u64 = 0x7fff;
/// Flag of an owner: all its accesses were atomic.
const ATOMIC: u64 = 0x8000;
/// Puts an owner into both halves.
const BOTH: u64 = 0x1_0001;

/// Two accesses of different blocks that nothing orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GlobalConflict {
    /// What happened: `ReadAfterWrite`, `WriteAfterRead` or `WriteAfterWrite`.
    pub kind: RaceKind,
    /// Byte in the allocation: the half-word.
    pub offset: u64,
    /// The lowest lane of the present access.
    pub lane: u32,
    /// The other block, modulo 32 766, if it was one.
    pub other_block: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    StrongRead,
    Write,
    Atomic,
}

/// The present access and its block, as an owner.
#[derive(Clone, Copy)]
struct Present {
    access: Access,
    me: u64,
}

impl Access {
    fn atomic(self) -> bool {
        matches!(self, Self::StrongRead | Self::Atomic)
    }

    fn writes(self) -> bool {
        matches!(self, Self::Write | Self::Atomic)
    }
}

/// Which bytes of an allocation hold a value, which sectors one launch touched, and which blocks accessed it.
#[derive(Debug)]
pub(crate) struct GlobalShadow {
    bytes: u64,
    filled: Marks,
    read: Marks,
    written: Marks,
    /// Per word: readers of the low and the high half, writers of the low and the high half, 16 bits each.
    states: OnceLock<States>,
    alone: bool,
}

impl GlobalShadow {
    /// For an allocation of `bytes` bytes that hold no value.
    pub(crate) fn new(bytes: u64) -> GlobalShadow {
        GlobalShadow {
            bytes,
            filled: Marks::new(bytes),
            read: Marks::default(),
            written: Marks::default(),
            states: OnceLock::new(),
            alone: false,
        }
    }

    /// Forgets what the launch before did. `alone`: one host thread runs all blocks of the launch, so that
    /// states can change without a locked instruction.
    pub(crate) fn begin_launch(&mut self, alone: bool) {
        self.read = Marks::new(self.bytes.div_ceil(32));
        self.written = Marks::new(self.bytes.div_ceil(32));
        if let Some(states) = self.states.get_mut() {
            states.clear();
        }
        self.alone = alone;
    }

    /// The bytes of a range hold a value from now on.
    pub(crate) fn init(&self, offset: u64, bytes: u64) {
        self.filled
            .add(offset, offset.saturating_add(bytes).min(self.bytes));
    }

    /// The bytes of `p` hold a value from now on. `base` is the byte of the first active lane.
    #[inline(always)]
    pub(crate) fn fill(&self, base: u64, p: &Pattern) {
        for_ranges(base, p, |from, to| {
            self.filled.add(from, to);
            None::<()>
        });
    }

    /// The first byte that holds no value among those that `p` reads, and a lane that reads it.
    #[inline(always)]
    pub(crate) fn uninitialised(&self, base: u64, p: &Pattern) -> Option<(u64, u32)> {
        let byte = for_ranges(base, p, |from, to| self.filled.first_missing(from, to))?;
        Some((byte, lane_at(byte, base, p)))
    }

    /// Counts the sectors of `p` as read in this launch.
    #[inline(always)]
    pub(crate) fn touch_read(&self, base: u64, p: &Pattern) {
        touch(&self.read, base, p);
    }

    /// Counts the sectors of `p` as written in this launch.
    #[inline(always)]
    pub(crate) fn touch_write(&self, base: u64, p: &Pattern) {
        touch(&self.written, base, p);
    }

    /// Distinct 32-byte sectors read in this launch.
    pub(crate) fn sectors_read(&self) -> u64 {
        self.read.count()
    }

    /// Distinct 32-byte sectors read and written in this launch that have bytes of a range.
    pub(crate) fn sectors_within(&self, bytes: Range<u64>) -> [u64; 2] {
        let (from, to) = (bytes.start / 32, bytes.end.div_ceil(32));
        [&self.read, &self.written].map(|marks| marks.count_within(from, to))
    }

    /// Distinct 32-byte sectors written in this launch.
    pub(crate) fn sectors_written(&self) -> u64 {
        self.written.count()
    }

    /// A read of `p` by `block`. `ordered` says whether all that another block (or [`EVERY_BLOCK`]) did is
    /// ordered before the present; it is only asked when the answer decides.
    #[inline(always)]
    pub(crate) fn read(
        &self,
        base: u64,
        p: &Pattern,
        block: u32,
        ordered: impl Fn(u32) -> bool,
    ) -> Option<GlobalConflict> {
        let me = owner(block);
        // Read before by this block alone, read by many, or written by this block: nothing to change.
        let (mine, many, own) = (me * BOTH, MANY * BOTH, me * BOTH);
        let quiet = |state: u64| state == mine || state == many || state >> 32 == own;
        let easy = |state: u64| match state {
            0 => mine,
            _ if state >> 32 == 0 && state & 0xffff == state >> 16 && state & ATOMIC == 0 => many,
            _ => 0,
        };
        let access = Access::Read;
        self.access(base, p, Present { access, me }, quiet, easy, &ordered)
    }

    /// A read of `p` by `block` as strong as an atomic: it does not conflict with atomics.
    pub(crate) fn strong_read(
        &self,
        base: u64,
        p: &Pattern,
        block: u32,
        ordered: impl Fn(u32) -> bool,
    ) -> Option<GlobalConflict> {
        let me = owner(block);
        let quiet = |state: u64| state == (me | ATOMIC) * BOTH || state == (MANY | ATOMIC) * BOTH;
        let access = Access::StrongRead;
        self.access(base, p, Present { access, me }, quiet, |_| 0, &ordered)
    }

    /// A write of `p` by `block`.
    #[inline(always)]
    pub(crate) fn write(
        &self,
        base: u64,
        p: &Pattern,
        block: u32,
        ordered: impl Fn(u32) -> bool,
    ) -> Option<GlobalConflict> {
        let me = owner(block);
        let own = (me * BOTH) << 32;
        let quiet = |state: u64| state == own || state == own | (me * BOTH);
        let easy = |state: u64| match state {
            _ if state == 0 || state == me * BOTH => state | own,
            _ => 0,
        };
        let access = Access::Write;
        self.access(base, p, Present { access, me }, quiet, easy, &ordered)
    }

    /// An atomic read-modify-write of `p` by `block`. Atomics do not conflict with each other.
    #[inline(always)]
    pub(crate) fn atomic(
        &self,
        base: u64,
        p: &Pattern,
        block: u32,
        ordered: impl Fn(u32) -> bool,
    ) -> Option<GlobalConflict> {
        let me = owner(block);
        let writers = |owner: u64| ((owner | ATOMIC) * BOTH) << 32;
        let (mine, many) = (writers(me), writers(MANY));
        let quiet = |state: u64| state == mine || state == many;
        let easy = |state: u64| if state == 0 { mine } else { 0 };
        let access = Access::Atomic;
        self.access(base, p, Present { access, me }, quiet, easy, &ordered)
    }

    /// `quiet`: whether a state neither changes nor conflicts. `easy`: the state after, if there is no conflict
    /// in an access to the whole word, for the frequent states; 0 for others.
    #[inline(always)]
    fn access(
        &self,
        base: u64,
        p: &Pattern,
        now: Present,
        quiet: impl Fn(u64) -> bool,
        easy: impl Fn(u64) -> u64,
        ordered: &impl Fn(u32) -> bool,
    ) -> Option<GlobalConflict> {
        let words = usize::try_from(self.bytes.div_ceil(4)).ok()?;
        let states = self.states.get_or_init(|| States::new(words));
        let first = p.place(base, words)?;
        let states = states.touch(first, p.cells.extent, &p.cells.places)?;
        let mut found = None;
        for ((&place, &tag), &touched) in
            p.cells.places.iter().zip(&p.cells.tags).zip(&p.word_bytes)
        {
            let state = &states[place as usize];
            let old = state.load(Ordering::Relaxed);
            if quiet(old) {
                continue;
            }
            let new = easy(old);
            if touched == 0xf && new != 0 && self.exchange(state, old, new).is_ok() {
                continue;
            }
            let clash = self.change(state, old, now, touched, ordered);
            if let Some((half, kind, other)) = clash
                && found.is_none()
            {
                found = Some(GlobalConflict {
                    kind,
                    offset: 4 * (first as u64 + u64::from(place)) + 2 * u64::from(half),
                    lane: tag & 31,
                    other_block: u32::try_from(other)
                        .ok()
                        .filter(|_| other != MANY)
                        .map(|other| other - 1),
                });
            }
        }
        found
    }

    #[inline(always)]
    fn exchange(&self, state: &AtomicU64, old: u64, new: u64) -> Result<u64, u64> {
        if self.alone {
            state.store(new, Ordering::Relaxed);
            return Ok(old);
        }
        state.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed)
    }

    /// Enters an access into one state; returns the half-word, kind and owner of a conflict.
    #[inline(never)]
    fn change(
        &self,
        state: &AtomicU64,
        mut old: u64,
        now: Present,
        touched: u8,
        ordered: &impl Fn(u32) -> bool,
    ) -> Option<(u32, RaceKind, u64)> {
        loop {
            let (mut new, mut clash) = (old, None);
            for half in 0..2 {
                if touched >> (2 * half) & 3 != 3 {
                    continue;
                }
                let (low, high) = (16 * half, 32 + 16 * half);
                let (reader, writer) = (old >> low & 0xffff, old >> high & 0xffff);
                let conflict = conflict(now, reader, writer, ordered);
                clash = clash.or(conflict.map(|(kind, other)| (half, kind, other)));
                let (reader, writer) = after(now, reader, writer);
                new = new & !(0xffff << low | 0xffff << high) | reader << low | writer << high;
            }
            if new == old {
                return clash;
            }
            match self.exchange(state, old, new) {
                Ok(_) => return clash,
                Err(changed) => old = changed,
            }
        }
    }
}

/// The conflict of an access with the owners of a half-word.
fn conflict(
    now: Present,
    reader: u64,
    writer: u64,
    ordered: &impl Fn(u32) -> bool,
) -> Option<(RaceKind, u64)> {
    let Present { access, me } = now;
    let stranger = |owner: u64| {
        let block = u32::try_from(owner).unwrap_or(0).wrapping_sub(1);
        let block = if owner == MANY { EVERY_BLOCK } else { block };
        owner != 0 && owner != me && !ordered(block)
    };
    let both_atomic = |owner: u64| access.atomic() && owner & ATOMIC != 0;
    if !both_atomic(writer) && stranger(writer & !ATOMIC) {
        let kind = if access.writes() {
            RaceKind::WriteAfterWrite
        } else {
            RaceKind::ReadAfterWrite
        };
        return Some((kind, writer & !ATOMIC));
    }
    let clash = access.writes() && !both_atomic(reader) && stranger(reader & !ATOMIC);
    clash.then_some((RaceKind::WriteAfterRead, reader & !ATOMIC))
}

/// Readers and writer of a half-word after an access.
fn after(now: Present, reader: u64, writer: u64) -> (u64, u64) {
    let Present { access, me } = now;
    match access {
        // Who conflicts with this read conflicts with the block's own write as well.
        Access::Read if writer == me => (reader, writer),
        Access::Read if reader == 0 || reader & ATOMIC != 0 => (me, writer),
        Access::Read if reader == me => (me, writer),
        Access::Read => (MANY, writer),
        Access::StrongRead if writer & !ATOMIC == me => (reader, writer),
        Access::StrongRead if reader == 0 || reader == me | ATOMIC => (me | ATOMIC, writer),
        Access::StrongRead if reader & ATOMIC != 0 => (MANY | ATOMIC, writer),
        Access::StrongRead => (reader, writer),
        // Reads that are ordered before the write need not be kept; the block's own do no harm.
        Access::Write => (if reader == me { me } else { 0 }, me),
        Access::Atomic if writer & ATOMIC == 0 && writer == me => (reader, me),
        Access::Atomic if writer & ATOMIC == 0 || writer == me | ATOMIC => (reader, me | ATOMIC),
        Access::Atomic => (reader, MANY | ATOMIC),
    }
}

fn owner(block: u32) -> u64 {
    u64::from(block % BLOCKS) + 1
}
