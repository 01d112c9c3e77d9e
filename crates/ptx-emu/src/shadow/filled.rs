//! Whether the words of a request hold a value.

use crate::access::Cells;

/// All bytes of a word hold a value.
pub(super) const FILLED: u8 = 0xf;

/// Whether a walk word by word is quicker than one by runs, where a word takes one byte.
#[inline(always)]
pub(super) fn in_short_runs(cells: &Cells) -> bool {
    cells.tags.len() < 8 * cells.spans.len()
}

/// Whether all bytes of all words of a request hold a value; `filled` begins at its lowest word.
#[inline(always)]
pub(super) fn all_filled(filled: &[u8], cells: &Cells) -> bool {
    let mut all = FILLED;
    if in_short_runs(cells) {
        for &place in &cells.places {
            all &= filled[place as usize];
        }
        return all == FILLED;
    }
    let lowest = cells.spans.first().map_or(0, |span| span.word);
    for span in &cells.spans {
        let from = (span.word - lowest).cast_unsigned() as usize;
        let run = filled.get(from..from + span.words as usize).unwrap_or(&[]);
        // Eight words at a time.
        let (eights, rest) = run.as_chunks::<8>();
        let eights = eights
            .iter()
            .fold(u64::MAX, |all, eight| all & u64::from_ne_bytes(*eight));
        all &= eights
            .to_ne_bytes()
            .iter()
            .fold(FILLED, |all, word| all & word);
        all &= rest.iter().fold(FILLED, |all, word| all & word);
    }
    all == FILLED
}

/// First word and number of words that a range of bytes touches.
pub(super) fn word_range(offset: u64, bytes: u64) -> (usize, usize) {
    let end = offset.saturating_add(bytes).div_ceil(4);
    let first = usize::try_from(offset / 4).unwrap_or(usize::MAX);
    (first, usize::try_from(end - offset / 4).unwrap_or(0))
}
