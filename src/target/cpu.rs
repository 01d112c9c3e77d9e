//! The CPU target: f32, the `gemm` crate for products, a rayon pool for tasks.
//!
//! Results are bit-equal for any number of threads and for an image alone or inside a batch.

use std::sync::{Arc, Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::TargetError;
use crate::cpu::matmul::pack;
use crate::kernels::pack::{tokens_order, transposed};
use crate::plan::{Buffer, BufferId, Order, Param, Place, Plan};
use crate::shape::ShapeError;

/// f32 memory that starts at a multiple of 64 bytes, so that vector loads never straddle lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    lines: Vec<Line>,
    len: usize,
}

/// One cache line.
#[derive(Debug, Clone, Copy, bytemuck::Zeroable, bytemuck::Pod)]
#[repr(C, align(64))]
struct Line([f32; 16]);

impl Block {
    pub(crate) fn zeroed(what: &'static str, len: usize) -> Result<Self, ShapeError> {
        let bytes = len.saturating_mul(size_of::<f32>());
        let lines = bytemuck::allocation::try_zeroed_vec(len.div_ceil(16))
            .map_err(|()| ShapeError::Memory { what, bytes })?;
        Ok(Self { lines, len })
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}

/// The vector instructions that run-time detection chose, for people.
pub fn instruction_set() -> String {
    format!("{:?}", pulp::Arch::new())
}

/// A pool of CPU threads that runs plans.
#[derive(Debug, Clone)]
pub struct CpuTarget {
    pool: Arc<ThreadPool>,
}

impl CpuTarget {
    /// A target with its own pool of `threads` threads; 0 takes one per core.
    ///
    /// # Errors
    /// [`TargetError::Threads`] where the system refuses to start the threads.
    pub fn new(threads: usize) -> Result<Self, TargetError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("pvt-cpu-{i}"))
            .build()
            .map_err(|source| TargetError::Threads { threads, source })?;
        Ok(Self {
            pool: Arc::new(pool),
        })
    }

    /// A target on a pool that the caller owns.
    pub fn with_pool(pool: Arc<ThreadPool>) -> Self {
        Self { pool }
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Lays a parameter out as the operators read it; `values` are in checkpoint order.
    pub(crate) fn lay_out(param: &Param, values: &[f32], to: &mut [f32]) {
        match param.order {
            Order::Vector | Order::Tensor => to.copy_from_slice(values),
            Order::Matrix { inner } => pack(values, inner, |k| k, to),
            Order::ChannelsLast { in_chans, patch } => {
                let order = |k| tokens_order(in_chans, patch, k);
                pack(values, patch * patch * in_chans, order, to);
            }
            Order::Transposed { inner } => {
                let cols = values.len() / inner;
                pack(&transposed(values, cols, |k| k), cols, |k| k, to);
            }
            Order::ChannelsLastTransposed { in_chans, patch } => {
                let cols = values.len() / (patch * patch * in_chans);
                let order = |k| tokens_order(in_chans, patch, k);
                pack(&transposed(values, cols, order), cols, |k| k, to);
            }
        }
    }

    /// Runs the set-up steps of `plan`.
    pub(crate) fn set_up(&self, plan: &Plan, memory: &mut Memory<'_>, lanes: &Lanes) {
        self.pool.install(|| {
            for step in &plan.setup {
                step.op.run(memory, lanes);
            }
        });
    }

    /// Runs the steps of `plan` in order and calls `after` with the index of each.
    pub(crate) fn run(
        &self,
        plan: &Plan,
        memory: &mut Memory<'_>,
        lanes: &Lanes,
        after: &mut (dyn FnMut(usize) + Send),
    ) {
        self.pool.install(|| {
            for (at, step) in plan.steps.iter().enumerate() {
                step.op.run(memory, lanes);
                after(at);
                if cfg!(debug_assertions) {
                    memory.poison_dead(at);
                }
            }
        });
    }
}

/// The memory that the steps of one run see.
pub(crate) struct Memory<'a> {
    pub(crate) buffers: &'a [Buffer],
    pub(crate) input: &'a [f32],
    pub(crate) params: &'a [f32],
    pub(crate) workspace: &'a mut [f32],
}

impl Memory<'_> {
    /// The slices of a step's buffers.
    ///
    /// # Panics
    /// Where the plan placed buffers of one step over each other: a defect of the planner.
    pub(crate) fn bind<const R: usize, const W: usize>(
        &mut self,
        reads: [BufferId; R],
        writes: [BufferId; W],
    ) -> ([&[f32]; R], [&mut [f32]; W]) {
        const MOST: usize = 8;
        // (offset, length, position among reads then writes) of the workspace buffers, by offset
        let mut spans = [(usize::MAX, 0, 0); MOST];
        for (i, id) in reads.iter().chain(&writes).enumerate() {
            let buffer = &self.buffers[id.index()];
            if let Place::Workspace(offset) = buffer.place {
                spans[i] = (offset / size_of::<f32>(), buffer.len, i);
            }
        }
        spans.sort_unstable();
        let (mut rest, mut base) = (&mut *self.workspace, 0);
        let mut read = [&[] as &[f32]; R];
        let mut write: [&mut [f32]; W] = std::array::from_fn(|_| &mut [] as &mut [f32]);
        for (offset, len, i) in spans.into_iter().take_while(|s| s.0 != usize::MAX) {
            assert!(offset >= base, "buffers of one step overlap");
            let (piece, tail) = rest[offset - base..].split_at_mut(len);
            (rest, base) = (tail, offset + len);
            if i < R {
                read[i] = piece;
            } else {
                write[i - R] = piece;
            }
        }
        for (slot, id) in read.iter_mut().zip(reads) {
            let buffer = &self.buffers[id.index()];
            match buffer.place {
                Place::Input => *slot = &self.input[..buffer.len],
                Place::Param(offset) => {
                    *slot = &self.params[offset / size_of::<f32>()..][..buffer.len];
                }
                Place::Workspace(_) => {}
            }
        }
        (read, write)
    }

    /// Fills what died with step `at` with NaN, so that a lifetime set too short shows in debug builds.
    fn poison_dead(&mut self, at: usize) {
        for buffer in self.buffers {
            if let (Place::Workspace(offset), true) = (buffer.place, buffer.life.1 == at) {
                self.workspace[offset / size_of::<f32>()..][..buffer.len].fill(f32::NAN);
            }
        }
    }
}

/// Private scratch for each thread of a pool, allocated once.
#[derive(Debug)]
pub(crate) struct Lanes(Vec<Mutex<Block>>);

impl Lanes {
    pub(crate) fn new(target: &CpuTarget, len: usize) -> Result<Self, ShapeError> {
        let lane = |_| Ok(Mutex::new(Block::zeroed("scratch of a thread", len)?));
        (0..target.threads())
            .map(lane)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Runs `f` with `len` elements of the current thread's scratch; contents are arbitrary.
    ///
    /// `f` must not hand work to the pool: a task that this thread picked up meanwhile would want
    /// the same scratch.
    pub(crate) fn with<R>(&self, len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
        let lane = rayon::current_thread_index().unwrap_or(0);
        let mut block = self.0[lane].lock().unwrap_or_else(PoisonError::into_inner);
        f(&mut block.as_mut_slice()[..len])
    }
}
