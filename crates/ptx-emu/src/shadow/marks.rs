//! A set of numbers below a limit, that host threads add to together.

use std::sync::atomic::{AtomicU64, Ordering};

/// One bit per number.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    bits: Box<[AtomicU64]>,
}

impl Marks {
    /// The empty set of numbers below `limit`. Untouched parts of it take no memory.
    pub(crate) fn new(limit: u64) -> Marks {
        let words = usize::try_from(limit.div_ceil(64)).unwrap_or(0);
        Marks {
            bits: bytemuck::zeroed_slice_box(words),
        }
    }

    /// Adds `from..to`. Numbers beyond the limit are left out.
    #[inline(always)]
    pub(crate) fn add(&self, from: u64, to: u64) {
        let mut at = from;
        while at < to {
            let (word, mask, next) = piece(at, to);
            let Some(bits) = self.bits.get(word) else {
                return;
            };
            // Nearly always set already; a locked instruction costs ten times the look.
            if bits.load(Ordering::Relaxed) & mask != mask {
                bits.fetch_or(mask, Ordering::Relaxed);
            }
            at = next;
        }
    }

    /// The first number of `from..to` that is not in the set.
    #[inline(always)]
    pub(crate) fn first_missing(&self, from: u64, to: u64) -> Option<u64> {
        let mut at = from;
        while at < to {
            let (word, mask, next) = piece(at, to);
            let held = self
                .bits
                .get(word)
                .map_or(0, |bits| bits.load(Ordering::Relaxed));
            let missing = !held & mask;
            if missing != 0 {
                return Some((at & !63) + u64::from(missing.trailing_zeros()));
            }
            at = next;
        }
        None
    }

    /// How many numbers of `from..to` are in the set.
    pub(crate) fn count_within(&self, from: u64, to: u64) -> u64 {
        let (mut at, mut count) = (from, 0);
        while at < to {
            let (word, mask, next) = piece(at, to);
            let Some(bits) = self.bits.get(word) else {
                break;
            };
            count += u64::from((bits.load(Ordering::Relaxed) & mask).count_ones());
            at = next;
        }
        count
    }

    /// How many numbers are in the set.
    pub(crate) fn count(&self) -> u64 {
        let ones = |bits: &AtomicU64| u64::from(bits.load(Ordering::Relaxed).count_ones());
        self.bits.iter().map(ones).sum()
    }
}

/// The part of `at..to` in one word: word, bits, and where the next part begins.
#[inline(always)]
fn piece(at: u64, to: u64) -> (usize, u64, u64) {
    let next = to.min((at | 63).saturating_add(1));
    let count = next - at;
    let mask = (u64::MAX >> (64 - count)) << (at & 63);
    (usize::try_from(at / 64).unwrap_or(usize::MAX), mask, next)
}
