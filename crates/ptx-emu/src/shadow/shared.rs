//! Shadow of the shared memory of one block.
//!
//! Two threads race when both access a byte, one of them writes, not both are atomic, and nothing orders them
//! ([`Order`]). The lanes of a warp are separate threads: only the program order of one lane, or a
//! synchronisation, orders two accesses.
//!
//! Accesses that cover whole words are kept by word. Those that cover a part of a word (16-bit elements, mostly)
//! are kept by byte in a second [`Plane`], made when the first one comes; every access is checked in both. So
//! neighbours in one word never accuse each other.
//!
//! What stays unnoticed: an access that races with a write hidden behind a later, unordered atomic; and more than
//! one race per request.

use super::filled::{FILLED, all_filled, in_short_runs, word_range};
use super::order::{Arrival, Order};
use super::plane::Plane;
use super::present::{ATOMIC, PENDING, Present};
use super::proxy::Unfenced;
use super::{Conflict, Findings, RaceKind, Who};
use crate::access::{Cells, MANY, Pattern};

/// Which bytes of a block's shared memory hold a value, and who accessed them last.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedShadow {
    words: usize,
    warps: usize,
    /// Per word, one bit per byte that was written.
    filled: Vec<u8>,
    by_word: Plane,
    by_byte: Option<Box<Plane>>,
    unfenced: Unfenced,
}

impl SharedShadow {
    /// An empty shadow; [`SharedShadow::reset`] gives it a size.
    pub(crate) fn new() -> SharedShadow {
        SharedShadow::default()
    }

    /// Begins a block with `bytes` bytes of shared memory and `warps` warps. A shadow keeps one `order` all its
    /// life: the history of the blocks before stays in place and is older than all that comes.
    pub(crate) fn reset(&mut self, bytes: u64, warps: u32, order: &mut Order) {
        self.words = usize::try_from(bytes.div_ceil(4)).unwrap_or(0);
        self.warps = warps.clamp(1, 32) as usize;
        self.filled.clear();
        self.filled.resize(self.words, 0);
        self.by_word.fit(self.words, self.warps);
        self.by_word.drop_pending();
        if let Some(by_byte) = &mut self.by_byte {
            by_byte.fit(4 * self.words, self.warps);
        }
        if order.is_worn() {
            self.forget(order);
        }
        order.next_block(warps);
    }

    /// Forgets all accesses (not which bytes hold a value) and lets the stamps start again. Sound while every
    /// warp of the block stands at one barrier; what to do when [`Order::exhausted`].
    pub(crate) fn forget(&mut self, order: &mut Order) {
        self.by_word.clear();
        if let Some(by_byte) = &mut self.by_byte {
            by_byte.clear();
        }
        order.restart();
    }

    /// Says whether the block uses the asynchronous proxy; to be called after each reset.
    pub(crate) fn watch_proxy(&mut self, used: bool) {
        self.unfenced.reset(self.words, used);
    }

    /// A write that was noted is an ordinary store, or one by the asynchronous proxy.
    #[inline(always)]
    pub(crate) fn through_proxy(&mut self, base: u64, p: &Pattern, stored: bool) {
        if let Some(first) = p.place(base, self.words) {
            self.unfenced.write(first, p, stored);
        }
    }

    /// The first byte that the asynchronous proxy reads before a fence, and the instruction that wrote it.
    #[inline(always)]
    pub(crate) fn early_for_proxy(&self, base: u64, p: &Pattern) -> Option<(u64, Option<u32>)> {
        let first = p.place(base, self.words)?;
        let word = self.unfenced.early(first, p)?;
        Some((4 * word as u64, self.by_word.writer(word)))
    }

    /// `warp` runs `fence.proxy.async`.
    pub(crate) fn proxy_fence(&mut self, warp: u32, order: &Order) {
        let by_byte = self.by_byte.as_deref();
        self.unfenced.fence(warp, order, &self.by_word, by_byte);
    }

