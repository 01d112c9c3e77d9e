//! What one thread of the host counts and finds while it runs blocks.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::access::PatternCache;
use crate::exec::access::range::Ranges;
use crate::exec::acquired::Acquired;
use crate::matrix::wgmma::Panel;
use crate::program::Program;
use crate::report::ViolationKind;

/// Counts of one instruction of the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OpTally {
    /// Times a warp came to it, with any lane or none let through by the guard.
    pub warps: u64,
    /// Lanes that ran it.
    pub lanes: u64,
    /// Times its lanes took different ways.
    pub divergent: u64,
    pub global: Requests,
    pub shared: Requests,
    pub local: Requests,
    /// Passes of atomic instructions: lanes that share an address take turns.
    pub passes_global: u64,
    pub passes_shared: u64,
}

/// Memory requests of one instruction to one memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::struct_field_names,
    reason = "its field is named as in the counters of the report that it is added to"
)]
pub(crate) struct Requests {
    pub requests: u64,
    /// Bytes of all active lanes.
    pub bytes: u64,
    /// 32-byte sectors, or passes through the banks.
    pub units: u64,
    /// How many of them the distinct bytes need at least.
    pub least: u64,
    /// 128-byte lines.
    pub lines: u64,
}

impl Requests {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.units += other.units;
        self.least += other.least;
        self.lines += other.lines;
    }
}

impl OpTally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.warps += other.warps;
        self.lanes += other.lanes;
        self.divergent += other.divergent;
        self.global.add(&other.global);
        self.shared.add(&other.shared);
        self.local.add(&other.local);
        self.passes_global += other.passes_global;
        self.passes_shared += other.passes_shared;
    }
}

/// The first witness of a violation, and how often it was seen.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub kind: ViolationKind,
    pub linear: u64,
    pub block: [u32; 3],
    pub thread: u32,
    pub count: u64,
}

/// Counters, caches and findings of one host thread.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Per instruction, two: of the addresses it reads or writes, and of the second ones that a
    /// copy has.
    pub patterns: Vec<PatternCache>,
    pub tallies: Vec<OpTally>,
    /// Allocation that each instruction met last.
    pub allocations: Vec<u32>,
    /// Addresses of the request under way.
    pub addresses: [u64; 32],
    pub random: u64,
    /// Matrix B of the last `wgmma`.
    pub matrix: Panel,
    /// Patterns of bulk copies.
    pub ranges: Ranges,
    /// Violations by statement and kind.
    pub found: HashMap<(u32, &'static str), Found>,
    pub blocks: u64,
    /// Barriers of a block that were completed.
    pub barriers: u64,
    /// Barriers of a cluster that were completed.
    pub cluster_barriers: u64,
    /// Which blocks' writes are ordered before what the present block does.
    pub acquired: Acquired,
}

impl Worker {
    pub(crate) fn new(program: &Program) -> Self {
        let ops = program.ops.len();
        Self {
            patterns: vec![PatternCache::default(); 2 * ops],
            tallies: vec![OpTally::default(); ops],
            allocations: vec![0; ops],
            addresses: [0; 32],
            random: 1,
            matrix: Vec::new(),
            ranges: Ranges::default(),
            found: HashMap::new(),
            blocks: 0,
            barriers: 0,
            cluster_barriers: 0,
            acquired: Acquired::default(),
        }
    }

    pub(crate) fn report(
        &mut self,
        statement: u32,
        linear: u64,
        block: [u32; 3],
        thread: u32,
        kind: ViolationKind,
    ) {
        match self.found.entry((statement, kind.name())) {
            Entry::Occupied(mut seen) => seen.get_mut().count += 1,
            Entry::Vacant(new) => {
                new.insert(Found {
                    kind,
                    linear,
                    block,
                    thread,
                    count: 1,
                });
            }
        }
    }

    /// Takes over what another thread counted and found. Of two witnesses that of the lower block
    /// stays, so that the result does not depend on the number of threads.
    pub(crate) fn merge(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.barriers += other.barriers;
        self.cluster_barriers += other.cluster_barriers;
        for (mine, theirs) in self.tallies.iter_mut().zip(&other.tallies) {
            mine.add(theirs);
        }
        for (key, theirs) in other.found {
            match self.found.entry(key) {
                Entry::Occupied(mut mine) => {
                    let mine = mine.get_mut();
                    let count = mine.count + theirs.count;
                    if theirs.linear < mine.linear {
                        *mine = theirs;
                    }
                    mine.count = count;
                }
                Entry::Vacant(new) => {
                    new.insert(theirs);
                }
            }
        }
    }
}
