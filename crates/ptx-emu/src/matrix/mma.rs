//! `mma.sync.aligned`: one entry point per form of [`Form`](super::form::Form), in its order.
//!
//! Operands are references to the registers of the vector expressions, in order. The destination
//! may be any of them: it is returned, not written.

#[cfg(target_arch = "x86_64")]
use super::Simd;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

use super::form::IntMode;
use super::format::{from_half, to_half};
use super::{Bf16, F16, Format, Lanes, Level, Tf32, WideLanes, reference};

#[inline(always)]
fn float<L: Level, F: Format, const BLOCKS: usize>(
    a: [[&Lanes; 2]; BLOCKS],
    b: [&Lanes; BLOCKS],
    c: [&Lanes; 4],
) -> [Lanes; 4] {
    match L::KIND {
        #[cfg(target_arch = "x86_64")]
        Simd::Avx512 => avx512::float::<F, BLOCKS>(a, b, c),
        #[cfg(target_arch = "x86_64")]
        Simd::Avx2 => avx2::float::<F, BLOCKS>(a, b, c),
        _ => reference::float::<F, BLOCKS>(a, b, c),
    }
}

/// Splits f16 accumulators (two columns to a register) into single ones.
#[inline(always)]
pub(super) fn widen(packed: [&Lanes; 2]) -> [Lanes; 4] {
    let mut wide = [[0; 32]; 4];
    for (i, register) in wide.iter_mut().enumerate() {
        for (x, &word) in register.iter_mut().zip(packed[i / 2]) {
            *x = from_half((word >> (16 * (i % 2))) & 0xffff).to_bits();
        }
    }
    wide
}

/// Rounds accumulators to f16, two columns to a register.
#[inline(always)]
pub(super) fn narrow(wide: &[Lanes; 4]) -> [Lanes; 2] {
    let mut packed = [[0; 32]; 2];
    for (i, register) in packed.iter_mut().enumerate() {
        for (lane, x) in register.iter_mut().enumerate() {
            let low = to_half(f32::from_bits(wide[2 * i][lane]));
            let high = to_half(f32::from_bits(wide[2 * i + 1][lane]));
            *x = low | (high << 16);
        }
    }
    packed
}

#[inline(always)]
fn half<L: Level, const BLOCKS: usize>(
    a: [[&Lanes; 2]; BLOCKS],
    b: [&Lanes; BLOCKS],
    c: [&Lanes; 2],
) -> [Lanes; 2] {
    let wide = widen(c);
    narrow(&float::<L, F16, BLOCKS>(a, b, wide.each_ref()))
}

#[inline(always)]
fn bytes<L: Level, const BLOCKS: usize>(
    a: [[&Lanes; 2]; BLOCKS],
    b: [&Lanes; BLOCKS],
    c: [&Lanes; 4],
    mode: IntMode,
) -> [Lanes; 4] {
    let mut products = match L::KIND {
        #[cfg(target_arch = "x86_64")]
        Simd::Avx512 => avx512::bytes::<BLOCKS>(a, b, mode),
        #[cfg(target_arch = "x86_64")]
        Simd::Avx2 => avx2::bytes::<BLOCKS>(a, b, mode),
        _ => reference::bytes::<BLOCKS>(a, b, mode),
    };
    reference::add_int(&mut products, c, mode.saturate);
    products
}

/// `mma.m16n8k16.f32.f16.f16.f32`
#[inline(always)]
pub(crate) fn f16_k16<L: Level>(
    [a0, a1, a2, a3]: [&Lanes; 4],
    b: [&Lanes; 2],
    c: [&Lanes; 4],
) -> [Lanes; 4] {
    float::<L, F16, 2>([[a0, a1], [a2, a3]], b, c)
}

/// `mma.m16n8k8.f32.f16.f16.f32`
#[inline(always)]
pub(crate) fn f16_k8<L: Level>(a: [&Lanes; 2], b: [&Lanes; 1], c: [&Lanes; 4]) -> [Lanes; 4] {
    float::<L, F16, 1>([a], b, c)
}

/// `mma.m16n8k16.f16.f16.f16.f16`
#[inline(always)]
pub(crate) fn half_k16<L: Level>(
    [a0, a1, a2, a3]: [&Lanes; 4],
    b: [&Lanes; 2],
    c: [&Lanes; 2],
) -> [Lanes; 2] {
    half::<L, 2>([[a0, a1], [a2, a3]], b, c)
}

