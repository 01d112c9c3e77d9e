//! Input formats of the matrix units: how 32-bit registers unpack into numbers.

/// Which format, for code that differs by more than a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    F16,
    Bf16,
    Tf32,
    /// Four integers of 8 bits.
    Bytes,
}

/// An input format at compile time.
pub(crate) trait Format {
    /// The format.
    const KIND: Kind;
    /// Steps that one register takes: its elements, or for bytes its pairs of them.
    const PARTS: usize;

    /// Element `part` of a register, counted from the low bits, as the f32 it equals.
    fn element(word: u32, part: usize) -> f32;
}

/// IEEE half precision, two to a register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct F16;
/// The upper half of a single, two to a register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bf16;
/// A single whose low 13 bits do not count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tf32;
/// 8-bit integers, four to a register; one step multiplies two of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes;

impl Format for F16 {
    const KIND: Kind = Kind::F16;
    const PARTS: usize = 2;

    #[inline(always)]
    fn element(word: u32, part: usize) -> f32 {
        from_half((word >> (16 * part)) & 0xffff)
    }
}

impl Format for Bf16 {
    const KIND: Kind = Kind::Bf16;
    const PARTS: usize = 2;

    #[inline(always)]
    fn element(word: u32, part: usize) -> f32 {
        f32::from_bits((word >> (16 * part)) << 16)
    }
}

impl Format for Tf32 {
    const KIND: Kind = Kind::Tf32;
    const PARTS: usize = 1;

    #[inline(always)]
    fn element(word: u32, _part: usize) -> f32 {
        f32::from_bits(word & 0xffff_e000)
    }
}

impl Format for Bytes {
    const KIND: Kind = Kind::Bytes;
    const PARTS: usize = 2;

    /// Not used: bytes never become floats.
    #[inline(always)]
    fn element(_word: u32, _part: usize) -> f32 {
        0.0
    }
}

/// The f32 that equals an f16 in the low half of a word.
#[inline(always)]
pub(super) fn from_half(half: u32) -> f32 {
    const SCALE: f32 = f32::from_bits((127 + 112) << 23); // 2^112: the difference of the biases
    let shifted = (half & 0x7fff) << 13;
    // Exact for subnormals as well: they are subnormal singles before the scaling.
    let finite = (f32::from_bits(shifted) * SCALE).to_bits();
    let special = shifted | 0x7f80_0000;
    let size = if half & 0x7c00 == 0x7c00 {
        special
    } else {
        finite
    };
    f32::from_bits(size | ((half & 0x8000) << 16))
}

/// The f16 nearest to an f32, ties to even, in the low half of a word; NaN gives `0x7fff`.
#[inline(always)]
pub(super) fn to_half(x: f32) -> u32 {
    let bits = x.to_bits();
    let size = bits & 0x7fff_ffff;
    // Rounds the bits away; a carry moves up into the exponent, and into infinity from 65520.
    let normal =
        (size.min(0x4780_0000) + 0xfff + ((size >> 13) & 1)).wrapping_sub(0x3800_0000) >> 13;
    // One unit in the last place of 0.5 is the f16 subnormal step, 2^-24: the adder rounds.
    let subnormal = (f32::from_bits(size.min(0x3880_0000)) + 0.5).to_bits() - 0x3f00_0000;
    let rounded = if size < 0x3880_0000 {
        subnormal
    } else {
        normal
    };
    let signed = rounded | ((bits >> 16) & 0x8000);
    if size > 0x7f80_0000 { 0x7fff } else { signed }
}

/// Bits of an f32 result, NaN made canonical.
#[inline(always)]
pub(super) fn canonical(x: f32) -> u32 {
    if x.is_nan() { 0x7fff_ffff } else { x.to_bits() }
}
