//! `vote`, `match`, `redux` and `elect`: every lane of a group gets what the whole group gives.

use std::marker::PhantomData;

use crate::exec::collect::{Group, gather_groups};
use crate::exec::{Cx, Flow};
use crate::isa::warp::put_pred;
use crate::lanes::{Lane, each, lanes_of, mask_of};
use crate::program::Op;
use crate::simd::{Handler, Level};

pub(super) const ALL: u8 = 0;
pub(super) const ANY: u8 = 1;
pub(super) const UNIFORM: u8 = 2;

/// Runs `each` for every group of lanes that is complete; slot `c` has their members.
#[inline(always)]
fn groups(cx: &mut Cx<'_>, op: &Op, mut each: impl FnMut(&mut Cx<'_>, Group)) -> Flow {
    let members = u32::load(&cx.warp.regs, op.c);
    match gather_groups(cx, op, &members) {
        Ok(groups) => {
            for group in groups.iter() {
                each(cx, group);
            }
            Flow::Next
        }
        Err(flow) => flow,
    }
}

/// `vote.sync.mode.pred`
pub(super) struct Vote<const MODE: u8>;

impl<const MODE: u8> Handler for Vote<MODE> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let values = cx.warp.regs.preds[op.a as usize] ^ op.aux;
        groups(cx, op, |cx, Group { lanes, .. }| {
            let (all, any) = (lanes & !values == 0, lanes & values != 0);
            let holds = match MODE {
                ALL => all,
                ANY => any,
                _ => all || !any,
            };
            put_pred(cx, op.d, lanes, if holds { lanes } else { 0 });
        })
    }
}

/// `vote.sync.ballot.b32`
pub(super) struct Ballot;

impl Handler for Ballot {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let values = cx.warp.regs.preds[op.a as usize] ^ op.aux;
        groups(cx, op, |cx, Group { lanes, .. }| {
            u32::store(&mut cx.warp.regs, op.d, lanes, &[values & lanes; 32]);
        })
    }
}

/// `match.any.sync`
pub(super) struct MatchAny<T>(PhantomData<T>);

impl<T: Lane + PartialEq> Handler for MatchAny<T> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let values = T::load(&cx.warp.regs, op.a);
        groups(cx, op, |cx, Group { lanes, .. }| {
            let mut rest = lanes;
            while rest != 0 {
                let first = values[rest.trailing_zeros() as usize & 31];
                let same = mask_of(&each(|lane| values[lane] == first)) & lanes;
                u32::store(&mut cx.warp.regs, op.d, same, &[same; 32]);
                rest &= !same;
            }
        })
    }
}

/// `match.all.sync`
pub(super) struct MatchAll<T>(PhantomData<T>);

impl<T: Lane + PartialEq> Handler for MatchAll<T> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let values = T::load(&cx.warp.regs, op.a);
        groups(cx, op, |cx, Group { lanes, .. }| {
            let first = values[lanes.trailing_zeros() as usize & 31];
            let same = lanes & !mask_of(&each(|lane| values[lane] == first)) == 0;
            let mask = if same { lanes } else { 0 };
            u32::store(&mut cx.warp.regs, op.d, lanes, &[mask; 32]);
            put_pred(cx, op.b, lanes, mask);
        })
    }
}

pub(super) mod operation {
    pub(crate) const ADD: u8 = 0;
    pub(crate) const MIN_U: u8 = 1;
    pub(crate) const MAX_U: u8 = 2;
    pub(crate) const MIN_S: u8 = 3;
    pub(crate) const MAX_S: u8 = 4;
    pub(crate) const AND: u8 = 5;
    pub(crate) const OR: u8 = 6;
    pub(crate) const XOR: u8 = 7;
}

/// `redux.sync`
pub(super) struct Reduce<const OPERATION: u8>;

impl<const OPERATION: u8> Handler for Reduce<OPERATION> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let values = u32::load(&cx.warp.regs, op.a);
        groups(cx, op, |cx, Group { lanes, .. }| {
            let values = lanes_of(lanes).map(|lane| values[lane]);
            let result = values.reduce(|a, b| {
                let (signed_a, signed_b) = (a.cast_signed(), b.cast_signed());
                match OPERATION {
                    operation::ADD => a.wrapping_add(b),
                    operation::MIN_U => a.min(b),
                    operation::MAX_U => a.max(b),
                    operation::MIN_S => signed_a.min(signed_b).cast_unsigned(),
                    operation::MAX_S => signed_a.max(signed_b).cast_unsigned(),
                    operation::AND => a & b,
                    operation::OR => a | b,
                    _ => a ^ b,
                }
            });
            u32::store(&mut cx.warp.regs, op.d, lanes, &[result.unwrap_or(0); 32]);
        })
    }
}

/// `elect.sync`: the lowest lane leads.
pub(super) struct Elect;

impl Handler for Elect {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        groups(cx, op, |cx, Group { lanes, .. }| {
            let leader = lanes.trailing_zeros();
            u32::store(&mut cx.warp.regs, op.d, lanes, &[leader; 32]);
            put_pred(cx, op.b, lanes, 1_u32.checked_shl(leader).unwrap_or(0));
        })
    }
}
