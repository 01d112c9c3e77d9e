//! Which bytes of a memory were written.

/// One bit per byte.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    bits: Vec<u64>,
}

impl Written {
    /// Forgets all, for `bytes` bytes.
    pub(crate) fn reset(&mut self, bytes: usize) {
        self.bits.clear();
        self.bits.resize(bytes.div_ceil(64), 0);
    }

    pub(crate) fn mark(&mut self, start: usize, len: usize) {
        for at in start..start + len {
            if let Some(word) = self.bits.get_mut(at / 64) {
                *word |= 1 << (at % 64);
            }
        }
    }

    /// The first byte of a range that was not written.
    pub(crate) fn missing(&self, start: usize, len: usize) -> Option<usize> {
        (start..start + len).find(|at| {
            let word = self.bits.get(at / 64).copied().unwrap_or(0);
            word >> (at % 64) & 1 == 0
        })
    }

    /// Keeps what is known of 32 lanes of `old` bytes each when they get `new` bytes each.
    pub(crate) fn resize_lanes(&mut self, old: usize, new: usize) {
        let before = std::mem::take(self);
        self.reset(new * 32);
        for lane in 0..32 {
            for at in 0..old.min(new) {
                if before.missing(lane * old + at, 1).is_none() {
                    self.mark(lane * new + at, 1);
                }
            }
        }
    }
}
