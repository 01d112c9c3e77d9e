//! Matrix instructions as pure functions on warp registers: `mma`, `wgmma`, `ldmatrix` and its
//! kin, and the address maps of shared-memory matrices and of tensor copies.
//!
//! A 32-bit register of a warp is one [`Lanes`]; lane `4g + t` is thread `t` of quad `g`
//! (`groupID` and `threadID_in_group` of the PTX ISA). A 64-bit register is `[u64; 32]`.
//!
//! # Arithmetic
//! The ISA leaves the order of accumulation and the roundings open. Here every element of D is a
//! chain of fused multiply-adds in ascending k that starts from C: single precision for f16, bf16
//! and tf32 inputs (whose products are exact inside the fused operation), double for f64. An f16
//! accumulator is widened, chained in single precision and rounded to f16 once, at the end.
//! Subnormal inputs and results are kept. A NaN result is the canonical one (`0x7fff_ffff`;
//! `0x7fff` for f16). Integer dot products are exact; C is added last, wrapping or saturating.
//!
//! # Levels
//! The fast forms exist as plain Rust (the reference) and for AVX2 and AVX-512; all give the same
//! bits. [`Level`] picks one at compile time.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod descriptor;
pub(crate) mod form;
mod format;
pub(crate) mod mma;
mod reference;
pub(crate) mod rows;
pub(crate) mod swizzle;
pub(crate) mod tensor_map;
pub(crate) mod wgmma;

#[cfg(test)]
mod tests;

pub(crate) use crate::simd::{Level, Simd};
pub(crate) use format::{Bf16, F16, Format, Tf32};

/// One 32-bit register of a warp.
pub(crate) type Lanes = [u32; 32];
/// One 64-bit register of a warp.
pub(crate) type WideLanes = [u64; 32];