    /// A read by the lanes of `p`, the first of which is at byte `base`.
    #[inline(always)]
    pub(crate) fn read(&mut self, base: u64, p: &Pattern, who: Who, order: &Order) -> Findings {
        let first = p.place(base, self.words)?;
        let now = Present::new(who, order, 0);
        let found = self.by_word.check_writes(first, &p.cells, &now);
        if p.byte_cells.is_some() || self.by_byte.is_some() {
            return self.read_by_byte(base, first, p, &now, found.map(in_words));
        }
        self.by_word.note_read(first, &p.cells, &now);
        found.map(in_words)
    }

    /// A read as strong as an atomic, by the lanes of `p`: it does not conflict with atomics. It is not kept, so
    /// that no later write conflicts with it.
    pub(crate) fn strong_read(
        &mut self,
        base: u64,
        p: &Pattern,
        who: Who,
        order: &Order,
    ) -> Findings {
        let first = p.place(base, self.words)?;
        let now = Present::new(who, order, ATOMIC);
        let found = self.by_word.check_writes(first, &p.cells, &now);
        let Some(by_byte) = self.by_byte.as_deref_mut() else {
            return found.map(in_words);
        };
        found
            .map(in_words)
            .or_else(|| match p.byte_cells.as_deref() {
                Some(bytes) => by_byte.check_writes(first_byte(base, bytes)?, bytes, &now),
                None => whole_words(by_byte, first, &p.cells, &now, false),
            })
    }

    /// A write by the lanes of `p`.
    #[inline(always)]
    pub(crate) fn write(&mut self, base: u64, p: &Pattern, who: Who, order: &Order) -> Findings {
        self.store(base, p, &Present::new(who, order, 0), 0)
    }

    /// An atomic read-modify-write by the lanes of `p`. Atomics do not conflict with each other.
    #[inline(always)]
    pub(crate) fn atomic(&mut self, base: u64, p: &Pattern, who: Who, order: &Order) -> Findings {
        self.store(base, p, &Present::new(who, order, ATOMIC), ATOMIC)
    }

    /// The issue of an asynchronous copy into shared memory by the lanes of `p`: a write that nobody may touch
    /// until [`SharedShadow::async_done`].
    #[inline(always)]
    pub(crate) fn async_write(
        &mut self,
        base: u64,
        p: &Pattern,
        who: Who,
        order: &Order,
    ) -> Findings {
        self.store(base, p, &Present::new(who, order, 0), PENDING)
    }

    /// The asynchronous copies into a range have arrived: from now on they are writes of the present.
    pub(crate) fn async_done(&mut self, offset: u64, bytes: u64, order: &Order) {
        let (first, count) = word_range(offset, bytes);
        self.by_word.done(first, count, order.key(), order.key());
    }

    /// As [`SharedShadow::async_done`], for copies that nobody has made in person: they are writes of the time
    /// that `arrival` stands for, which even the thread that began them must synchronise with.
    pub(crate) fn async_arrived(
        &mut self,
        offset: u64,
        bytes: u64,
        arrival: Arrival,
        order: &Order,
    ) {
        let (first, count) = word_range(offset, bytes);
        self.by_word
            .done(first, count, arrival.0 | MANY, order.key());
    }

    #[inline(always)]
    fn store(&mut self, base: u64, p: &Pattern, now: &Present, flags: u32) -> Findings {
        let first = p.place(base, self.words)?;
        let mut found = self.by_word.check_writes(first, &p.cells, now);
        if found.is_none() {
            found = self.by_word.check_reads(first, &p.cells, now);
        }
        if p.byte_cells.is_some() || self.by_byte.is_some() {
            return self.store_by_byte(base, first, p, now, flags, found.map(in_words));
        }
        self.by_word.note_write(first, &p.cells, now, flags);
        if found.is_none() && !(p.overlap && flags & ATOMIC == 0) {
            return None;
        }
        written(found.map(in_words), base, p, now, flags)
    }

