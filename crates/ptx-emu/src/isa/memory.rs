//! `ld` and `st` (PTX ISA 9.7.9).

mod form;
mod param;
mod rows;

pub(crate) use form::{hints, place, without_policy};
pub(crate) use rows::{read_lanes, write_lanes};

use crate::ast::{Instruction, Type};
use crate::decode::form::{Form, LoadError};
use crate::decode::{Decoder, NARROW_ADDRESS, RELEASES};
use crate::exec::access::{Kind, Place, Request, reach, reach_lane};
use crate::exec::{Cx, Flow};
use crate::isa::memory::form::{exists, width};
use crate::lanes::{Lane, lanes_of};
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
            (1, 1) => $d.op::<$handler<1, 1>>(),
            (1, 2) => $d.op::<$handler<2, 1>>(),
            (1, 4) => $d.op::<$handler<4, 1>>(),
            (2, 1) => $d.op::<$handler<2, 2>>(),
            (2, 2) => $d.op::<$handler<4, 2>>(),
            (2, 4) => $d.op::<$handler<8, 2>>(),
            (4, 1) => $d.op::<$handler<4, 4>>(),
            (4, 2) => $d.op::<$handler<8, 4>>(),
            (4, 4) => $d.op::<$handler<16, 4>>(),
            (4, 8) => $d.op::<$handler<32, 4>>(),
            (8, 1) => $d.op::<$handler<8, 8>>(),
            (8, 2) => $d.op::<$handler<16, 8>>(),
            _ => $d.op::<$handler<32, 8>>(),
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
    let elements = d.elements(&form, data, vector)?;
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

/// An element of `E` bytes as a number.
#[inline(always)]
fn element<const N: usize, const E: usize>(bytes: &[u8; N], at: usize) -> u64 {
    let mut value = [0; 8];
    value[..E].copy_from_slice(&bytes[at * E..at * E + E]);
    u64::from_le_bytes(value)
}

#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "sign extension of the low bytes"
)]
fn extend<const E: usize>(value: u64, signed: bool) -> u64 {
    match (signed, E) {
        (true, 1) => i64::from(value as i8) as u64,
        (true, 2) => i64::from(value as i16) as u64,
        (true, 4) => i64::from(value as i32) as u64,
        _ => value,
    }
}

/// The bits of a 32-bit slot that its register has.
#[inline(always)]
fn kept(op: &Op) -> u32 {
    if op.aux & HALF == 0 { u32::MAX } else { 0xffff }
}

/// Writes `N` bytes per lane, elements of `E` bytes, to the registers of the instruction.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "32-bit registers")]
fn put<const N: usize, const E: usize>(cx: &mut Cx<'_>, op: &Op, data: &[[u8; N]; 32]) {
    let program = cx.grid.program;
    let signed = op.aux & SIGNED != 0;
    for (at, slot) in program.list(op, N / E).iter().enumerate() {
        if E == 8 || op.aux & EXTENDED != 0 {
            let mut value = [0_u64; 32];
            for lane in 0..32 {
                value[lane] = extend::<E>(element::<N, E>(&data[lane], at), signed);
            }
            u64::store(&mut cx.warp.regs, *slot, cx.mask, &value);
        } else if E == 4 {
            let mut value = [0_u32; 32];
            for lane in 0..32 {
                value[lane] = element::<N, E>(&data[lane], at) as u32;
            }
            u32::store(&mut cx.warp.regs, *slot, cx.mask, &value);
        } else {
            let kept = kept(op);
            let mut value = [0_u32; 32];
            for lane in 0..32 {
                value[lane] = extend::<E>(element::<N, E>(&data[lane], at), signed) as u32 & kept;
            }
            u32::store(&mut cx.warp.regs, *slot, cx.mask, &value);
        }
    }
}

/// As the number of bytes of a request.
#[allow(clippy::cast_possible_truncation, reason = "32 at most")]
const fn bytes_of<const N: usize>() -> u32 {
    N as u32
}

struct Load<const N: usize, const E: usize>;

impl<const N: usize, const E: usize> Handler for Load<N, E> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        cx.address_lanes(op.a, op.aux & NARROW_ADDRESS != 0, op.x);
        let request = Request {
            which: 0,
            place: place_of(op),
            kind: if op.aux & STRONG == 0 {
                Kind::Read
            } else {
                Kind::StrongRead
            },
            bytes: const { bytes_of::<N>() },
            mask: cx.mask,
        };
        if let Some(reached) = reach::<L>(cx, op, request) {
            let view = cx.view(reached.memory);
            let data = read_lanes::<N>(view, reached.offset, cx.pattern(op, 0));
            put::<N, E>(cx, op, &data);
        } else {
            cx.address_lanes(op.a, op.aux & NARROW_ADDRESS != 0, op.x);
            let data = apart::<N>(cx, op, request);
            put::<N, E>(cx, op, &data);
        }
        Flow::Next
    }
}

#[cold]
#[inline(never)]
fn apart<const N: usize>(cx: &mut Cx<'_>, op: &Op, request: Request) -> [[u8; N]; 32] {
    let mut data = [[0; N]; 32];
    for lane in lanes_of(request.mask) {
        if let Some(reached) = reach_lane(cx, op, request, lane) {
            data[lane] = cx.view(reached.memory).read::<N>(reached.offset);
        }
    }
    data
}

struct Store<const N: usize, const E: usize>;

impl<const N: usize, const E: usize> Handler for Store<N, E> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let program = cx.grid.program;
        let mut data = [[0; N]; 32];
        for (at, slot) in program.list(op, N / E).iter().enumerate() {
            if E == 8 || op.aux & EXTENDED != 0 {
                let value = u64::load(&cx.warp.regs, *slot);
                for lane in 0..32 {
                    let bytes = value[lane].to_le_bytes();
                    data[lane][at * E..at * E + E].copy_from_slice(&bytes[..E]);
                }
            } else {
                let value = u32::load(&cx.warp.regs, *slot);
                for lane in 0..32 {
                    let bytes = value[lane].to_le_bytes();
                    data[lane][at * E..at * E + E].copy_from_slice(&bytes[..E.min(4)]);
                }
            }
        }
        cx.address_lanes(op.a, op.aux & NARROW_ADDRESS != 0, op.x);
        let request = Request {
            which: 0,
            place: place_of(op),
            kind: if op.aux & STRONG == 0 {
                Kind::Write
            } else {
                Kind::StrongWrite
            },
            bytes: const { bytes_of::<N>() },
            mask: cx.mask,
        };
        if let Some(reached) = reach::<L>(cx, op, request) {
            let view = cx.view(reached.memory);
            write_lanes::<N>(view, reached.offset, cx.pattern(op, 0), &data);
        } else {
            cx.address_lanes(op.a, op.aux & NARROW_ADDRESS != 0, op.x);
            for lane in lanes_of(request.mask) {
                if let Some(reached) = reach_lane(cx, op, request, lane) {
                    cx.view(reached.memory)
                        .write::<N>(reached.offset, data[lane]);
                }
            }
        }
        Flow::Next
    }
}
