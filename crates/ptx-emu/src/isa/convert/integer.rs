//! `cvt` between integers, and `cvt.pack`.

use super::registers::{Ends, WIDE_A, WIDE_B, WIDE_D, lanewise, result_of, source, word_of};
use super::{Number, registers};
use crate::ast::{Instruction, Operand, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::{Cx, Flow};
use crate::isa::lanes;
use crate::lanes::Lane;
use crate::num::convert;
use crate::program::Op;
use crate::simd::{Handler, Level};

/// Widths of a conversion, in `Op::x`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Widths {
    pub from: Width,
    pub to: Width,
    /// Bits of the register that takes the result.
    pub register: u8,
}

/// Bits of an integer type, at least one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Width {
    bits: u8,
    signed: bool,
}

impl Width {
    fn of(number: Number) -> Self {
        Self {
            bits: u8::try_from(number.bits).unwrap_or(64),
            signed: number.signed,
        }
    }

    #[inline(always)]
    fn mask(self) -> u64 {
        u64::MAX >> (64 - (u32::from(self.bits) & 127).clamp(1, 64))
    }

    /// The sign bit of a signed type.
    #[inline(always)]
    fn sign(self) -> u64 {
        if self.signed {
            (self.mask() >> 1) + 1
        } else {
            0
        }
    }

    /// The least value, as i64.
    #[inline(always)]
    pub(super) fn least(self) -> i64 {
        0_i64.wrapping_sub(self.sign().cast_signed())
    }

    /// The largest value.
    #[inline(always)]
    pub(super) fn most(self) -> u64 {
        if self.signed {
            self.mask() >> 1
        } else {
            self.mask()
        }
    }

    /// The upper half of the values, as unsigned: what NaN becomes.
    #[inline(always)]
    pub(super) fn top(self) -> u64 {
        (self.mask() >> 1) + 1
    }

    /// The low bits, extended to all 64.
    #[inline(always)]
    pub(super) fn extend(self) -> Extend<u64> {
        Extend {
            mask: self.mask(),
            sign: self.sign(),
        }
    }

    /// The low bits, extended to 32: for widths up to 32.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "widths up to 32")]
    pub(super) fn extend_word(self) -> Extend<u32> {
        Extend {
            mask: self.mask() as u32,
            sign: self.sign() as u32,
        }
    }
}

/// Extends the low bits of a number to its width.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extend<T> {
    mask: T,
    /// The sign bit, of signed numbers.
    sign: T,
}

impl Extend<u64> {
    #[inline(always)]
    pub(super) fn apply(self, x: u64) -> u64 {
        ((x & self.mask) ^ self.sign).wrapping_sub(self.sign)
    }
}

impl Extend<u32> {
    #[inline(always)]
    pub(super) fn apply(self, x: u32) -> u32 {
        ((x & self.mask) ^ self.sign).wrapping_sub(self.sign)
    }
}

impl Widths {
    pub(super) fn new(from: Number, to: Number, register: u32) -> Self {
        Self {
            from: Width::of(from),
            to: Width::of(to),
            register: u8::try_from(register).unwrap_or(64),
        }
    }

    pub(super) fn pack(self) -> i64 {
        let Self { from, to, register } = self;
        i64::from_le_bytes([
            from.bits,
            from.signed.into(),
            to.bits,
            to.signed.into(),
            register,
            0,
            0,
            0,
        ])
    }

    #[inline(always)]
    pub(super) fn of(op: &Op) -> Self {
        let [from, from_signed, to, to_signed, register, ..] = op.x.to_le_bytes();
        Self {
            from: Width {
                bits: from,
                signed: from_signed != 0,
            },
            to: Width {
                bits: to,
                signed: to_signed != 0,
            },
            register,
        }
    }

    /// All bits of the register.
    #[inline(always)]
    pub(super) fn register(self) -> u64 {
        let register = Width {
            bits: self.register,
            signed: false,
        };
        register.mask()
    }
}

/// `cvt{.sat}.dtype.atype` of integers.
pub(super) fn resize(d: &mut Decoder<'_, '_>, ends: Ends, sat: bool, to: Number, from: Number) {
    let plain = ends.plain(to.ty, from.ty) && !sat;
    let mut op = match (to.bits, from.bits, from.signed) {
        (64, 32, false) if plain => lanes!(d, |a: u32| -> u64 { u64::from(a) }),
        (64, 32, true) if plain => lanes!(d, |a: i32| -> i64 { i64::from(a) }),
        (64, 64, _) if plain => lanes!(d, |a: u64| -> u64 { a }),
        (32, 32, _) if plain => lanes!(d, |a: u32| -> u32 { a }),
        (32, 64, _) if plain => {
            #[allow(clippy::cast_possible_truncation, reason = "the low half is kept")]
            let op = lanes!(d, |a: u64| -> u32 { a as u32 });
            op
        }
        _ if sat => d.op::<Resize<true>>(),
        _ if ends.aux & (WIDE_A | WIDE_D) != 0 => d.op::<Resize<false>>(),
        _ => d.op::<ResizeWord>(),
    };
    ends.fill(&mut op);
    op.x = Widths::new(from, to, ends.register).pack();
    d.push(op);
}

/// Between registers of up to 32 bits.
struct ResizeWord;

