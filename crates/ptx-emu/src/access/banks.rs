//! Passes through the banks of shared memory: 32 banks of 4 bytes, `bank = (address / 4) % 32`.
//!
//! Lanes of up to 4 bytes go through together; lanes of 8 bytes in two phases of 16 lanes, of 16 bytes in four
//! phases of 8 lanes (and of 32 bytes in eight of 4). A phase takes as many wavefronts as the fullest bank has
//! distinct words: a word that several lanes want is read once (broadcast) or written once.

use super::Pattern;

/// The bytes of one lane: where they start, counted from the first active lane's word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Run {
    /// First byte.
    pub start: i32,
    /// The lane.
    pub lane: u8,
}

/// Lanes that go through the banks together.
fn phase_lanes(bytes: u32) -> u8 {
    match bytes {
        0..=4 => 32,
        5..=8 => 16,
        9..=16 => 8,
        _ => 4,
    }
}

/// Wavefronts of a request, and the least that its phases need. `runs` is sorted.
///
/// Which bank the first lane's word is in does not matter: it turns all banks alike.
pub(super) fn wavefronts(runs: &[Run], bytes: u32) -> (u32, u32) {
    let together = phase_lanes(bytes);
    let (mut total, mut least) = (0, 0);
    for phase in 0..32 / together {
        let lanes = runs.iter().filter(|run| run.lane / together == phase);
        let ends = lanes.map(|run| {
            let last = run.start + bytes.cast_signed() - 1;
            (run.start >> 2, last >> 2)
        });
        let (fullest, words) = distinct(ends);
        total += fullest;
        least += words.div_ceil(32);
    }
    (total, least)
}

/// Most distinct words in one bank, and distinct words in all, of ascending runs (first word, last word).
fn distinct(runs: impl Iterator<Item = (i32, i32)>) -> (u32, u32) {
    let (mut banks, mut after) = ([0_u32; 32], i32::MIN);
    for (from, to) in runs {
        for word in from.max(after)..=to {
            banks[(word.cast_unsigned() & 31) as usize] += 1;
        }
        after = after.max(to + 1);
    }
    (banks.iter().copied().max().unwrap_or(0), banks.iter().sum())
}

/// Wavefronts and least wavefronts of `ldmatrix` or `stmatrix` with the given row addresses: 8 rows of 16
/// bytes, a whole number of words from 0, make one phase.
pub(crate) fn matrix_wavefronts(rows: &[u64]) -> (u32, u32) {
    let (mut total, mut least) = (0, 0);
    for phase in rows.chunks(8) {
        let mut words = [0_i32; 8];
        for (word, address) in words.iter_mut().zip(phase) {
            // Shared memory is far below 2^27 bytes; what is above selects the block, not the bank.
            *word = i32::try_from(address >> 2 & 0x1ff_ffff).unwrap_or(0);
        }
        let words = &mut words[..phase.len()];
        words.sort_unstable();
        let (fullest, distinct) = distinct(words.iter().map(|&word| (word, word + 3)));
        total += fullest;
        least += distinct.div_ceil(32);
    }
    (total, least)
}

/// Wavefronts of an atomic on shared memory: lanes that meet in a bank go one after the other, also (unlike in
/// a load) when they want the same word. The phases are those of a load.
pub(crate) fn atomic_wavefronts(pattern: &Pattern) -> u32 {
    let together = usize::from(phase_lanes(pattern.bytes));
    let offset = (pattern.phase & 3).cast_signed();
    let mut total = 0;
    for (phase, rel) in pattern.rel.chunks(together).enumerate() {
        let mut banks = [0_u32; 32];
        for (lane, start) in rel.iter().enumerate() {
            if pattern.mask >> (phase * together + lane) & 1 == 0 {
                continue;
            }
            let first = start + offset;
            let last = first + pattern.bytes.cast_signed() - 1;
            for word in first >> 2..=last >> 2 {
                banks[(word.cast_unsigned() & 31) as usize] += 1;
            }
        }
        total += banks.iter().max().copied().unwrap_or(0);
    }
    total
}
