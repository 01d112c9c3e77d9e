//! One cluster of blocks, run to its end by one thread of the host.

use std::collections::HashMap;
use std::ops::Range;

use crate::device::Schedule;
use crate::exec::barrier::{Barriers, Completed};
use crate::exec::clocks::Clocks;
use crate::exec::cluster::ClusterBarrier;
use crate::exec::constants;
use crate::exec::copies::Copy;
use crate::exec::mbarrier::Mbarriers;
use crate::exec::products::Group;
use crate::exec::run::run;
use crate::exec::tally::Worker;
use crate::exec::warp::{Outcome, State, Warp, next_random};
use crate::exec::{Cx, Entry, Grid, coordinates};
use crate::memory::bytes::Storage;
use crate::report::{ViolationKind, Waiting};
use crate::shadow::{Clock, Order, SharedShadow};

/// Instructions that a warp runs before another has a turn.
const QUANTUM: i64 = 20_000;

/// How often threads may find an mbarrier incomplete while nothing else happens in their cluster.
const PATIENCE: u32 = 1000;

/// A block of threads: what its warps share.
#[derive(Debug)]
pub(crate) struct Block {
    pub index: [u32; 3],
    /// Index in the grid, x fastest.
    pub linear: u64,
    /// Shared memory; its first byte has offset `window::SHARED_START`.
    pub shared: Storage,
    pub shadow: SharedShadow,
    pub order: Order,
    pub barriers: Barriers,
    /// What warps that only arrived at a barrier did before.
    pub released: [Clock; 16],
    /// A fence of at least device scope has run: atomic instructions after it release what went
    /// before.
    pub fenced: bool,
    /// Warps that have run a fence of any scope.
    pub fences: u32,
    /// What was ordered before the atomic instructions that released it, by shared address.
    pub published: HashMap<u64, Clock>,
    /// Lanes of each warp that still run.
    pub live: Vec<u32>,
    /// Lanes that each warp began with.
    pub begun: Vec<u32>,
    /// The barrier of the cluster, as far as this block's threads go.
    pub cluster: ClusterBarrier,
    /// What is ordered before this block's present of what the others of the cluster did.
    pub foreign: Clocks,
    pub mbarriers: Mbarriers,
    /// Matrix products of each group of four warps.
    pub products: [Group; 8],
    /// Shared memory that bulk copies still read.
    pub readings: Vec<Reading>,
    /// Where mbarriers and such memory lie.
    pub watched: Range<u32>,
}

/// A bulk copy out of shared memory that was not waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub warp: u32,
    pub copy: Copy,
}

impl Block {
    fn new(grid: &Grid<'_>) -> Option<Self> {
        let threads = grid.threads_per_block();
        Some(Self {
            index: [0; 3],
            linear: 0,
            shared: Storage::zeroed(grid.shared_bytes as usize)?,
            shadow: SharedShadow::new(),
            order: Order::new(grid.warps_per_block()),
            barriers: Barriers::default(),
            released: [[0; 32]; 16],
            fenced: false,
            fences: 0,
            published: HashMap::new(),
            live: Vec::new(),
            begun: (0..grid.warps_per_block())
                .map(|warp| u32::MAX >> (32 - (threads - warp * 32).min(32)))
                .collect(),
            cluster: ClusterBarrier::default(),
            foreign: Clocks::default(),
            mbarriers: Mbarriers::default(),
            products: [Group::default(); 8],
            readings: Vec::new(),
            watched: 0..0,
        })
    }

    fn start(&mut self, grid: &Grid<'_>, index: [u32; 3]) {
        let [x, y, _] = grid.blocks.map(u64::from);
        self.index = index;
        self.linear = u64::from(index[0]) + x * (u64::from(index[1]) + y * u64::from(index[2]));
        self.shared.view().fill(0, self.shared.view().len(), 0);
        let warps = grid.warps_per_block();
        let bytes = u64::from(grid.shared_bytes);
        self.shadow.reset(bytes, warps, &mut self.order);
        self.shadow.watch_proxy(grid.reads_by_proxy);
        if self.barriers.reset() {
            self.released = [[0; 32]; 16];
        }
        self.fenced = false;
        self.fences = 0;
        self.published.clear();
        self.live.clone_from(&self.begun);
        self.cluster = ClusterBarrier::default();
        self.foreign = Clocks::default();
        self.mbarriers.clear();
        self.products = [Group::default(); 8];
        self.readings.clear();
        self.watched = 0..0;
    }

