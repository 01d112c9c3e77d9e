//! `atom` and `red` (PTX ISA 9.7.13).

mod run;
mod update;

use crate::ast::{Instruction, Type};
use crate::decode::form::{Form, LoadError};
use crate::decode::{Decoder, NARROW_ADDRESS, RELEASES};
use crate::exec::access::Place;
use crate::isa::memory::without_policy;
use crate::program::{Op, Traffic};
use run::{BLOCK, Do, RETURNS};
use update::{
    Add, AddBf16, AddBf16x2, AddF16, AddF16x2, AddF32, And, Dec, Exchange, Inc, Max, MaxBf16,
    MaxBf16x2, MaxF16, MaxF16x2, Min, MinBf16, MinBf16x2, MinF16, MinF16x2, Or, Swap, Xor,
};

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let returns = form.name == "atom";
    if form.has("async") {
        return Err(form.unsupported("asynchronous reductions"));
    }
    let meaning = form.choice(if returns {
        &["relaxed", "acquire", "release", "acq_rel"]
    } else {
        &["relaxed", "release"]
    });
    let scope = form.choice(&["cta", "cluster", "gpu", "sys"]);
    let place = match form.choice(&["global", "shared", "shared::cta", "shared::cluster"]) {
        Some("global") => Place::Global,
        Some(_) => Place::Shared,
        None => Place::Generic,
    };
    let hinted = form.flag("L2::cache_hint");
    let noftz = form.flag("noftz");
    let operation = form.choice(&[
        "and", "or", "xor", "cas", "exch", "add", "inc", "dec", "min", "max",
    ]);
    let operation = operation.ok_or_else(|| form.unsupported("it names no operation"))?;
    let vector = form.vector();
    let ty = form.ty()?;
    form.done()?;
    if place == Place::Shared && (hinted || vector > 1) {
        return Err(form.unsupported("cache hints and vectors are for global memory"));
    }
    if noftz != matches!(ty, Type::F16 | Type::F16x2 | Type::Bf16 | Type::Bf16x2) {
        return Err(form.unsupported("operations on halves have `.noftz`, and only they"));
    }
    if !returns && matches!(operation, "cas" | "exch") {
        return Err(form.unsupported("a reduction returns nothing"));
    }
    let mut op = handler(d, operation, ty, vector)
        .ok_or_else(|| form.unsupported(&format!("`.{operation}` of this type or vector")))?;
    let mut operands = without_policy(d, &form, instruction, hinted)?;
    let mut slots = Vec::new();
    if let [result, rest @ ..] = operands
        && returns
    {
        for element in form.elements(result, vector)? {
            slots.push(d.dst(&form, element, ty)?);
        }
        op.aux |= RETURNS;
        operands = rest;
    }
    let (at, values) = match operands {
        [at, b] if operation != "cas" => (at, [b, b]),
        [at, b, c] if operation == "cas" => (at, [b, c]),
        _ => {
            let found = format!("{} operands", instruction.operands.len());
            return Err(form.operand(found, "an address and the values of this operation"));
        }
    };
    let address = d.address(&form, at)?;
    if address.param {
        return Err(form.unsupported("writing a parameter of the kernel"));
    }
    for element in form.elements(values[0], vector)? {
        slots.push(d.src(&form, element, ty)?);
    }
    for element in form.elements(values[1], vector)? {
        slots.push(d.src(&form, element, ty)?);
    }
    op.a = address.slot;
    op.x = address.offset;
    op.aux |= place as u32; // a space in the lowest three bits
    if address.narrow {
        op.aux |= NARROW_ADDRESS;
    }
    if matches!(meaning, Some("release" | "acq_rel")) {
        op.aux |= RELEASES;
    }
    if scope == Some("cta") {
        op.aux |= BLOCK;
    } else if place != Place::Shared {
        d.blocks_communicate();
    }
    op.b = ty.bytes();
    op.traffic = Traffic::Atomic;
    op.list = d.list(&slots);
    d.push(op);
    Ok(())
}

