//! Registers of a conversion, which may be wider than its types ("Operand Size Exceeding
//! Instruction-Type Size", PTX ISA 9.4.1).

use crate::ast::{Instruction, Operand, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::decode::operand::wide;
use crate::exec::Cx;
use crate::lanes::Lane;
use crate::num::{Round, bf16, double, f16, narrow, single};
use crate::program::Op;

/// An array computed lane by lane from others. A loop, not `map`: through a function as parameter,
/// bodies are not always inlined, and then not computed in vectors.
macro_rules! lanewise {
    (|$($x:ident in $from:ident),+| -> $r:ty $body:block) => {{
        let mut result = [<$r>::default(); 32];
        for (lane, result) in result.iter_mut().enumerate() {
            $(let $x = $from[lane];)+
            *result = $body;
        }
        result
    }};
}
pub(super) use lanewise;

/// Bits of `Op::aux`: the register of the source, of a second one, of the result has 64 bits.
pub(super) const WIDE_A: u32 = 1;
pub(super) const WIDE_B: u32 = 1 << 1;
pub(super) const WIDE_D: u32 = 1 << 2;
/// The source is an f16 or a bf16; neither: an f32.
pub(super) const FROM_F16: u32 = 1 << 3;
pub(super) const FROM_BF16: u32 = 1 << 4;
/// `.ftz` of an f32 source, of an f32 result.
pub(super) const FTZ_A: u32 = 1 << 5;
pub(super) const FTZ_D: u32 = 1 << 6;
pub(super) const SAT: u32 = 1 << 7;
pub(super) const RELU: u32 = 1 << 8;
pub(super) const FINITE: u32 = 1 << 9;

/// The registers of a conversion with one source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub d: u32,
    pub a: u32,
    /// `WIDE_A`, `WIDE_D`
    pub aux: u32,
    /// Width of the register that takes the result.
    pub register: u32,
}

impl Ends {
    /// Whether the slots of both registers are those of the types: the result, the source.
    pub(super) fn plain(self, to: Type, from: Type) -> bool {
        self.register == to.bytes() * 8 && (self.aux & WIDE_A != 0) == wide(from)
    }

    /// Puts the registers into an op.
    pub(super) fn fill(self, op: &mut Op) {
        op.d = self.d;
        op.a = self.a;
        op.aux |= self.aux;
        op.x = i64::from(self.register);
    }
}

/// The result and the one source of a conversion.
pub(super) fn ends<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    instruction: &Instruction<'a>,
    to: Type,
    from: Type,
) -> Result<Ends, LoadError> {
    let [result, operand] = form.operands(instruction)?;
    let (a, wide_a) = source(d, form, operand, from)?;
    let (slot, register) = result_of(d, form, result, to)?;
    let aux = if wide_a { WIDE_A } else { 0 } | if register == 64 { WIDE_D } else { 0 };
    Ok(Ends {
        d: slot,
        a,
        aux,
        register,
    })
}

/// The slot of a source of type `ty`, and whether it has 64 bits.
pub(super) fn source<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    operand: &Operand<'a>,
    ty: Type,
) -> Result<(u32, bool), LoadError> {
    if let Some(has) = d.register_type(operand) {
        let exact = matches!(ty, Type::Bf16 | Type::Bf16x2 | Type::F16x2 | Type::Tf32);
        fits(form, operand, has, ty, exact)?;
        return Ok((d.src(form, operand, has)?, wide(has)));
    }
    let float = matches!(ty, Type::F32 | Type::F64);
    let half = matches!(ty, Type::F16 | Type::Bf16 | Type::F16x2 | Type::Bf16x2);
    let constant = match operand {
        Operand::F32(_) | Operand::F64(_) => float,
        Operand::Int(_) => !float && !half,
        _ => true,
    };
    if !constant {
        return Err(form.operand(format!("{operand:?}"), &format!("a source of type {ty:?}")));
    }
    Ok((d.src(form, operand, ty)?, wide(ty)))
}

/// The slot of a result of type `ty`, and the width of its register.
pub(super) fn result_of<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    operand: &Operand<'a>,
    ty: Type,
) -> Result<(u32, u32), LoadError> {
    let Some(has) = d.register_type(operand) else {
        // An unknown name is called so; anything else is no register.
        d.dst(form, operand, ty)?;
        return Err(form.operand(format!("{operand:?}"), "a register to write"));
    };
    let exact = matches!(ty, Type::Bf16 | Type::Bf16x2 | Type::Tf32);
    fits(form, operand, has, ty, exact)?;
    Ok((d.dst(form, operand, has)?, has.bytes() * 8))
}

