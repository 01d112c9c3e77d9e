//! Instructions that lanes of a warp run together.

use crate::exec::{Cx, Entry, Flow};
use crate::program::Op;
use crate::report::ViolationKind;

/// Whether the lanes of `members` that still run have all come to `op`. If not, the result is what
/// the handler is to return: those that are here wait. Once the others cannot come any more, that
/// is a violation, and the instruction runs with the lanes that are here.
#[inline(always)]
pub(crate) fn gather(cx: &mut Cx<'_>, op: &Op, members: u32) -> Result<(), Flow> {
    if members & cx.warp.live & !cx.mask == 0 {
        return Ok(());
    }
    absent(cx, op, members)
}

#[cold]
#[inline(never)]
fn absent(cx: &mut Cx<'_>, op: &Op, members: u32) -> Result<(), Flow> {
    if cx.entry != Entry::Forced {
        return Err(Flow::Collect);
    }
    inactive(cx, op, members);
    Ok(())
}

/// As [`gather`], for an instruction that all 32 lanes must run (`.aligned`): lanes that have
/// exited are missing too.
#[inline(always)]
pub(crate) fn gather_all(cx: &mut Cx<'_>, op: &Op) -> Result<(), Flow> {
    gather(cx, op, u32::MAX)?;
    if cx.mask != u32::MAX && cx.entry != Entry::Forced {
        inactive(cx, op, u32::MAX);
    }
    Ok(())
}

#[cold]
#[inline(never)]
fn inactive(cx: &mut Cx<'_>, op: &Op, required: u32) {
    let active = cx.mask;
    let lane = active.trailing_zeros() as usize;
    cx.violate(op, lane, ViolationKind::InactiveLanes { required, active });
}
