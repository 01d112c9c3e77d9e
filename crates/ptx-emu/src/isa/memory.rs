//! `ld` and `st` (PTX ISA 9.7.9).

mod form;
mod param;
mod vector;

pub(crate) use form::{hints, place, without_policy};

use std::marker::PhantomData;

use bytemuck::{AnyBitPattern, NoUninit};

use crate::ast::{Instruction, Type};
use crate::decode::form::{Form, LoadError};
use crate::decode::{Decoder, NARROW_ADDRESS, RELEASES};
use crate::exec::access::{Kind, Place, Pointers, Request, reach_at, reach_lane};
use crate::exec::{Cx, Flow};
use crate::isa::memory::form::{exists, width};
use crate::isa::memory::vector::{Element, join, split};
use crate::lanes::{Lane, each, lanes_of};
use crate::program::{Op, Traffic};
use crate::simd::{Handler, Level};

/// Bits of `Op::aux`: the place in the lowest three, then flags.
const SIGNED: u32 = 8;
/// The registers have 64 bits and the elements fewer.
const EXTENDED: u32 = 16;
/// As strong as an atomic instruction.
const STRONG: u32 = 32;
/// The registers have 16 bits, and the elements are signed and have fewer.
const HALF: u32 = 64;

/// The handler for elements of so many bytes, so many of them.
macro_rules! op_for {
    ($d:expr, $handler:ident, $bytes:expr, $vector:expr) => {
        match ($bytes, $vector) {
            (1, 1) => $d.op::<$handler<u8, 1>>(),
            (1, 2) => $d.op::<$handler<u8, 2>>(),
            (1, 4) => $d.op::<$handler<u8, 4>>(),
            (2, 1) => $d.op::<$handler<u16, 1>>(),
            (2, 2) => $d.op::<$handler<u16, 2>>(),
            (2, 4) => $d.op::<$handler<u16, 4>>(),
            (4, 1) => $d.op::<$handler<u32, 1>>(),
            (4, 2) => $d.op::<$handler<u32, 2>>(),
            (4, 4) => $d.op::<$handler<u32, 4>>(),
            (4, 8) => $d.op::<$handler<u32, 8>>(),
            (8, 1) => $d.op::<$handler<u64, 1>>(),
            (8, 2) => $d.op::<$handler<u64, 2>>(),
            _ => $d.op::<$handler<u64, 4>>(),
        }
    };
}

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let store = form.name == "st";
    if form.flag("async") || form.flag("bulk") {
        return Err(form.unsupported("asynchronous stores"));
    }
    let constant = form.has("const");
    let of_kernel = form.has("param::entry");
    let mut place = place(&mut form);
    form.flag("mmio");
    let strength = form.choice(if store {
        &["volatile", "relaxed", "release"]
    } else {
        &["volatile", "relaxed", "acquire"]
    });
    if !store {
        form.flag("nc");
    }
    let policy = hints(&mut form);
    if strength.is_some() && matches!(place, Place::Global | Place::Generic) {
        // another block may be what it looks at
        d.blocks_communicate();
    }
    let vector = form.vector();
    let ty = form.ty()?;
    form.done()?;
    exists(&form, ty, vector, place)?;
    let operands = without_policy(d, &form, instruction, policy)?;
    let (data, at) = match operands {
        [data, at] if !store => (data, at),
        [at, data] => (data, at),
        _ => {
            let found = format!("{} operands", instruction.operands.len());
            return Err(form.operand(found, if policy { "3" } else { "2" }));
        }
    };
    let address = d.address(&form, at)?;
    if address.param && place != Place::Param {
        return Err(form.operand("a parameter of the kernel", "an address in its space"));
    }
    let parameter = place == Place::Param;
    if parameter && !address.param && !of_kernel && (d.local(at).is_some() || !d.in_kernel()) {
        // those of functions lie in the frame
        place = Place::Local;
    }
    let elements = form.elements(data, vector)?;
    let width = width(d, &form, elements, ty)?;
    let mut aux = place as u32; // a space in the lowest three bits
    let of_slot = if width == 8 { Type::B64 } else { Type::B32 };
    let slots = elements.iter().map(|element| {
        if store {
            d.src(&form, element, of_slot)
        } else {
            d.dst(&form, element, of_slot)
        }
    });
    let slots = slots.collect::<Result<Vec<_>, _>>()?;
    if width == 8 && ty.bytes() < 8 {
        aux |= EXTENDED;
    }
    if strength.is_some() {
        aux |= STRONG;
    }
    if strength == Some("release") {
        aux |= RELEASES;
    }
    if width > ty.bytes() && matches!(ty, Type::S8 | Type::S16 | Type::S32) {
        aux |= SIGNED;
        aux |= if width == 2 { HALF } else { 0 };
    }
    let bytes = ty.bytes() as usize;
    let mut op = if address.param {
        if store {
            return Err(form.unsupported("writing a parameter of the kernel"));
        }
        d.op::<param::LoadParam>()
    } else if store {
        op_for!(d, Store, bytes, vector)
    } else {
        op_for!(d, Load, bytes, vector)
    };
    op.traffic = match () {
        () if parameter && store => Traffic::None,
        () if parameter => Traffic::Param,
        () if constant => Traffic::Const,
        () if store => Traffic::Store,
        () => Traffic::Load,
    };
    op.a = address.slot;
    op.x = address.offset;
    if address.narrow {
        aux |= NARROW_ADDRESS;
    }
    op.aux = aux;
    op.b = ty.bytes();
    op.c = u32::try_from(vector).unwrap_or(0);
    op.list = d.list(&slots);
    d.push(op);
    Ok(())
}

