//! Instructions that lanes of a warp run together.

use crate::exec::warp::State;
use crate::exec::{Cx, Entry, Flow};
use crate::lanes::{lanes_of, mask_of};
use crate::program::Op;
use crate::report::ViolationKind;

/// Whether the lanes of `members` that still run have all come to `op`. If not, the result is what
/// the handler is to return: those that are here wait. Once the others cannot come any more, that
/// is a violation, and the instruction runs with the lanes that are here.
#[inline(always)]
pub(crate) fn gather(cx: &mut Cx<'_>, op: &Op, members: u32) -> Result<(), Flow> {
    if members & (cx.warp.live & !cx.mask | cx.warp.passed) == 0 {
        return Ok(());
    }
    absent(cx, op, members)
}

/// As [`gather`], for an instruction that all 32 lanes must run (`.aligned`): lanes that have
/// exited are missing too.
#[inline(always)]
pub(crate) fn gather_all(cx: &mut Cx<'_>, op: &Op) -> Result<(), Flow> {
    if cx.mask == u32::MAX {
        return Ok(());
    }
    absent(cx, op, u32::MAX)
}

#[cold]
#[inline(never)]
fn absent(cx: &mut Cx<'_>, op: &Op, members: u32) -> Result<(), Flow> {
    if members & cx.warp.live & !cx.mask != 0 && cx.entry != Entry::Forced {
        return Err(Flow::Collect);
    }
    inactive(cx, op, members, cx.mask);
    Ok(())
}

/// Lanes that name the same members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub members: u32,
    /// Those of `Cx::mask` that name them.
    pub lanes: u32,
}

/// Groups of lanes that run an instruction at once, each for itself: nearly always one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    first: Group,
    others: Vec<Group>,
}

impl Groups {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Group> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

/// As [`gather`], where every lane names the members of its own group. Lanes of groups that are
/// not complete stay behind; `Cx::mask` then has the others.
#[inline(always)]
pub(crate) fn gather_groups(cx: &mut Cx<'_>, op: &Op, members: &[u32; 32]) -> Result<Groups, Flow> {
    let first = members[cx.mask.trailing_zeros() as usize & 31];
    let differ = members.iter().fold(0, |differ, m| differ | (m ^ first));
    let alone = Group {
        members: first,
        lanes: cx.mask,
    };
    let missing = first & (cx.warp.live & !cx.mask | cx.warp.passed);
    if differ | cx.mask & !first | missing == 0 {
        return Ok(Groups {
            first: alone,
            others: Vec::new(),
        });
    }
    gather_apart(cx, op, members)
}

#[cold]
#[inline(never)]
fn gather_apart(cx: &mut Cx<'_>, op: &Op, members: &[u32; 32]) -> Result<Groups, Flow> {
    let mut groups = Vec::new();
    let (mut rest, mut late) = (cx.mask, 0);
    while rest != 0 {
        let named = members[rest.trailing_zeros() as usize];
        let lanes = mask_of(&members.map(|m| m == named)) & rest;
        rest &= !lanes;
        if named & cx.warp.live & !lanes != 0 && cx.entry != Entry::Forced {
            late |= lanes;
            continue;
        }
        let group = Group {
            members: named,
            lanes,
        };
        groups.push(group);
        if lanes & !named != 0 || named & (cx.warp.live & !lanes | cx.warp.passed) != 0 {
            inactive(cx, op, named, lanes);
        }
    }
    let Some(first) = groups.pop() else {
        return Err(Flow::Collect);
    };
    let frame = cx.warp.frame.clone();
    cx.warp.push(cx.pc - 1, late, frame, State::Collect);
    cx.active &= !late;
    cx.mask &= !late;
    Ok(Groups {
        first,
        others: groups,
    })
}

#[cold]
#[inline(never)]
fn inactive(cx: &mut Cx<'_>, op: &Op, required: u32, active: u32) {
    let lane = lanes_of(active).next().unwrap_or(0);
    cx.violate(op, lane, ViolationKind::InactiveLanes { required, active });
}
