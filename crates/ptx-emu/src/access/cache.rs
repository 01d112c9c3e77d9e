//! The patterns that one static instruction used last.

use std::ops::Range;

use super::Pattern;
use crate::exec::access::{Memory, Pointers, Reached};
use crate::lanes::{Lane, Registers};

/// Patterns kept per instruction: rows that start at every multiple of 4 bytes modulo 32 make eight.
const KEPT: usize = 8;

/// A pattern with what the hit test reads, which stands first, side by side.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
struct Entry {
    key: Key,
    /// Where it last led.
    spot: Spot,
    pattern: Pattern,
    /// -1 in active lanes, 0 in others.
    live: [i32; 32],
}

/// All of a pattern but the distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    mask: u32,
    bytes: u32,
    phase: u32,
}

/// A memory in which requests of a pattern lie as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub memory: Memory,
    /// Address of its first byte.
    pub start: u64,
    /// The addresses of the first active lane for which all lanes lie in it.
    pub bases: Range<u64>,
}

impl Spot {
    const NOWHERE: Self = Self {
        memory: Memory::Local,
        start: 0,
        bases: 0..0,
    };
}

/// The last few patterns of one static instruction.
#[derive(Clone, Debug, Default)]
pub(crate) struct PatternCache {
    entries: Vec<Entry>,
    /// The entry that hit last.
    recent: usize,
    /// The entry to overwrite next.
    oldest: usize,
}

impl Entry {
    /// Whether a request has this pattern. `base` is the address of the first active lane.
    #[inline(always)]
    fn matches(&self, mask: u32, bytes: u32, base: u64, addresses: &[u64; 32]) -> bool {
        let rel = self.pattern.steps.rel();
        self.key == Key::of(mask, bytes, base)
            && differs(mask, base, addresses, rel, &self.live) == 0
    }
}

impl Key {
    /// `base` is the address of the first active lane.
    #[inline(always)]
    fn of(mask: u32, bytes: u32, base: u64) -> Self {
        Self {
            mask,
            bytes,
            phase: base as u32 & 31,
        }
    }
}

/// Zero if each active lane lies as far from `base` as `rel` says.
#[inline(always)]
fn differs(mask: u32, base: u64, lanes: &[u64; 32], rel: &[i32; 32], live: &[i32; 32]) -> u64 {
    let mut wrong = 0;
    if mask == u32::MAX {
        for (lane, &rel) in lanes.iter().zip(rel) {
            wrong |= lane.wrapping_sub(base) ^ i64::from(rel).cast_unsigned();
        }
    } else {
        for ((lane, &rel), &live) in lanes.iter().zip(rel).zip(live) {
            let apart = lane.wrapping_sub(base) ^ i64::from(rel).cast_unsigned();
            wrong |= apart & i64::from(live).cast_unsigned();
        }
    }
    wrong
}

impl PatternCache {
    /// Where a request leads if it has the recent pattern and stays in the memory to which that
    /// led: the lanes are compared in their registers. `base` is the address of the first active.
    #[inline(always)]
    pub(crate) fn again(
        &self,
        mask: u32,
        bytes: u32,
        base: u64,
        regs: &Registers,
        pointers: Pointers,
    ) -> Option<Reached> {
        let entry = self.entries.get(self.recent)?;
        let spot = &entry.spot;
        if entry.key != Key::of(mask, bytes, base) || !spot.bases.contains(&base) {
            return None;
        }
        let first = mask.trailing_zeros() as usize & 31;
        let rel = entry.pattern.steps.expected();
        let same = if pointers.narrow {
            // No lane wraps around, for all lie in the memory.
            let words = u32::load(regs, pointers.slot);
            let base = regs.word(pointers.slot, first);
            let mut wrong = 0;
            for lane in 0..32 {
                let apart = words[lane].wrapping_sub(base) ^ rel[lane].cast_unsigned();
                wrong |= apart & entry.live[lane].cast_unsigned();
            }
            wrong == 0
        } else {
            let base = regs.double(pointers.slot, first);
            differs(
                mask,
                base,
                &u64::load(regs, pointers.slot),
                rel,
                &entry.live,
            ) == 0
        };
        same.then_some(Reached {
            memory: spot.memory,
            offset: (base - spot.start) as usize,
        })
    }

    /// Notes where requests of the recent pattern lead.
    pub(crate) fn note(&mut self, spot: Spot) {
        if let Some(entry) = self.entries.get_mut(self.recent) {
            entry.spot = spot;
        }
    }

    /// The pattern that the last [`PatternCache::find`] or [`PatternCache::again`] found.
    #[inline(always)]
    pub(crate) fn recent(&self) -> Option<&Pattern> {
        self.entries.get(self.recent).map(|entry| &entry.pattern)
    }

    /// Makes the pattern of a request the recent one; `None` as in [`Pattern::of`].
    #[inline(always)]
    pub(crate) fn find(&mut self, mask: u32, bytes: u32, addresses: &[u64; 32]) -> Option<()> {
        let base = addresses[(mask.trailing_zeros() & 31) as usize];
        let recent = self.entries.get(self.recent);
        if recent.is_some_and(|entry| entry.matches(mask, bytes, base, addresses)) {
            return Some(());
        }
        self.search(mask, bytes, base, addresses)
    }

    /// Looks among the others; works the pattern out if it is not there.
    #[inline(never)]
    fn search(&mut self, mask: u32, bytes: u32, base: u64, addresses: &[u64; 32]) -> Option<()> {
        let count = self.entries.len();
        // Patterns often come in turns: the one after the recent one is tried first.
        for step in 1..count {
            let at = (self.recent + step) % count;
            if self.entries[at].matches(mask, bytes, base, addresses) {
                self.recent = at;
                return Some(());
            }
        }
        let entry = Entry {
            live: std::array::from_fn(|lane| -(mask >> lane & 1).cast_signed()),
            pattern: Pattern::of(mask, bytes, addresses)?,
            spot: Spot::NOWHERE,
            key: Key::of(mask, bytes, base),
        };
        if count < KEPT {
            self.entries.push(entry);
            self.recent = count;
        } else {
            self.entries[self.oldest] = entry;
            self.recent = self.oldest;
            self.oldest = (self.oldest + 1) % KEPT;
        }
        Some(())
    }
}
