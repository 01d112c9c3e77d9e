//! Layouts against the tables of the PTX ISA, values against naive matrix products.

#![allow(
    clippy::needless_range_loop,
    reason = "a lane indexes several registers and the tables at once"
)]

mod descriptor;
mod formats;
mod mma;
mod rows;
mod tables;
mod tensor_map;
mod wgmma;

use super::Simd;

/// Splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Uniform in `[-1, 1)`.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    fn word(&mut self) -> u32 {
        u32::try_from(self.next() >> 32).unwrap()
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }
}

/// The levels this host can run.
fn levels() -> Vec<Simd> {
    #[allow(unused_mut, reason = "grows on x86 alone")]
    let mut levels = vec![Simd::Scalar];
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        let avx512 = avx2
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq");
        if avx2 {
            levels.push(Simd::Avx2);
        }
        if avx512 {
            levels.push(Simd::Avx512);
        }
    }
    levels
}

/// Calls `$f::<L>(..)` with the level type of a [`Simd`] value.
macro_rules! at_level {
    ($simd:expr, $($path:ident)::+ $([$($generic:ty),*])?, $($argument:expr),*) => {
        match $simd {
            $crate::matrix::Simd::Scalar => {
                $($path)::+::<$crate::simd::Scalar $(, $($generic),*)?>($($argument),*)
            }
            $crate::matrix::Simd::Avx2 => {
                $($path)::+::<$crate::simd::Avx2 $(, $($generic),*)?>($($argument),*)
            }
            $crate::matrix::Simd::Avx512 => {
                $($path)::+::<$crate::simd::Avx512 $(, $($generic),*)?>($($argument),*)
            }
        }
    };
}
use at_level;
