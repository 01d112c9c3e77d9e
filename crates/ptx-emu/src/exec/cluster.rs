//! The barrier of a cluster (PTX ISA 9.7.13: `barrier.cluster`).

use crate::exec::Cx;
use crate::exec::clocks::{self, Clocks};

/// What one block's threads do at the barrier; the clocks are those of the first block.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClusterBarrier {
    /// Phases completed.
    pub phase: u32,
    /// Lanes of each warp that have arrived in this phase.
    arrived: [u32; 32],
    /// Lanes of each warp that have arrived in the one before and not waited yet.
    owed: [u32; 32],
    clocks: Clocks,
    done: Clocks,
}

/// The active lanes arrive. Returns those that have done so before without waiting.
pub(crate) fn arrive(cx: &mut Cx<'_>, releases: bool) -> u32 {
    let (warp, lanes) = (cx.warp.index as usize, cx.mask);
    let barrier = &mut cx.block().cluster;
    let again = lanes & (barrier.arrived[warp] | barrier.owed[warp]);
    barrier.arrived[warp] |= lanes;
    barrier.owed[warp] &= !lanes;
    if releases {
        let mut clocks = std::mem::take(&mut cx.blocks[0].cluster.clocks);
        clocks::release(cx, &mut clocks);
        cx.blocks[0].cluster.clocks = clocks;
    }
    complete(cx);
    again
}

/// What the active lanes find when they wait.
pub(crate) enum Wait {
    /// The barrier is complete.
    Over,
    /// It is not; this is the phase that they wait for.
    Phase(u32),
}

/// The active lanes wait. Also returns those that have not arrived.
pub(crate) fn wait(cx: &mut Cx<'_>) -> (Wait, u32) {
    let (warp, lanes) = (cx.warp.index as usize, cx.mask);
    let barrier = &mut cx.block().cluster;
    let strange = lanes & !(barrier.arrived[warp] | barrier.owed[warp]);
    if lanes & barrier.arrived[warp] != 0 {
        return (Wait::Phase(barrier.phase), strange);
    }
    barrier.owed[warp] &= !lanes;
    let done = cx.blocks[0].cluster.done.clone();
    clocks::acquire(cx, &done);
    (Wait::Over, strange)
}

/// Completes the barrier if all threads of the cluster that still run have arrived.
pub(crate) fn complete(cx: &mut Cx<'_>) {
    let (mut any, mut all) = (false, true);
    for block in cx.blocks.iter() {
        for (live, arrived) in block.live.iter().zip(&block.cluster.arrived) {
            any |= *arrived != 0;
            all &= live & !arrived == 0;
        }
    }
    if !any || !all {
        return;
    }
    for block in cx.blocks.iter_mut() {
        let barrier = &mut block.cluster;
        barrier.phase = barrier.phase.wrapping_add(1);
        for (owed, arrived) in barrier.owed.iter_mut().zip(&mut barrier.arrived) {
            *owed |= std::mem::take(arrived);
        }
    }
    let barrier = &mut cx.blocks[0].cluster;
    barrier.done.clone_from(&barrier.clocks);
    cx.worker.cluster_barriers += 1;
}
