//! One state per word of an allocation, cleared for each launch where the last has touched it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Words that are cleared together: two pages of the host.
const CHUNK: usize = 1024;

/// States of 64 bits, zero at the begin of a launch. Pages that nothing touches cost nothing.
#[derive(Debug)]
pub(super) struct States {
    words: Box<[AtomicU64]>,
    /// For every chunk, whether it may hold something.
    touched: Box<[AtomicBool]>,
}

impl States {
    pub(super) fn new(words: usize) -> Self {
        Self {
            words: bytemuck::zeroed_slice_box(words),
            touched: bytemuck::zeroed_slice_box(words.div_ceil(CHUNK)),
        }
    }

    /// The states from `first` on, `extent` of them; the caller may change those at `places`.
    #[inline(always)]
    pub(super) fn touch(
        &self,
        first: usize,
        extent: usize,
        places: &[u32],
    ) -> Option<&[AtomicU64]> {
        let states = self.words.get(first..first + extent)?;
        if extent <= CHUNK {
            self.mark(first);
            self.mark(first + extent.max(1) - 1);
        } else {
            for place in places {
                self.mark(first + *place as usize);
            }
        }
        Some(states)
    }

    #[inline(always)]
    fn mark(&self, word: usize) {
        if let Some(chunk) = self.touched.get(word / CHUNK)
            && !chunk.load(Ordering::Relaxed)
        {
            chunk.store(true, Ordering::Relaxed);
        }
    }

    /// Makes all states zero again.
    pub(super) fn clear(&mut self) {
        for (words, touched) in self.words.chunks_mut(CHUNK).zip(&mut self.touched) {
            if std::mem::take(touched.get_mut()) {
                for word in words {
                    *word.get_mut() = 0;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::{CHUNK, States};

    #[test]
    fn what_was_touched_is_cleared() {
        let words = 5 * CHUNK + 7;
        let mut states = States::new(words);
        let far: Vec<u32> = vec![0, 2 * CHUNK as u32 + 1, 4 * CHUNK as u32 + 9];
        let near: Vec<u32> = (0..8).collect();
        for (first, places) in [(3, &far), (CHUNK - 4, &near), (words - 8, &near)] {
            let extent = *places.last().unwrap() as usize + 1;
            let touched = states.touch(first, extent, places).unwrap();
            for place in places {
                touched[*place as usize].store(7, Ordering::Relaxed);
            }
        }
        assert!(states.touch(words - 8, 9, &near).is_none());
        states.clear();
        let all = states.touch(0, words, &[]).unwrap();
        assert!(all.iter().all(|word| word.load(Ordering::Relaxed) == 0));
    }
}