pub(crate) fn place_of(op: &Op) -> Place {
    match op.aux & 7 {
        0 => Place::Global,
        1 => Place::Shared,
        2 => Place::Local,
        3 => Place::Param,
        _ => Place::Generic,
    }
}

/// The bits of a 32-bit slot that its register has.
#[inline(always)]
fn kept(op: &Op) -> u32 {
    if op.aux & HALF == 0 { u32::MAX } else { 0xffff }
}

/// Writes what each lane has read to the registers of the instruction.
#[inline(always)]
fn put<T: Element, const V: usize>(cx: &mut Cx<'_>, op: &Op, lanes: &[[T; V]; 32]) {
    let program = cx.grid.program;
    let signed = op.aux & SIGNED != 0;
    for (slot, element) in program.list(op, V).iter().zip(&split(lanes)) {
        if size_of::<T>() == 8 || op.aux & EXTENDED != 0 {
            let value = each(|lane| element[lane].double(signed));
            u64::store(&mut cx.warp.regs, *slot, cx.mask, &value);
        } else if size_of::<T>() == 4 {
            let value = each(|lane| element[lane].word(false));
            u32::store(&mut cx.warp.regs, *slot, cx.mask, &value);
        } else {
            let kept = kept(op);
            let value = each(|lane| element[lane].word(signed) & kept);
            u32::store(&mut cx.warp.regs, *slot, cx.mask, &value);
        }
    }
}

/// What each lane writes.
#[inline(always)]
fn get<T: Element, const V: usize>(cx: &Cx<'_>, op: &Op) -> [[T; V]; 32] {
    let program = cx.grid.program;
    let mut elements = [[T::default(); 32]; V];
    for (slot, element) in program.list(op, V).iter().zip(&mut elements) {
        if size_of::<T>() == 8 || op.aux & EXTENDED != 0 {
            let value = u64::load(&cx.warp.regs, *slot);
            *element = each(|lane| T::low(value[lane]));
        } else {
            let value = u32::load(&cx.warp.regs, *slot);
            *element = each(|lane| T::low(u64::from(value[lane])));
        }
    }
    join(&elements)
}

/// The request of a load or store of a `T` in each lane.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "32 bytes at most")]
fn request<T>(cx: &Cx<'_>, op: &Op, [weak, strong]: [Kind; 2]) -> Request {
    Request {
        which: 0,
        place: place_of(op),
        kind: if op.aux & STRONG == 0 { weak } else { strong },
        bytes: size_of::<T>() as u32,
        mask: cx.mask,
    }
}

struct Load<T, const V: usize>(PhantomData<T>);

impl<T: Element, const V: usize> Handler for Load<T, V>
where
    [T; V]: AnyBitPattern,
{
    const WIDE: bool = true;

    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let request = request::<[T; V]>(cx, op, [Kind::Read, Kind::StrongRead]);
        if let Some(reached) = reach_at::<L>(cx, op, &request, Pointers::of(op)) {
            let view = cx.view(reached.memory);
            let lanes = view.load(reached.offset, &cx.pattern(op, 0).steps);
            put::<T, V>(cx, op, &lanes);
        } else {
            load_apart::<T, V>(cx, op, &request);
        }
        Flow::Next
    }
}

/// Lane by lane.
#[cold]
#[inline(never)]
fn load_apart<T: Element, const V: usize>(cx: &mut Cx<'_>, op: &Op, request: &Request)
where
    [T; V]: AnyBitPattern,
{
    let mut lanes = [[T::default(); V]; 32];
    cx.address_lanes(Pointers::of(op));
    for lane in lanes_of(request.mask) {
        if let Some(reached) = reach_lane(cx, op, request, lane) {
            lanes[lane] = cx.view(reached.memory).read(reached.offset);
        }
    }
    put::<T, V>(cx, op, &lanes);
}

struct Store<T, const V: usize>(PhantomData<T>);

impl<T: Element, const V: usize> Handler for Store<T, V>
where
    [T; V]: NoUninit,
{
    const WIDE: bool = true;

    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let request = request::<[T; V]>(cx, op, [Kind::Write, Kind::StrongWrite]);
        if let Some(reached) = reach_at::<L>(cx, op, &request, Pointers::of(op)) {
            let lanes = get::<T, V>(cx, op);
            let steps = &cx.pattern(op, 0).steps;
            cx.view(reached.memory)
                .store(reached.offset, steps, cx.mask, &lanes);
        } else {
            store_apart::<T, V>(cx, op, &request);
        }
        Flow::Next
    }
}

/// Lane by lane.
#[cold]
#[inline(never)]
fn store_apart<T: Element, const V: usize>(cx: &mut Cx<'_>, op: &Op, request: &Request)
where
    [T; V]: NoUninit,
{
    let lanes = get::<T, V>(cx, op);
    cx.address_lanes(Pointers::of(op));
    for lane in lanes_of(request.mask) {
        if let Some(reached) = reach_lane(cx, op, request, lane) {
            cx.view(reached.memory).write(reached.offset, lanes[lane]);
        }
    }
}
