//! `mma.sync.aligned` (PTX ISA 9.7.14, "Multiply-and-Accumulate Instruction: mma").

use crate::ast::{Instruction, Operand, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::Flow;
use crate::exec::collect::gather_all;
use crate::lanes::Lane;
use crate::matrix::form::{Form as Shape, IntMode};
use crate::matrix::mma as product;
use crate::program::Op;
use crate::report::MatrixType;

/// Bits of `Op::aux` of an integer product.
const A_SIGNED: u32 = 1;
const B_SIGNED: u32 = 2;
const SATURATE: u32 = 4;

/// An op whose result is an expression of the registers of A, B and C.
macro_rules! product {
    ($d:expr, $level:ident, $op:ident, |$a:ident: $na:literal, $b:ident: $nb:literal, $c:ident: $nc:literal| $body:expr) => {{
        struct Product;
        impl $crate::simd::Handler for Product {
            const WIDE: bool = true;

            #[inline(always)]
            fn run<$level: $crate::simd::Level>(
                cx: &mut $crate::exec::Cx<'_>,
                $op: &$crate::program::Op,
            ) -> Flow {
                if let Err(flow) = gather_all(cx, $op) {
                    return flow;
                }
                let program = cx.grid.program;
                let list = program.list($op, $na + $nb + 2 * $nc);
                let at = |first: usize, i: usize| &cx.warp.regs.slots[list[first + i] as usize].0;
                let $a: [&[u32; 32]; $na] = std::array::from_fn(|i| at(0, i));
                let $b: [&[u32; 32]; $nb] = std::array::from_fn(|i| at($na, i));
                let $c: [&[u32; 32]; $nc] = std::array::from_fn(|i| at($na + $nb, i));
                let result: [[u32; 32]; $nc] = $body;
                for (slot, lanes) in list[$na + $nb + $nc..].iter().zip(&result) {
                    u32::store(&mut cx.warp.regs, *slot, cx.mask, lanes);
                }
                Flow::Next
            }
        }
        $d.op::<Product>()
    }};
}

/// As `product`, for registers of 64 bits.
macro_rules! wide_product {
    ($d:expr, |$a:ident: $na:literal, $b:ident: $nb:literal, $c:ident: $nc:literal| $body:expr) => {{
        struct Product;
        impl $crate::simd::Handler for Product {
            #[inline(always)]
            fn run<L: $crate::simd::Level>(
                cx: &mut $crate::exec::Cx<'_>,
                op: &$crate::program::Op,
            ) -> Flow {
                if let Err(flow) = gather_all(cx, op) {
                    return flow;
                }
                let program = cx.grid.program;
                let list = program.list(op, $na + $nb + 2 * $nc);
                let load = |slots: &[u32], i: usize| u64::load(&cx.warp.regs, slots[i]);
                let a: [[u64; 32]; $na] = std::array::from_fn(|i| load(list, i));
                let b: [[u64; 32]; $nb] = std::array::from_fn(|i| load(&list[$na..], i));
                let c: [[u64; 32]; $nc] = std::array::from_fn(|i| load(&list[$na + $nb..], i));
                let ($a, $b, $c) = (a.each_ref(), b.each_ref(), c.each_ref());
                let result: [[u64; 32]; $nc] = $body;
                for (slot, lanes) in list[$na + $nb + $nc..].iter().zip(&result) {
                    u64::store(&mut cx.warp.regs, *slot, cx.mask, lanes);
                }
                Flow::Next
            }
        }
        $d.op::<Product>()
    }};
}

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    if !form.flag("sync") || !form.flag("aligned") {
        return Err(form.unsupported("only `.sync.aligned` is known"));
    }
    let shapes = ["m16n8k32", "m16n8k16", "m16n8k8", "m16n8k4", "m8n8k4"];
    let shape = form.choice(&shapes);
    if !form.flag("row") || !form.flag("col") {
        return Err(form.unsupported("only `.row.col` is known"));
    }
    let saturate = form.flag("satfinite");
    let types = [form.ty()?, form.ty()?, form.ty()?, form.ty()?];
    form.done()?;
    let [to, a, b, c] = form.operands(instruction)?;
    let known = shape.and_then(|shape| kind(shape, types, saturate));
    let (shape, matrix) = known.ok_or_else(|| form.unsupported("this shape with these types"))?;
    let (na, nb, nc) = shape.registers();
    let ty = if matrix == MatrixType::F64 {
        Type::B64
    } else {
        Type::B32
    };
    let mut slots = Vec::new();
    for (operand, count) in [(a, na), (b, nb), (c, nc)] {
        slots.extend(sources(d, &form, operand, count, ty)?);
    }
    for element in form.elements(to, nc)? {
        slots.push(d.dst(&form, element, ty)?);
    }
    let mut op = handler(d, shape);
    op.list = d.list(&slots);
    op.flops = shape.operations();
    op.matrix = Some(matrix);
    d.push(op);
    Ok(())
}

fn sources<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    operand: &Operand<'a>,
    count: usize,
    ty: Type,
) -> Result<Vec<u32>, LoadError> {
    let elements = form.elements(operand, count)?;
    elements.iter().map(|e| d.src(form, e, ty)).collect()
}

