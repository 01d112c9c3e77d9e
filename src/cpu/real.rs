//! The types that the CPU computes in: f32, and f64 where numerics are verified.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use super::math;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// f32 or f64. The network is the same code in both; only elementary functions differ: those of f32 are
/// vector code of about its precision, those of f64 the libm's.
pub trait Real:
    sealed::Sealed
    + bytemuck::Pod
    + Debug
    + Display
    + Default
    + PartialOrd
    + Send
    + Sync
    + Sum
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + From<f32>
    + Into<f64>
{
    /// 0
    const ZERO: Self;
    /// 1
    const ONE: Self;
    /// log2 e
    const LOG2_E: Self;
    /// Below every number.
    const NEG_INFINITY: Self;

    /// Rounded to this type.
    fn from_f64(x: f64) -> Self;
    /// Rounded to f32.
    fn to_f32(self) -> f32;
    /// self · a + b, rounded once.
    #[must_use]
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// √self
    #[must_use]
    fn sqrt(self) -> Self;
    /// 2^self for self < 128; what is below 2^-126 may be 2^-126.
    #[must_use]
    fn exp2(self) -> Self;
    /// self · Φ(self)
    #[must_use]
    fn gelu(self) -> Self;
    /// Derivative of [`Real::gelu`]: Φ(self) + self · φ(self).
    #[must_use]
    fn gelu_slope(self) -> Self;
    /// Whether it is a number and not infinite.
    fn is_finite(self) -> bool;
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LOG2_E: Self = std::f32::consts::LOG2_E;
    const NEG_INFINITY: Self = f32::NEG_INFINITY;

    #[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x as f32
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        f32::mul_add(self, a, b)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }

    #[inline(always)]
    fn exp2(self) -> Self {
        math::exp2(self)
    }

    #[inline(always)]
    fn gelu(self) -> Self {
        math::gelu(self)
    }

    #[inline(always)]
    fn gelu_slope(self) -> Self {
        math::gelu_slope(self)
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LOG2_E: Self = std::f64::consts::LOG2_E;
    const NEG_INFINITY: Self = f64::NEG_INFINITY;

    fn from_f64(x: f64) -> Self {
        x
    }

    #[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
    fn to_f32(self) -> f32 {
        self as f32
    }

    fn mul_add(self, a: Self, b: Self) -> Self {
        f64::mul_add(self, a, b)
    }

    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }

    fn exp2(self) -> Self {
        libm::exp2(self)
    }

    fn gelu(self) -> Self {
        self * tail(self)
    }

    fn gelu_slope(self) -> Self {
        const INVERSE_SQRT_TWO_PI: f64 = 0.398_942_280_401_432_7;
        tail(self) + self * INVERSE_SQRT_TWO_PI * libm::exp(-0.5 * self * self)
    }

    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
}

/// Φ(x), without the cancellation of ½(1 + erf) for negative x.
fn tail(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}