    /// The rest of a read when sub-word accesses are about.
    #[inline(never)]
    fn read_by_byte(
        &mut self,
        base: u64,
        first: usize,
        p: &Pattern,
        now: &Present,
        found: Findings,
    ) -> Findings {
        let by_byte = byte_plane(&mut self.by_byte, self.words, self.warps);
        let Some(bytes) = p.byte_cells.as_deref() else {
            self.by_word.note_read(first, &p.cells, now);
            return found.or_else(|| whole_words(by_byte, first, &p.cells, now, false));
        };
        let first = first_byte(base, bytes)?;
        let found = found.or_else(|| by_byte.check_writes(first, bytes, now));
        by_byte.note_read(first, bytes, now);
        found
    }

    /// The rest of a write when sub-word accesses are about.
    #[inline(never)]
    fn store_by_byte(
        &mut self,
        base: u64,
        first: usize,
        p: &Pattern,
        now: &Present,
        flags: u32,
        found: Findings,
    ) -> Findings {
        let by_byte = byte_plane(&mut self.by_byte, self.words, self.warps);
        let Some(bytes) = p.byte_cells.as_deref() else {
            let found = found.or_else(|| whole_words(by_byte, first, &p.cells, now, true));
            self.by_word.note_write(first, &p.cells, now, flags);
            return written(found, base, p, now, flags);
        };
        let byte = first_byte(base, bytes)?;
        let found = found
            .or_else(|| by_byte.check_writes(byte, bytes, now))
            .or_else(|| by_byte.check_reads(byte, bytes, now));
        if flags & PENDING == 0 {
            by_byte.note_write(byte, bytes, now, flags);
        } else {
            // Copies move whole words; this one is misaligned, and an error already.
            self.by_word.note_write(first, &p.cells, now, flags);
        }
        written(found, base, p, now, flags)
    }

    /// The first byte that holds no value among those that `p` reads, and a lane that reads it.
    #[inline(always)]
    pub(crate) fn uninitialised(&self, base: u64, p: &Pattern) -> Option<(u64, u32)> {
        let first = p.place(base, self.words)?;
        if p.whole_words {
            let filled = self.filled.get(first..first + p.cells.extent)?;
            if all_filled(filled, &p.cells) {
                return None;
            }
        }
        self.first_unfilled(first, p)
    }

    #[inline(never)]
    fn first_unfilled(&self, first: usize, p: &Pattern) -> Option<(u64, u32)> {
        let words = p.cells.places.iter().zip(&p.cells.tags).zip(&p.word_bytes);
        words.into_iter().find_map(|((&place, &tag), &touched)| {
            let word = first + place as usize;
            let missing = touched & !self.filled.get(word)?;
            let byte = 4 * word as u64 + u64::from(missing.trailing_zeros());
            (missing != 0).then_some((byte, tag & 31))
        })
    }

    /// The bytes of `p` hold a value from now on.
    #[inline(always)]
    pub(crate) fn fill(&mut self, base: u64, p: &Pattern) {
        let Some(first) = p.place(base, self.words) else {
            return;
        };
        if !p.whole_words {
            for (&place, &touched) in p.cells.places.iter().zip(&p.word_bytes) {
                self.filled[first + place as usize] |= touched;
            }
            return;
        }
        let Some(filled) = self.filled.get_mut(first..first + p.cells.extent) else {
            return;
        };
        if in_short_runs(&p.cells) {
            for &place in &p.cells.places {
                filled[place as usize] = FILLED;
            }
            return;
        }
        let lowest = p.cells.spans.first().map_or(0, |span| span.word);
        for span in &p.cells.spans {
            let from = (span.word - lowest).cast_unsigned() as usize;
            if let Some(run) = filled.get_mut(from..from + span.words as usize) {
                run.fill(FILLED);
            }
        }
    }
}