/// A register declared as `has` for a value of type `ty`: of the same width, or wider if it need
/// not be `exact`; of the same kind, or of no kind.
fn fits(
    form: &Form<'_>,
    operand: &Operand<'_>,
    has: Type,
    ty: Type,
    exact: bool,
) -> Result<(), LoadError> {
    let integer = |ty: Type| {
        matches!(
            ty,
            Type::U8
                | Type::U16
                | Type::U32
                | Type::U64
                | Type::S8
                | Type::S16
                | Type::S32
                | Type::S64
        )
    };
    let bits = |ty: Type| matches!(ty, Type::B8 | Type::B16 | Type::B32 | Type::B64);
    let size = has.bytes() == ty.bytes() || !exact && has.bytes() > ty.bytes();
    let kind = has == ty || bits(has) || integer(has) && (integer(ty) || bits(ty));
    if size && kind {
        return Ok(());
    }
    let name = match operand {
        Operand::Name(name) => *name,
        _ => "",
    };
    Err(form.operand(
        format!("`{name}` of type {has:?}"),
        &format!("a register for {ty:?}"),
    ))
}

/// The low 32 bits of the source.
#[inline(always)]
pub(super) fn words(cx: &Cx<'_>, op: &Op) -> [u32; 32] {
    word_of(cx, op.a, op.aux & WIDE_A != 0)
}

/// The low 32 bits of a register.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the low half is wanted")]
pub(super) fn word_of(cx: &Cx<'_>, slot: u32, wide: bool) -> [u32; 32] {
    if !wide {
        return u32::load(&cx.warp.regs, slot);
    }
    let value = u64::load(&cx.warp.regs, slot);
    lanewise!(|x in value| -> u32 { x as u32 })
}

/// The source, which is an f16, bf16 or f32, as f32.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "a half has 16 bits")]
pub(super) fn singles(cx: &Cx<'_>, op: &Op) -> [f32; 32] {
    let words = words(cx, op);
    if op.aux & FROM_F16 != 0 {
        lanewise!(|x in words| -> f32 { narrow::from_f16(x as u16) })
    } else if op.aux & FROM_BF16 != 0 {
        lanewise!(|x in words| -> f32 { narrow::from_bf16(x as u16) })
    } else if op.aux & FTZ_A != 0 {
        lanewise!(|x in words| -> f32 { single::ftz(f32::from_bits(x)) })
    } else {
        bytemuck::cast(words)
    }
}

/// Writes a result of up to 32 bits, zero-extended.
#[inline(always)]
pub(super) fn put(cx: &mut Cx<'_>, op: &Op, value: &[u32; 32]) {
    if op.aux & WIDE_D == 0 {
        u32::store(&mut cx.warp.regs, op.d, cx.mask, value);
    } else {
        let value = lanewise!(|x in value| -> u64 { u64::from(x) });
        u64::store(&mut cx.warp.regs, op.d, cx.mask, &value);
    }
}

/// Writes an f32.
#[inline(always)]
pub(super) fn put_single(cx: &mut Cx<'_>, op: &Op, mut value: [f32; 32]) {
    if op.aux & FTZ_D != 0 {
        value = lanewise!(|x in value| -> f32 { single::ftz(x) });
    }
    if op.aux & SAT != 0 {
        value = lanewise!(|x in value| -> f32 { single::sat(x) });
    }
    put(cx, op, &bytemuck::cast(value));
}

/// Writes an f64.
#[inline(always)]
pub(super) fn put_double(cx: &mut Cx<'_>, op: &Op, mut value: [f64; 32]) {
    if op.aux & SAT != 0 {
        value = lanewise!(|x in value| -> f64 { double::sat(x) });
    }
    f64::store(&mut cx.warp.regs, op.d, cx.mask, &value);
}

/// A type of 16 bits.
pub(super) trait Half {
    fn of(x: f32, mode: Round, finite: bool) -> u16;
    fn sat(h: u16) -> u16;
    fn relu(h: u16) -> u16;
}

pub(super) struct F16;
pub(super) struct Bf16;

impl Half for F16 {
    #[inline(always)]
    fn of(x: f32, mode: Round, finite: bool) -> u16 {
        narrow::to_f16(x, mode, finite)
    }
    #[inline(always)]
    fn sat(h: u16) -> u16 {
        f16::sat(h)
    }
    #[inline(always)]
    fn relu(h: u16) -> u16 {
        f16::relu(h)
    }
}

impl Half for Bf16 {
    #[inline(always)]
    fn of(x: f32, mode: Round, finite: bool) -> u16 {
        narrow::to_bf16(x, mode, finite)
    }
    /// There is no `.sat` to bf16.
    #[inline(always)]
    fn sat(h: u16) -> u16 {
        h
    }
    #[inline(always)]
    fn relu(h: u16) -> u16 {
        bf16::relu(h)
    }
}

/// Writes an f16 or bf16.
#[inline(always)]
pub(super) fn put_half<H: Half>(cx: &mut Cx<'_>, op: &Op, mut value: [u16; 32]) {
    if op.aux & SAT != 0 {
        value = lanewise!(|x in value| -> u16 { H::sat(x) });
    }
    if op.aux & RELU != 0 {
        value = lanewise!(|x in value| -> u16 { H::relu(x) });
    }
    put(cx, op, &lanewise!(|x in value| -> u32 { u32::from(x) }));
}
