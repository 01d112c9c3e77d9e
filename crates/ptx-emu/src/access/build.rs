//! From 32 addresses to a [`Pattern`].

use super::banks::{self, Run};
use super::{Cells, MANY, Pattern, Span, Steps};

impl Pattern {
    /// The pattern of a request of `bytes` bytes in each lane of `mask`.
    ///
    /// `None` if no lane is active, if `bytes` is not 1 to 32, or if an active lane is more than 2^30 bytes
    /// from the first one. The addresses of inactive lanes do not matter.
    pub(crate) fn of(mask: u32, bytes: u32, addresses: &[u64; 32]) -> Option<Pattern> {
        if mask == 0 || !(1..=32).contains(&bytes) {
            return None;
        }
        let base = addresses[mask.trailing_zeros() as usize];
        let width = bytes.cast_signed();
        let phase = u32::try_from(base & 31).ok()?;
        let mut rel = [0_i32; 32];
        let mut runs = [Run::default(); 32];
        let mut active = 0;
        let mut bits = 0;
        for lane in 0..32_u8 {
            if mask >> lane & 1 == 0 {
                continue;
            }
            let distance = addresses[usize::from(lane)]
                .wrapping_sub(base)
                .cast_signed();
            if distance.unsigned_abs() > u64::from(Steps::FURTHEST) {
                return None;
            }
            let distance = i32::try_from(distance).ok()?;
            rel[usize::from(lane)] = distance;
            bits |= distance.cast_unsigned();
            runs[active] = Run {
                start: distance + (phase & 3).cast_signed(),
                lane,
            };
            active += 1;
        }
        let runs = &mut runs[..active];
        if !runs.is_sorted() {
            runs.sort_unstable();
        }

        let (cells, word_bytes) = sweep(runs, width, 2);
        let by_byte = (bytes | phase | bits) & 3 != 0;
        let byte_cells = by_byte.then(|| Box::new(sweep(runs, width, 0).0));
        let overlap = byte_cells.as_deref().unwrap_or(&cells);
        let overlap = overlap.tags.iter().any(|tag| tag & MANY != 0);
        let offset = (phase & !3).cast_signed();
        let (wavefronts, min_wavefronts) = banks::wavefronts(runs, bytes);
        Some(Pattern {
            mask,
            bytes,
            phase,
            steps: Steps::new(mask, bytes, rel),
            bits,
            distinct_bytes: word_bytes.iter().map(|touched| touched.count_ones()).sum(),
            sectors: segments(&cells.spans, offset, 5),
            lines: segments(&cells.spans, offset, 7),
            whole_words: word_bytes.iter().all(|&touched| touched == 0xf),
            word_bytes,
            cells,
            byte_cells,
            overlap,
            wavefronts,
            min_wavefronts,
        })
    }
}

/// First and last cell of 2^`shift` bytes that a lane's run of `width` bytes touches.
#[inline]
fn ends(run: Run, width: i32, shift: u32) -> (i32, i32) {
    (run.start >> shift, (run.start + width - 1) >> shift)
}

/// The distinct cells of 2^`shift` bytes, and which bytes of each are touched.
///
/// The runs come sorted and have one width: a cell that was met before can only be in the run of the lane
/// just before, that is at the end of the list.
fn sweep(runs: &[Run], width: i32, shift: u32) -> (Cells, Vec<u8>) {
    let (mut count, mut breaks, mut after) = (0_usize, 0_usize, i32::MIN);
    for &run in runs {
        let (from, to) = ends(run, width, shift);
        breaks += usize::from(from > after);
        count += usize::try_from(to + 1 - from.max(after)).unwrap_or(0);
        after = after.max(to + 1);
    }
    let mut spans: Vec<Span> = Vec::with_capacity(breaks);
    let mut tags: Vec<u32> = Vec::with_capacity(count);
    let mut places = Vec::with_capacity(count);
    let mut touched: Vec<u8> = Vec::with_capacity(count);
    let lowest = runs.first().map_or(0, |&run| ends(run, width, shift).0);
    let mut next = lowest;
    for &run in runs {
        let (from, to) = ends(run, width, shift);
        for cell in from..=to {
            let bytes = bytes_of(run, width, cell, shift);
            let behind = usize::try_from(next - cell).unwrap_or(0);
            if behind > 0 {
                let at = tags.len() - behind;
                tags[at] = MANY | (tags[at] % MANY).min(u32::from(run.lane));
                touched[at] |= bytes;
                continue;
            }
            match spans.last_mut() {
                Some(span) if cell == next => span.words += 1,
                _ => spans.push(Span {
                    word: cell,
                    words: 1,
                    at: u32::try_from(tags.len()).unwrap_or(u32::MAX),
                }),
            }
            tags.push(u32::from(run.lane));
            places.push((cell - lowest).cast_unsigned());
            touched.push(bytes);
            next = cell + 1;
        }
    }
    let cells = Cells {
        extent: usize::try_from(next - lowest).unwrap_or(0),
        scattered: spans.len() > 4 && spans.len() * 4 > tags.len(),
        spans,
        tags,
        places,
    };
    (cells, touched)
}

/// Which bytes of `cell` a run touches; bit 0 for the lowest.
#[inline]
fn bytes_of(run: Run, width: i32, cell: i32, shift: u32) -> u8 {
    let start = run.start - (cell << shift);
    let from = start.max(0);
    let to = (start + width).min(1 << shift);
    ((1_u8 << to) - 1) & !((1_u8 << from) - 1)
}

/// Distinct segments of 2^`shift` bytes under the words of `spans`, the first word of which is counted from
/// a word at `offset` bytes in its segment.
fn segments(spans: &[Span], offset: i32, shift: u32) -> u32 {
    let (mut count, mut after) = (0, i32::MIN);
    for span in spans {
        let from = ((span.word * 4 + offset) >> shift).max(after);
        let to = ((span.word + span.words.cast_signed() - 1) * 4 + offset) >> shift;
        count += (to + 1 - from).max(0).cast_unsigned();
        after = after.max(to + 1);
    }
    count
}
