//! Order that atomic instructions, and loads and stores as strong as they are, make between the
//! threads that meet at one address.

use crate::decode::RELEASES;
use crate::exec::Cx;
use crate::exec::access::{Kind, Memory, Reached, Request};
use crate::lanes::lanes_of;
use crate::program::Op;

/// To be called before the access itself is checked: it may acquire what orders it.
#[cold]
#[inline(never)]
pub(super) fn order(cx: &mut Cx<'_>, op: &Op, request: &Request, reached: Reached) {
    let pattern = cx.pattern(op, request.which);
    let (rel, mask) = (*pattern.steps.rel(), pattern.mask);
    let mut before = None;
    for lane in lanes_of(mask) {
        let at = reached.offset.wrapping_add_signed(rel[lane] as isize);
        if before == Some(at) {
            continue;
        }
        before = Some(at);
        match reached.memory {
            Memory::Global(index) if request.kind != Kind::BlockAtomic => {
                let base = cx.grid.memory.allocations[index as usize].base;
                global(cx, op, request.kind, base + at as u64);
            }
            Memory::Shared(rank) if rank as usize == cx.rank => {
                shared(cx, op, request.kind, at as u64);
            }
            _ => {}
        }
    }
}

fn global(cx: &mut Cx<'_>, op: &Op, kind: Kind, address: u64) {
    let block = &cx.blocks[cx.rank];
    let acquired = &mut cx.worker.acquired;
    let fenced = block.fenced || op.aux & RELEASES != 0;
    match kind {
        Kind::StrongRead => acquired.acquire(address),
        Kind::StrongWrite if fenced => acquired.release(address, block.number()),
        Kind::StrongWrite => {}
        _ => acquired.atomic(address, block.number(), fenced),
    }
}

fn shared(cx: &mut Cx<'_>, op: &Op, kind: Kind, offset: u64) {
    let warp = cx.warp.index;
    let block = cx.block();
    if kind.reads()
        && let Some(clock) = block.published.get(&offset)
    {
        block.order.acquire(warp, clock);
    }
    if kind.writes() && (block.fences >> warp & 1 != 0 || op.aux & RELEASES != 0) {
        let clock = block.published.entry(offset).or_insert([0; 32]);
        block.order.release(warp, clock);
    }
}
