//! Which words of shared memory ordinary stores wrote that the asynchronous proxy may not see yet.
//!
//! A store and a read by that proxy (a bulk copy out of shared memory, an operand of `wgmma`) need
//! `fence.proxy.async` between them, by a thread that the store is ordered before. The lanes of a warp count as
//! one, which hides some missing fences and accuses no program.

use super::order::Order;
use super::plane::Plane;
use crate::access::Pattern;

/// One flag per word, none where no kernel instruction uses the proxy.
#[derive(Clone, Debug, Default)]
pub(super) struct Unfenced {
    words: Vec<bool>,
    /// Where the flags may be set.
    from: usize,
    to: usize,
}

impl Unfenced {
    /// For `words` words, or to keep no flags.
    pub(super) fn reset(&mut self, words: usize, used: bool) {
        self.words.clear();
        self.words.resize(if used { words } else { 0 }, false);
        (self.from, self.to) = (usize::MAX, 0);
    }

    /// The words from `first` on are written by a store, or by the proxy itself.
    #[inline(always)]
    pub(super) fn write(&mut self, first: usize, p: &Pattern, stored: bool) {
        if self.words.is_empty() {
            return;
        }
        self.note(first, p, stored);
    }

    #[inline(never)]
    fn note(&mut self, first: usize, p: &Pattern, stored: bool) {
        for &place in &p.cells.places {
            if let Some(word) = self.words.get_mut(first + place as usize) {
                *word = stored;
            }
        }
        if stored {
            self.from = self.from.min(first);
            self.to = self.to.max(first + p.cells.extent).min(self.words.len());
        }
    }

    /// The first word that the proxy reads too early.
    #[inline(always)]
    pub(super) fn early(&self, first: usize, p: &Pattern) -> Option<usize> {
        if self.words.is_empty() {
            return None;
        }
        let mut places = p.cells.places.iter().map(|place| first + *place as usize);
        places.find(|at| self.words.get(*at) == Some(&true))
    }

    /// `warp` runs the fence.
    pub(super) fn fence(
        &mut self,
        warp: u32,
        order: &Order,
        by_word: &Plane,
        by_byte: Option<&Plane>,
    ) {
        let (mut from, mut to) = (usize::MAX, 0);
        for at in self.from..self.to {
            if !self.words[at] {
                continue;
            }
            let bytes = 4 * at..4 * at + 4;
            let before = by_word.is_write_before(at, warp, order)
                && by_byte.is_none_or(|plane| {
                    bytes
                        .into_iter()
                        .all(|at| plane.is_write_before(at, warp, order))
                });
            if before {
                self.words[at] = false;
            } else {
                from = from.min(at);
                to = at + 1;
            }
        }
        (self.from, self.to) = (from, to);
    }
}