    /// Number that tells this block from others in shadows, which can tell 32,766 apart.
    pub(crate) fn number(&self) -> u32 {
        u32::try_from(self.linear % 0x7ffe).expect("below 2^15")
    }

    /// Threads that have exited.
    pub(crate) fn exited(&self) -> u32 {
        let count = |lanes: &[u32]| lanes.iter().map(|l| l.count_ones()).sum::<u32>();
        count(&self.begun) - count(&self.live)
    }

    /// To be called when mbarriers or readings have come or gone.
    pub(crate) fn watch(&mut self) {
        let reading = |r: &Reading| r.copy.offset..r.copy.offset + r.copy.bytes;
        let readings = self.readings.iter().map(reading);
        let all = readings.chain(self.mbarriers.around());
        let around = all.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end));
        self.watched = around.unwrap_or(0..0);
    }

    /// Whether all warps of the group of `warp` have committed so many groups of products.
    pub(crate) fn committed(&self, warp: u32, commits: u32) -> bool {
        let first = warp as usize / 4 * 4;
        let counts = self.products[first / 4].commits;
        (0..4).all(|i| {
            let gone = self.live.get(first + i).is_none_or(|lanes| *lanes == 0);
            gone || counts[i] >= commits
        })
    }

    /// Whether all threads have exited.
    pub(crate) fn over(&self) -> bool {
        self.live.iter().all(|lanes| *lanes == 0)
    }

    /// Completes barrier `id` if all have reached it, and orders what the warps did before it.
    pub(crate) fn complete(&mut self, id: u8) -> Option<Completed> {
        let completed = self.barriers.complete(id, &self.live)?;
        let released = std::mem::take(&mut self.released[usize::from(id)]);
        self.order
            .barrier_with(completed.warps & !completed.arrivals, &released);
        if self.order.exhausted() && completed.whole_block {
            self.shadow.forget(&mut self.order);
        }
        Some(completed)
    }
}

/// Blocks and warps of one cluster, used again for each cluster that a thread runs.
#[derive(Debug)]
pub(crate) struct Cluster {
    blocks: Vec<Block>,
    warps: Vec<Warp>,
}

impl Cluster {
    /// Nothing where the host has no memory for it.
    pub(crate) fn new(grid: &Grid<'_>) -> Option<Self> {
        let count = grid.blocks_per_cluster();
        let program = grid.program;
        let blocks = (0..count)
            .map(|_| Block::new(grid))
            .collect::<Option<Vec<_>>>()?;
        let mut warps = Vec::new();
        for rank in 0..count as usize {
            for index in 0..grid.warps_per_block() {
                let mut warp = Warp::new(index, rank, program.slots, program.preds);
                let bytes = program.functions[0].local_bytes;
                warp.resize_local(bytes)?;
                constants::fill(grid, &mut warp);
                warps.push(warp);
            }
        }
        Some(Self { blocks, warps })
    }

    /// Runs the cluster with this index in the grid of clusters; whether it came to its end.
    pub(crate) fn run(&mut self, grid: &Grid<'_>, worker: &mut Worker, index: [u32; 3]) -> bool {
        for (rank, block) in self.blocks.iter_mut().enumerate() {
            let within = coordinates(rank as u64, grid.cluster);
            let at = [0, 1, 2].map(|i| index[i] * grid.cluster[i] + within[i]);
            block.start(grid, at);
        }
        let first = self.blocks[0].linear;
        if let Schedule::Shuffle(seed) = grid.schedule {
            worker.random = (seed ^ first.wrapping_mul(0x9E37_79B9_7F4A_7C15)) | 1;
        }
        for warp in &mut self.warps {
            let block = &self.blocks[warp.rank];
            constants::begin(grid, warp, block.index);
            warp.start(block.begun[warp.index as usize]);
            warp.local_written.reset(warp.local_stride() as usize * 32);
        }
        worker.blocks += self.blocks.len() as u64;
        worker.acquired.next_block(self.blocks[0].number());
        self.turns(grid, worker)
    }

