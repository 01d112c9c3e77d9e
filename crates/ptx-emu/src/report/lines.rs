//! Counters of single statements.

use super::counters::counted;
use super::violation::SourceLine;
use serde::Serialize;
use std::collections::BTreeMap;

counted! {
    /// What one statement did; the terms are those of [`Counters`](super::Counters).
    pub struct LineCounts {
        /// Executions by a warp.
        pub warps: u64,
        /// Executions by a lane.
        pub lanes: u64,
        /// Branches after which lanes of the warp were at different places.
        pub divergent: u64,
        /// Memory requests.
        pub requests: u64,
        /// Sectors of global memory.
        pub sectors: u64,
        /// Sectors that would do if the bytes lay side by side.
        pub ideal_sectors: u64,
        /// Wavefronts of shared memory.
        pub wavefronts: u64,
        /// Wavefronts that would do without bank conflicts.
        pub min_wavefronts: u64,
    }
}

impl LineCounts {
    /// Sectors beyond the ideal ones.
    pub fn excess_sectors(&self) -> u64 {
        self.sectors.saturating_sub(self.ideal_sectors)
    }

    /// Wavefronts that bank conflicts add.
    pub fn conflicts(&self) -> u64 {
        self.wavefronts.saturating_sub(self.min_wavefronts)
    }
}

/// One statement of the PTX text, and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineCounters {
    /// Line of the PTX text, from one.
    pub ptx_line: u32,
    /// The statement.
    pub statement: String,
    /// Its source, where the PTX was compiled with line information.
    pub source: Option<SourceLine>,
    /// What it did. A statement that was never executed has zeros: its checks never ran.
    #[serde(flatten)]
    pub counts: LineCounts,
}

/// One line of a source file, and what all statements made from it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceCounters {
    /// The line; of an inlined function, with the places of that inlining.
    pub source: SourceLine,
    /// Statements made from it.
    pub statements: u64,
    /// What they did.
    #[serde(flatten)]
    pub counts: LineCounts,
}

/// Sums of statements by source line, in the order of files and lines.
pub(super) fn by_source(lines: &[LineCounters]) -> Vec<SourceCounters> {
    let mut sums: BTreeMap<(&str, u32, &[_]), SourceCounters> = BTreeMap::new();
    for line in lines {
        let Some(source) = &line.source else { continue };
        let key = (
            source.file.as_str(),
            source.line,
            source.inlined_at.as_slice(),
        );
        let sum = sums.entry(key).or_insert_with(|| SourceCounters {
            source: source.clone(),
            statements: 0,
            counts: LineCounts::default(),
        });
        sum.source.column = sum.source.column.min(source.column);
        sum.statements += 1;
        sum.counts += line.counts;
    }
    sums.into_values().collect()
}
