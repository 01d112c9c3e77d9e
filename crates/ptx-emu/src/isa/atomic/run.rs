//! The lanes of an atomic instruction, one after the other.

use std::marker::PhantomData;

use crate::access::{Pattern, Shape};
use crate::device::Schedule;
use crate::exec::access::{Kind, Memory, Place, Pointers, Reached, Request, reach_at, reach_lane};
use crate::exec::warp::next_random;
use crate::exec::{Cx, Flow};
use crate::isa::atomic::update::Update;
use crate::isa::memory::place_of;
use crate::lanes::{Lane, each, lanes_of, mask_of};
use crate::memory::bytes::Bytes;
use crate::program::Op;
use crate::simd::{Handler, Level};

/// Bits of `Op::aux`: the place in the lowest three, then flags.
pub(super) const RETURNS: u32 = 8;
/// Atomic only for the threads of the block.
pub(super) const BLOCK: u32 = 16;

/// Operation `U` on `V` elements of `N` bytes.
pub(super) struct Do<U, const N: usize, const V: usize>(PhantomData<U>);

/// Source operands of all lanes, by element, and what they find in memory.
struct Values<const V: usize> {
    b: [[u64; 32]; V],
    c: [[u64; 32]; V],
    old: [[u64; 32]; V],
}

impl<U: Update, const N: usize, const V: usize> Handler for Do<U, N, V> {
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "registers of 32 bits")]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let program = cx.grid.program;
        let results = if op.aux & RETURNS == 0 { 0 } else { V };
        let (results, sources) = program.list(op, results + 2 * V).split_at(results);
        let mut values = Values {
            b: std::array::from_fn(|i| load::<N>(cx, sources[i])),
            c: std::array::from_fn(|i| load::<N>(cx, sources[V + i])),
            old: [[0; 32]; V],
        };
        let request = Request {
            which: 0,
            place: place_of(op),
            kind: if op.aux & BLOCK == 0 {
                Kind::Atomic
            } else {
                Kind::BlockAtomic
            },
            bytes: (N * V) as u32,
            mask: cx.mask,
        };
        let (order, count) = turns(cx);
        let order = order.iter().take(count).map(|lane| usize::from(*lane & 31));
        if let Some(reached) = reach_at::<L>(cx, op, &request, Pointers::of(op)) {
            let pattern = cx.pattern(op, 0);
            let view = cx.view(reached.memory);
            let global = is_global(reached);
            for lane in order {
                let at = reached
                    .offset
                    .wrapping_add_signed(pattern.steps.rel()[lane] as isize);
                update::<U, N, V>(view, at, lane, &mut values, global);
            }
            if cx.grid.checks.counters {
                let passes = passes(pattern);
                count_passes(cx, op, reached, passes);
            }
        } else {
            cx.address_lanes(Pointers::of(op));
            for lane in order {
                if let Some(reached) = reach_lane(cx, op, &request, lane) {
                    let view = cx.view(reached.memory);
                    let global = is_global(reached);
                    update::<U, N, V>(view, reached.offset, lane, &mut values, global);
                    count_passes(cx, op, reached, 1);
                }
            }
        }
        for (slot, old) in results.iter().zip(&values.old) {
            if N == 8 {
                u64::store(&mut cx.warp.regs, *slot, cx.mask, old);
            } else {
                let old = each(|lane| old[lane] as u32);
                u32::store(&mut cx.warp.regs, *slot, cx.mask, &old);
            }
        }
        Flow::Next
    }
}

#[inline(always)]
fn load<const N: usize>(cx: &Cx<'_>, slot: u32) -> [u64; 32] {
    if N == 8 {
        u64::load(&cx.warp.regs, slot)
    } else {
        let words = u32::load(&cx.warp.regs, slot);
        each(|lane| u64::from(words[lane]))
    }
}

#[inline(always)]
fn update<U: Update, const N: usize, const V: usize>(
    view: Bytes<'_>,
    at: usize,
    lane: usize,
    values: &mut Values<V>,
    global: bool,
) {
    for i in 0..V {
        let mut old = [0; 8];
        old[..N].copy_from_slice(&view.read::<[u8; N]>(at + i * N));
        let old = u64::from_le_bytes(old);
        let new = U::apply(old, values.b[i][lane], values.c[i][lane], global).to_le_bytes();
        let mut stored = [0; N];
        stored.copy_from_slice(&new[..N]);
        view.write(at + i * N, stored);
        values.old[i][lane] = old;
    }
}

/// The lanes in the order in which they are to run, and how many they are.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "lanes are below 32")]
fn turns(cx: &mut Cx<'_>) -> ([u8; 32], usize) {
    let mut order = [0; 32];
    let mut count = 0;
    for lane in lanes_of(cx.mask) {
        order[count] = lane as u8;
        count += 1;
    }
    match cx.grid.schedule {
        Schedule::Forward => {}
        Schedule::Reverse => order[..count].reverse(),
        Schedule::Shuffle(_) => {
            for last in (1..count).rev() {
                let other = next_random(&mut cx.worker.random) as usize % (last + 1);
                order.swap(last, other);
            }
        }
    }
    (order, count)
}

fn is_global(reached: Reached) -> bool {
    matches!(reached.memory, Memory::Global(_))
}

/// Largest number of lanes that share an address.
fn passes(pattern: &Pattern) -> u64 {
    let most = match pattern.steps.shape() {
        Shape::Uniform => pattern.mask.count_ones(),
        Shape::Unit => 1,
        _ => lanes_of(pattern.mask)
            .map(|lane| {
                let rel = pattern.steps.rel();
                let same = each(|other| rel[other] == rel[lane]);
                (mask_of(&same) & pattern.mask).count_ones()
            })
            .max()
            .unwrap_or(0),
    };
    u64::from(most)
}

fn count_passes(cx: &mut Cx<'_>, op: &Op, reached: Reached, passes: u64) {
    if !cx.grid.checks.counters {
        return;
    }
    let tally = &mut cx.worker.tallies[op.index as usize];
    match reached.memory {
        Memory::Global(_) => tally.passes_global += passes,
        Memory::Shared(_) => tally.passes_shared += passes,
        Memory::Local | Memory::Param => {}
    }
}

const _: () = assert!(Place::Generic as u32 <= 7);
