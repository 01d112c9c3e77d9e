//! Rounding modes, directed rounding from a nearest result, and rounding to integral values.

/// A rounding modifier: `.rn .rz .rm .rp`, and for integral values `.rni .rzi .rmi .rpi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Round {
    /// To nearest, ties to even.
    Near,
    /// Towards zero.
    Zero,
    /// Towards negative infinity.
    Down,
    /// Towards positive infinity.
    Up,
}

impl Round {
    /// The mode of a modifier written without its dot.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "rn" | "rni" => Self::Near,
            "rz" | "rzi" => Self::Zero,
            "rm" | "rmi" => Self::Down,
            "rp" | "rpi" => Self::Up,
            _ => return None,
        })
    }
}

/// Whether to step away from zero and towards it. A nearest result that is zero has the sign of
/// the exact one, so no step crosses zero.
#[inline(always)]
fn moves(negative: bool, above: bool, below: bool, mode: Round) -> (bool, bool) {
    match mode {
        Round::Near => (false, false),
        Round::Zero => (false, (negative & above) | (!negative & below)),
        Round::Down => (negative & below, !negative & below),
        Round::Up => (!negative & above, negative & above),
    }
}

/// Functions of f32 and of f64, alike but for their widths. `$limit`: from here on values are
/// integral.
macro_rules! of_width {
    ($float:ident, $bits:ident, $limit:literal,
     $directed:ident, $two_sum:ident, $odd:ident, $integral:ident) => {
        /// Moves `r`, one of the two values around an exact result, to the one that `mode` asks
        /// for. `above`: the exact result is greater than `r`; `below`: it is less.
        #[inline(always)]
        pub(crate) fn $directed(r: $float, above: bool, below: bool, mode: Round) -> $float {
            let negative = r.is_sign_negative();
            let (away, toward) = moves(negative, above, below, mode);
            $float::from_bits(
                r.to_bits()
                    .wrapping_add($bits::from(away))
                    .wrapping_sub($bits::from(toward)),
            )
        }

        /// `a + b` as a nearest sum and the exact error of it (Knuth); the error is NaN where the
        /// sum is infinite.
        #[inline(always)]
        pub(crate) fn $two_sum(a: $float, b: $float) -> ($float, $float) {
            let sum = a + b;
            let second = sum - a;
            (sum, (a - (sum - second)) + (b - second))
        }

        /// `s + e` rounded to odd, where `s` is the nearest value of it.
        #[inline(always)]
        pub(crate) fn $odd(s: $float, e: $float) -> $float {
            let toward = $bits::from((e < 0.0) & (s > 0.0) | (e > 0.0) & (s < 0.0));
            let inexact = $bits::from((e < 0.0) | (e > 0.0));
            $float::from_bits(s.to_bits().wrapping_sub(toward) | inexact)
        }

        /// Rounds to an integral value, sign kept; NaN bits are the host's. No call into libm at
        /// any level, unlike `f32::floor` and its like without SSE4.1.
        #[inline(always)]
        pub(crate) fn $integral(x: $float, mode: Round) -> $float {
            let size = x.abs();
            let near = (size + $limit) - $limit;
            let rounded = match mode {
                Round::Near => near,
                Round::Zero => near - if near > size { 1.0 } else { 0.0 },
                Round::Down | Round::Up => {
                    let away = (mode == Round::Down) == x.is_sign_negative();
                    let less = if (near > size) & !away { 1.0 } else { 0.0 };
                    let more = if (near < size) & away { 1.0 } else { 0.0 };
                    near - less + more
                }
            };
            let rounded = if size < $limit { rounded } else { size };
            rounded.copysign(x)
        }
    };
}

// 2^23 and 2^52
of_width!(
    f32,
    u32,
    8_388_608.0,
    directed,
    two_sum_single,
    odd_single,
    integral
);
of_width!(
    f64,
    u64,
    4_503_599_627_370_496.0,
    directed_double,
    two_sum,
    odd_double,
    integral_double
);

/// Rounds `s + e`, where `s` is the nearest f64 of it, to f32. NaN bits are the host's.
/// `Near` wants an `e` of zero: with an inexact `s` it would round twice.
#[inline(always)]
pub(crate) fn to_single(s: f64, e: f64, mode: Round) -> f32 {
    let r = s as f32;
    let wide = f64::from(r);
    let above = (wide < s) | ((wide == s) & (e > 0.0));
    let below = (wide > s) | ((wide == s) & (e < 0.0));
    directed(r, above, below, mode)
}

/// Rounds to odd: of the two f32 values around an inexact `x`, the one whose last bit is set.
/// A later rounding to a format at least two bits narrower is then as good as rounding once.
#[inline(always)]
pub(crate) fn odd(x: f64) -> f32 {
    let r = x as f32;
    let wide = f64::from(r);
    let toward = u32::from(wide.abs() > x.abs());
    let inexact = u32::from((wide < x) | (wide > x));
    f32::from_bits(r.to_bits().wrapping_sub(toward) | inexact)
}
