//! Scalar semantics of PTX arithmetic: pure functions of one lane.
//!
//! Everything here is built from IEEE basic operations, `mul_add` and bit operations, so results
//! are equal bit for bit on every machine and under every set of target features. Functions are
//! inlined and select instead of branching, so that a loop over the lanes of a warp vectorises.
//!
//! - f32 and f64 values are `f32` and `f64`; halves, fp8 and tf32 are bit patterns.
//! - Modifiers compose: `add.rn.ftz.sat` is `sat(ftz(add(ftz(a), ftz(b), Near)))`. A rounding
//!   mode or a comparison is an argument; handlers pass constants, which inlining folds.
//! - Arithmetic returns the canonical NaN of its type. The ISA leaves f32 and half NaN bits
//!   unspecified, and the payload rules of f64 differ between hosts.
//! - `.ftz` flushes the rounded result: a product just below 2^-126 that rounds up to it stays.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "PTX arithmetic is defined on bits: narrowing, changes of sign and exact comparison are meant"
)]
#![allow(
    clippy::needless_bitwise_bool,
    reason = "without branches, loops over lanes vectorise"
)]

pub(crate) mod approx;
pub(crate) mod bf16;
pub(crate) mod bits;
pub(crate) mod compare;
pub(crate) mod convert;
pub(crate) mod double;
pub(crate) mod f16;
pub(crate) mod fp8;
mod halves;
pub(crate) mod integer;
pub(crate) mod minmax;
pub(crate) mod narrow;
pub(crate) mod packed;
pub(crate) mod permute;
pub(crate) mod round;
pub(crate) mod single;
mod soft;
pub(crate) mod trig;
pub(crate) mod wide;

#[cfg(test)]
mod tests;

pub(crate) use round::Round;
