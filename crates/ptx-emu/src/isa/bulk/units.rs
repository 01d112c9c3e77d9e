//! What all bulk copies are made of: ranges of bytes, and their arrival.

use crate::ast::Operand;
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::Cx;
use crate::exec::access::range::{self, Range};
use crate::exec::access::{Kind, Memory, Place};
use crate::exec::block::Reading;
use crate::isa::mbarrier::complete_tx;
use crate::lanes::Lane;
use crate::memory::window;
use crate::program::Op;
use crate::report::ViolationKind;

/// A handler that calls a function for each active lane.
macro_rules! lane_by_lane {
    ($handler:ident, $each:ident) => {
        impl $crate::simd::Handler for $handler {
            #[inline(always)]
            fn run<L: $crate::simd::Level>(cx: &mut Cx<'_>, op: &Op) -> $crate::exec::Flow {
                for lane in $crate::lanes::lanes_of(cx.mask) {
                    $each(cx, op, lane);
                }
                $crate::exec::Flow::Next
            }
        }
    };
}
pub(super) use lane_by_lane;

pub(super) type Unit = Range;

/// An address operand as four entries of an operand list: slot, displacement in two halves, and
/// whether the slot has 32 bits.
pub(super) fn address<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    operand: &Operand<'a>,
) -> Result<[u32; 4], LoadError> {
    let mut address = d.address(form, operand)?;
    if address.param {
        // a parameter is named by its generic address
        let start = window::PARAM + u64::from(window::PARAM_START);
        address.slot = d.immediate(start, crate::ast::Type::U64);
    }
    let offset = address.offset.cast_unsigned();
    #[allow(clippy::cast_possible_truncation, reason = "both halves are kept")]
    let halves = [offset as u32, (offset >> 32) as u32];
    let narrow = u32::from(address.narrow);
    Ok([address.slot, halves[0], halves[1], narrow])
}

/// The address that [`address`] stands for in a lane.
pub(super) fn at(cx: &Cx<'_>, operand: &[u32], lane: usize) -> u64 {
    let &[slot, low, high, narrow] = operand else {
        return 0;
    };
    let offset = u64::from(high) << 32 | u64::from(low);
    if narrow == 0 {
        u64::load(&cx.warp.regs, slot)[lane].wrapping_add(offset)
    } else {
        let base = u64::from(u32::load(&cx.warp.regs, slot)[lane]);
        base.wrapping_add(offset) & 0xffff_ffff
    }
}

pub(super) fn source(lane: usize, place: Place, address: u64, bytes: u32) -> Unit {
    Unit {
        lane,
        place,
        address,
        bytes,
        kind: Kind::Read,
    }
}

pub(super) fn target(lane: usize, address: u64, bytes: u32) -> Unit {
    Unit {
        lane,
        place: Place::Global,
        address,
        bytes,
        kind: Kind::Write,
    }
}

/// The bytes of a range, with all checks; nothing if it is wrong.
pub(super) fn get(cx: &mut Cx<'_>, op: &Op, unit: Unit, align: u32) -> Option<Vec<u8>> {
    let reached = range::find(cx, op, unit, align)?;
    let mut data = vec![0; unit.bytes as usize];
    range::read(cx, op, unit.lane, reached, &mut data);
    Some(data)
}

/// Writes a range, with all checks.
pub(super) fn put(cx: &mut Cx<'_>, op: &Op, unit: Unit, align: u32, data: &[u8]) {
    if let Some(reached) = range::find(cx, op, unit, align) {
        range::write(cx, op, unit.lane, reached, data);
    }
}

/// Where a copy goes, and which mbarrier is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub to: u64,
    pub mbarrier: u64,
    pub bytes: u32,
    pub align: u32,
}

/// Hands data over: to the block that the address names, or to all of a mask. Without data (which
/// was reported) only the mbarrier learns of it, so that nobody waits in vain.
pub(super) fn deliver(
    cx: &mut Cx<'_>,
    op: &Op,
    lane: usize,
    arrival: Arrival,
    blocks: Option<u32>,
    data: Option<&[u8]>,
) {
    let Some(blocks) = blocks else {
        return deliver_to(cx, op, lane, arrival, data);
    };
    let within = (1 << window::RANK_SHIFT) - 1;
    for rank in (0..16).filter(|rank| blocks >> rank & 1 != 0) {
        let there = |address: u64| address & within | (rank + 1) << window::RANK_SHIFT;
        let arrival = Arrival {
            to: there(arrival.to),
            mbarrier: there(arrival.mbarrier),
            ..arrival
        };
        deliver_to(cx, op, lane, arrival, data);
    }
}

fn deliver_to(cx: &mut Cx<'_>, op: &Op, lane: usize, arrival: Arrival, data: Option<&[u8]>) {
    let Arrival {
        to, bytes, align, ..
    } = arrival;
    let unit = Unit {
        lane,
        place: Place::Shared,
        address: to,
        bytes,
        kind: Kind::Copy,
    };
    let data = data.filter(|data| !data.is_empty());
    let reached = data.and_then(|data| Some((range::find(cx, op, unit, align)?, data)));
    let Some(spot) = range::object(cx, op, lane, arrival.mbarrier) else {
        return;
    };
    if let Some((reached, _)) = reached
        && reached.memory != Memory::Shared(u32::try_from(spot.0).unwrap_or(0))
    {
        let kind = ViolationKind::Mbarrier {
            address: arrival.mbarrier,
            problem: format!(
                "it is not in the block that the copy to {to:#x} goes to, as it must be"
            ),
        };
        cx.violate(op, lane, kind);
    }
    complete_tx(cx, op, lane, spot, bytes, |cx, clocks| {
        let (reached, data) = reached?;
        let Memory::Shared(rank) = reached.memory else {
            return None;
        };
        let place = (rank as usize, reached.offset);
        let landing = range::land(cx, op, lane, place, bytes, clocks);
        cx.view(reached.memory).copy_from(reached.offset, data);
        Some(landing)
    });
}

/// Notes that a range of the block's shared memory is read until its group was waited for.
pub(super) fn reads(cx: &mut Cx<'_>, op: &Op, lane: usize, from: u64, bytes: u32) {
    if !cx.grid.checks.races || bytes == 0 {
        return;
    }
    let within = (1 << window::RANK_SHIFT) - 1;
    let start = u64::from(window::SHARED_START);
    let offset = u32::try_from((from & within).saturating_sub(start)).unwrap_or(0);
    let copy = cx.warp.bulk.begin(lane, offset, bytes, op.index);
    let warp = cx.warp.index;
    let block = cx.block();
    block.readings.push(Reading { warp, copy });
    block.watch();
}

/// Waits for all groups of the active lanes but the last `groups`.
pub(super) fn wait(cx: &mut Cx<'_>, groups: u32) {
    let mut over = Vec::new();
    let (mask, warp) = (cx.mask, cx.warp.index);
    cx.warp
        .bulk
        .wait(mask, Some(groups), |copy| over.push(copy));
    for copy in &over {
        let block = cx.block();
        let reading = Reading { warp, copy: *copy };
        let at = block.readings.iter().position(|r| *r == reading);
        at.map(|at| block.readings.swap_remove(at));
        let op = &cx.grid.program.ops[copy.op as usize];
        let lane = usize::from(copy.lane);
        range::read_again(cx, op, lane, copy.offset as usize, copy.bytes);
    }
    if !over.is_empty() {
        cx.block().watch();
    }
}
