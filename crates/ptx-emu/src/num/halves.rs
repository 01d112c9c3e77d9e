//! What f16 and bf16 have in common: each value is an f32, computed with there and rounded.

/// Arithmetic of one format: its description, the conversion of its bits to f32 and that back.
macro_rules! arithmetic {
    ($format:ident, $from:ident, $to:ident) => {
        /// The NaN that arithmetic returns.
        pub(crate) const NAN: u16 = 0x7fff;

        /// To the nearest value.
        #[inline(always)]
        fn near(x: f32) -> u16 {
            $to(x, super::Round::Near, false)
        }

        /// `.ftz` of one operand or result.
        #[inline(always)]
        pub(crate) fn ftz(h: u16) -> u16 {
            if h & $format.infinity() == 0 {
                h & 0x8000
            } else {
                h
            }
        }

        /// `.relu`: negative values and -0 become +0, NaN the canonical one.
        #[inline(always)]
        pub(crate) fn relu(h: u16) -> u16 {
            super::narrow::relu(h, $format)
        }

        /// `add.rn`
        #[inline(always)]
        pub(crate) fn add(a: u16, b: u16) -> u16 {
            near($from(a) + $from(b))
        }

        /// `sub.rn`
        #[inline(always)]
        pub(crate) fn sub(a: u16, b: u16) -> u16 {
            near($from(a) - $from(b))
        }

        /// `mul.rn`
        #[inline(always)]
        pub(crate) fn mul(a: u16, b: u16) -> u16 {
            near($from(a) * $from(b))
        }

        /// `abs`: clears the sign, of a NaN too.
        #[inline(always)]
        pub(crate) fn abs(h: u16) -> u16 {
            h & 0x7fff
        }

        /// `neg`: flips the sign, of a NaN too.
        #[inline(always)]
        pub(crate) fn neg(h: u16) -> u16 {
            h ^ 0x8000
        }

        /// `min`
        #[inline(always)]
        pub(crate) fn min(a: u16, b: u16) -> u16 {
            near(super::minmax::min($from(a), $from(b)))
        }

        /// `max`
        #[inline(always)]
        pub(crate) fn max(a: u16, b: u16) -> u16 {
            near(super::minmax::max($from(a), $from(b)))
        }

        /// `min.NaN`
        #[inline(always)]
        pub(crate) fn min_nan(a: u16, b: u16) -> u16 {
            near(super::minmax::min_nan($from(a), $from(b)))
        }

        /// `max.NaN`
        #[inline(always)]
        pub(crate) fn max_nan(a: u16, b: u16) -> u16 {
            near(super::minmax::max_nan($from(a), $from(b)))
        }

        /// `.xorsign.abs`: gives `r`, a minimum or maximum of the magnitudes of `a` and `b`, the
        /// product of their signs.
        #[inline(always)]
        pub(crate) fn xorsign(r: u16, a: u16, b: u16) -> u16 {
            if r > $format.infinity() {
                NAN
            } else {
                r | (a ^ b) & 0x8000
            }
        }
    };
}
pub(super) use arithmetic;
