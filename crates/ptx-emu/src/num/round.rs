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

/// Moves `r`, one of the two values around an exact result, to the one that `mode` asks for.
/// `above`: the exact result is greater than `r`; `below`: it is less.
#[inline(always)]
pub(crate) fn directed(r: f32, above: bool, below: bool, mode: Round) -> f32 {
    let negative = r.is_sign_negative();
    let (away, toward) = moves(negative, above, below, mode);
    f32::from_bits(
        r.to_bits()
            .wrapping_add(u32::from(away))
            .wrapping_sub(u32::from(toward)),
    )
}

/// `directed` for f64.
#[inline(always)]
pub(crate) fn directed_double(r: f64, above: bool, below: bool, mode: Round) -> f64 {
    let negative = r.is_sign_negative();
    let (away, toward) = moves(negative, above, below, mode);
    f64::from_bits(
        r.to_bits()
            .wrapping_add(u64::from(away))
            .wrapping_sub(u64::from(toward)),
    )
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

/// `a + b` as a nearest sum and the exact error of it (Knuth); the error is NaN where the sum is
/// infinite.
#[inline(always)]
pub(crate) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let second = sum - a;
    (sum, (a - (sum - second)) + (b - second))
}

/// `two_sum` for f32.
#[inline(always)]
pub(crate) fn two_sum_single(a: f32, b: f32) -> (f32, f32) {
    let sum = a + b;
    let second = sum - a;
    (sum, (a - (sum - second)) + (b - second))
}

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

/// `s + e` rounded to odd, where `s` is the nearest f64 of it.
#[inline(always)]
pub(crate) fn odd_double(s: f64, e: f64) -> f64 {
    let toward = u64::from((e < 0.0) & (s > 0.0) | (e > 0.0) & (s < 0.0));
    let inexact = u64::from((e < 0.0) | (e > 0.0));
    f64::from_bits(s.to_bits().wrapping_sub(toward) | inexact)
}

/// `s + e` rounded to odd, where `s` is the nearest f32 of it.
#[inline(always)]
pub(crate) fn odd_single(s: f32, e: f32) -> f32 {
    let toward = u32::from((e < 0.0) & (s > 0.0) | (e > 0.0) & (s < 0.0));
    let inexact = u32::from((e < 0.0) | (e > 0.0));
    f32::from_bits(s.to_bits().wrapping_sub(toward) | inexact)
}

/// Rounds to an integral value, sign kept; NaN bits are the host's. No call into libm at any
/// level, unlike `f32::floor` and its like without SSE4.1.
#[inline(always)]
pub(crate) fn integral(x: f32, mode: Round) -> f32 {
    const LIMIT: f32 = 8_388_608.0; // 2^23: integral from here on
    let size = x.abs();
    let near = (size + LIMIT) - LIMIT;
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
    let rounded = if size < LIMIT { rounded } else { size };
    f32::from_bits(rounded.to_bits() | (x.to_bits() & 0x8000_0000))
}

/// `integral` for f64.
#[inline(always)]
pub(crate) fn integral_double(x: f64, mode: Round) -> f64 {
    const LIMIT: f64 = 4_503_599_627_370_496.0; // 2^52
    let size = x.abs();
    let near = (size + LIMIT) - LIMIT;
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
    let rounded = if size < LIMIT { rounded } else { size };
    f64::from_bits(rounded.to_bits() | (x.to_bits() & 0x8000_0000_0000_0000))
}
