//! `cp.async.bulk.tensor` in tiled mode, and its prefetch.

use crate::ast::{Instruction, Operand, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::Cx;
use crate::exec::access::range;
use crate::exec::access::{Memory, Place};
use crate::isa::bulk::units::{
    self, Arrival, Unit, address, deliver, get, lane_by_lane, put, source, target,
};
use crate::isa::bulk::{MULTICAST, count, spaces};
use crate::isa::hints::Nothing;
use crate::isa::memory::without_policy;
use crate::lanes::Lane;
use crate::matrix::tensor_map::TensorMap;
use crate::memory::window;
use crate::program::{Op, Traffic};
use crate::report::ViolationKind;

pub(super) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let prefetch = form.flag("prefetch");
    form.flag("tensor");
    let dims = form
        .choice(&["1d", "2d", "3d", "4d", "5d"])
        .and_then(|dim| dim[..1].parse::<usize>().ok())
        .ok_or_else(|| form.unsupported("it names no number of dimensions"))?;
    form.flag("tile");
    let hinted = form.flag("L2::cache_hint");
    let multicast = form.flag("multicast::cluster");
    let completion = form.choice(&["mbarrier::complete_tx::bytes", "bulk_group"]);
    let spaces = spaces(&mut form);
    let cache = form.flag("L2");
    form.done()?;
    let operands = without_policy(d, &form, instruction, hinted)?;
    let mut op = match (prefetch, completion, spaces) {
        (true, None, [Some("global"), None]) if cache && !multicast => {
            let [map] = operands else {
                return Err(count(&form, operands));
            };
            place(d, &form, map, dims)?;
            let op = d.op::<Nothing>();
            d.push(op);
            return Ok(());
        }
        (
            false,
            Some("mbarrier::complete_tx::bytes"),
            [
                Some(to @ ("shared::cluster" | "shared::cta")),
                Some("global"),
            ],
        ) if !cache && (to == "shared::cluster" || !multicast) => {
            let [to, map, mbarrier, rest @ ..] = operands else {
                return Err(count(&form, operands));
            };
            let mut op = d.op::<Load>();
            let [map, first, second] = place(d, &form, map, dims)?;
            let mut scalars = second;
            match rest {
                [] if !multicast => {}
                [mask] if multicast => {
                    op.aux |= MULTICAST;
                    scalars[2] = d.src(&form, mask, Type::U16)?;
                }
                _ => return Err(count(&form, operands)),
            }
            let to = address(d, &form, to)?;
            let mbarrier = address(d, &form, mbarrier)?;
            op.list = d.list([map, first, scalars, to, mbarrier].as_flattened());
            op.traffic = Traffic::CopyPastL1;
            op
        }
        (false, Some("bulk_group"), [Some("global"), Some("shared::cta")])
            if !cache && !multicast =>
        {
            let [map, from] = operands else {
                return Err(count(&form, operands));
            };
            let mut op = d.op::<Store>();
            let [map, first, second] = place(d, &form, map, dims)?;
            let from = address(d, &form, from)?;
            op.list = d.list([map, first, second, from].as_flattened());
            op.traffic = Traffic::CopyOut;
            op
        }
        _ => return Err(form.unsupported("copies between these state spaces")),
    };
    op.c = u32::try_from(dims).unwrap_or(0);
    d.push(op);
    Ok(())
}

/// `[map, {x, y, …}]`: the address of the map, and the slots of the coordinates.
fn place<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    operand: &Operand<'a>,
    dims: usize,
) -> Result<[[u32; 4]; 3], LoadError> {
    let map = address(d, form, operand)?;
    let coordinates = match operand {
        Operand::Address { rest, .. } => match rest.as_slice() {
            [coordinates] => form.elements(coordinates, dims)?,
            _ => return Err(form.operand("an address alone", "a map and coordinates")),
        },
        _ => return Err(form.operand(format!("{operand:?}"), "a map and coordinates")),
    };
    let zero = d.immediate(0, Type::S32);
    let mut slots = [zero; 8];
    for (slot, coordinate) in slots.iter_mut().zip(coordinates) {
        *slot = d.src(form, coordinate, Type::S32)?;
    }
    let [first, second] = [0, 4].map(|at| [0, 1, 2, 3].map(|i| slots[at + i]));
    Ok([map, first, second])
}

/// The map and the first coordinates that a lane names; nothing if they do not suit, which is
/// reported.
fn tile(cx: &mut Cx<'_>, op: &Op, list: &[u32], lane: usize) -> Option<(TensorMap, [i32; 5])> {
    let at = units::at(cx, &list[..4], lane);
    let start = [0, 1, 2, 3, 4].map(|i| i32::load(&cx.warp.regs, list[4 + i])[lane]);
    let unit = source(lane, Place::Generic, at, 128);
    let bytes = get(cx, op, unit, 64)?;
    let bytes = bytes.first_chunk::<128>()?;
    let problem = match TensorMap::decode(bytes) {
        Ok(map) if map.rank() == op.c as usize => return Some((map, start)),
        Ok(map) => format!("it has {} dimensions, the instruction {}", map.rank(), op.c),
        Err(error) => error.to_string(),
    };
    let kind = ViolationKind::TensorMap {
        address: at,
        problem,
    };
    cx.violate(op, lane, kind);
    None
}

