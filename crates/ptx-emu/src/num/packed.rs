//! Pairs of 16-bit values in 32 bits: `.f16x2 .bf16x2 .s16x2 .u16x2`, and pairs made by `cvt`.
//!
//! Named functions rather than combinators: the shim through which a function is called as a
//! parameter is not always inlined, and then loops over lanes do not vectorise.

use super::Round;
use super::narrow::{to_bf16, to_f16};

/// Two halves as 32 bits, the first in the upper half.
#[inline(always)]
pub(crate) fn pack(upper: u16, lower: u16) -> u32 {
    u32::from(upper) << 16 | u32::from(lower)
}

/// Upper and lower half.
#[inline(always)]
pub(crate) fn unpack(pair: u32) -> (u16, u16) {
    (upper(pair), lower(pair))
}

/// Upper half.
#[inline(always)]
pub(crate) fn upper(pair: u32) -> u16 {
    (pair >> 16) as u16
}

/// Lower half.
#[inline(always)]
pub(crate) fn lower(pair: u32) -> u16 {
    pair as u16
}

/// `cvt.frnd{.satfinite}.f16x2.f32 d, a, b`: `a` goes to the upper half.
#[inline(always)]
pub(crate) fn to_f16x2(a: f32, b: f32, mode: Round, finite: bool) -> u32 {
    pack(to_f16(a, mode, finite), to_f16(b, mode, finite))
}

/// `cvt.frnd{.satfinite}.bf16x2.f32 d, a, b`: `a` goes to the upper half.
#[inline(always)]
pub(crate) fn to_bf16x2(a: f32, b: f32, mode: Round, finite: bool) -> u32 {
    pack(to_bf16(a, mode, finite), to_bf16(b, mode, finite))
}

/// Functions of pairs that apply the function of that name to both halves.
macro_rules! pairs {
    ($module:ident: $($name:ident($($arg:ident),*))*) => { $(
        #[doc = concat!("`", stringify!($module), "::", stringify!($name), "` on both halves.")]
        #[inline(always)]
        pub(crate) fn $name($($arg: u32),*) -> u32 {
            pack($module::$name($(upper($arg)),*), $module::$name($(lower($arg)),*))
        }
    )* };
}

/// `.f16x2`
pub(crate) mod f16x2 {
    use super::super::f16;
    use super::{lower, pack, upper};

    pairs! { f16:
        add(a, b) sub(a, b) mul(a, b) fma(a, b, c)
        min(a, b) max(a, b) min_nan(a, b) max_nan(a, b) xorsign(r, a, b)
        abs(a) neg(a) ftz(a) sat(a) relu(a) ex2(a) tanh(a)
    }
}

/// `.bf16x2`
pub(crate) mod bf16x2 {
    use super::super::bf16;
    use super::{lower, pack, upper};

    pairs! { bf16:
        add(a, b) sub(a, b) mul(a, b) fma(a, b, c)
        min(a, b) max(a, b) min_nan(a, b) max_nan(a, b) xorsign(r, a, b)
        abs(a) neg(a) ftz(a) relu(a) ex2_ftz(a) tanh(a)
    }
}

/// `.u16x2` and `.s16x2`
pub(crate) mod int16x2 {
    use super::{lower, pack, upper};

    /// `add.{u16x2,s16x2}`
    #[inline(always)]
    pub(crate) fn add(a: u32, b: u32) -> u32 {
        pack(
            upper(a).wrapping_add(upper(b)),
            lower(a).wrapping_add(lower(b)),
        )
    }

    /// `min.u16x2`
    #[inline(always)]
    pub(crate) fn min_u16(a: u32, b: u32) -> u32 {
        pack(upper(a).min(upper(b)), lower(a).min(lower(b)))
    }

    /// `max.u16x2`
    #[inline(always)]
    pub(crate) fn max_u16(a: u32, b: u32) -> u32 {
        pack(upper(a).max(upper(b)), lower(a).max(lower(b)))
    }

    /// `min.s16x2`
    #[inline(always)]
    pub(crate) fn min_s16(a: u32, b: u32) -> u32 {
        let least = |a: u16, b: u16| (a as i16).min(b as i16) as u16;
        pack(least(upper(a), upper(b)), least(lower(a), lower(b)))
    }

    /// `max.s16x2`
    #[inline(always)]
    pub(crate) fn max_s16(a: u32, b: u32) -> u32 {
        let most = |a: u16, b: u16| (a as i16).max(b as i16) as u16;
        pack(most(upper(a), upper(b)), most(lower(a), lower(b)))
    }

    /// `.relu` of `min.s16x2` and `max.s16x2`
    #[inline(always)]
    pub(crate) fn relu(a: u32) -> u32 {
        max_s16(a, 0)
    }
}
