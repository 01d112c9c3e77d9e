//! 8 x 8 matrices of 16-bit elements between shared memory and registers: `ldmatrix`, `stmatrix`,
//! `movmatrix` (PTX ISA 9.7.14, "Warp-level matrix load instruction: ldmatrix" and what follows).
//!
//! Lanes 0 to 7 hold the addresses of the rows of the first matrix, lanes 8 to 15 those of the
//! second, and so on.

use crate::ast::{Instruction, Type};
use crate::decode::form::{Form, LoadError};
use crate::decode::{Decoder, NARROW_ADDRESS};
use crate::exec::access::{Kind, Place, Pointers, Request, reach_at, reach_lane};
use crate::exec::collect::gather_all;
use crate::exec::{Cx, Flow};
use crate::lanes::{Lane, lanes_of};
use crate::matrix::rows;
use crate::program::{Op, Traffic};
use crate::simd::{Handler, Level};

/// `Op::aux`: transposed.
const TRANS: u32 = 1;
/// The address may be in any window.
const GENERIC: u32 = 2;

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    if !form.flag("sync") || !form.flag("aligned") || !form.flag("m8n8") {
        return Err(form.unsupported("only `.sync.aligned.m8n8` is known"));
    }
    let trans = form.flag("trans");
    if form.name == "movmatrix" {
        if !form.flag("b16") || !trans {
            return Err(form.unsupported("only `.trans.b16` is known"));
        }
        form.done()?;
        let [to, from] = form.operands(instruction)?;
        let mut op = d.op::<Transpose>();
        op.d = d.dst(&form, to, Type::B32)?;
        op.a = d.src(&form, from, Type::B32)?;
        d.push(op);
        return Ok(());
    }
    let count = match form.choice(&["x1", "x2", "x4"]) {
        Some("x1") => 1,
        Some("x2") => 2,
        Some("x4") => 4,
        _ => return Err(form.unsupported("it names no number of matrices")),
    };
    let shared = form.choice(&["shared", "shared::cta"]).is_some();
    if !form.flag("b16") {
        return Err(form.unsupported("elements other than b16"));
    }
    form.done()?;
    let store = form.name == "stmatrix";
    let [first, second] = form.operands(instruction)?;
    let (data, at) = if store {
        (second, first)
    } else {
        (first, second)
    };
    let slots = form
        .elements(data, count)?
        .iter()
        .map(|element| {
            if store {
                d.src(&form, element, Type::B32)
            } else {
                d.dst(&form, element, Type::B32)
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    let address = d.address(&form, at)?;
    let mut op = match (store, count) {
        (false, 1) => d.op::<Read<1>>(),
        (false, 2) => d.op::<Read<2>>(),
        (false, _) => d.op::<Read<4>>(),
        (true, 1) => d.op::<Write<1>>(),
        (true, 2) => d.op::<Write<2>>(),
        (true, _) => d.op::<Write<4>>(),
    };
    op.traffic = if store {
        Traffic::MatrixStore
    } else {
        Traffic::MatrixLoad
    };
    op.a = address.slot;
    op.x = address.offset;
    op.list = d.list(&slots);
    for (set, bit) in [
        (trans, TRANS),
        (!shared, GENERIC),
        (address.narrow, NARROW_ADDRESS),
    ] {
        if set {
            op.aux |= bit;
        }
    }
    d.push(op);
    Ok(())
}

/// The rows that `N` matrices have in shared memory.
fn request<const N: usize>(op: &Op, mask: u32, kind: Kind) -> Request {
    Request {
        which: 0,
        place: if op.aux & GENERIC != 0 {
            Place::Generic
        } else {
            Place::Shared
        },
        kind,
        bytes: 16,
        mask: mask & rows::address_mask(N),
    }
}

/// `ldmatrix` of `N` matrices.
struct Read<const N: usize>;

impl<const N: usize> Handler for Read<N> {
    const WIDE: bool = true;

    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        if let Err(flow) = gather_all(cx, op) {
            return flow;
        }
        let request = request::<N>(op, cx.mask, Kind::Read);
        if request.mask == 0 {
            return Flow::Next;
        }
        let data = if let Some(reached) = reach_at::<L>(cx, op, &request, Pointers::of(op)) {
            let view = cx.view(reached.memory);
            view.load(reached.offset, &cx.pattern(op, 0).steps)
        } else {
            cx.address_lanes(Pointers::of(op));
            let mut data = [[0; 16]; 32];
            for lane in lanes_of(request.mask) {
                if let Some(reached) = reach_lane(cx, op, &request, lane) {
                    data[lane] = cx.view(reached.memory).read(reached.offset);
                }
            }
            data
        };
        let program = cx.grid.program;
        let (matrices, _) = data.as_chunks::<8>();
        for (slot, matrix) in program.list(op, N).iter().zip(matrices) {
            let lanes = rows::ldmatrix::<L>(matrix, op.aux & TRANS != 0);
            u32::store(&mut cx.warp.regs, *slot, cx.mask, &lanes);
        }
        Flow::Next
    }
}

/// `stmatrix` of `N` matrices.
struct Write<const N: usize>;

impl<const N: usize> Handler for Write<N> {
    const WIDE: bool = true;

    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        if let Err(flow) = gather_all(cx, op) {
            return flow;
        }
        let mut data = [[0; 16]; 32];
        let program = cx.grid.program;
        let (matrices, _) = data.as_chunks_mut::<8>();
        for (slot, matrix) in program.list(op, N).iter().zip(matrices) {
            let lanes = u32::load(&cx.warp.regs, *slot);
            *matrix = rows::stmatrix::<L>(&lanes, op.aux & TRANS != 0);
        }
        let request = request::<N>(op, cx.mask, Kind::Write);
        if request.mask == 0 {
            return Flow::Next;
        }
        if let Some(reached) = reach_at::<L>(cx, op, &request, Pointers::of(op)) {
            let view = cx.view(reached.memory);
            view.store(
                reached.offset,
                &cx.pattern(op, 0).steps,
                request.mask,
                &data,
            );
        } else {
            cx.address_lanes(Pointers::of(op));
            for lane in lanes_of(request.mask) {
                if let Some(reached) = reach_lane(cx, op, &request, lane) {
                    cx.view(reached.memory).write(reached.offset, data[lane]);
                }
            }
        }
        Flow::Next
    }
}

/// `movmatrix`: the transpose of a matrix in registers.
struct Transpose;

impl Handler for Transpose {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        if let Err(flow) = gather_all(cx, op) {
            return flow;
        }
        let result = rows::movmatrix::<L>(&u32::load(&cx.warp.regs, op.a));
        u32::store(&mut cx.warp.regs, op.d, cx.mask, &result);
        Flow::Next
    }
}
