//! The kernels with one planted fault each: how they are launched, and what must be said.
//!
//! The file is `faults/<name>.cu`, the entry `<name>`.

use super::compile::source;
use super::kernels::Shape;
use Given::{Cycle, F32, Freed, Halves, InOut, Out, Reversed, Unwritten};
use Wrong::{
    Barrier, CopyPending, GlobalConflict, Launch, Misaligned, NoProgress, OutOfBounds, SharedRace,
    Uninitialised, UseAfterFree, WarpSync, WriteToInput,
};

/// One pointer argument and the memory behind it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Given {
    /// Input: so many f32, even over [-1, 1).
    F32(usize),
    /// Input: u32 0, 1, 2 … modulo the second number, so many.
    Cycle(usize, u32),
    /// Input: u32 n-1, n-2 … 0.
    Reversed(usize),
    /// Input: f32 1 in the first half, -1 in the second.
    Halves(usize),
    /// Output: so many bytes, not written.
    Out(usize),
    /// Input and output: so many bytes, all zero.
    InOut(usize),
    /// Input: so many bytes that the host never writes.
    Unwritten(usize),
    /// Input: so many bytes, written, then freed before the launch.
    Freed(usize),
    /// The null pointer.
    Null,
}

/// What the report must be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// An access outside every allocation, or past the shared or local memory there is.
    OutOfBounds,
    /// An access through the null pointer.
    Null,
    /// An address that is not a multiple of the access size.
    Misaligned,
    /// An access to freed memory.
    UseAfterFree,
    /// A value that nobody wrote.
    Uninitialised,
    /// A store through an argument declared input.
    WriteToInput,
    /// Accesses of two threads to shared memory that nothing orders.
    SharedRace,
    /// Data of an asynchronous copy that is not waited for.
    CopyPending,
    /// Accesses of two blocks to global memory that nothing orders.
    GlobalConflict,
    /// A barrier that not all threads of the block reach.
    Barrier,
    /// A warp instruction without lanes that it needs.
    WarpSync,
    /// A loop without end.
    NoProgress,
    /// A launch that the device or the kernel does not allow.
    Launch,
}

/// One kernel with a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) given: &'static [Given],
    pub(crate) wrong: Wrong,
}

impl Fault {
    /// The source, relative to the folder of the tests.
    pub(crate) fn file(&self) -> String {
        format!("faults/{}.cu", self.name)
    }

    /// The lines of which one must be named: those with the mark. None for [`Wrong::Launch`].
    pub(crate) fn lines(&self) -> Vec<u32> {
        let source = source(&self.file());
        let numbered = (1..).zip(source.lines());
        numbered
            .filter(|(_, line)| line.contains("// FAULT"))
            .map(|(number, _)| number)
            .collect()
    }
}

const fn fault(
    name: &'static str,
    grid: [u32; 3],
    block: [u32; 3],
    shared: u32,
    given: &'static [Given],
    wrong: Wrong,
) -> Fault {
    Fault {
        name,
        shape: Shape {
            grid,
            block,
            shared,
        },
        given,
        wrong,
    }
}

