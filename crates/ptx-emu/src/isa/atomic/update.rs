//! What an atomic instruction makes of the value that it finds.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "values of fewer bits in the low part of 64"
)]

use std::marker::PhantomData;

use crate::num::{Round, bf16, double, f16, packed, single};

/// An operation on the low bits of 64; more may be set in the operands, and in the result.
pub(super) trait Update {
    /// The new value, from the old one and the operands. `global`: in global memory.
    fn apply(old: u64, b: u64, c: u64, global: bool) -> u64;
}

/// A type of a value that stands in the low bits of 64.
pub(super) trait Value: Copy + PartialOrd {
    fn of(bits: u64) -> Self;
    fn bits(self) -> u64;
    fn plus(self, other: Self) -> Self;
}

macro_rules! integers {
    ($($ty:ty),*) => {$(
        impl Value for $ty {
            #[inline(always)]
            fn of(bits: u64) -> Self {
                bits as $ty
            }
            #[inline(always)]
            #[allow(clippy::cast_lossless, reason = "one text for all types")]
            fn bits(self) -> u64 {
                self as u64
            }
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
        }
    )*};
}
integers!(u16, u32, i32, u64, i64);

impl Value for f64 {
    #[inline(always)]
    fn of(bits: u64) -> Self {
        Self::from_bits(bits)
    }
    #[inline(always)]
    fn bits(self) -> u64 {
        self.to_bits()
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        double::add(self, other, Round::Near)
    }
}

macro_rules! updates {
    ($($name:ident: |$old:ident, $b:ident, $c:ident| $body:expr;)*) => {$(
        pub(super) struct $name<T>(PhantomData<T>);
        impl<T: Value> Update for $name<T> {
            #[inline(always)]
            fn apply($old: u64, $b: u64, $c: u64, _: bool) -> u64 {
                $body
            }
        }
    )*};
}
updates! {
    And: |old, b, _c| old & b;
    Or: |old, b, _c| old | b;
    Xor: |old, b, _c| old ^ b;
    Exchange: |_old, b, _c| b;
    Swap: |old, b, c| if T::of(old) == T::of(b) { c } else { old };
    Add: |old, b, _c| T::of(old).plus(T::of(b)).bits();
    Min: |old, b, _c| if T::of(b) < T::of(old) { b } else { old };
    Max: |old, b, _c| if T::of(b) > T::of(old) { b } else { old };
}

macro_rules! fixed {
    ($($name:ident: |$old:ident, $b:ident, $global:ident| $body:expr;)*) => {$(
        pub(super) struct $name;
        impl Update for $name {
            #[inline(always)]
            fn apply(old: u64, b: u64, _: u64, $global: bool) -> u64 {
                let ($old, $b) = (old as u32, b as u32);
                u64::from($body)
            }
        }
    )*};
}
fixed! {
    Inc: |old, b, _global| if old >= b { 0 } else { old + 1 };
    Dec: |old, b, _global| if old == 0 || old > b { b } else { old - 1 };
    AddF32: |old, b, global| add_f32(f32::from_bits(old), f32::from_bits(b), global).to_bits();
    AddF16: |old, b, _global| f16::add(old as u16, b as u16);
    AddBf16: |old, b, _global| bf16::add(old as u16, b as u16);
    AddF16x2: |old, b, _global| packed::f16x2::add(old, b);
    AddBf16x2: |old, b, _global| packed::bf16x2::add(old, b);
    MinF16: |old, b, _global| f16::min(old as u16, b as u16);
    MinBf16: |old, b, _global| bf16::min(old as u16, b as u16);
    MinF16x2: |old, b, _global| packed::f16x2::min(old, b);
    MinBf16x2: |old, b, _global| packed::bf16x2::min(old, b);
    MaxF16: |old, b, _global| f16::max(old as u16, b as u16);
    MaxBf16: |old, b, _global| bf16::max(old as u16, b as u16);
    MaxF16x2: |old, b, _global| packed::f16x2::max(old, b);
    MaxBf16x2: |old, b, _global| packed::bf16x2::max(old, b);
}

/// In global memory, subnormal operands and results become zeros of their sign.
#[inline(always)]
fn add_f32(a: f32, b: f32, global: bool) -> f32 {
    if global {
        single::ftz(single::add(single::ftz(a), single::ftz(b), Round::Near))
    } else {
        single::add(a, b, Round::Near)
    }
}