/// The op for an operation on `vector` elements; none where PTX has none.
fn handler(d: &Decoder<'_, '_>, operation: &str, ty: Type, vector: usize) -> Option<Op> {
    use Type::{B16, B32, B64, Bf16, Bf16x2, F16, F16x2, F32, F64, S32, S64, U32, U64};
    Some(match (operation, ty, vector) {
        ("and", B32, 1) => d.op::<Do<And<u32>, 4, 1>>(),
        ("and", B64, 1) => d.op::<Do<And<u64>, 8, 1>>(),
        ("or", B32, 1) => d.op::<Do<Or<u32>, 4, 1>>(),
        ("or", B64, 1) => d.op::<Do<Or<u64>, 8, 1>>(),
        ("xor", B32, 1) => d.op::<Do<Xor<u32>, 4, 1>>(),
        ("xor", B64, 1) => d.op::<Do<Xor<u64>, 8, 1>>(),
        ("cas", B16, 1) => d.op::<Do<Swap<u16>, 2, 1>>(),
        ("cas", B32, 1) => d.op::<Do<Swap<u32>, 4, 1>>(),
        ("cas", B64, 1) => d.op::<Do<Swap<u64>, 8, 1>>(),
        ("exch", B32, 1) => d.op::<Do<Exchange<u32>, 4, 1>>(),
        ("exch", B64, 1) => d.op::<Do<Exchange<u64>, 8, 1>>(),
        ("inc", U32, 1) => d.op::<Do<Inc, 4, 1>>(),
        ("dec", U32, 1) => d.op::<Do<Dec, 4, 1>>(),
        ("add", U32 | S32, 1) => d.op::<Do<Add<u32>, 4, 1>>(),
        ("add", U64 | S64, 1) => d.op::<Do<Add<u64>, 8, 1>>(),
        ("add", F64, 1) => d.op::<Do<Add<f64>, 8, 1>>(),
        ("add", F32, 1) => d.op::<Do<AddF32, 4, 1>>(),
        ("add", F32, 2) => d.op::<Do<AddF32, 4, 2>>(),
        ("add", F32, 4) => d.op::<Do<AddF32, 4, 4>>(),
        ("min", U32, 1) => d.op::<Do<Min<u32>, 4, 1>>(),
        ("min", S32, 1) => d.op::<Do<Min<i32>, 4, 1>>(),
        ("min", U64, 1) => d.op::<Do<Min<u64>, 8, 1>>(),
        ("min", S64, 1) => d.op::<Do<Min<i64>, 8, 1>>(),
        ("max", U32, 1) => d.op::<Do<Max<u32>, 4, 1>>(),
        ("max", S32, 1) => d.op::<Do<Max<i32>, 4, 1>>(),
        ("max", U64, 1) => d.op::<Do<Max<u64>, 8, 1>>(),
        ("max", S64, 1) => d.op::<Do<Max<i64>, 8, 1>>(),
        ("add", F16, _) => halves::<AddF16>(d, vector)?,
        ("add", Bf16, _) => halves::<AddBf16>(d, vector)?,
        ("add", F16x2, _) => pairs::<AddF16x2>(d, vector)?,
        ("add", Bf16x2, _) => pairs::<AddBf16x2>(d, vector)?,
        // these have only vectors
        (_, _, 1) => return None,
        ("min", F16, _) => halves::<MinF16>(d, vector)?,
        ("min", Bf16, _) => halves::<MinBf16>(d, vector)?,
        ("min", F16x2, _) => pairs::<MinF16x2>(d, vector)?,
        ("min", Bf16x2, _) => pairs::<MinBf16x2>(d, vector)?,
        ("max", F16, _) => halves::<MaxF16>(d, vector)?,
        ("max", Bf16, _) => halves::<MaxBf16>(d, vector)?,
        ("max", F16x2, _) => pairs::<MaxF16x2>(d, vector)?,
        ("max", Bf16x2, _) => pairs::<MaxBf16x2>(d, vector)?,
        _ => return None,
    })
}

fn halves<U: update::Update>(d: &Decoder<'_, '_>, vector: usize) -> Option<Op> {
    Some(match vector {
        1 => d.op::<Do<U, 2, 1>>(),
        2 => d.op::<Do<U, 2, 2>>(),
        4 => d.op::<Do<U, 2, 4>>(),
        8 => d.op::<Do<U, 2, 8>>(),
        _ => return None,
    })
}

fn pairs<U: update::Update>(d: &Decoder<'_, '_>, vector: usize) -> Option<Op> {
    Some(match vector {
        1 => d.op::<Do<U, 4, 1>>(),
        2 => d.op::<Do<U, 4, 2>>(),
        4 => d.op::<Do<U, 4, 4>>(),
        _ => return None,
    })
}
