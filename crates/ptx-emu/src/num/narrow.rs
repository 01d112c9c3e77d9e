//! Conversion of f32 to narrower floating-point formats and back, by bit operations.

use super::Round;
use super::single::NAN;

/// A floating-point format of at most 32 bits with a sign, whose value widens exactly to f32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    /// Bits of the mantissa that are stored.
    mantissa: u32,
    /// Exponent bias.
    bias: u32,
    /// First magnitude that is not finite; infinity where the format has one.
    limit: u32,
    /// The canonical NaN.
    nan: u32,
    /// The sign bit.
    sign: u32,
}

impl Format {
    /// Infinity, in a format of 16 bits.
    pub(super) const fn infinity(self) -> u16 {
        self.limit as u16
    }
}

/// f16: 5 exponent bits, 10 of mantissa.
pub(crate) const F16: Format = Format {
    mantissa: 10,
    bias: 15,
    limit: 0x7c00,
    nan: 0x7fff,
    sign: 0x8000,
};
/// bf16: 8 exponent bits, 7 of mantissa.
pub(crate) const BF16: Format = Format {
    mantissa: 7,
    bias: 127,
    limit: 0x7f80,
    nan: 0x7fff,
    sign: 0x8000,
};
/// tf32 as its upper 19 bits; `tf32` puts them where an f32 has them.
const TF32: Format = Format {
    mantissa: 10,
    bias: 127,
    limit: 0x3_fc00,
    nan: 0x3_ffff,
    sign: 0x4_0000,
};
/// e5m2: infinities and NaN as in IEEE formats.
pub(crate) const E5M2: Format = Format {
    mantissa: 2,
    bias: 15,
    limit: 0x7c,
    nan: 0x7f,
    sign: 0x80,
};
/// e4m3: no infinities, one NaN.
pub(crate) const E4M3: Format = Format {
    mantissa: 3,
    bias: 7,
    limit: 0x7f,
    nan: 0x7f,
    sign: 0x80,
};

/// Rounds an f32 to `format` and returns the bits. `finite`: `.satfinite`, which turns overflow
/// and infinities into the largest finite value.
#[inline(always)]
pub(crate) fn narrow(x: f32, mode: Round, finite: bool, format: Format) -> u32 {
    let bits = x.to_bits();
    let size = bits & 0x7fff_ffff;
    let negative = bits >> 31 != 0;
    let (kept, rest, middle) = split(size, format);
    let up = match mode {
        Round::Near => (rest > middle) | ((rest == middle) & (kept & 1 == 1)),
        Round::Zero => false,
        Round::Down => negative & (rest != 0),
        Round::Up => !negative & (rest != 0),
    };
    let rounded = kept + u32::from(up);
    let overflow = match mode {
        _ if finite => false,
        Round::Near => true,
        Round::Zero => false,
        Round::Down => negative,
        Round::Up => !negative,
    } | (!finite & (size == 0x7f80_0000));
    let most = if overflow {
        format.limit
    } else {
        format.limit - 1
    };
    let rounded = if rounded < most { rounded } else { most };
    let signed = rounded | if negative { format.sign } else { 0 };
    if size > 0x7f80_0000 {
        format.nan
    } else {
        signed
    }
}

/// A magnitude cut at the last bit of `format`: what is kept, the rest, and half of the last bit.
#[inline(always)]
fn split(size: u32, format: Format) -> (u32, u32, u32) {
    let normal_shift = 23 - format.mantissa;
    // A format with the exponents of f32 keeps the layout of its subnormal values too.
    if format.bias == 127 {
        let (mask, middle) = ((1 << normal_shift) - 1, 1 << (normal_shift - 1));
        return (size >> normal_shift, size & mask, middle);
    }
    let rebias = (127 - format.bias) << 23;
    let subnormal = size < rebias + (1 << 23);
    // Below the normal range, the mantissa with its leading one moves right to the fixed place
    // of the last bit, 2^(1 - bias - mantissa).
    let field = size >> 23;
    let mantissa = (size & 0x007f_ffff) | if field > 0 { 0x0080_0000 } else { 0 };
    let depth = (151 - format.bias - format.mantissa).wrapping_sub(field);
    let depth = if depth < 31 { depth } else { 31 };
    let shift = if subnormal { depth } else { normal_shift };
    let value = if subnormal {
        mantissa
    } else {
        size.wrapping_sub(rebias)
    };
    let middle = 1 << (shift - 1);
    (value >> shift, value & (middle * 2 - 1), middle)
}

/// `cvt.frnd{.satfinite}.f16.f32`
#[inline(always)]
pub(crate) fn to_f16(x: f32, mode: Round, finite: bool) -> u16 {
    if mode == Round::Near && !finite {
        return near_f16(x);
    }
    narrow(x, mode, finite, F16) as u16
}

