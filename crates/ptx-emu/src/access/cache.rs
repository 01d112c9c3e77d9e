//! The patterns that one static instruction used last.

use super::Pattern;

/// Patterns kept per instruction: rows that start at every multiple of 4 bytes modulo 32 make eight.
const KEPT: usize = 8;

/// A pattern with what the hit test reads.
#[derive(Clone, Debug)]
struct Entry {
    /// -1 in active lanes, 0 in others.
    live: [i32; 32],
    pattern: Pattern,
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
        let pattern = &self.pattern;
        if pattern.mask != mask || pattern.bytes != bytes || u64::from(pattern.phase) != base & 31 {
            return false;
        }
        let mut wrong = 0_u64;
        if mask == u32::MAX {
            for (address, &rel) in addresses.iter().zip(&pattern.rel) {
                wrong |= address.wrapping_sub(base) ^ i64::from(rel).cast_unsigned();
            }
        } else {
            for ((address, &rel), &live) in addresses.iter().zip(&pattern.rel).zip(&self.live) {
                let apart = address.wrapping_sub(base) ^ i64::from(rel).cast_unsigned();
                wrong |= apart & i64::from(live).cast_unsigned();
            }
        }
        wrong == 0
    }
}

impl PatternCache {
    /// The pattern of a request; `None` as in [`Pattern::of`].
    #[inline(always)]
    pub(crate) fn get(&mut self, mask: u32, bytes: u32, addresses: &[u64; 32]) -> Option<&Pattern> {
        let base = addresses[(mask.trailing_zeros() & 31) as usize];
        let recent = self.entries.get(self.recent);
        if !recent.is_some_and(|entry| entry.matches(mask, bytes, base, addresses)) {
            self.find(mask, bytes, base, addresses)?;
        }
        self.entries.get(self.recent).map(|entry| &entry.pattern)
    }

    /// The pattern that [`PatternCache::get`] gave last.
    #[inline(always)]
    pub(crate) fn recent(&self) -> Option<&Pattern> {
        self.entries.get(self.recent).map(|entry| &entry.pattern)
    }

    /// Makes the entry of a request the recent one; works it out if there is none.
    #[inline(never)]
    fn find(&mut self, mask: u32, bytes: u32, base: u64, addresses: &[u64; 32]) -> Option<()> {
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