    fn turns(&mut self, grid: &Grid<'_>, worker: &mut Worker) -> bool {
        let budget = grid.budget.saturating_mul(self.blocks.len() as u64);
        let mut used = 0_u64;
        let (mut seen, mut tries) = (0, 0);
        loop {
            let (mut progress, mut done) = (false, true);
            for turn in 0..self.warps.len() {
                let (index, quantum) = match grid.schedule {
                    Schedule::Forward => (turn, QUANTUM),
                    Schedule::Reverse => (self.warps.len() - 1 - turn, QUANTUM),
                    Schedule::Shuffle(_) => {
                        let draw = next_random(&mut worker.random);
                        (
                            draw as usize % self.warps.len(),
                            8 + (draw >> 40 & 127) as i64,
                        )
                    }
                };
                let warp = &mut self.warps[index];
                if warp.live == 0 {
                    continue;
                }
                done = false;
                let mut left = quantum;
                let mut cx = Cx {
                    grid,
                    rank: warp.rank,
                    worker,
                    blocks: &mut self.blocks,
                    warp,
                    mask: 0,
                    active: 0,
                    pc: 0,
                    entry: Entry::Fresh,
                    wait: State::Ready,
                };
                let outcome = run(&mut cx, &mut left);
                let ran = u64::try_from(quantum - left).unwrap_or(0);
                used += ran;
                progress |= ran > 0;
                if outcome == Outcome::Stopped {
                    return false;
                }
                if used > budget {
                    self.run_away(grid, worker, index);
                    return false;
                }
            }
            if done && self.warps.iter().all(|w| w.live == 0) {
                return true;
            }
            if !progress && !self.may_go_on(grid) {
                let events = self.events(worker);
                tries = if events == seen { tries + 1 } else { 0 };
                seen = events;
                let late = tries < PATIENCE;
                let late = late
                    && self
                        .warps
                        .iter_mut()
                        .fold(false, |any, w| w.time_out() | any);
                if late {
                    continue;
                }
                if !self.warps.iter_mut().any(Warp::force) {
                    self.deadlock(grid, worker);
                    return false;
                }
            }
        }
    }

    /// Grows with whatever threads that wait may have waited for.
    fn events(&self, worker: &Worker) -> u64 {
        let of_block = |block: &Block| block.mbarriers.events + u64::from(block.exited());
        let all: u64 = self.blocks.iter().map(of_block).sum();
        all + worker.barriers + worker.cluster_barriers
    }

    /// Whether some warp has lanes that can run: a turn without progress may have drawn the same
    /// waiting warps again and again.
    fn may_go_on(&self, grid: &Grid<'_>) -> bool {
        matches!(grid.schedule, Schedule::Shuffle(_))
            && self
                .warps
                .iter()
                .any(|w| w.live != 0 && w.can_run(&self.blocks[w.rank]))
    }

    fn run_away(&self, grid: &Grid<'_>, worker: &mut Worker, index: usize) {
        let warp = &self.warps[index];
        let limit = grid.budget;
        let Some(at) = warp.fragments.first() else {
            return;
        };
        let block = &self.blocks[warp.rank];
        let pc = (at.pc as usize).min(grid.program.ops.len() - 1);
        worker.report(
            grid.program.ops[pc].statement,
            block.linear,
            block.index,
            warp.index * 32 + at.mask.trailing_zeros(),
            ViolationKind::RunAway { limit },
        );
    }

    fn deadlock(&self, grid: &Grid<'_>, worker: &mut Worker) {
        let mut waiting = Vec::new();
        let mut first = None;
        for warp in &self.warps {
            for fragment in &warp.fragments {
                let pc = match fragment.state {
                    State::Collect
                    | State::Cluster { .. }
                    | State::Mbarrier { .. }
                    | State::Products { .. } => fragment.pc,
                    _ => fragment.pc.saturating_sub(1),
                } as usize;
                let op = &grid.program.ops[pc.min(grid.program.ops.len() - 1)];
                let statement = &grid.program.statements[op.statement as usize];
                first.get_or_insert((op.statement, warp, fragment.mask));
                waiting.push(Waiting {
                    warp: warp.index,
                    lanes: fragment.mask,
                    ptx_line: statement.line,
                    what: statement.text.clone(),
                });
            }
        }
        let Some((statement, warp, mask)) = first else {
            return;
        };
        let block = &self.blocks[warp.rank];
        worker.report(
            statement,
            block.linear,
            block.index,
            warp.index * 32 + mask.trailing_zeros(),
            ViolationKind::Deadlock { waiting },
        );
    }
}