#[cfg(test)]
impl SharedShadow {
    /// The bytes of a range hold a value from now on.
    pub(crate) fn init(&mut self, offset: u64, bytes: u64) {
        let end = offset.saturating_add(bytes);
        let (first, count) = word_range(offset, bytes);
        let words = self.filled.iter_mut().enumerate().skip(first).take(count);
        for (word, filled) in words {
            let start = 4 * word as u64;
            let from = offset.saturating_sub(start);
            let to = (end - start).min(4);
            *filled |= (FILLED << from) & (FILLED >> (4 - to));
        }
    }
}

/// Where the lowest byte of a request stands.
fn first_byte(base: u64, bytes: &Cells) -> Option<usize> {
    let low = bytes.spans.first().map_or(0, |span| i64::from(span.word));
    usize::try_from((base & !3).checked_add_signed(low)?).ok()
}

fn byte_plane(plane: &mut Option<Box<Plane>>, words: usize, warps: usize) -> &mut Plane {
    plane.get_or_insert_with(|| {
        let mut plane = Box::new(Plane::default());
        plane.fit(4 * words, warps);
        plane
    })
}

/// A conflict of a request of whole words with what is kept by byte.
fn whole_words(
    by_byte: &Plane,
    first: usize,
    cells: &Cells,
    now: &Present,
    write: bool,
) -> Findings {
    let (writes, reads) = (
        by_byte.writes_are_ordered(now),
        by_byte.reads_are_ordered(now),
    );
    if writes && (reads || !write) {
        return None;
    }
    let mut words = cells.places.iter().zip(&cells.tags);
    words.find_map(|(&place, &tag)| {
        let byte = 4 * (first + place as usize);
        (byte..byte + 4).find_map(|at| {
            let found = by_byte.write_conflict(at, tag, now);
            found.or_else(|| by_byte.any_read_conflict(at, tag, now).filter(|_| write))
        })
    })
}

/// A conflict counted in words, by byte.
#[cold]
fn in_words(conflict: Conflict) -> Conflict {
    Conflict {
        offset: conflict.offset * 4,
        ..conflict
    }
}

/// A conflict as the present write sees it; if there is none, the one among its own lanes.
#[cold]
#[inline(never)]
fn written(found: Findings, base: u64, p: &Pattern, now: &Present, flags: u32) -> Findings {
    if let Some(found) = found {
        let kind = match found.kind {
            RaceKind::ReadAfterWrite => RaceKind::WriteAfterWrite,
            other => other,
        };
        return Some(Conflict { kind, ..found });
    }
    if !p.overlap || flags & ATOMIC != 0 {
        return None;
    }
    let size = if p.byte_cells.is_some() { 1 } else { 4 };
    let cells = p.byte_cells.as_deref().unwrap_or(&p.cells);
    let mut pairs = cells.places.iter().zip(&cells.tags);
    let (&place, &tag) = pairs.find(|(_, tag)| *tag & MANY != 0)?;
    let cell = cells.spans.first()?.word + place.cast_signed();
    // Bytes counted from the word of the first active lane, as the spans are.
    let (from, to) = (cell * size, (cell + 1) * size);
    let start = |lane: u32| p.steps.rel()[lane as usize] + (p.phase & 3).cast_signed();
    let lanes = (tag & 31) + 1..32;
    let mut others = lanes.filter(|&lane| {
        let at = start(lane);
        p.mask >> lane & 1 == 1 && at < to && at + p.bytes.cast_signed() > from
    });
    Some(Conflict {
        kind: RaceKind::SameInstruction,
        offset: (base & !3).checked_add_signed(i64::from(from))?,
        lane: tag & 31,
        other_warp: u32::try_from(now.warp).unwrap_or(u32::MAX),
        other_lane: others.next(),
        other_instruction: Some(now.instruction),
    })
}
