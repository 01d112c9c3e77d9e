//! Instructions that lanes of a warp run together.

use crate::exec::warp::State;
use crate::exec::{Cx, Entry, Flow};
use crate::isa::control;
use crate::lanes::{lanes_of, mask_of};
use crate::program::Op;
use crate::report::ViolationKind;

/// Whether the lanes of `members` that still run have all come to `op`. If not, the result is what
/// the handler is to return: those that are here wait. Once the others cannot come any more, that
/// is a violation, and the instruction runs with the lanes that are here.
#[inline(always)]
pub(crate) fn gather(cx: &mut Cx<'_>, op: &Op, members: u32) -> Result<(), Flow> {
    if members & cx.warp.live & !cx.mask == 0 && cx.warp.awaited == 0 {
        return Ok(());
    }
    absent(cx, op, members)
}

#[cold]
#[inline(never)]
fn absent(cx: &mut Cx<'_>, op: &Op, members: u32) -> Result<(), Flow> {
    if members & cx.warp.live & !cx.mask != 0 && cx.entry != Entry::Forced {
        awaits(cx, members & !cx.mask);
        return Err(Flow::Collect);
    }
    met(cx, op, members, cx.mask);
    Ok(())
}

/// As [`gather`], for an instruction that all 32 lanes must run (`.aligned`): lanes that have
/// exited are missing too.
#[inline(always)]
pub(crate) fn gather_all(cx: &mut Cx<'_>, op: &Op) -> Result<(), Flow> {
    gather(cx, op, u32::MAX)?;
    if cx.mask != u32::MAX && cx.entry != Entry::Forced {
        inactive(cx, op, u32::MAX, cx.mask);
    }
    Ok(())
}

/// Lanes that name the same members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub members: u32,
    /// Those of `Cx::mask` that name them.
    pub lanes: u32,
}

/// Groups of lanes that run an instruction at once, each for itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Groups {
    list: [Group; 32],
    count: usize,
}

impl Groups {
    fn add(&mut self, group: Group) {
        self.list[self.count & 31] = group;
        self.count += 1;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Group> {
        self.list.into_iter().take(self.count)
    }
}

/// As [`gather`], where every lane names the members of its own group. Lanes of groups that are
/// not complete stay behind; `Cx::mask` then has the others.
#[inline(always)]
pub(crate) fn gather_groups(
    cx: &mut Cx<'_>,
    op: &Op,
    members: &[u32; 32],
) -> Result<Groups, Flow> {
    let first = members[cx.mask.trailing_zeros() as usize & 31];
    let same = mask_of(&members.map(|m| m == first)) & cx.mask;
    let alone = Group {
        members: first,
        lanes: same,
    };
    let strange = same & !first | first & cx.warp.live & !same | cx.warp.awaited;
    if same == cx.mask && strange == 0 {
        let mut groups = Groups {
            list: [Group::default(); 32],
            count: 0,
        };
        groups.add(alone);
        return Ok(groups);
    }
    gather_apart(cx, op, members)
}

#[cold]
#[inline(never)]
fn gather_apart(cx: &mut Cx<'_>, op: &Op, members: &[u32; 32]) -> Result<Groups, Flow> {
    let mut groups = Groups {
        list: [Group::default(); 32],
        count: 0,
    };
    let (mut rest, mut late) = (cx.mask, 0);
    while rest != 0 {
        let named = members[rest.trailing_zeros() as usize];
        let lanes = mask_of(&members.map(|m| m == named)) & rest;
        rest &= !lanes;
        if named & cx.warp.live & !lanes != 0 && cx.entry != Entry::Forced {
            late |= lanes;
            awaits(cx, named & !lanes);
            continue;
        }
        let group = Group {
            members: named,
            lanes,
        };
        groups.add(group);
        if lanes & !named == 0 {
            met(cx, op, named, lanes);
        } else {
            inactive(cx, op, named, lanes);
        }
    }
    if late == cx.mask {
        return Err(Flow::Collect);
    }
    let frame = cx.warp.frame.clone();
    cx.warp.push(cx.pc - 1, late, frame, State::Collect);
    cx.active &= !late;
    cx.mask &= !late;
    Ok(groups)
}

/// Notes that others wait for `lanes`. Those that are about to exit are not missed: whether they
/// have done so already when the others look is a matter of time.
fn awaits(cx: &mut Cx<'_>, lanes: u32) {
    let mut leaving = 0;
    for fragment in &cx.warp.fragments {
        if fragment.frame.is_none() && control::exits_at(cx.grid.program, fragment.pc) {
            leaving |= fragment.mask;
        }
    }
    if cx.warp.frame.is_none() && control::exits_at(cx.grid.program, cx.pc) {
        leaving |= cx.active & !cx.mask;
    }
    cx.warp.awaited |= lanes & cx.warp.live & !leaving;
}

/// `lanes` have come together; reports members that were waited for and have not come.
fn met(cx: &mut Cx<'_>, op: &Op, members: u32, lanes: u32) {
    let gone = cx.warp.awaited & !cx.warp.live | cx.warp.live;
    cx.warp.awaited &= !lanes;
    if members & gone & !lanes != 0 {
        inactive(cx, op, members, lanes);
    }
}

#[cold]
#[inline(never)]
fn inactive(cx: &mut Cx<'_>, op: &Op, required: u32, active: u32) {
    let lane = lanes_of(active).next().unwrap_or(0);
    cx.violate(op, lane, ViolationKind::InactiveLanes { required, active });
}
