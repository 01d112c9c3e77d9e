//! What one warp-level memory request touches: words, sectors, banks.
//!
//! A [`Pattern`] describes a request up to the address of its first active lane. One static instruction
//! repeats very few patterns, so that each is worked out once and kept in a [`PatternCache`].

mod banks;
mod build;
mod cache;
mod range;
mod steps;
#[cfg(test)]
mod tests;

pub(crate) use cache::{PatternCache, Spot};
pub(crate) use steps::{Shape, Steps};

/// A run of consecutive cells: 4-byte words, or bytes in a `Cells` of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// First cell, counted from (the lowest byte of) the word that holds the first active lane's address.
    pub word: i32,
    /// Length.
    pub words: u32,
    /// Index of the first cell in the lists that run beside the spans.
    pub at: u32,
}

/// Bit of a tag that says that several lanes touch the cell; the bits below it are the lowest lane.
pub(crate) const MANY: u32 = 32;

/// The distinct cells of a request, in the form that shadow memory walks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cells {
    /// Disjoint maximal runs in ascending order; never empty.
    pub spans: Vec<Span>,
    /// Of each cell, in order: the lowest lane that touches it, plus [`MANY`] if others do too.
    pub tags: Vec<u32>,
    /// Of each cell: its distance from the lowest one.
    pub places: Vec<u32>,
    /// Distance from the lowest cell to one past the highest.
    pub extent: usize,
    /// Whether the runs are so short that a walk by `places` is quicker than one by `spans`.
    pub scattered: bool,
}

/// One warp-level memory request, up to the address of its first active lane.
///
/// What every request looks at stands first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Pattern {
    /// Where the lanes lie to each other.
    pub steps: Steps,
    /// Active lanes; at least one.
    pub mask: u32,
    /// Bytes per lane: 1, 2, 4, 8, 16 or 32.
    pub bytes: u32,
    /// Address of the first active lane, modulo 32.
    pub phase: u32,
    /// All distances of active lanes, joined by OR: shows whether all are aligned.
    pub bits: u32,
    /// Distinct words touched, as a shadow walks them.
    pub cells: Cells,
    /// Of each word: which of its bytes are touched, bit 0 for the lowest.
    pub word_bytes: Vec<u8>,
    /// Whether all bytes of all words are touched.
    pub whole_words: bool,
    /// The touched bytes, when some lane touches a part of a word (`None`: every lane touches whole words).
    pub byte_cells: Option<Box<Cells>>,
    /// Whether some byte is touched by several lanes: for stores, a conflict within the instruction.
    pub overlap: bool,
    /// Distinct 32-byte segments.
    pub sectors: u32,
    /// Distinct 128-byte lines, as if the first address stood at `phase` in its line.
    pub lines: u32,
    /// Distinct bytes.
    pub distinct_bytes: u32,
    /// Passes through the 32 banks of shared memory.
    pub wavefronts: u32,
    /// Passes that the same phases need without a bank conflict: one per phase with an active lane.
    pub min_wavefronts: u32,
}

impl Pattern {
    /// Index, among all words of an array, of the lowest word, for a request whose first active lane is at
    /// byte `base` of that array. `None` if the request does not lie inside `words` words.
    #[inline(always)]
    pub(crate) fn place(&self, base: u64, words: usize) -> Option<usize> {
        let low = self
            .cells
            .spans
            .first()
            .map_or(0, |span| i64::from(span.word));
        let first = usize::try_from((base >> 2).checked_add_signed(low)?).ok()?;
        (first.checked_add(self.cells.extent)? <= words).then_some(first)
    }
}
