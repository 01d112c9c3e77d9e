//! Asynchronous copies by single threads: `cp.async` (PTX ISA 9.7.9.25).

use crate::ast::{Instruction, Operand, Type};
use crate::decode::form::{Form, LoadError};
use crate::decode::{Address, Decoder, NARROW_ADDRESS};
use crate::exec::access::{Kind, Memory, Place, Pointers, Request, reach_at, reach_lane};
use crate::exec::{Cx, Flow};
use crate::isa::memory::hints;
use crate::isa::operands::{alone, wait_group};
use crate::lanes::{Lane, lanes_of};
use crate::program::{Op, Traffic};
use crate::simd::{Handler, Level};

/// `Op::aux`: the source address is in a 32-bit register.
const NARROW_SOURCE: u32 = 1;
/// The number of bytes to read stands in slot `c`.
const SIZED: u32 = 2;
/// The lanes of predicate `c` (flipped by the fourth entry of the list) read nothing.
const IGNORED: u32 = 4;

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    if !form.flag("async") {
        return Err(form.unsupported("only asynchronous copies are known"));
    }
    if form.flag("commit_group") {
        return alone::<Commit>(d, &form, instruction);
    }
    if form.flag("wait_group") {
        return wait_group::<Wait>(d, &form, instruction);
    }
    if form.flag("wait_all") {
        form.done()?;
        let [] = form.operands(instruction)?;
        let mut op = d.op::<Wait>();
        op.x = -1;
        d.push(op);
        return Ok(());
    }
    if form.has("mbarrier") {
        return super::mbarrier::copies(d, form, instruction);
    }
    let past_l1 = form.has("cg");
    if !past_l1 && !form.has("ca") {
        return Err(form.unsupported("neither `.ca` nor `.cg`"));
    }
    if form.choice(&["shared", "shared::cta"]).is_none() || !form.flag("global") {
        return Err(form.unsupported("copies other than from global to shared memory"));
    }
    if form.flag("L2::cache_hint") {
        return Err(form.unsupported("cache hints"));
    }
    hints(&mut form);
    form.done()?;
    let [to, from, bytes, rest @ ..] = instruction.operands.as_slice() else {
        return Err(form.operand("too few operands", "two addresses and a size"));
    };
    let bytes = form.number(bytes)?;
    let mut op = match bytes {
        4 if !past_l1 => d.op::<Copy<4>>(),
        8 if !past_l1 => d.op::<Copy<8>>(),
        16 => d.op::<Copy<16>>(),
        _ => return Err(form.operand(bytes.to_string(), "4, 8 or 16 bytes (`.cg`: 16)")),
    };
    let target = d.address(&form, to)?;
    let source = d.address(&form, from)?;
    if target.param || source.param {
        return Err(form.operand("a parameter", "an address in shared and in global memory"));
    }
    addresses(d, &mut op, target, source);
    match rest {
        [] => {}
        [size] => size_or_predicate(d, &form, &mut op, size)?,
        _ => return Err(form.operand("too many operands", "at most 4")),
    }
    op.traffic = if past_l1 {
        Traffic::CopyPastL1
    } else {
        Traffic::Copy
    };
    d.push(op);
    Ok(())
}

/// Target in `a` and `x`, source in `b` and the list.
fn addresses(d: &mut Decoder<'_, '_>, op: &mut Op, target: Address, source: Address) {
    op.a = target.slot;
    op.x = target.offset;
    op.b = source.slot;
    let offset = source.offset.cast_unsigned();
    #[allow(clippy::cast_possible_truncation, reason = "both halves are kept")]
    let halves = [offset as u32, (offset >> 32) as u32, 0];
    op.list = d.list(&halves);
    if target.narrow {
        op.aux |= NARROW_ADDRESS;
    }
    if source.narrow {
        op.aux |= NARROW_SOURCE;
    }
}

/// The fourth operand: bytes to read, the rest are zeros; or a predicate to read none.
fn size_or_predicate<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    op: &mut Op,
    operand: &Operand<'a>,
) -> Result<(), LoadError> {
    if matches!(operand, Operand::Not(_)) || d.register_type(operand) == Some(Type::Pred) {
        let (pred, flip) = d.pred_src(form, operand)?;
        op.c = pred;
        op.d = flip;
        op.aux |= IGNORED;
    } else {
        op.c = d.src(form, operand, Type::U32)?;
        op.aux |= SIZED;
    }
    Ok(())
}

struct Copy<const N: usize>;

