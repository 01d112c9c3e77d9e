//! From a failed check to a violation that says what happened.

use crate::exec::access::global::Findings;
use crate::exec::access::{Kind, Place, Reached, Request, space, within};
use crate::exec::{Cx, coordinates};
use crate::lanes::lanes_of;
use crate::memory::window;
use crate::program::Op;
use crate::report::{Nearest, OtherSite, RaceKind, Space, ViolationKind};
use crate::shadow::{self, Conflict};

/// An access outside of all memory, or misaligned.
#[cold]
#[inline(never)]
pub(super) fn wrong(cx: &mut Cx<'_>, op: &Op, request: &Request, lane: usize, address: u64) {
    let (place, offset) = within(request.place, address);
    if offset % u64::from(request.bytes) == 0 {
        return outside(cx, op, request, lane, address);
    }
    let kind = ViolationKind::Misaligned {
        space: space(place),
        address,
        alignment: request.bytes,
    };
    cx.violate(op, lane, kind);
}

/// An access outside of all memory.
#[cold]
#[inline(never)]
pub(super) fn outside(cx: &mut Cx<'_>, op: &Op, request: &Request, lane: usize, address: u64) {
    let bytes = request.bytes;
    let write = request.kind.writes();
    let (place, offset) = within(request.place, address);
    let kind = match place {
        Place::Global => global_wrong(cx, address, bytes, write),
        Place::Shared if exited(cx, offset).is_some() => ViolationKind::RemoteBlockExited {
            rank: exited(cx, offset).unwrap_or(0),
            address,
        },
        Place::Shared => {
            let size = u64::from(cx.grid.shared_bytes);
            let rank = offset >> window::RANK_SHIFT;
            let there = rank > 0 && rank <= u64::from(cx.grid.blocks_per_cluster());
            let within = (1 << window::RANK_SHIFT) - 1;
            let offset = if there { offset & within } else { offset };
            let offset = offset.cast_signed() - i64::from(window::SHARED_START);
            bounds(
                Space::Shared,
                address,
                bytes,
                write,
                "shared memory",
                offset,
                size,
            )
        }
        Place::Local => {
            let size = u64::from(cx.warp.local_bytes);
            let offset = offset.cast_signed() - i64::from(window::LOCAL_START);
            bounds(
                Space::Local,
                address,
                bytes,
                write,
                "local memory",
                offset,
                size,
            )
        }
        Place::Param | Place::Generic if write => ViolationKind::ReadOnlyMemory {
            space: Space::Param,
            address,
        },
        Place::Param | Place::Generic => {
            let size = u64::from(cx.grid.program.param_bytes);
            let offset = offset.cast_signed() - i64::from(window::PARAM_START);
            bounds(
                Space::Param,
                address,
                bytes,
                write,
                "parameters",
                offset,
                size,
            )
        }
    };
    cx.violate(op, lane, kind);
}

/// The block of the cluster in whose shared memory an offset lies, if that block has exited.
fn exited(cx: &Cx<'_>, offset: u64) -> Option<u32> {
    let rank = u32::try_from(offset >> window::RANK_SHIFT)
        .ok()?
        .checked_sub(1)?;
    let block = cx.blocks.get(rank as usize)?;
    (rank as usize != cx.rank && block.over()).then_some(rank)
}

fn bounds(
    space: Space,
    address: u64,
    bytes: u32,
    write: bool,
    name: &str,
    offset: i64,
    size: u64,
) -> ViolationKind {
    ViolationKind::OutOfBounds {
        space,
        address,
        bytes,
        write,
        nearest: Some(Nearest {
            name: name.to_owned(),
            offset,
            size,
        }),
    }
}

fn global_wrong(cx: &Cx<'_>, address: u64, bytes: u32, write: bool) -> ViolationKind {
    let memory = cx.grid.memory;
    if address < 4096 {
        return ViolationKind::NullAddress {
            address,
            bytes,
            write,
        };
    }
    if (window::SHARED..window::END).contains(&address) {
        let found = match address >> 32 {
            1 => Space::Shared,
            2 => Space::Local,
            _ => Space::Param,
        };
        return ViolationKind::InvalidAddressSpace {
            expected: Space::Global,
            found: Some(found),
            address,
        };
    }
    let before = memory.at_or_before(address);
    // an address just below an allocation belongs to that one
    let after = before.map_or(0, |index| index + 1);
    let nearest = before.map(|index| &memory.allocations[index]);
    let next = memory.allocations.get(after);
    let beyond = |a: &crate::memory::global::Allocation| address.saturating_sub(a.base + a.len);
    let closer = match (nearest, next) {
        (Some(low), Some(high)) if high.base - address < beyond(low) => Some(high),
        (Some(low), _) => Some(low),
        (None, high) => high,
    };
    let nearest = closer.map(|allocation| Nearest {
        name: allocation
            .name
            .clone()
            .unwrap_or_else(|| format!("allocation at {:#x}", allocation.base)),
        offset: address.wrapping_sub(allocation.base).cast_signed(),
        size: allocation.len,
    });
    match closer {
        Some(a) if a.freed && address >= a.base && address < a.base + a.len => {
            ViolationKind::UseAfterFree {
                address,
                bytes,
                write,
                nearest,
            }
        }
        Some(a) if a.read_only && write && a.holds(address, address + u64::from(bytes)) => {
            ViolationKind::ReadOnlyMemory {
                space: Space::Const,
                address,
            }
        }
        _ => ViolationKind::OutOfBounds {
            space: Space::Global,
            address,
            bytes,
            write,
            nearest,
        },
    }
}

