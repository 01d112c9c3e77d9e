//! The learning rate of each step: a linear warm-up, then half a cosine down to the lowest.

use serde::{Deserialize, Serialize};

use super::exact::half_cosine;

/// Learning rates of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Highest, reached at the end of the warm-up.
    pub lr: f64,
    /// Lowest, which the cosine runs to.
    pub min_lr: f64,
    /// Steps of the warm-up, the k-th of which (from 1) has k / `warmup` of the highest.
    pub warmup: u64,
    /// Steps of the whole run.
    pub total: u64,
}

impl Schedule {
    /// The learning rate of step `step`, counted from 0; the lowest beyond the run.
    pub fn at(&self, step: u64) -> f32 {
        let rate = if step < self.warmup {
            self.lr * ((step + 1) as f64 / self.warmup as f64)
        } else {
            let (passed, all) = (step - self.warmup, self.total.saturating_sub(self.warmup));
            let part = if passed < all {
                passed as f64 / all as f64
            } else {
                1.0
            };
            self.min_lr + (self.lr - self.min_lr) * half_cosine(part)
        };
        #[expect(clippy::cast_possible_truncation, reason = "rounded to f32 on purpose")]
        let rounded = rate as f32;
        rounded
    }
}
