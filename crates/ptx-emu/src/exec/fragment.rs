//! Lanes of a warp that are at one place.

use std::rc::Rc;

use crate::exec::Entry;
use crate::lanes::Lanes;

/// Why a fragment does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It can.
    Ready,
    /// It is to run the instruction as one whose wait is over, or has no hope.
    Again(Entry),
    /// It waits for other lanes of the warp at this instruction.
    Collect,
    /// It waits until barrier `id` has left phase `phase`; then runs its instruction again
    /// (`again`), or goes on.
    Barrier { id: u8, phase: u32, again: bool },
    /// It waits until the cluster's barrier has left this phase.
    Cluster { phase: u32 },
    /// It waits until an mbarrier of its block has left this phase.
    Mbarrier { offset: u32, phase: u32 },
    /// It waits until the four warps of its group have committed so many groups of products.
    Products { commits: u32 },
}

/// A call that has not returned.
#[derive(Debug)]
pub(crate) struct Frame {
    pub parent: Option<Rc<Frame>>,
    /// Where the caller goes on.
    pub back: u32,
    /// Index of the function that was called.
    pub function: u32,
    pub depth: u32,
    /// Offset in local memory behind the frames so far.
    pub local_end: u32,
    /// Registers and predicates of the function as a call further out left them.
    pub saved: Option<(Vec<Lanes>, Vec<u32>)>,
    /// Slots for the results, and the operand list they come from.
    pub call: u32,
}

/// Lanes of a warp that are at the same instruction.
#[derive(Clone, Debug)]
pub(crate) struct Fragment {
    pub pc: u32,
    pub mask: u32,
    pub frame: Option<Rc<Frame>>,
    pub state: State,
    /// When it last had to let others run.
    pub served: u64,
}

pub(super) fn same_frame(a: Option<&Rc<Frame>>, b: Option<&Rc<Frame>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => Rc::ptr_eq(a, b),
        _ => false,
    }
}

/// The next of a sequence of numbers that look random (xorshift64*).
pub(crate) fn next_random(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
}
