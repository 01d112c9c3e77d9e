//! `cvt` between integers and floating-point types (PTX ISA 9.7.9.21); to narrow floating-point
//! formats see `narrow`.

#![allow(
    clippy::cast_lossless,
    reason = "one macro body serves types for which the cast rounds"
)]

use super::Round;
use super::double;
use super::narrow::{to_bf16, to_f16};
use super::round::{directed_double, integral, integral_double, odd, to_single};
use super::single;

/// An integer type of PTX.
pub(crate) trait Integer: Copy {
    /// Width.
    const BITS: u32;
    /// Whether it is signed.
    const SIGNED: bool;
    /// The low bits of a register.
    fn from_bits64(bits: u64) -> Self;
    /// Sign- or zero-extended.
    fn to_bits64(self) -> u64;
    /// An integral value clamped to the range; NaN gives 0, or `1 << 63` in 64 bits.
    fn from_single(x: f32) -> Self;
    /// An integral value clamped to the range; NaN gives the top bit of the type.
    fn from_double(x: f64) -> Self;
    /// The nearest f32.
    fn near_single(self) -> f32;
    /// The nearest f64.
    fn near_double(self) -> f64;
}

/// An integral value, clamped, as 32 bits: those below the point of the sum with 1.5 * 2^52. In
/// vectors this beats the saturating cast.
#[inline(always)]
fn low_bits(x: f64, least: f64, most: f64) -> u32 {
    let x = if x > least { x } else { least };
    let x = if x < most { x } else { most };
    (x + 6_755_399_441_055_744.0).to_bits() as u32
}

macro_rules! integer {
    ($($t:ident)*) => { $(
        impl Integer for $t {
            const BITS: u32 = $t::BITS;
            const SIGNED: bool = $t::MIN != 0;
            #[inline(always)]
            fn from_bits64(bits: u64) -> Self {
                bits as $t
            }
            #[inline(always)]
            fn to_bits64(self) -> u64 {
                self as u64 // sign-extends a signed type
            }
            #[inline(always)]
            fn from_single(x: f32) -> Self {
                if $t::BITS <= 32 {
                    let x = if x.is_nan() { 0.0 } else { x };
                    return low_bits(x.into(), $t::MIN as f64, $t::MAX as f64) as $t;
                }
                if x.is_nan() { (1u64 << 63) as $t } else { x as $t }
            }
            #[inline(always)]
            fn from_double(x: f64) -> Self {
                let nan = (1u64 << ($t::BITS - 1)) as $t;
                if x.is_nan() {
                    nan
                } else if $t::BITS <= 32 {
                    low_bits(x, $t::MIN as f64, $t::MAX as f64) as $t
                } else {
                    x as $t
                }
            }
            #[inline(always)]
            fn near_single(self) -> f32 {
                self as f32
            }
            #[inline(always)]
            fn near_double(self) -> f64 {
                self as f64
            }
        }
    )* };
}

integer! { u8 u16 u32 u64 i8 i16 i32 i64 }

/// `cvt.irnd.itype.f32`
#[inline(always)]
pub(crate) fn single_to_integer<D: Integer>(x: f32, mode: Round) -> D {
    D::from_single(integral(x, mode))
}

/// `cvt.irnd.itype.f64`
#[inline(always)]
pub(crate) fn double_to_integer<D: Integer>(x: f64, mode: Round) -> D {
    D::from_double(integral_double(x, mode))
}

/// An f64 that rounds to f32, or narrower, as `a` does: integers above 53 bits keep their upper
/// ones, with a last bit that says whether any of the lower 11 was set.
#[inline(always)]
fn sticky<A: Integer>(a: A) -> f64 {
    if A::BITS <= 32 {
        return a.near_double();
    }
    let bits = a.to_bits64();
    let negative = A::SIGNED & (bits >> 63 != 0);
    let size = if negative { bits.wrapping_neg() } else { bits };
    let upper = (size >> 11 | u64::from(size & 0x7ff != 0)) as f64 * 2048.0;
    let value = if size >> 53 == 0 { size as f64 } else { upper };
    if negative { -value } else { value }
}

/// `cvt.frnd.f32.itype`
#[inline(always)]
pub(crate) fn integer_to_single<A: Integer>(a: A, mode: Round) -> f32 {
    match mode {
        Round::Near => a.near_single(),
        _ => to_single(sticky(a), 0.0, mode),
    }
}

/// `cvt.frnd.f64.itype`
#[inline(always)]
pub(crate) fn integer_to_double<A: Integer>(a: A, mode: Round) -> f64 {
    let near = a.near_double();
    if A::BITS <= 32 || mode == Round::Near {
        return near;
    }
    let bits = a.to_bits64();
    let upper = if A::SIGNED {
        f64::from((bits >> 32) as i32)
    } else {
        f64::from((bits >> 32) as u32)
    };
    // Both halves are exact, and so is what their sum loses.
    let upper = upper * 4_294_967_296.0;
    let lost = f64::from(bits as u32) - (near - upper);
    directed_double(near, lost > 0.0, lost < 0.0, mode)
}

/// `cvt.frnd.f16.itype`
#[inline(always)]
pub(crate) fn integer_to_f16<A: Integer>(a: A, mode: Round) -> u16 {
    to_f16(odd(sticky(a)), mode, false)
}

/// `cvt.frnd.bf16.itype`
#[inline(always)]
pub(crate) fn integer_to_bf16<A: Integer>(a: A, mode: Round) -> u16 {
    to_bf16(odd(sticky(a)), mode, false)
}

/// `cvt.f64.f32`: exact.
#[inline(always)]
pub(crate) fn single_to_double(x: f32) -> f64 {
    double::canon(f64::from(x))
}

/// `cvt.frnd.f32.f64`
#[inline(always)]
pub(crate) fn double_to_single(x: f64, mode: Round) -> f32 {
    single::canon(match mode {
        Round::Near => x as f32,
        _ => to_single(x, 0.0, mode),
    })
}

/// `cvt.irnd.f32.f32`
#[inline(always)]
pub(crate) fn single_integral(x: f32, mode: Round) -> f32 {
    single::canon(integral(x, mode))
}

/// `cvt.irnd.f64.f64`
#[inline(always)]
pub(crate) fn double_integral(x: f64, mode: Round) -> f64 {
    double::canon(integral_double(x, mode))
}

/// `cvt.pack.sat.{u16,s16,u8,s8,u4,s4,u2,s2}.s32.b32 d, a, b, c`: both values clamped to `bits`
/// bits, `a` above `b`, and the low bits of `c` above them (none of it for 16 bits).
#[inline(always)]
pub(crate) fn pack(a: i32, b: i32, c: u32, bits: u32, signed: bool) -> u32 {
    let bits = bits.clamp(2, 16);
    let most = (1i32 << (bits - u32::from(signed))) - 1;
    let least = if signed { !most } else { 0 };
    let mask = (1u32 << bits) - 1;
    let one = |v: i32| v.clamp(least, most) as u32 & mask;
    let rest = if bits < 16 { c << (2 * bits) } else { 0 };
    rest | one(a) << bits | one(b)
}