/// All of them.
#[rustfmt::skip]
pub(crate) const FAULTS: [Fault; 39] = [
    fault("global_read_bounds", [2, 1, 1], [64, 1, 1], 0, &[F32(128), Out(512)], OutOfBounds),
    fault("global_write_bounds", [2, 1, 1], [64, 1, 1], 0, &[F32(128), Out(400)], OutOfBounds),
    fault("null_write", [1, 1, 1], [32, 1, 1], 0, &[F32(32), Out(128), Given::Null], Wrong::Null),
    fault("shared_bounds", [1, 1, 1], [64, 1, 1], 256, &[F32(64), Out(256)], OutOfBounds),
    fault("shared_atomic_bounds", [1, 1, 1], [64, 1, 1], 0, &[Cycle(64, 64), Out(192)], OutOfBounds),
    fault("local_bounds", [1, 1, 1], [32, 1, 1], 0, &[Cycle(32, 5), Out(128)], OutOfBounds),
    fault("misaligned_vector", [1, 1, 1], [2, 1, 1], 0, &[F32(130), Out(8)], Misaligned),
    fault("misaligned_shared", [1, 1, 1], [32, 1, 1], 0, &[F32(128), Out(16)], Misaligned),
    fault("misaligned_copy", [1, 1, 1], [32, 1, 1], 0, &[F32(160), Out(128)], Misaligned),
    fault("ldmatrix_misaligned", [1, 1, 1], [32, 1, 1], 0, &[Cycle(40, 40), Out(128)], Misaligned),
    fault("use_after_free", [1, 1, 1], [64, 1, 1], 0, &[Freed(256), Out(256)], UseAfterFree),
    fault("uninit_global", [1, 1, 1], [64, 1, 1], 0, &[Unwritten(256), Out(256)], Uninitialised),
    fault("uninit_shared", [1, 1, 1], [64, 1, 1], 0, &[F32(64), Out(256)], Uninitialised),
    fault("uninit_local", [1, 1, 1], [32, 1, 1], 0, &[Cycle(32, 4), Out(128)], Uninitialised),
    fault("write_input", [1, 1, 1], [64, 1, 1], 0, &[F32(64), Out(256)], WriteToInput),
    fault("race_read_after_write", [1, 1, 1], [64, 1, 1], 0, &[F32(64), Out(256)], SharedRace),
    fault("race_write_after_read", [1, 1, 1], [64, 1, 1], 0, &[F32(256), Out(256)], SharedRace),
    fault("race_in_warp", [1, 1, 1], [32, 1, 1], 0, &[F32(32), Out(128)], SharedRace),
    fault("race_partial_syncwarp", [1, 1, 1], [32, 1, 1], 0, &[F32(32), Out(128)], SharedRace),
    fault("race_same_word", [1, 1, 1], [32, 1, 1], 0, &[F32(32), Out(64)], SharedRace),
    fault("race_atomic_plain", [1, 1, 1], [64, 1, 1], 0, &[Reversed(64), Out(256)], SharedRace),
    fault("race_copy_ring", [1, 1, 1], [64, 1, 1], 0, &[F32(256), Out(256)], SharedRace),
    fault("copy_without_barrier", [1, 1, 1], [64, 1, 1], 0, &[F32(64), Out(256)], SharedRace),
    fault("copy_without_wait", [1, 1, 1], [64, 1, 1], 0, &[F32(64), Out(256)], CopyPending),
    fault("copy_wrong_group", [1, 1, 1], [64, 1, 1], 0, &[F32(128), Out(256)], CopyPending),
    fault("global_write_conflict", [2, 1, 1], [64, 1, 1], 0, &[F32(128), Out(256)], GlobalConflict),
    fault("global_read_conflict", [2, 1, 1], [64, 1, 1], 0, &[InOut(768)], GlobalConflict),
    fault("global_lost_update", [4, 1, 1], [32, 1, 1], 0, &[Cycle(128, 128), InOut(4)], GlobalConflict),
    fault("barrier_half_warp", [1, 1, 1], [64, 1, 1], 0, &[F32(64), Out(256)], Barrier),
    fault("barrier_one_warp", [1, 1, 1], [64, 1, 1], 0, &[Halves(64), Out(256)], Barrier),
    fault("shuffle_inactive", [1, 1, 1], [32, 1, 1], 0, &[F32(32), Out(128)], WarpSync),
    fault("shuffle_outside_mask", [1, 1, 1], [32, 1, 1], 0, &[F32(32), Out(128)], WarpSync),
    fault("syncwarp_inactive", [1, 1, 1], [32, 1, 1], 0, &[F32(32), Out(128)], WarpSync),
    fault("mma_divergent", [1, 1, 1], [32, 1, 1], 0, &[Cycle(32, 32), Out(512)], WarpSync),
    fault("ldmatrix_divergent", [1, 1, 1], [32, 1, 1], 0, &[Cycle(64, 64), Out(128)], WarpSync),
    fault("runaway_loop", [1, 1, 1], [32, 1, 1], 0, &[InOut(4)], NoProgress),
    fault("launch_shared_limit", [1, 1, 1], [32, 1, 1], 1 << 20, &[Out(128)], Launch),
    fault("launch_block_limit", [1, 1, 1], [2048, 1, 1], 0, &[Out(8192)], Launch),
    fault("launch_bounds", [1, 1, 1], [128, 1, 1], 0, &[Out(512)], Launch),
];