/// The shape, and what it counts as.
fn kind(shape: &str, [d, a, b, c]: [Type; 4], saturate: bool) -> Option<(Shape, MatrixType)> {
    use Type::{Bf16, F16, F32, F64, S8, S32, Tf32, U8};
    let integer = matches!(a, S8 | U8) && matches!(b, S8 | U8) && (d, c) == (S32, S32);
    if saturate && !integer {
        return None;
    }
    let mode = IntMode {
        a_signed: a == S8,
        b_signed: b == S8,
        saturate,
    };
    Some(match (shape, d, a, b, c) {
        ("m16n8k16", F32, F16, F16, F32) => (Shape::F16K16, MatrixType::F16AccF32),
        ("m16n8k8", F32, F16, F16, F32) => (Shape::F16K8, MatrixType::F16AccF32),
        ("m16n8k16", F16, F16, F16, F16) => (Shape::HalfK16, MatrixType::F16AccF16),
        ("m16n8k8", F16, F16, F16, F16) => (Shape::HalfK8, MatrixType::F16AccF16),
        ("m16n8k16", F32, Bf16, Bf16, F32) => (Shape::Bf16K16, MatrixType::Bf16),
        ("m16n8k8", F32, Bf16, Bf16, F32) => (Shape::Bf16K8, MatrixType::Bf16),
        ("m16n8k8", F32, Tf32, Tf32, F32) => (Shape::Tf32K8, MatrixType::Tf32),
        ("m16n8k4", F32, Tf32, Tf32, F32) => (Shape::Tf32K4, MatrixType::Tf32),
        ("m16n8k32", ..) if integer => (Shape::IntK32(mode), MatrixType::Int8),
        ("m16n8k16", ..) if integer => (Shape::IntK16(mode), MatrixType::Int8),
        ("m8n8k4", F64, F64, F64, F64) => (Shape::DoubleM8K4, MatrixType::F64),
        ("m16n8k4", F64, F64, F64, F64) => (Shape::DoubleK4, MatrixType::F64),
        ("m16n8k8", F64, F64, F64, F64) => (Shape::DoubleK8, MatrixType::F64),
        ("m16n8k16", F64, F64, F64, F64) => (Shape::DoubleK16, MatrixType::F64),
        _ => return None,
    })
}

fn mode(op: &Op) -> IntMode {
    IntMode {
        a_signed: op.aux & A_SIGNED != 0,
        b_signed: op.aux & B_SIGNED != 0,
        saturate: op.aux & SATURATE != 0,
    }
}

fn handler(d: &Decoder<'_, '_>, shape: Shape) -> Op {
    let flags = |mode: IntMode| {
        [
            (mode.a_signed, A_SIGNED),
            (mode.b_signed, B_SIGNED),
            (mode.saturate, SATURATE),
        ]
        .iter()
        .fold(0, |all, (set, bit)| if *set { all | bit } else { all })
    };
    match shape {
        Shape::F16K16 => product!(d, L, op, |a: 4, b: 2, c: 4| product::f16_k16::<L>(a, b, c)),
        Shape::F16K8 => product!(d, L, op, |a: 2, b: 1, c: 4| product::f16_k8::<L>(a, b, c)),
        Shape::HalfK16 => product!(d, L, op, |a: 4, b: 2, c: 2| product::half_k16::<L>(a, b, c)),
        Shape::HalfK8 => product!(d, L, op, |a: 2, b: 1, c: 2| product::half_k8::<L>(a, b, c)),
        Shape::Bf16K16 => product!(d, L, op, |a: 4, b: 2, c: 4| product::bf16_k16::<L>(a, b, c)),
        Shape::Bf16K8 => product!(d, L, op, |a: 2, b: 1, c: 4| product::bf16_k8::<L>(a, b, c)),
        Shape::Tf32K8 => product!(d, L, op, |a: 4, b: 2, c: 4| product::tf32_k8::<L>(a, b, c)),
        Shape::Tf32K4 => product!(d, L, op, |a: 2, b: 1, c: 4| product::tf32_k4::<L>(a, b, c)),
        Shape::IntK32(signs) => Op {
            aux: flags(signs),
            ..product!(d, L, op, |a: 4, b: 2, c: 4| product::int_k32::<L>(
                a,
                b,
                c,
                mode(op)
            ))
        },
        Shape::IntK16(signs) => Op {
            aux: flags(signs),
            ..product!(d, L, op, |a: 2, b: 1, c: 4| product::int_k16::<L>(
                a,
                b,
                c,
                mode(op)
            ))
        },
        Shape::DoubleM8K4 => {
            wide_product!(d, |a: 1, b: 1, c: 2| product::double_m8k4(a, b, c))
        }
        Shape::DoubleK4 => wide_product!(d, |a: 2, b: 1, c: 4| product::double_k4(a, b, c)),
        Shape::DoubleK8 => wide_product!(d, |a: 4, b: 2, c: 4| product::double_k8(a, b, c)),
        Shape::DoubleK16 => wide_product!(d, |a: 8, b: 4, c: 4| product::double_k16(a, b, c)),
    }
}
