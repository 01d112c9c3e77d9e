//! Stochastic depth: which residual branches a step leaves out, per image.

use super::random::{Purpose, Stream};

/// Rates of a network of `blocks` blocks: rate · j / (blocks - 1), so that the first never drops.
pub fn rates(rate: f64, blocks: usize) -> Vec<f64> {
    let last = blocks.saturating_sub(1).max(1) as f64;
    (0..blocks).map(|j| rate * (j as f64 / last)).collect()
}

/// Factors [2 · blocks, batch] of the branches in the order of the network, attention before MLP: 0
/// with the rate of the block, else 1 / (1 - rate).
///
/// An image's factors depend on the seed, the step and its place in the batch, not on the batch.
pub fn factors(rate: f64, blocks: usize, batch: usize, seed: u64, step: u64) -> Vec<f32> {
    let mut factors = Vec::with_capacity(2 * blocks * batch);
    for (branch, rate) in (0..).zip(rates(rate, blocks).into_iter().flat_map(|r| [r, r])) {
        let keep = 1.0 - rate;
        #[expect(clippy::cast_possible_truncation, reason = "rounded to f32 on purpose")]
        let kept = (1.0 / keep) as f32;
        let mut stream = Stream::new(seed, Purpose::DropPath, branch, step);
        let draw = |_| {
            if f64::from(stream.uniform()) < keep {
                kept
            } else {
                0.0
            }
        };
        factors.extend((0..batch).map(draw));
    }
    factors
}
