//! What a synchronisation object of a cluster passes on.
//!
//! Each block orders its own warps. What one block knows of another is kept for all its warps
//! together: a missing synchronisation between warps of one block can be hidden if the order comes
//! by way of another block, but no ordered program is accused.

use crate::exec::Cx;
use crate::shadow::{Clock, join};

/// Accesses that are released, by the rank of the block that made them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clocks(Vec<Clock>);

impl Clocks {
    /// That of one block.
    pub(crate) fn of(&mut self, rank: usize) -> &mut Clock {
        if self.0.len() <= rank {
            self.0.resize(rank + 1, [0; 32]);
        }
        &mut self.0[rank]
    }
}

/// Adds what the warp of `cx` did and knows.
pub(crate) fn release(cx: &mut Cx<'_>, clocks: &mut Clocks) {
    if !cx.grid.checks.races {
        return;
    }
    let (rank, warp) = (cx.rank, cx.warp.index);
    let block = cx.block();
    block.order.release(warp, clocks.of(rank));
    for (other, known) in block.foreign.0.iter().enumerate() {
        if other != rank {
            join(clocks.of(other), known);
        }
    }
}

/// Orders what was released before the present of the warp of `cx`.
pub(crate) fn acquire(cx: &mut Cx<'_>, clocks: &Clocks) {
    if !cx.grid.checks.races {
        return;
    }
    let (rank, warp) = (cx.rank, cx.warp.index);
    for (other, clock) in clocks.0.iter().enumerate() {
        if other == rank {
            cx.block().order.acquire(warp, clock);
        } else if *clock != [0; 32] {
            join(cx.block().foreign.of(other), clock);
            let number = cx.blocks[other].number();
            cx.worker.acquired.meet(number);
        }
    }
}