/// What the checks of a request to global memory found.
#[cold]
#[inline(never)]
pub(super) fn global(
    cx: &mut Cx<'_>,
    op: &Op,
    request: &Request,
    reached: Reached,
    base: u64,
    (unset, conflict): Findings,
) {
    global_found(cx, op, request, base, (unset, conflict));
    if !request.kind.writes() {
        return;
    }
    let first = base + reached.offset as u64;
    let pattern = cx.pattern(op, request.which);
    let (rel, mask) = (*pattern.steps.rel(), pattern.mask);
    for lane in lanes_of(mask) {
        let address = first.wrapping_add_signed(i64::from(rel[lane]));
        if written_input(cx, op, lane, address, request.bytes) {
            break;
        }
    }
}

/// Whether a write goes to what is declared an input, which is reported.
pub(super) fn written_input(
    cx: &mut Cx<'_>,
    op: &Op,
    lane: usize,
    address: u64,
    bytes: u32,
) -> bool {
    let end = address + u64::from(bytes);
    let mut inputs = cx.grid.inputs.iter();
    let hit = inputs.find(|(start, stop, _)| address < *stop && end > *start);
    let Some(argument) = hit.map(|(.., argument)| *argument) else {
        return false;
    };
    cx.violate(op, lane, ViolationKind::WriteToInput { argument, address });
    true
}

pub(super) fn global_found(
    cx: &mut Cx<'_>,
    op: &Op,
    request: &Request,
    base: u64,
    (unset, conflict): Findings,
) {
    if let Some((byte, lane)) = unset {
        let kind = ViolationKind::Uninitialised {
            space: Space::Global,
            address: base + byte,
            bytes: request.bytes,
        };
        cx.violate(op, lane as usize, kind);
    }
    if let Some(conflict) = conflict {
        let other_block = conflict
            .other_block
            .map(|block| coordinates(u64::from(block), cx.grid.blocks));
        let kind = ViolationKind::GlobalConflict {
            address: base + conflict.offset,
            other_block,
            access: race(conflict.kind),
        };
        cx.violate(op, conflict.lane as usize, kind);
    }
}

/// What the checks of a request to shared memory found.
#[cold]
#[inline(never)]
pub(crate) fn shared(
    cx: &mut Cx<'_>,
    op: &Op,
    request: &Request,
    unset: Option<(u64, u32)>,
    found: Option<Conflict>,
) {
    let start = u64::from(window::SHARED_START);
    if let Some((byte, lane)) = unset {
        let kind = ViolationKind::Uninitialised {
            space: Space::Shared,
            address: start + byte,
            bytes: request.bytes,
        };
        cx.violate(op, lane as usize, kind);
    }
    let Some(conflict) = found else { return };
    let address = start + conflict.offset;
    let other = conflict
        .other_instruction
        .and_then(|at| cx.grid.program.ops.get(at as usize))
        .map(|op| &cx.grid.program.statements[op.statement as usize])
        .map(|statement| OtherSite {
            ptx_line: statement.line,
            source: statement.source.clone(),
        });
    let kind = if conflict.kind == shadow::RaceKind::PendingCopy {
        ViolationKind::CopyNotAwaited {
            address,
            write: request.kind.writes(),
            other,
        }
    } else {
        ViolationKind::SharedRace {
            address,
            access: race(conflict.kind),
            other_thread: conflict
                .other_lane
                .map(|lane| cx.thread_index(conflict.other_warp, lane)),
            other,
            same_warp: conflict.other_warp == cx.warp.index,
        }
    };
    cx.violate(op, conflict.lane as usize, kind);
}

fn race(kind: shadow::RaceKind) -> RaceKind {
    match kind {
        shadow::RaceKind::ReadAfterWrite => RaceKind::ReadAfterWrite,
        shadow::RaceKind::WriteAfterRead => RaceKind::WriteAfterRead,
        shadow::RaceKind::WriteAfterWrite | shadow::RaceKind::PendingCopy => {
            RaceKind::WriteAfterWrite
        }
        shadow::RaceKind::SameInstruction => RaceKind::SameInstruction,
    }
}

/// Notes what is written to local memory, and reports reads of what was not.
pub(super) fn local(
    cx: &mut Cx<'_>,
    op: &Op,
    kind: Kind,
    offset: usize,
    rel: &[i32; 32],
    mask: u32,
    bytes: usize,
) {
    let mut unset = None;
    for lane in lanes_of(mask) {
        let at = offset.wrapping_add_signed(rel[lane] as isize);
        if kind.writes() {
            cx.warp.local_written.mark(at, bytes);
        } else {
            let missing = cx.warp.local_written.missing(at, bytes);
            unset = unset.or(missing.map(|byte| (lane, byte)));
        }
    }
    if let Some((lane, byte)) = unset {
        let own = (byte - lane * cx.warp.local_stride() as usize) as u64;
        let kind = ViolationKind::Uninitialised {
            space: Space::Local,
            address: own + u64::from(window::LOCAL_START),
            bytes: u32::try_from(bytes).unwrap_or(0),
        };
        cx.violate(op, lane, kind);
    }
}
