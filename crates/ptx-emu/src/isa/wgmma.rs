//! Matrix products of four warps: `wgmma` (PTX ISA 9.7.15), and `setmaxnreg`.
//!
//! Each warp computes its 16 rows when it runs the instruction. The matrices in shared memory count
//! as read from then until the first warp has waited, which it can only when all four have begun.
//! That accumulators are left alone until the wait is not checked.

mod operands;

use std::marker::PhantomData;

use crate::ast::{Instruction, Operand, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::collect::gather_all;
use crate::exec::products::Product;
use crate::exec::warp::State;
use crate::exec::{Cx, Flow};
use crate::isa::operands::{alone, wait_group};
use crate::lanes::Lane;
use crate::matrix::wgmma::{Columns, a_from_registers, depth, half, single};
use crate::matrix::{Bf16, F16, Format, Tf32};
use crate::program::{Op, Traffic};
use crate::report::MatrixType;
use crate::simd::{Handler, Level};

/// Bits of `Op::aux`; N stands above them.
const NEGATE_A: u32 = 1;
const NEGATE_B: u32 = 2;
const TRANS_A: u32 = 4;
const TRANS_B: u32 = 8;
/// A is in shared memory.
const SHARED_A: u32 = 16;
const N_SHIFT: u32 = 8;

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    if form.name == "setmaxnreg" {
        return registers(d, form, instruction);
    }
    let kind = form.choice(&["fence", "commit_group", "wait_group", "mma_async"]);
    if !form.flag("sync") || !form.flag("aligned") {
        return Err(form.unsupported("only `.sync.aligned` is known"));
    }
    match kind {
        Some("mma_async") => product(d, form, instruction),
        Some("wait_group") => wait_group::<Wait>(d, &form, instruction),
        Some("fence") => alone::<Together>(d, &form, instruction),
        Some(_) => alone::<Commit>(d, &form, instruction),
        None => Err(form.unsupported("unknown operation")),
    }
}

/// `setmaxnreg`: registers are not counted here.
fn registers<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let all = ["sync", "aligned", "u32"].map(|part| form.flag(part));
    if form.choice(&["inc", "dec"]).is_none() || all != [true; 3] {
        return Err(form.unsupported("only `.inc` and `.dec` `.sync.aligned.u32` are known"));
    }
    form.done()?;
    let [count] = form.operands(instruction)?;
    let count = form.number(count)?;
    if !(24..=256).contains(&count) || count % 8 != 0 {
        return Err(form.operand(count.to_string(), "a multiple of 8 from 24 to 256"));
    }
    let op = d.op::<Together>();
    d.push(op);
    Ok(())
}

fn product<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let shape = form.after("m64n").and_then(|shape| {
        let (n, k) = shape.split_once('k')?;
        Some((n.parse::<u32>().ok()?, k))
    });
    let types = [form.ty()?, form.ty()?, form.ty()?];
    form.done()?;
    let Some((n, k)) = shape.filter(|(n, _)| n % 8 == 0 && (8..=256).contains(n)) else {
        return Err(form.unsupported("N is a multiple of 8 up to 256"));
    };
    let [to, a, b, accumulate, rest @ ..] = instruction.operands.as_slice() else {
        return Err(form.operand("too few operands", "D, A, B and `scale-d`"));
    };
    let in_registers = matches!(a, Operand::Vector(_));
    let (mut op, matrix) = handler(d, types, k, in_registers)
        .ok_or_else(|| form.unsupported("this shape with these types"))?;
    let trans = match (types[1], in_registers) {
        (Type::Tf32, _) => 0,
        (_, true) => 1,
        (_, false) => 2,
    };
    op.aux = n << N_SHIFT;
    flags(&form, &mut op, rest, trans)?;
    let mut slots = Vec::new();
    let count = if types[0] == Type::F32 { n / 2 } else { n / 4 };
    for element in form.elements(to, count as usize)? {
        // added to, so read too
        d.src(&form, element, Type::B32)?;
        slots.push(d.dst(&form, element, Type::B32)?);
    }
    if in_registers {
        for element in form.elements(a, 4)? {
            slots.push(d.src(&form, element, Type::B32)?);
        }
    } else {
        op.aux |= SHARED_A;
        op.a = d.src(&form, a, Type::B64)?;
    }
    op.b = d.src(&form, b, Type::B64)?;
    (op.c, op.d) = d.pred_src(&form, accumulate)?;
    op.list = d.list(&slots);
    op.traffic = Traffic::WarpGroup;
    op.matrix = Some(matrix);
    op.flops = 2 * 16 * n * k.parse::<u32>().unwrap_or(0);
    d.push(op);
    Ok(())
}

