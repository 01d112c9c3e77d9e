//! `ld.param` of a kernel.

use super::vector::Element as _;
use super::{EXTENDED, SIGNED, kept};
use crate::exec::access::{Kind, Place, Request, reach_lane};
use crate::exec::{Cx, Flow};
use crate::lanes::Lane;
use crate::memory::window;
use crate::program::Op;
use crate::simd::{Handler, Level};

/// The same bytes for every lane, at a place that is known.
pub(super) struct LoadParam;

impl Handler for LoadParam {
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "32-bit registers")]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let program = cx.grid.program;
        let view = cx.grid.params.view();
        let bytes = op.b as usize;
        let signed = op.aux & SIGNED != 0;
        for (at, slot) in program.list(op, op.c as usize).iter().enumerate() {
            let place = usize::try_from(op.x).unwrap_or(usize::MAX / 2) + at * bytes;
            let mut raw = [0; 8];
            if place + bytes > view.len() {
                let lane = cx.mask.trailing_zeros() as usize;
                cx.worker.addresses[lane] = place as u64 + u64::from(window::PARAM_START);
                let request = Request {
                    which: 0,
                    place: Place::Param,
                    kind: Kind::Read,
                    bytes: op.b,
                    mask: cx.mask,
                };
                reach_lane(cx, op, &request, lane);
                continue;
            }
            view.copy_to(place, &mut raw[..bytes]);
            let [a, b, c, d, ..] = raw;
            let value = match bytes {
                1 => a.double(signed),
                2 => u16::from_ne_bytes([a, b]).double(signed),
                4 => u32::from_ne_bytes([a, b, c, d]).double(signed),
                _ => u64::from_le_bytes(raw),
            };
            if bytes == 8 || op.aux & EXTENDED != 0 {
                u64::store(&mut cx.warp.regs, *slot, cx.mask, &[value; 32]);
            } else {
                u32::store(
                    &mut cx.warp.regs,
                    *slot,
                    cx.mask,
                    &[value as u32 & kept(op); 32],
                );
            }
        }
        Flow::Next
    }
}