impl Handler for ResizeWord {
    #[inline(always)]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a register of up to 32 bits"
    )]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let widths = Widths::of(op);
        let (from, to) = (widths.from.extend_word(), widths.to.extend_word());
        let register = widths.register() as u32;
        let value = u32::load(&cx.warp.regs, op.a);
        let value = lanewise!(|x in value| -> u32 { to.apply(from.apply(x)) & register });
        u32::store(&mut cx.warp.regs, op.d, cx.mask, &value);
        Flow::Next
    }
}

/// Between any registers.
struct Resize<const SAT: bool>;

impl<const SAT: bool> Handler for Resize<SAT> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let widths = Widths::of(op);
        let mut value = integers(cx, op, widths.from);
        if SAT {
            value = clamp(value, widths.from.signed, widths.to);
        }
        put_integers(cx, op, widths, value);
        Flow::Next
    }
}

/// The source, an integer of this width, extended to 64 bits.
#[inline(always)]
pub(super) fn integers(cx: &Cx<'_>, op: &Op, from: Width) -> [u64; 32] {
    let extend = from.extend();
    if op.aux & WIDE_A != 0 {
        let value = u64::load(&cx.warp.regs, op.a);
        lanewise!(|x in value| -> u64 { extend.apply(x) })
    } else {
        let value = u32::load(&cx.warp.regs, op.a);
        lanewise!(|x in value| -> u64 { extend.apply(u64::from(x)) })
    }
}

/// Clamps integers of 64 bits, signed or not, to the range of a type.
#[inline(always)]
pub(super) fn clamp(value: [u64; 32], signed: bool, to: Width) -> [u64; 32] {
    if signed {
        let least = to.least();
        let most = to.most().min(i64::MAX.cast_unsigned()).cast_signed();
        lanewise!(|x in value| -> u64 { x.cast_signed().max(least).min(most).cast_unsigned() })
    } else {
        let most = to.most();
        lanewise!(|x in value| -> u64 { x.min(most) })
    }
}

/// Writes integers of the width that is converted to, extended to the register.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the register's width")]
pub(super) fn put_integers(cx: &mut Cx<'_>, op: &Op, widths: Widths, value: [u64; 32]) {
    let extend = widths.to.extend();
    let register = widths.register();
    if op.aux & WIDE_D != 0 {
        let value = lanewise!(|x in value| -> u64 { extend.apply(x) & register });
        u64::store(&mut cx.warp.regs, op.d, cx.mask, &value);
    } else {
        let value = lanewise!(|x in value| -> u32 { (extend.apply(x) & register) as u32 });
        u32::store(&mut cx.warp.regs, op.d, cx.mask, &value);
    }
}

/// `cvt.pack.sat.convert.s32{.b32} d, a, b{, c}`
pub(super) fn pack<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    if !form.flag("sat") {
        return Err(form.unsupported("it needs `.sat`"));
    }
    let types = ["u16", "s16", "u8", "s8", "u4", "s4", "u2", "s2"];
    let Some(name) = form.choice(&types) else {
        return Err(form.unsupported("it packs integers of 16, 8, 4 or 2 bits"));
    };
    let bits: u32 = name[1..].parse().unwrap_or(16);
    if !form.flag("s32") || (bits < 16) != form.flag("b32") {
        return Err(form.unsupported("it takes `.s32`, and `.b32` unless it packs 16 bits"));
    }
    form.done()?;
    let zero = Operand::Int(0);
    let [result, a, b, c] = match instruction.operands.as_slice() {
        [result, a, b] if bits == 16 => [result, a, b, &zero],
        [result, a, b, c] if bits < 16 => [result, a, b, c],
        other => {
            let expected = if bits == 16 { "3" } else { "4" };
            return Err(form.operand(format!("{} operands", other.len()), expected));
        }
    };
    let (a, wide_a) = source(d, &form, a, Type::S32)?;
    let (b, wide_b) = source(d, &form, b, Type::S32)?;
    let (c, wide_c) = source(d, &form, c, Type::B32)?;
    let (result, register) = result_of(d, &form, result, Type::U32)?;
    if wide_c {
        return Err(form.operand("a third source of 64 bits", "one of 32 bits"));
    }
    let mut op = if name.starts_with('s') {
        d.op::<Pack<true>>()
    } else {
        d.op::<Pack<false>>()
    };
    (op.d, op.a, op.b, op.c) = (result, a, b, c);
    op.x = bits.into();
    for (holds, flag) in [(wide_a, WIDE_A), (wide_b, WIDE_B), (register == 64, WIDE_D)] {
        op.aux |= if holds { flag } else { 0 };
    }
    d.push(op);
    Ok(())
}

struct Pack<const SIGNED: bool>;

impl<const SIGNED: bool> Handler for Pack<SIGNED> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let bits = u32::try_from(op.x).unwrap_or(16);
        let a = word_of(cx, op.a, op.aux & WIDE_A != 0);
        let b = word_of(cx, op.b, op.aux & WIDE_B != 0);
        let c = u32::load(&cx.warp.regs, op.c);
        let value = lanewise!(|a in a, b in b, c in c| -> u32 {
            convert::pack(a.cast_signed(), b.cast_signed(), c, bits, SIGNED)
        });
        registers::put(cx, op, &value);
        Flow::Next
    }
}