/// `imm-scale-a, imm-scale-b`, then `trans` of `imm-trans-a, imm-trans-b`.
fn flags(
    form: &Form<'_>,
    op: &mut Op,
    operands: &[Operand<'_>],
    trans: usize,
) -> Result<(), LoadError> {
    if operands.len() != 2 + trans {
        let found = format!("{} immediates", operands.len());
        return Err(form.operand(found, &format!("{}", 2 + trans)));
    }
    let (scales, transposes) = operands.split_at(2);
    for (operand, flag) in scales.iter().zip([NEGATE_A, NEGATE_B]) {
        match form.number(operand)? {
            1 => {}
            -1 => op.aux |= flag,
            other => return Err(form.operand(other.to_string(), "a scale of 1 or -1")),
        }
    }
    let last = [TRANS_A, TRANS_B];
    for (operand, flag) in transposes.iter().zip(&last[2 - trans..]) {
        match form.number(operand)? {
            0 => {}
            1 => op.aux |= flag,
            other => return Err(form.operand(other.to_string(), "0 or 1")),
        }
    }
    Ok(())
}

fn handler(
    d: &Decoder<'_, '_>,
    types: [Type; 3],
    k: &str,
    in_registers: bool,
) -> Option<(Op, MatrixType)> {
    use Type::{Bf16 as BF16, F16 as HALF, F32, Tf32 as TF32};
    Some(match (types, k, in_registers) {
        ([F32, HALF, HALF], "16", true) => (d.op::<Mma<F16, false, true>>(), MatrixType::F16AccF32),
        ([F32, HALF, HALF], "16", _) => (d.op::<Mma<F16, false, false>>(), MatrixType::F16AccF32),
        ([HALF, HALF, HALF], "16", true) => (d.op::<Mma<F16, true, true>>(), MatrixType::F16AccF16),
        ([HALF, HALF, HALF], "16", _) => (d.op::<Mma<F16, true, false>>(), MatrixType::F16AccF16),
        ([F32, BF16, BF16], "16", true) => (d.op::<Mma<Bf16, false, true>>(), MatrixType::Bf16),
        ([F32, BF16, BF16], "16", _) => (d.op::<Mma<Bf16, false, false>>(), MatrixType::Bf16),
        ([F32, TF32, TF32], "8", true) => (d.op::<Mma<Tf32, false, true>>(), MatrixType::Tf32),
        ([F32, TF32, TF32], "8", _) => (d.op::<Mma<Tf32, false, false>>(), MatrixType::Tf32),
        _ => return None,
    })
}

/// `wgmma.mma_async` with inputs `F`, accumulators in half precision (`HALF`), A in registers
/// (`REGISTERS`).
struct Mma<F, const HALF: bool, const REGISTERS: bool>(PhantomData<F>);

impl<F: Format, const HALF: bool, const REGISTERS: bool> Handler for Mma<F, HALF, REGISTERS> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        if let Err(flow) = gather_all(cx, op) {
            return flow;
        }
        let n = op.aux >> N_SHIFT;
        let count = if HALF { n / 4 } else { n / 2 } as usize;
        let lane = cx.mask.trailing_zeros() as usize & 31;
        let b_bits = u64::load(&cx.warp.regs, op.b)[lane];
        let a_bits = (!REGISTERS).then(|| u64::load(&cx.warp.regs, op.a)[lane]);
        let accumulate = (cx.warp.regs.preds[op.c as usize] ^ op.d) >> lane & 1 != 0;
        operands::begin::<L, F>(cx, op, a_bits, b_bits);
        let mut b = std::mem::take(&mut cx.worker.matrix);
        let read = |address| operands::read(cx, address);
        operands::b(op, b_bits).gather_b::<L, F>(n, read, &mut b);
        let program = cx.grid.program;
        let list = program.list(op, count + if REGISTERS { 4 } else { 0 });
        let a: Columns = if let Some(bits) = a_bits {
            operands::a(op, bits).gather_a::<L, F>(cx.warp.index % 4, read)
        } else {
            let registers = [0, 1, 2, 3].map(|i| &cx.warp.regs.slots[list[count + i] as usize].0);
            a_from_registers::<F>(registers, op.aux & NEGATE_A != 0)
        };
        let mut sums = [[0; 32]; 128];
        let sums = &mut sums[..count];
        for (sum, slot) in sums.iter_mut().zip(list) {
            *sum = cx.warp.regs.slots[*slot as usize].0;
        }
        if HALF {
            half::<L, F>(&a, &b, sums, accumulate);
        } else {
            single::<L, F>(&a, &b, sums, accumulate);
        }
        for (sum, slot) in sums.iter().zip(list) {
            u32::store(&mut cx.warp.regs, *slot, cx.mask, sum);
        }
        cx.worker.matrix = b;
        if cx.grid.checks.races {
            let group = cx.blocks[cx.rank].products[warp_group(cx)].commits[warp_of(cx)];
            cx.warp.products.push(Product {
                group,
                op: op.index,
                a: a_bits,
                b: b_bits,
            });
        }
        Flow::Next
    }
}

/// Bytes of K that the instruction takes: 32 in every form.
const _: () = assert!(depth::<F16>() == 16 && depth::<Bf16>() == 16 && depth::<Tf32>() == 8);

fn warp_group(cx: &Cx<'_>) -> usize {
    cx.warp.index as usize / 4
}

fn warp_of(cx: &Cx<'_>) -> usize {
    cx.warp.index as usize % 4
}

/// What must be run by all lanes, and does no more.
struct Together;

impl Handler for Together {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        match gather_all(cx, op) {
            Ok(()) => Flow::Next,
            Err(flow) => flow,
        }
    }
}

struct Commit;

impl Handler for Commit {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        if let Err(flow) = gather_all(cx, op) {
            return flow;
        }
        let (group, warp) = (warp_group(cx), warp_of(cx));
        cx.block().products[group].commits[warp] += 1;
        Flow::Next
    }
}

/// `wgmma.wait_group`
struct Wait;

impl Handler for Wait {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        if let Err(flow) = gather_all(cx, op) {
            return flow;
        }
        let (group, warp) = (warp_group(cx), warp_of(cx));
        let groups = u32::try_from(op.x).unwrap_or(u32::MAX);
        let commits = cx.block().products[group].commits[warp].saturating_sub(groups);
        if !cx.blocks[cx.rank].committed(cx.warp.index, commits) {
            cx.pc -= 1;
            cx.wait = State::Products { commits };
            return Flow::Wait;
        }
        if cx.grid.checks.races {
            operands::end::<L>(cx, commits);
        }
        Flow::Next
    }
}
