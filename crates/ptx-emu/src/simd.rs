//! One handler, several builds: for any processor, for AVX2, and for AVX-512 where that is quicker.
//!
//! A handler is generic code over 32 lanes without intrinsics. Inlined into a function that may
//! use wide registers, the compiler turns its loops into a few vector instructions. Which build
//! runs is decided once, when a module is decoded.
#![allow(
    unsafe_code,
    reason = "calls into functions that need processor features"
)]

use crate::exec::{Cx, Flow};
use crate::program::Op;

/// Instructions that the interpreter itself may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Simd {
    /// What every processor of the architecture has.
    Scalar,
    /// AVX2, FMA, F16C, BMI2.
    Avx2,
    /// AVX-512 F, BW, VL, DQ and CD besides.
    Avx512,
}

impl Simd {
    /// The widest that this processor has.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let avx2 = has!("avx2") && has!("fma") && has!("f16c") && has!("bmi2");
            let wide = has!("avx512f") && has!("avx512bw") && has!("avx512vl");
            if avx2 && wide && has!("avx512dq") && has!("avx512cd") {
                return Self::Avx512;
            }
            if avx2 {
                return Self::Avx2;
            }
        }
        Self::Scalar
    }

    /// All that this processor has, the plainest first.
    pub fn available() -> Vec<Self> {
        let all = [Self::Scalar, Self::Avx2, Self::Avx512];
        all.into_iter().filter(|s| *s <= Self::detect()).collect()
    }
}

/// A set of instructions as a type, for generic code.
pub(crate) trait Level {
    const KIND: Simd;
}

pub(crate) struct Scalar;
pub(crate) struct Avx2;
pub(crate) struct Avx512;

impl Level for Scalar {
    const KIND: Simd = Simd::Scalar;
}

impl Level for Avx2 {
    const KIND: Simd = Simd::Avx2;
}

impl Level for Avx512 {
    const KIND: Simd = Simd::Avx512;
}

/// What one instruction does to a warp. `run` must be `#[inline(always)]`: only then is it
/// compiled for the instructions of the level.
pub(crate) trait Handler {
    /// Whether it has a build for AVX-512. Plain loops over 32 lanes are as quick with AVX2, and a
    /// third of the code is saved; matrix products are written for both.
    const WIDE: bool = false;

    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow;
}

/// A handler in the build for one level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run(unsafe fn(&mut Cx<'_>, &Op) -> Flow);

impl Run {
    /// The build of `H` for this processor. `level` must not be above [`Simd::detect`].
    pub(crate) fn of<H: Handler>(level: Simd) -> Self {
        #[cfg(target_arch = "x86_64")]
        match level.min(Simd::detect()) {
            Simd::Scalar => {}
            Simd::Avx512 if H::WIDE => return Self(avx512::<H>),
            Simd::Avx512 | Simd::Avx2 => return Self(avx2::<H>),
        }
        let _ = level;
        Self(scalar::<H>)
    }

    #[inline(always)]
    pub(crate) fn call(self, cx: &mut Cx<'_>, op: &Op) -> Flow {
        // SAFETY: `of` picked a build whose features this processor was seen to have.
        unsafe { (self.0)(cx, op) }
    }
}

fn scalar<H: Handler>(cx: &mut Cx<'_>, op: &Op) -> Flow {
    H::run::<Scalar>(cx, op)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
fn avx2<H: Handler>(cx: &mut Cx<'_>, op: &Op) -> Flow {
    H::run::<Avx2>(cx, op)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512cd")]
fn avx512<H: Handler>(cx: &mut Cx<'_>, op: &Op) -> Flow {
    H::run::<Avx512>(cx, op)
}

/// Defines a function in three builds: `leveled!(name, inner(args: types) -> result)` makes
/// `name::<L>(args)`, which calls the build of the `#[inline(always)]` function `inner` for `L`.
macro_rules! leveled {
    ($(#[$doc:meta])* $name:ident = $inner:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $result:ty)?) => {
        $(#[$doc])*
        #[inline(always)]
        #[allow(unsafe_code, reason = "the level says that the processor has the features")]
        pub(crate) fn $name<L: $crate::simd::Level>($($arg: $ty),*) $(-> $result)? {
            #[inline(never)]
            fn scalar($($arg: $ty),*) $(-> $result)? {
                $inner($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[inline(never)]
            #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
            fn avx2($($arg: $ty),*) $(-> $result)? {
                $inner($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[inline(never)]
            #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512cd")]
            fn avx512($($arg: $ty),*) $(-> $result)? {
                $inner($($arg),*)
            }
            match L::KIND {
                // SAFETY: code of this level runs only where `Simd::detect` found its features.
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Simd::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Simd::Avx2 => unsafe { avx2($($arg),*) },
                _ => scalar($($arg),*),
            }
        }
    };
}
pub(crate) use leveled;

/// The highest bits of 32 words.
#[inline(always)]
pub(crate) fn signs<L: Level>(words: &[u32; 32]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if L::KIND >= Simd::Avx2 {
        // SAFETY: code of this level runs only where `Simd::detect` found AVX2.
        return unsafe { signs_avx2(words) };
    }
    let bit = |lane: usize| words[lane] >> 31 << lane;
    (0..32).fold(0, |all, lane| all | bit(lane))
}

/// The compiler finds the instruction for this by itself, and then takes its result apart.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
fn signs_avx2(words: &[u32; 32]) -> u32 {
    use std::arch::x86_64::{_mm256_castsi256_ps, _mm256_loadu_si256, _mm256_movemask_ps};
    let (eights, _) = words.as_chunks::<8>();
    eights.iter().rev().fold(0, |all, eight| {
        // SAFETY: 32 bytes are read from an array of as many; the address needs no alignment.
        let eight = unsafe { _mm256_loadu_si256(eight.as_ptr().cast()) };
        let bits = _mm256_movemask_ps(_mm256_castsi256_ps(eight)).cast_unsigned();
        all << 8 | bits
    })
}

#[cfg(test)]
mod tests {
    use super::{Avx2, Scalar, Simd, signs};

    #[test]
    fn signs_of_words() {
        for bits in [0, 1, 0x8000_0001, 0x1234_5678, u32::MAX] {
            let words = std::array::from_fn(|lane| (bits >> lane) << 31 | lane as u32);
            assert_eq!(signs::<Scalar>(&words), bits);
            if Simd::detect() >= Simd::Avx2 {
                assert_eq!(signs::<Avx2>(&words), bits);
            }
        }
    }
}
