//! What one thread of the host counts and finds while it runs blocks.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

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

/// Sectors asked of each buffer that is an argument.
#[derive(Clone, Debug, Default)]
pub(crate) struct BufferTally {
    /// Sectors read and written, by buffer.
    pub sectors: Vec<[u64; 2]>,
    /// The buffer that each instruction met last.
    last: Vec<u32>,
}

impl BufferTally {
    fn new(ops: usize, buffers: usize) -> Self {
        Self {
            sectors: vec![[0; 2]; buffers],
            last: vec![0; ops],
        }
    }

    /// Counts a request of instruction `op`, whose first lane is at `address`, for the first buffer that
    /// holds it, if one does.
    #[inline(always)]
    pub(crate) fn add(
        &mut self,
        buffers: &[(Range<u64>, usize)],
        op: usize,
        address: u64,
        sectors: [u64; 2],
    ) {
        let holds = |(buffer, _): &(Range<u64>, usize)| buffer.contains(&address);
        let mut index = self.last[op] as usize;
        if !buffers.get(index).is_some_and(holds) {
            let Some(found) = buffers.iter().position(holds) else {
                return;
            };
            index = found;
            self.last[op] = u32::try_from(index).unwrap_or(0);
        }
        self.sectors[index][0] += sectors[0];
        self.sectors[index][1] += sectors[1];
    }
}

/// Counters, caches and findings of one host thread.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Per instruction, two: of the addresses it reads or writes, and of the second ones that a
    /// copy has.
    pub patterns: Vec<PatternCache>,
    pub tallies: Vec<OpTally>,
    pub buffers: BufferTally,
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
    /// For a kernel with so many buffers among its arguments.
    pub(crate) fn new(program: &Program, buffers: usize) -> Self {
        let ops = program.ops.len();
        Self {
            patterns: vec![PatternCache::default(); 2 * ops],
            tallies: vec![OpTally::default(); ops],
            buffers: BufferTally::new(ops, buffers),
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
        let sectors = other.buffers.sectors.iter().flatten();
        for (mine, theirs) in self.buffers.sectors.iter_mut().flatten().zip(sectors) {
            *mine += theirs;
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
