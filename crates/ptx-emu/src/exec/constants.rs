//! Read-only slots of a warp: immediates, addresses, special registers.

use crate::exec::warp::Warp;
use crate::exec::{Grid, coordinates};
use crate::lanes::{Lane, Lanes};
use crate::memory::window;
use crate::program::{Constant, Special};

/// Writes immediates, addresses and special registers into their slots: all that the blocks of a
/// launch have in common.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "32-bit registers"
)]
pub(super) fn fill(grid: &Grid<'_>, warp: &mut Warp) {
    for (slot, constant) in &grid.program.constants {
        let at = *slot as usize;
        let wide = match constant {
            Constant::Word(word) => {
                warp.regs.slots[at] = Lanes([*word; 32]);
                continue;
            }
            Constant::Special(special) => {
                let lane = |lane| special_value(grid, warp.index, [0; 3], *special, lane);
                warp.regs.slots[at] = Lanes(std::array::from_fn(lane));
                continue;
            }
            Constant::DynamicShared32(offset) => {
                let address = i64::from(grid.dynamic_start).wrapping_add(*offset);
                warp.regs.slots[at] = Lanes([address as u32; 32]);
                continue;
            }
            Constant::Double(double) => *double,
            Constant::Global(index, offset) => {
                grid.globals[*index as usize].wrapping_add_signed(*offset)
            }
            Constant::DynamicShared(offset) => {
                u64::from(grid.dynamic_start).wrapping_add_signed(*offset)
            }
        };
        u64::store(&mut warp.regs, *slot, u32::MAX, &[wide; 32]);
    }
}

/// Makes the registers of a warp those with which a thread of `block` begins: zeros, and what
/// differs from block to block.
pub(super) fn begin(grid: &Grid<'_>, warp: &mut Warp, block: [u32; 3]) {
    for slot in &grid.program.zeroed {
        warp.regs.slots[*slot as usize] = Lanes::ZERO;
    }
    for (slot, constant) in &grid.program.constants {
        if let Constant::Special(special) = constant
            && constant.of_block()
        {
            let value = special_value(grid, warp.index, block, *special, 0);
            warp.regs.slots[*slot as usize] = Lanes([value; 32]);
        }
    }
    warp.regs.preds.fill(0);
    // The frame of the kernel itself begins where local memory does.
    let frame = [u64::from(window::LOCAL_START); 32];
    u64::store(
        &mut warp.regs,
        grid.program.functions[0].frame,
        u32::MAX,
        &frame,
    );
}

#[allow(clippy::cast_possible_truncation, reason = "32-bit registers")]
fn special_value(
    grid: &Grid<'_>,
    warp: u32,
    block: [u32; 3],
    special: Special,
    lane: usize,
) -> u32 {
    let lane = lane as u32;
    let side = |d: u8| usize::from(d.min(2));
    let thread = u64::from(warp * 32 + lane);
    let rank =
        |within: [u32; 3]| within[0] + grid.cluster[0] * (within[1] + grid.cluster[1] * within[2]);
    let within = [0, 1, 2].map(|i| block[i] % grid.cluster[i]);
    match special {
        Special::Tid(d) => coordinates(thread, grid.threads)[side(d)],
        Special::Ntid(d) => grid.threads[side(d)],
        Special::Ctaid(d) => block[side(d)],
        Special::Nctaid(d) => grid.blocks[side(d)],
        Special::LaneId => lane,
        Special::WarpId => warp,
        Special::NwarpId => grid.warps_per_block(),
        Special::MaskEq => 1 << lane,
        Special::MaskLt => (1 << lane) - 1,
        Special::MaskLe => u32::MAX >> (31 - lane),
        Special::MaskGt => !(u32::MAX >> (31 - lane)),
        Special::MaskGe => !((1 << lane) - 1),
        Special::SmId | Special::GridId => 0,
        Special::NsmId => grid.spec.multiprocessors,
        Special::DynamicSharedBytes => grid.dynamic_shared,
        Special::TotalSharedBytes => grid.shared_bytes,
        Special::ClusterId(d) => block[side(d)] / grid.cluster[side(d)],
        Special::NclusterId(d) => grid.blocks[side(d)] / grid.cluster[side(d)],
        Special::ClusterCtaid(d) => within[side(d)],
        Special::ClusterNctaid(d) => grid.cluster[side(d)],
        Special::ClusterCtaRank => rank(within),
        Special::ClusterNctaRank => grid.blocks_per_cluster(),
    }
}