/// Bytes of the box; what does not fit into any shared memory is as large as can be.
fn box_bytes(map: &TensorMap) -> u32 {
    u32::try_from(map.box_bytes()).map_or(1 << 30, |bytes| bytes.min(1 << 30))
}

/// The chunks of 16 bytes of a row: where each lies in the row, and in the box in shared memory,
/// which begins at address `start`.
fn chunks(
    map: &TensorMap,
    start: u32,
    offset: u32,
) -> impl Iterator<Item = (usize, usize)> + use<'_> {
    (0..map.row_bytes()).step_by(16).map(move |at| {
        let address = map.shared_address(start, offset + at);
        (at as usize, address.wrapping_sub(start) as usize)
    })
}

struct Load;

lane_by_lane!(Load, load_lane);

#[inline(never)]
fn load_lane(cx: &mut Cx<'_>, op: &Op, lane: usize) {
    let list = cx.grid.program.list(op, 20);
    let Some((map, start)) = tile(cx, op, list, lane) else {
        return;
    };
    let [to, mbarrier] = [12, 16].map(|at| units::at(cx, &list[at..at + 4], lane));
    let bytes = box_bytes(&map);
    let arrival = Arrival {
        to,
        mbarrier,
        bytes,
        align: TensorMap::SHARED_ALIGNMENT,
    };
    let data = (bytes <= cx.grid.shared_bytes).then(|| gather(cx, op, lane, &map, start, to));
    // a box that is too large is found to be so at its end
    let data = data.or_else(|| Some(vec![0; 16]));
    let blocks = (op.aux & MULTICAST != 0).then(|| u32::load(&cx.warp.regs, list[10])[lane]);
    deliver(cx, op, lane, arrival, blocks, data.as_deref());
}

/// The box as it is to lie in shared memory.
fn gather(
    cx: &mut Cx<'_>,
    op: &Op,
    lane: usize,
    map: &TensorMap,
    start: [i32; 5],
    to: u64,
) -> Vec<u8> {
    let to = u32::try_from(to & ((1 << window::RANK_SHIFT) - 1)).unwrap_or(0);
    let fill = map.fill_bytes();
    let mut data = vec![0; box_bytes(map) as usize];
    let mut row_bytes = vec![0; map.row_bytes() as usize];
    for row in map.rows(start) {
        for part in row_bytes.as_chunks_mut::<8>().0 {
            *part = fill;
        }
        let inside = row.inside.start as usize..row.inside.end as usize;
        let bytes = row.inside.end - row.inside.start;
        if bytes > 0 {
            let unit = source(lane, Place::Global, row.global, bytes);
            if let Some(reached) = range::find(cx, op, unit, 1) {
                range::read(cx, op, lane, reached, &mut row_bytes[inside]);
            }
        }
        for (at, place) in chunks(map, to, row.offset) {
            if let Some(into) = data.get_mut(place..place + 16) {
                into.copy_from_slice(&row_bytes[at..at + 16]);
            }
        }
    }
    data
}

struct Store;

lane_by_lane!(Store, store_lane);

#[inline(never)]
fn store_lane(cx: &mut Cx<'_>, op: &Op, lane: usize) {
    let list = cx.grid.program.list(op, 16);
    let Some((map, start)) = tile(cx, op, list, lane) else {
        return;
    };
    let from = units::at(cx, &list[12..16], lane);
    let unit = source(lane, Place::Shared, from, box_bytes(&map));
    let Some(reached) = range::find(cx, op, unit, TensorMap::SHARED_ALIGNMENT) else {
        return;
    };
    let mut data = vec![0; unit.bytes as usize];
    cx.view(reached.memory).copy_to(reached.offset, &mut data);
    let at = u32::try_from(from & ((1 << window::RANK_SHIFT) - 1)).unwrap_or(0);
    check_source(
        cx,
        op,
        unit,
        (reached.memory, reached.offset),
        (&map, start, at),
    );
    let mut row_bytes = vec![0; map.row_bytes() as usize];
    for row in map.rows(start) {
        if row.inside.is_empty() {
            continue;
        }
        for (at, place) in chunks(&map, at, row.offset) {
            if let Some(from) = data.get(place..place + 16) {
                row_bytes[at..at + 16].copy_from_slice(from);
            }
        }
        let inside = row.inside.start as usize..row.inside.end as usize;
        let bytes = row.inside.end - row.inside.start;
        let unit = target(lane, row.global, bytes);
        put(cx, op, unit, 1, &row_bytes[inside]);
    }
    units::reads(cx, op, lane, from, unit.bytes);
}

/// The checks of the part of a box that lies within the tensor: only that is read.
fn check_source(
    cx: &mut Cx<'_>,
    op: &Op,
    unit: Unit,
    (memory, offset): (Memory, usize),
    (map, start, at): (&TensorMap, [i32; 5], u32),
) {
    if !cx.grid.checked {
        return;
    }
    let whole = 0..map.row_bytes();
    let mut touch = |offset: usize, bytes: u32| {
        let reached = crate::exec::access::Reached { memory, offset };
        range::touch(cx, op, unit.lane, reached, bytes, unit.kind);
    };
    if map.rows(start).all(|row| row.inside == whole) {
        return touch(offset, unit.bytes);
    }
    for row in map.rows(start) {
        for (within, place) in chunks(map, at, row.offset) {
            let within = u32::try_from(within).unwrap_or(0);
            if within < row.inside.end && within + 16 > row.inside.start {
                touch(offset + place, 16);
            }
        }
    }
}
