//! What is checked and counted of each request.

use crate::exec::Cx;
use crate::exec::access::{GlobalAccess, Kind, Memory, Reached, Request, explain, strong, watch};
use crate::program::Op;
use crate::shadow::Who;
use crate::simd::leveled;

leveled! {
    /// Checks and counts a request that lies in one memory.
    check = check_inner(cx: &mut Cx<'_>, op: &Op, request: &Request, reached: Reached)
}

#[inline(always)]
pub(super) fn check_inner(cx: &mut Cx<'_>, op: &Op, request: &Request, reached: Reached) {
    let checks = cx.grid.checks;
    let index = op.index as usize;
    if checks.races && request.kind.is_strong() {
        strong::order(cx, op, request, reached);
    }
    let worker = &mut *cx.worker;
    let cache = &worker.patterns[request.cache(op)];
    let Some(pattern) = cache.recent() else {
        return;
    };
    let offset = reached.offset as u64;
    let tally = &mut worker.tallies[index];
    match reached.memory {
        Memory::Global(allocation) => {
            let allocation = &cx.grid.memory.allocations[allocation as usize];
            let shadow = &allocation.shadow;
            let access = GlobalAccess {
                checks,
                shadow,
                acquired: &worker.acquired,
                block: cx.blocks[cx.rank].number(),
                kind: request.kind,
            };
            if checks.counters {
                let (address, sectors) = (allocation.base + offset, access.sectors(pattern));
                let buffers = &cx.grid.buffers;
                worker.buffers.add(buffers, index, address, sectors);
            }
            let (unset, conflict) = access.check(&mut tally.global, offset, pattern);
            let input = request.kind.writes() && !cx.grid.inputs.is_empty();
            if unset.is_some() || conflict.is_some() || input {
                let base = allocation.base;
                explain::global(cx, op, request, reached, base, (unset, conflict));
            }
        }
        Memory::Shared(rank) => {
            let own = rank as usize == cx.rank;
            let block = &mut cx.blocks[rank as usize];
            if checks.counters && request.kind != Kind::Peek {
                tally.shared.requests += 1;
                tally.shared.bytes += u64::from(pattern.bytes * pattern.mask.count_ones());
                tally.shared.units += u64::from(pattern.wavefronts);
                tally.shared.least += u64::from(pattern.min_wavefronts);
            }
            let mut unset = None;
            if checks.initialised {
                if request.kind.reads() {
                    unset = block.shadow.uninitialised(offset, pattern);
                }
                if request.kind.writes() {
                    block.shadow.fill(offset, pattern);
                }
            }
            let mut found = None;
            if checks.races && own {
                let who = Who {
                    warp: cx.warp.index,
                    instruction: op.index,
                };
                let (shadow, order) = (&mut block.shadow, &block.order);
                found = match request.kind {
                    Kind::Read => shadow.read(offset, pattern, who, order),
                    Kind::Write | Kind::Init => shadow.write(offset, pattern, who, order),
                    Kind::StrongRead | Kind::Peek => {
                        shadow.strong_read(offset, pattern, who, order)
                    }
                    Kind::Atomic | Kind::BlockAtomic | Kind::StrongWrite | Kind::Sync => {
                        shadow.atomic(offset, pattern, who, order)
                    }
                    Kind::Copy => shadow.async_write(offset, pattern, who, order),
                };
                if request.kind.writes() {
                    shadow.through_proxy(offset, pattern, true);
                }
            }
            let watched = block.watched.clone();
            let from = offset.wrapping_add_signed(i64::from(pattern.steps.low()));
            let to = offset.wrapping_add_signed(i64::from(pattern.steps.high()));
            let special = from < u64::from(watched.end) && to > u64::from(watched.start);
            let early = match request.kind {
                Kind::Peek if checks.races && own => block.shadow.early_for_proxy(offset, pattern),
                _ => None,
            };
            if unset.is_some() || found.is_some() {
                explain::shared(cx, op, request, unset, found);
            }
            if let Some((offset, writer)) = early {
                watch::early(cx, op, request.mask, offset, writer);
            }
            if special && !matches!(request.kind, Kind::Init | Kind::Sync) {
                watch::special(cx, op, request, reached);
            }
        }
        Memory::Local => {
            if checks.counters {
                tally.local.requests += 1;
                tally.local.bytes += u64::from(pattern.bytes * pattern.mask.count_ones());
            }
            if checks.initialised {
                let (rel, mask, bytes) =
                    (*pattern.steps.rel(), pattern.mask, pattern.bytes as usize);
                explain::local(cx, op, request.kind, reached.offset, &rel, mask, bytes);
            }
        }
        Memory::Param => {}
    }
}