/// `cvt.rn.f16.f32` with half the operations of `narrow`: no shift depends on the operand.
#[inline(always)]
fn near_f16(x: f32) -> u16 {
    const REBIAS: u32 = 112 << 23;
    let bits = x.to_bits();
    let size = bits & 0x7fff_ffff;
    let odd = size >> 13 & 1;
    let normal = size.wrapping_sub(REBIAS).wrapping_add(0x0fff + odd) >> 13;
    // Added to 1/2, whose last bit is 2^-24 like that of subnormal values, a value is rounded by
    // the addition.
    let small = (f32::from_bits(size) + 0.5)
        .to_bits()
        .wrapping_sub(0x3f00_0000);
    let rounded = if size < REBIAS + (1 << 23) {
        small
    } else {
        normal
    };
    // From 65520 on; NaN last.
    let rounded = if size < 0x477f_f000 { rounded } else { 0x7c00 };
    let signed = rounded | bits >> 16 & 0x8000;
    (if size > 0x7f80_0000 { 0x7fff } else { signed }) as u16
}

/// `cvt.frnd{.satfinite}.bf16.f32`
#[inline(always)]
pub(crate) fn to_bf16(x: f32, mode: Round, finite: bool) -> u16 {
    if mode == Round::Near && !finite {
        return near_bf16(x);
    }
    narrow(x, mode, finite, BF16) as u16
}

/// `cvt.rn.bf16.f32` with a third of the operations of `narrow`: overflow carries into infinity.
#[inline(always)]
fn near_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    let nan = bits & 0x7fff_ffff > 0x7f80_0000;
    (if nan { 0x7fff } else { rounded }) as u16
}

/// `cvt.{rn,rz}{.satfinite}.tf32.f32`: an f32 bit pattern whose low 13 bits are zero; NaN is
/// 0x7fffe000.
#[inline(always)]
pub(crate) fn to_tf32(x: f32, mode: Round, finite: bool) -> u32 {
    narrow(x, mode, finite, TF32) << 13
}

/// `cvt.rna{.satfinite}.tf32.f32`: ties away from zero.
#[inline(always)]
pub(crate) fn to_tf32_away(x: f32, finite: bool) -> u32 {
    let bits = x.to_bits();
    let size = bits & 0x7fff_ffff;
    let rounded = (size + 0x1000) & 0xffff_e000;
    let most = if finite { 0x7f7f_e000 } else { 0x7f80_0000 };
    let rounded = if rounded < most { rounded } else { most };
    let signed = rounded | bits & 0x8000_0000;
    if size > 0x7f80_0000 {
        0x7fff_e000
    } else {
        signed
    }
}

/// `cvt.f32.f16`: exact; a NaN becomes the canonical one.
#[inline(always)]
pub(crate) fn from_f16(h: u16) -> f32 {
    const REBIAS: u32 = 112 << 23;
    let size = u32::from(h & 0x7fff) << 13;
    let sign = u32::from(h & 0x8000) << 16;
    // A subnormal value gets a leading one at 2^-14, which an exact subtraction removes.
    let least = f32::from_bits(REBIAS + (1 << 23));
    let small = f32::from_bits(size + REBIAS + (1 << 23)) - least;
    let infinite = size >= 0x0f80_0000;
    let normal = size + if infinite { 2 * REBIAS } else { REBIAS };
    let bits = if size < 1 << 23 {
        small.to_bits()
    } else {
        normal
    };
    let x = f32::from_bits(bits | sign);
    if size > 0x0f80_0000 { NAN } else { x }
}

/// `cvt.f32.bf16`: exact; a NaN becomes the canonical one.
#[inline(always)]
pub(crate) fn from_bf16(h: u16) -> f32 {
    let x = f32::from_bits(u32::from(h) << 16);
    if x.is_nan() { NAN } else { x }
}

/// `.relu` on the bits of an f16, bf16: negative values and -0 become +0, NaN the canonical one.
#[inline(always)]
pub(crate) fn relu(h: u16, format: Format) -> u16 {
    let size = u32::from(h) & (format.sign - 1);
    let kept = if u32::from(h) & format.sign == 0 {
        h
    } else {
        0
    };
    if size > format.limit {
        format.nan as u16
    } else {
        kept
    }
}

/// `.relu` on the bits of a tf32.
#[inline(always)]
pub(crate) fn relu_tf32(bits: u32) -> u32 {
    let kept = if bits >> 31 == 0 { bits } else { 0 };
    if bits & 0x7fff_ffff > 0x7f80_0000 {
        0x7fff_e000
    } else {
        kept
    }
}
