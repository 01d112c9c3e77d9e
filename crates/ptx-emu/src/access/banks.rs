//! Passes through the banks of shared memory: 32 banks of 4 bytes, `bank = (address / 4) % 32`.
//!
//! Lanes of up to 4 bytes go through together; lanes of 8 bytes in two phases of 16 lanes, of 16 bytes in four
//! phases of 8 lanes (and of 32 bytes in eight of 4). A phase takes as many wavefronts as the fullest bank has
//! distinct words: a word that several lanes want is read once (broadcast) or written once.

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
