//! What one warp-level memory request touches: words, sectors, banks.

/// How the lanes' addresses lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// All active lanes have one address.
    Uniform,
    /// All 32 lanes are active and follow each other without a gap, in order.
    Unit,
    /// Anything else.
    General,
}

/// A run of consecutive 4-byte words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// First word, counted from the word that holds the first active lane's address.
    pub word: i32,
    /// Length.
    pub words: u32,
    /// Index of the first word in `Pattern::lanes` and `Pattern::many`.
    pub at: u32,
}

/// One warp-level memory request, up to the address of its first active lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// Active lanes; at least one.
    pub mask: u32,
    /// Bytes per lane: 1, 2, 4, 8, 16 or 32.
    pub bytes: u32,
    /// Address of the first active lane, modulo 32.
    pub phase: u32,
    /// Address of each lane minus that of the first active lane; 0 in inactive lanes.
    pub rel: [i32; 32],
    /// Lowest `rel`.
    pub low: i32,
    /// Highest `rel` plus `bytes`.
    pub high: i32,
    /// All `rel` of active lanes, joined by OR: shows whether all are aligned.
    pub bits: u32,
    /// How the addresses lie.
    pub shape: Shape,
    /// Distinct words touched: disjoint maximal runs in ascending order.
    pub spans: Vec<Span>,
    /// Of each word of `spans`, in order: the lowest lane that touches it.
    pub lanes: Vec<u8>,
    /// Of each word: whether several lanes touch it.
    pub many: Vec<bool>,
    /// Of each word: which of its bytes are touched, bit 0 for the lowest.
    pub word_bytes: Vec<u8>,
    /// Distinct 32-byte segments.
    pub sectors: u32,
    /// Distinct 128-byte lines, as if the first address stood at `phase` in its line.
    pub lines: u32,
    /// Distinct bytes.
    pub distinct_bytes: u32,
    /// Passes through the 32 banks of shared memory.
    pub wavefronts: u32,
    /// Passes that the same bytes need at least.
    pub min_wavefronts: u32,
}
