//! Shared memory that ordinary instructions must leave alone: mbarriers, and what bulk copies read.

use crate::exec::Cx;
use crate::exec::access::{Memory, Reached, Request};
use crate::lanes::lanes_of;
use crate::memory::window;
use crate::program::Op;
use crate::report::{OtherSite, ViolationKind};

/// Looks at each lane of a request that may touch such memory.
#[cold]
#[inline(never)]
pub(super) fn special(cx: &mut Cx<'_>, op: &Op, request: &Request, reached: Reached) {
    let Memory::Shared(rank) = reached.memory else {
        return;
    };
    let pattern = cx.pattern(op, request.which);
    let (rel, mask) = (*pattern.steps.rel(), pattern.mask);
    for lane in lanes_of(mask) {
        let from = reached.offset.wrapping_add_signed(rel[lane] as isize);
        let from = u32::try_from(from).unwrap_or(u32::MAX);
        let write = request.kind.writes();
        if touches(cx, op, lane, rank as usize, from, request.bytes, write) {
            return;
        }
    }
}

/// Whether an access by `lane` to a range of a block's shared memory is wrong, which is reported.
pub(super) fn touches(
    cx: &mut Cx<'_>,
    op: &Op,
    lane: usize,
    rank: usize,
    from: u32,
    bytes: u32,
    write: bool,
) -> bool {
    let block = &cx.blocks[rank];
    let to = from.saturating_add(bytes);
    if let Some(object) = block.mbarriers.touched(from..to) {
        let how = if write { "write" } else { "read" };
        let kind = ViolationKind::Mbarrier {
            address: u64::from(object + window::SHARED_START),
            problem: format!(
                "an ordinary {how} of its bytes; only mbarrier instructions may touch them until \
                 `mbarrier.inval`"
            ),
        };
        cx.violate(op, lane, kind);
        return true;
    }
    let meets = |offset: u32, bytes: u32| offset < to && offset + bytes > from;
    let mut readings = block.readings.iter();
    let reading = readings.find(|r| write && meets(r.copy.offset, r.copy.bytes));
    let Some(reading) = reading else {
        return false;
    };
    let other = site(cx, reading.copy.op);
    let kind = ViolationKind::CopyNotAwaited {
        address: u64::from(from.max(reading.copy.offset) + window::SHARED_START),
        write,
        other,
    };
    cx.violate(op, lane, kind);
    true
}

/// The asynchronous proxy reads what an ordinary store wrote, without a fence between.
#[cold]
#[inline(never)]
pub(super) fn early(cx: &mut Cx<'_>, op: &Op, mask: u32, offset: u64, writer: Option<u32>) {
    let kind = ViolationKind::AsyncProxy {
        address: offset + u64::from(window::SHARED_START),
        other: writer.and_then(|op| site(cx, op)),
    };
    cx.violate(op, mask.trailing_zeros() as usize & 31, kind);
}

/// Where an instruction stands.
fn site(cx: &Cx<'_>, op: u32) -> Option<OtherSite> {
    let program = cx.grid.program;
    let op = program.ops.get(op as usize)?;
    let statement = &program.statements[op.statement as usize];
    Some(OtherSite {
        ptx_line: statement.line,
        source: statement.source.clone(),
    })
}
