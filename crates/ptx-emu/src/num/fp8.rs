//! e4m3 and e5m2 (PTX ISA 5.2.3): `cvt` from f32 and halves, and to f16.

use super::Round;
use super::narrow::{E4M3, E5M2, Format, from_f16, narrow, to_f16};
use super::packed::{pack, unpack};

/// One of the two 8-bit formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fp8 {
    /// 4 exponent bits, no infinity, NaN is 0x7f.
    E4m3,
    /// 5 exponent bits, as in IEEE formats.
    E5m2,
}

impl Fp8 {
    #[inline(always)]
    fn format(self) -> Format {
        match self {
            Self::E4m3 => E4M3,
            Self::E5m2 => E5M2,
        }
    }
}

/// One value: `cvt.rn.satfinite{.relu}`. NaN becomes 0x7f.
#[inline(always)]
pub(crate) fn to_fp8(x: f32, relu: bool, to: Fp8) -> u8 {
    let bits = narrow(x, Round::Near, true, to.format()) as u8;
    if relu & (bits & 0x80 != 0) { 0 } else { bits }
}

/// `cvt.rn.satfinite{.relu}.f8x2type.f32 d, a, b`: `a` goes to the upper byte.
#[inline(always)]
pub(crate) fn to_fp8x2(a: f32, b: f32, relu: bool, to: Fp8) -> u16 {
    u16::from(to_fp8(a, relu, to)) << 8 | u16::from(to_fp8(b, relu, to))
}

/// `cvt.rn.satfinite{.relu}.f8x2type.f16x2`
#[inline(always)]
pub(crate) fn from_f16x2(pair: u32, relu: bool, to: Fp8) -> u16 {
    let (upper, lower) = unpack(pair);
    to_fp8x2(from_f16(upper), from_f16(lower), relu, to)
}

/// One value as f16, exact; NaN becomes 0x7fff.
#[inline(always)]
pub(crate) fn to_half(byte: u8, from: Fp8) -> u16 {
    let sign = u16::from(byte & 0x80) << 8;
    let size = byte & 0x7f;
    match from {
        Fp8::E5m2 => {
            let bits = u16::from(size) << 8;
            if bits > 0x7c00 { 0x7fff } else { bits | sign }
        }
        Fp8::E4m3 => {
            // The fields in f16 layout read 2^8 too small (bias 7 against 15).
            let bits = u16::from(size) << 7;
            let half = to_f16(from_f16(bits) * 256.0, Round::Near, false);
            if size == 0x7f { 0x7fff } else { half | sign }
        }
    }
}

/// `cvt.rn{.relu}.f16x2.f8x2type`
#[inline(always)]
pub(crate) fn to_f16x2(pair: u16, relu: bool, from: Fp8) -> u32 {
    let one = |byte: u8| {
        let half = to_half(byte, from);
        if relu & (half & 0x8000 != 0) { 0 } else { half }
    };
    pack(one((pair >> 8) as u8), one(pair as u8))
}
