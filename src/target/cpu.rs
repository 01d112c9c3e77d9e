//! The CPU target: f32 (or f64, to verify), the `gemm` crate for products, a rayon pool for tasks.
//!
//! Results are bit-equal for any number of threads and for an image alone or inside a batch.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::TargetError;
use crate::cpu::Real;
use crate::cpu::matmul::pack;
use crate::kernels::pack::tokens_order;
use crate::plan::{Buffer, BufferId, Order, Param, Place, Plan};
use crate::shape::ShapeError;

/// Memory that starts at a multiple of 64 bytes, so that vector loads never straddle lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block<T = f32> {
    lines: Vec<Line>,
    len: usize,
    elements: PhantomData<T>,
}

/// One cache line.
#[derive(Debug, Clone, Copy, bytemuck::Zeroable, bytemuck::Pod)]
#[repr(C, align(64))]
struct Line([u8; 64]);

impl<T: Real> Block<T> {
    pub(crate) fn zeroed(what: &'static str, len: usize) -> Result<Self, ShapeError> {
        let bytes = len.saturating_mul(size_of::<T>());
        let lines = bytemuck::allocation::try_zeroed_vec(bytes.div_ceil(size_of::<Line>()))
            .map_err(|()| ShapeError::Memory { what, bytes })?;
        Ok(Self {
            lines,
            len,
            elements: PhantomData,
        })
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
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
    pub(crate) fn lay_out<T: Real>(param: &Param, values: &[T], to: &mut [T]) {
        match param.order {
            Order::Vector | Order::Tensor => to.copy_from_slice(values),
            Order::Matrix { inner } => pack(values, inner, |c, k| c * inner + k, to),
            Order::Transposed { inner } => {
                pack(values, values.len() / inner, |c, k| k * inner + c, to);
            }
            Order::ChannelsLast { in_chans, patch } => {
                let inner = patch * patch * in_chans;
                let at = |c, k| c * inner + tokens_order(in_chans, patch, k);
                pack(values, inner, at, to);
            }
            Order::ChannelsLastTransposed { in_chans, patch } => {
                let inner = patch * patch * in_chans;
                // rows stay as they are: `patch_conv_bwd` multiplies by ranges of columns
                for (to, from) in to.chunks_exact_mut(inner).zip(values.chunks_exact(inner)) {
                    for (k, to) in to.iter_mut().enumerate() {
                        *to = from[tokens_order(in_chans, patch, k)];
                    }
                }
            }
        }
    }

    /// Runs the set-up steps of `plan`.
    pub(crate) fn set_up<T: Real>(
        &self,
        plan: &Plan,
        memory: &mut Memory<'_, T>,
        lanes: &Lanes<T>,
    ) {
        self.pool.install(|| {
            for step in &plan.setup {
                step.op.run(memory, lanes);
            }
        });
    }

    /// Runs the steps of `plan` in order and calls `after` with the index of each.
    pub(crate) fn run<T: Real>(
        &self,
        plan: &Plan,
        memory: &mut Memory<'_, T>,
        lanes: &Lanes<T>,
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
pub(crate) struct Memory<'a, T> {
    pub(crate) buffers: &'a [Buffer],
    pub(crate) input: &'a [T],
    pub(crate) params: &'a [T],
    pub(crate) workspace: &'a mut [T],
    pub(crate) grads: &'a mut [T],
}

/// Bytes that a plan counts for an element on the CPU, whichever type it runs in.
const PLANNED: usize = size_of::<f32>();

impl<T: Real> Memory<'_, T> {
    /// The slices of a step's buffers.
    ///
    /// # Panics
    /// Where the plan placed buffers of one step over each other: a defect of the planner.
    pub(crate) fn bind<const R: usize, const W: usize>(
        &mut self,
        reads: [BufferId; R],
        writes: [BufferId; W],
    ) -> ([&[T]; R], [&mut [T]; W]) {
        const MOST: usize = 12;
        // (block, offset, length, position among reads then writes) of what steps write, by block and offset
        let mut spans = [(usize::MAX, 0, 0, 0); MOST];
        for (i, id) in reads.iter().chain(&writes).enumerate() {
            let buffer = &self.buffers[id.index()];
            match buffer.place {
                Place::Workspace(offset) => spans[i] = (0, offset / PLANNED, buffer.len, i),
                Place::Grad(offset) => spans[i] = (1, offset / PLANNED, buffer.len, i),
                Place::Input(_) | Place::Param(_) => {}
            }
        }
        spans.sort_unstable();
        let mut rest = [(&mut *self.workspace, 0), (&mut *self.grads, 0)];
        let mut read = [&[] as &[T]; R];
        let mut write: [&mut [T]; W] = std::array::from_fn(|_| &mut [] as &mut [T]);
        for (block, offset, len, i) in spans.into_iter().take_while(|s| s.0 != usize::MAX) {
            let (tail, base) = std::mem::take(&mut rest[block]);
            assert!(offset >= base, "buffers of one step overlap");
            let (piece, tail) = tail[offset - base..].split_at_mut(len);
            rest[block] = (tail, offset + len);
            if i < R {
                read[i] = piece;
            } else {
                write[i - R] = piece;
            }
        }
        for (slot, id) in read.iter_mut().zip(reads) {
            let buffer = &self.buffers[id.index()];
            match buffer.place {
                Place::Input(offset) => *slot = &self.input[offset / PLANNED..][..buffer.len],
                Place::Param(offset) => *slot = &self.params[offset / PLANNED..][..buffer.len],
                Place::Workspace(_) | Place::Grad(_) => {}
            }
        }
        (read, write)
    }

    /// Fills what died with step `at` with NaN, so that a lifetime set too short shows in debug builds.
    fn poison_dead(&mut self, at: usize) {
        for buffer in self.buffers {
            if let (Place::Workspace(offset), true) = (buffer.place, buffer.life.1 == at) {
                self.workspace[offset / PLANNED..][..buffer.len].fill(T::from(f32::NAN));
            }
        }
    }
}

/// Private scratch for each thread of a pool, allocated once.
#[derive(Debug)]
pub(crate) struct Lanes<T = f32>(Vec<Mutex<Block<T>>>);

impl<T: Real> Lanes<T> {
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
    pub(crate) fn with<R>(&self, len: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
        let lane = rayon::current_thread_index().unwrap_or(0);
        let mut block = self.0[lane].lock().unwrap_or_else(PoisonError::into_inner);
        f(&mut block.as_mut_slice()[..len])
    }
}
