//! One counter-based generator for everything random in training.
//!
//! Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): a block of
//! four words is a pure function of a counter and a key. The key is the seed, the counter says what
//! the words are for. So nothing random depends on threads, on the order of requests or on what was
//! drawn before, and a run that continues needs no state of a generator.
//!
//! | word of the counter | holds |
//! | --- | --- |
//! | 0 | the block in its stream |
//! | 1 | the purpose, 8 bits, and a number within it, 24 bits |
//! | 2, 3 | where in training: a step, an epoch and a picture, the hash of a name |

/// What a stream is for; streams of different purposes share no blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// Order of the pictures in an epoch.
    Shuffle = 1,
    /// Augmentation of a picture in an epoch.
    Augment = 2,
    /// Values of a parameter at the start.
    Init = 3,
    /// Which branches of a step are dropped.
    DropPath = 4,
    /// Which pictures are held out for testing.
    HoldOut = 5,
}

const ROUNDS: usize = 10;
/// Multipliers of the two halves of the counter.
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// Added to the key after each round: the golden ratio and the root of 3, less 1.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Ten rounds of Philox4x32: four words from a counter and a key.
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let ([mut a, mut b, mut c, mut d], [mut k, mut l]) = (counter, key);
    for _ in 0..ROUNDS {
        let [low0, high0] = product(MULTIPLIERS[0], a);
        let [low1, high1] = product(MULTIPLIERS[1], c);
        [a, b, c, d] = [high1 ^ b ^ k, low1, high0 ^ d ^ l, low0];
        (k, l) = (k.wrapping_add(WEYL[0]), l.wrapping_add(WEYL[1]));
    }
    [a, b, c, d]
}

/// Low and high word of a product.
fn product(a: u32, b: u32) -> [u32; 2] {
    words(u64::from(a) * u64::from(b))
}

/// Low and high word.
#[expect(clippy::cast_possible_truncation, reason = "one word after the other")]
const fn words(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

/// A sequence of random words: a value of its own, cheap to make.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u32; 2],
    counter: [u32; 4],
    block: [u32; 4],
    /// Words of `block` that were given out.
    used: usize,
}

impl Stream {
    /// The stream number `number` (below 2^24) for `purpose` at the place `at`.
    pub const fn new(seed: u64, purpose: Purpose, number: u32, at: u64) -> Self {
        let [low, high] = words(at);
        Self {
            key: words(seed),
            counter: [0, number << 8 | purpose as u32, low, high],
            block: [0; 4],
            used: 4,
        }
    }

    /// The next 32 bits.
    pub fn word(&mut self) -> u32 {
        if self.used == self.block.len() {
            self.block = philox(self.counter, self.key);
            self.counter[0] = self.counter[0].wrapping_add(1);
            self.used = 0;
        }
        let word = self.block[self.used];
        self.used += 1;
        word
    }

    /// Uniform in [0, 1), a multiple of 2^-24: exact in f32.
    pub fn uniform(&mut self) -> f32 {
        (self.word() >> 8) as f32 / 16_777_216.0
    }

    /// Uniform in (0, 1): an odd multiple of 2^-53, so that x and 1 - x are equally likely.
    pub fn open_uniform(&mut self) -> f64 {
        let bits = u64::from(self.word()) << 32 | u64::from(self.word());
        (bits >> 12) as f64 / 4_503_599_627_370_496.0 + 1.0 / 9_007_199_254_740_992.0
    }

    /// Uniform in 0..n, every value equally likely; 0 for an `n` of 0.
    ///
    /// The high word of word · n, where low words below 2^32 mod n are drawn again (Lemire, "Fast
    /// random integer generation in an interval", 2019).
    pub fn below(&mut self, n: u32) -> u32 {
        let rejected = n.wrapping_neg().checked_rem(n).unwrap_or(0);
        loop {
            let [low, high] = product(self.word(), n);
            if low >= rejected {
                return high;
            }
        }
    }

    /// Puts `items` into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let bound = u32::try_from(last + 1).unwrap_or(u32::MAX);
            items.swap(last, self.below(bound) as usize);
        }
    }
}