/// `mma.m16n8k8.f16.f16.f16.f16`
#[inline(always)]
pub(crate) fn half_k8<L: Level>(a: [&Lanes; 2], b: [&Lanes; 1], c: [&Lanes; 2]) -> [Lanes; 2] {
    half::<L, 1>([a], b, c)
}

/// `mma.m16n8k16.f32.bf16.bf16.f32`
#[inline(always)]
pub(crate) fn bf16_k16<L: Level>(
    [a0, a1, a2, a3]: [&Lanes; 4],
    b: [&Lanes; 2],
    c: [&Lanes; 4],
) -> [Lanes; 4] {
    float::<L, Bf16, 2>([[a0, a1], [a2, a3]], b, c)
}

/// `mma.m16n8k8.f32.bf16.bf16.f32`
#[inline(always)]
pub(crate) fn bf16_k8<L: Level>(a: [&Lanes; 2], b: [&Lanes; 1], c: [&Lanes; 4]) -> [Lanes; 4] {
    float::<L, Bf16, 1>([a], b, c)
}

/// `mma.m16n8k8.f32.tf32.tf32.f32`
#[inline(always)]
pub(crate) fn tf32_k8<L: Level>(
    [a0, a1, a2, a3]: [&Lanes; 4],
    b: [&Lanes; 2],
    c: [&Lanes; 4],
) -> [Lanes; 4] {
    float::<L, Tf32, 2>([[a0, a1], [a2, a3]], b, c)
}

/// `mma.m16n8k4.f32.tf32.tf32.f32`
#[inline(always)]
pub(crate) fn tf32_k4<L: Level>(a: [&Lanes; 2], b: [&Lanes; 1], c: [&Lanes; 4]) -> [Lanes; 4] {
    float::<L, Tf32, 1>([a], b, c)
}

/// `mma.m16n8k32.s32.{s8,u8}.{s8,u8}.s32`
#[inline(always)]
pub(crate) fn int_k32<L: Level>(
    [a0, a1, a2, a3]: [&Lanes; 4],
    b: [&Lanes; 2],
    c: [&Lanes; 4],
    mode: IntMode,
) -> [Lanes; 4] {
    bytes::<L, 2>([[a0, a1], [a2, a3]], b, c, mode)
}

/// `mma.m16n8k16.s32.{s8,u8}.{s8,u8}.s32`
#[inline(always)]
pub(crate) fn int_k16<L: Level>(
    a: [&Lanes; 2],
    b: [&Lanes; 1],
    c: [&Lanes; 4],
    mode: IntMode,
) -> [Lanes; 4] {
    bytes::<L, 1>([a], b, c, mode)
}

/// `mma.m8n8k4.f64.f64.f64.f64`
#[inline(always)]
pub(crate) fn double_m8k4(
    [a]: [&WideLanes; 1],
    b: [&WideLanes; 1],
    c: [&WideLanes; 2],
) -> [WideLanes; 2] {
    reference::double::<1, 1, 2>([[a]], b, c)
}

/// `mma.m16n8k4.f64.f64.f64.f64`
#[inline(always)]
pub(crate) fn double_k4(
    a: [&WideLanes; 2],
    b: [&WideLanes; 1],
    c: [&WideLanes; 4],
) -> [WideLanes; 4] {
    reference::double::<1, 2, 4>([a], b, c)
}

/// `mma.m16n8k8.f64.f64.f64.f64`
#[inline(always)]
pub(crate) fn double_k8(
    [a0, a1, a2, a3]: [&WideLanes; 4],
    b: [&WideLanes; 2],
    c: [&WideLanes; 4],
) -> [WideLanes; 4] {
    reference::double::<2, 2, 4>([[a0, a1], [a2, a3]], b, c)
}

/// `mma.m16n8k16.f64.f64.f64.f64`
#[inline(always)]
pub(crate) fn double_k16(
    [a0, a1, a2, a3, a4, a5, a6, a7]: [&WideLanes; 8],
    b: [&WideLanes; 4],
    c: [&WideLanes; 4],
) -> [WideLanes; 4] {
    reference::double::<4, 2, 4>([[a0, a1], [a2, a3], [a4, a5], [a6, a7]], b, c)
}
