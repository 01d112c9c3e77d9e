//! Running a kernel: warps of 32 lanes, blocks of warps, clusters of blocks, and the threads of
//! the host that share them out.

pub(crate) mod access;
pub(crate) mod acquired;
pub(crate) mod barrier;
pub(crate) mod block;
pub(crate) mod clocks;
pub(crate) mod cluster;
pub(crate) mod collect;
mod constants;
pub(crate) mod copies;
pub(crate) mod fragment;
pub(crate) mod launch;
pub(crate) mod mbarrier;
pub(crate) mod products;
pub(crate) mod run;
pub(crate) mod tally;
pub(crate) mod warp;
pub(crate) mod written;

use std::ops::Range;

use crate::device::{Checks, Schedule};
use crate::exec::block::Block;
use crate::exec::tally::Worker;
use crate::exec::warp::{State, Warp};
use crate::memory::bytes::Storage;
use crate::memory::global::GlobalMemory;
use crate::program::{Op, Program};
use crate::report::{DeviceSpec, ViolationKind};

/// What a handler says of the instruction that it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Go on with the next instruction.
    Next,
    /// Go on at `Cx::pc`.
    Jump,
    /// Go on at `Cx::pc`, but let others run first: this waits for something that they do.
    Yield,
    /// The handler has put all lanes into `Warp::fragments` itself.
    Switch,
    /// The lanes of `Cx::mask` wait here until others have come to the same instruction, which
    /// then runs again for all of them.
    Collect,
    /// The lanes of `Cx::mask` wait in state `Cx::wait`; they go on at `Cx::pc`.
    Wait,
    /// The launch cannot go on.
    Stop,
}

/// Why an instruction runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Its turn has come.
    Fresh,
    /// What it waited for has happened.
    Resumed,
    /// Lanes it waited for cannot come any more.
    Forced,
}

/// What all threads of the host share during one launch.
pub(crate) struct Grid<'a> {
    pub program: &'a Program,
    pub memory: &'a GlobalMemory,
    pub spec: &'a DeviceSpec,
    pub checks: Checks,
    /// Any check or counter is on.
    pub checked: bool,
    pub schedule: Schedule,
    /// Blocks per dimension.
    pub blocks: [u32; 3],
    /// Threads of a block per dimension.
    pub threads: [u32; 3],
    /// Blocks of a cluster per dimension.
    pub cluster: [u32; 3],
    /// Explicitly launched with clusters.
    pub clustered: bool,
    /// Static and dynamic shared bytes of a block.
    pub shared_bytes: u32,
    pub dynamic_shared: u32,
    /// Offset of dynamic shared memory in its window.
    pub dynamic_start: u32,
    /// Parameters of the kernel.
    pub params: Storage,
    /// Address of each variable of the module.
    pub globals: Vec<u64>,
    /// Ranges of addresses that arguments declare to be inputs, and which argument it is.
    pub inputs: Vec<(u64, u64, usize)>,
    /// Addresses of the buffers among the arguments, and which argument each is.
    pub buffers: Vec<(Range<u64>, usize)>,
    /// The asynchronous proxy may read shared memory.
    pub reads_by_proxy: bool,
    /// Warp instructions that one block may run.
    pub budget: u64,
}

impl Grid<'_> {
    pub(crate) fn threads_per_block(&self) -> u32 {
        self.threads.iter().product()
    }

    pub(crate) fn warps_per_block(&self) -> u32 {
        self.threads_per_block().div_ceil(32)
    }

    pub(crate) fn blocks_per_cluster(&self) -> u32 {
        self.cluster.iter().product()
    }
}

/// What a handler sees: one warp at one instruction.
pub(crate) struct Cx<'a> {
    pub grid: &'a Grid<'a>,
    pub worker: &'a mut Worker,
    /// Blocks of the cluster.
    pub blocks: &'a mut [Block],
    /// Which of them this warp belongs to.
    pub rank: usize,
    pub warp: &'a mut Warp,
    /// Lanes that run this instruction: active, and let through by its guard.
    pub mask: u32,
    /// Lanes of the fragment that runs.
    pub active: u32,
    /// Next instruction.
    pub pc: u32,
    pub entry: Entry,
    /// With `Flow::Wait`: what for.
    pub wait: State,
}

impl Cx<'_> {
    #[inline(always)]
    pub(crate) fn block(&mut self) -> &mut Block {
        &mut self.blocks[self.rank]
    }

    /// Reports a violation by `lane` at `op`.
    #[cold]
    #[inline(never)]
    pub(crate) fn violate(&mut self, op: &Op, lane: usize, kind: ViolationKind) {
        let block = &self.blocks[self.rank];
        let thread = self.warp.index * 32 + u32::try_from(lane).expect("a lane");
        self.worker
            .report(op.statement, block.linear, block.index, thread, kind);
    }

    /// Thread coordinates of a thread of this block.
    pub(crate) fn thread_index(&self, warp: u32, lane: u32) -> [u32; 3] {
        coordinates(u64::from(warp * 32 + lane), self.grid.threads)
    }
}

/// Coordinates of the `linear`-th element of a box, x fastest.
pub(crate) fn coordinates(linear: u64, sides: [u32; 3]) -> [u32; 3] {
    let [x, y, _] = sides.map(u64::from);
    [
        (linear % x) as u32,
        (linear / x % y) as u32,
        (linear / (x * y)) as u32,
    ]
}