impl<const N: usize> Handler for Copy<N> {
    const WIDE: bool = true;

    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let list = cx.grid.program.list(op, 2);
        let (full, sizes) = sizes::<N>(cx, op);
        let mut data = [[0; N]; 32];
        let source = Pointers {
            slot: op.b,
            narrow: op.aux & NARROW_SOURCE != 0,
            offset: (u64::from(list[1]) << 32 | u64::from(list[0])).cast_signed(),
        };
        let mut request = Request {
            which: 1,
            place: Place::Global,
            kind: Kind::Read,
            bytes: N as u32,
            mask: full,
        };
        if full != 0 {
            if let Some(reached) = reach_at::<L>(cx, op, &request, source) {
                let view = cx.view(reached.memory);
                let read: [[u8; N]; 32] = view.load(reached.offset, &cx.pattern(op, 1).steps);
                if full == u32::MAX {
                    data = read;
                } else {
                    for lane in lanes_of(full) {
                        data[lane] = read[lane];
                    }
                }
            } else {
                cx.address_lanes(source);
                read_apart::<N>(cx, op, &request, &mut data);
            }
        }
        if full != cx.mask {
            cx.address_lanes(source);
            read_parts::<N>(cx, op, cx.mask & !full, &sizes, &mut data);
        }
        request = Request {
            which: 0,
            place: Place::Shared,
            kind: Kind::Copy,
            bytes: N as u32,
            mask: cx.mask,
        };
        if let Some(reached) = reach_at::<L>(cx, op, &request, Pointers::of(op)) {
            let view = cx.view(reached.memory);
            view.store(reached.offset, &cx.pattern(op, 0).steps, cx.mask, &data);
            let rel = *cx.pattern(op, 0).steps.rel();
            if cx.grid.checks.races && reached.memory == Memory::Shared(cx.rank as u32) {
                for lane in lanes_of(request.mask) {
                    let at = reached.offset.wrapping_add_signed(rel[lane] as isize);
                    let at = u32::try_from(at).expect("within shared memory");
                    cx.warp.copies.begin(lane, at, N as u32, op.index);
                }
            }
        } else {
            cx.address_lanes(Pointers::of(op));
            write_apart::<N>(cx, op, &request, &data);
        }
        Flow::Next
    }
}

/// Lanes that read all `N` bytes, and how many each lane reads.
#[inline(always)]
fn sizes<const N: usize>(cx: &Cx<'_>, op: &Op) -> (u32, [u32; 32]) {
    let all = N as u32;
    if op.aux & SIZED != 0 {
        let sizes = u32::load(&cx.warp.regs, op.c);
        let mut full = 0;
        for (lane, size) in sizes.iter().enumerate() {
            full |= u32::from(*size >= all) << lane;
        }
        return (full & cx.mask, sizes);
    }
    if op.aux & IGNORED != 0 {
        let ignored = cx.warp.regs.preds[op.c as usize] ^ op.d;
        return (cx.mask & !ignored, [0; 32]);
    }
    (cx.mask, [all; 32])
}

#[cold]
#[inline(never)]
fn read_apart<const N: usize>(
    cx: &mut Cx<'_>,
    op: &Op,
    request: &Request,
    data: &mut [[u8; N]; 32],
) {
    for lane in lanes_of(request.mask) {
        if let Some(reached) = reach_lane(cx, op, request, lane) {
            data[lane] = cx.view(reached.memory).read(reached.offset);
        }
    }
}

/// Reads fewer bytes than the copy has: in the largest pieces that fit.
#[cold]
#[inline(never)]
fn read_parts<const N: usize>(
    cx: &mut Cx<'_>,
    op: &Op,
    mask: u32,
    sizes: &[u32; 32],
    data: &mut [[u8; N]; 32],
) {
    let first = cx.worker.addresses;
    for lane in lanes_of(mask) {
        let mut at = 0;
        while at < sizes[lane] as usize {
            let piece: usize = if sizes[lane] as usize - at >= 4 { 4 } else { 1 };
            cx.worker.addresses = first;
            cx.worker.addresses[lane] = first[lane].wrapping_add(at as u64);
            let request = Request {
                which: 1,
                place: Place::Global,
                kind: Kind::Read,
                bytes: piece as u32,
                mask,
            };
            if let Some(reached) = reach_lane(cx, op, &request, lane) {
                let view = cx.view(reached.memory);
                view.copy_to(reached.offset, &mut data[lane][at..at + piece]);
            }
            at += piece;
        }
    }
}

#[cold]
#[inline(never)]
fn write_apart<const N: usize>(cx: &mut Cx<'_>, op: &Op, request: &Request, data: &[[u8; N]; 32]) {
    for lane in lanes_of(request.mask) {
        if let Some(reached) = reach_lane(cx, op, request, lane) {
            cx.view(reached.memory).write(reached.offset, data[lane]);
            if cx.grid.checks.races {
                let at = u32::try_from(reached.offset).expect("within shared memory");
                cx.warp.copies.begin(lane, at, N as u32, op.index);
            }
        }
    }
}

struct Commit;

impl Handler for Commit {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, _: &Op) -> Flow {
        cx.warp.copies.commit(cx.mask);
        Flow::Next
    }
}

/// `cp.async.wait_group x`; of everything where `x` is negative.
struct Wait;

impl Handler for Wait {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        if !cx.warp.copies.is_empty() {
            arrived(cx, u32::try_from(op.x).ok());
        }
        Flow::Next
    }
}

/// Marks the copies of the active lanes as done, except the last `groups` groups.
#[inline(never)]
fn arrived(cx: &mut Cx<'_>, groups: Option<u32>) {
    let block = &mut cx.blocks[cx.rank];
    let (shadow, order) = (&mut block.shadow, &block.order);
    cx.warp.copies.wait(cx.mask, groups, |copy| {
        shadow.async_done(u64::from(copy.offset), u64::from(copy.bytes), order);
    });
}
