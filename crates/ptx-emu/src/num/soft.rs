//! f64 arithmetic on integers, for directed rounding: exact sums, products and quotients as
//! 128-bit significands with a flag for what lies below, rounded once.

use super::Round;

const FRACTION: u64 = (1 << 52) - 1;
/// Bit at which the leading one of a normalised significand stands.
const TOP: i32 = 120;

/// A finite value: `sig * 2^exp`, with the leading one at `TOP` unless it is zero.
#[derive(Clone, Copy)]
struct Exact {
    negative: bool,
    exp: i32,
    sig: u128,
}

impl Exact {
    fn of(x: f64) -> Self {
        let bits = x.to_bits();
        let field = (bits >> 52 & 0x7ff) as i32;
        let hidden = u64::from(field != 0) << 52;
        let sig = u128::from(bits & FRACTION | hidden);
        Self::normalised(x.is_sign_negative(), field.max(1) - 1075, sig)
    }

    fn normalised(negative: bool, exp: i32, sig: u128) -> Self {
        if sig == 0 {
            return Self { negative, exp, sig };
        }
        let left = sig.leading_zeros() as i32 - (127 - TOP);
        Self {
            negative,
            exp: exp - left,
            sig: if left >= 0 { sig << left } else { sig >> -left },
        }
    }
}

/// Special operands follow the host; only finite ones need work.
fn special(values: &[f64]) -> bool {
    values.iter().any(|v| !v.is_finite())
}

/// `a + b`
pub(super) fn add(a: f64, b: f64, mode: Round) -> f64 {
    if special(&[a, b]) {
        return a + b;
    }
    sum(Exact::of(a), Exact::of(b), mode)
}

/// `a * b`
pub(super) fn mul(a: f64, b: f64, mode: Round) -> f64 {
    if special(&[a, b]) || a == 0.0 || b == 0.0 {
        return a * b;
    }
    let p = product(a, b);
    pack(p.negative, p.exp, p.sig, false, mode)
}

/// `a * b + c`, rounded once
pub(super) fn fma(a: f64, b: f64, c: f64, mode: Round) -> f64 {
    if special(&[a, b]) {
        return a * b + c;
    }
    if special(&[c]) {
        return c;
    }
    sum(product(a, b), Exact::of(c), mode)
}

/// `a / b`
pub(super) fn div(a: f64, b: f64, mode: Round) -> f64 {
    if special(&[a, b]) || a == 0.0 || b == 0.0 {
        return a / b;
    }
    let (x, y) = (Exact::of(a), Exact::of(b));
    // Both significands have 53 bits at the top: the quotient has at least 66.
    let divisor = y.sig >> (TOP - 52);
    let (quotient, rest) = (x.sig / divisor, x.sig % divisor);
    let exp = x.exp - y.exp - (TOP - 52);
    pack(x.negative != y.negative, exp, quotient, rest != 0, mode)
}

/// How `a` compares with `r * r` for `r` the nearest square root: greater, less. Neither for
/// values that have no finite positive root.
pub(super) fn against_square(a: f64, r: f64) -> (bool, bool) {
    if special(&[a, r]) || a == 0.0 {
        return (false, false);
    }
    let (x, square) = (Exact::of(a), product(r, r));
    // Both normalised alike: exponents decide first.
    let order = (x.exp, x.sig).cmp(&(square.exp, square.sig));
    (order.is_gt(), order.is_lt())
}

/// The exact product of two finite values.
fn product(a: f64, b: f64) -> Exact {
    let (x, y) = (Exact::of(a), Exact::of(b));
    let drop = TOP - 52;
    let sig = (x.sig >> drop) * (y.sig >> drop);
    Exact::normalised(x.negative != y.negative, x.exp + y.exp + 2 * drop, sig)
}

/// The rounded sum. Where bits of the smaller term fall off, it is smaller by a factor of at
/// least 2^14, so at most one leading bit cancels and the rounding point stays far above them.
fn sum(x: Exact, y: Exact, mode: Round) -> f64 {
    let zero = |negative: bool| if negative { -0.0 } else { 0.0 };
    if x.sig == 0 && y.sig == 0 {
        let (all, any) = (x.negative && y.negative, x.negative || y.negative);
        return zero(if mode == Round::Down { any } else { all });
    }
    if x.sig == 0 || y.sig == 0 {
        let v = if x.sig == 0 { y } else { x };
        return pack(v.negative, v.exp, v.sig, false, mode);
    }
    let (high, low) = if (x.exp, x.sig) >= (y.exp, y.sig) {
        (x, y)
    } else {
        (y, x)
    };
    let shift = (high.exp - low.exp) as u32;
    let moved = low.sig.checked_shr(shift).unwrap_or(0);
    let lost = shift > 127 || moved << shift != low.sig;
    if high.negative == low.negative {
        return pack(high.negative, high.exp, high.sig + moved, lost, mode);
    }
    let sig = high.sig - moved - u128::from(lost);
    if sig == 0 && !lost {
        return zero(mode == Round::Down);
    }
    pack(high.negative, high.exp, sig, lost, mode)
}

/// Rounds `(sig + something in (0, 1) if more) * 2^exp`, `sig` not zero and below 2^122.
fn pack(negative: bool, exp: i32, sig: u128, more: bool, mode: Round) -> f64 {
    let top = 127 - sig.leading_zeros() as i32;
    // Exponent of the last bit of the result.
    let last = (top + exp - 52).max(-1074);
    let shift = last - exp;
    let (kept, half, low) = if shift <= 0 {
        (sig << -shift, false, more)
    } else if shift > 126 {
        (0, false, true)
    } else {
        let rest = sig & ((1 << shift) - 1);
        let middle = 1 << (shift - 1);
        (
            sig >> shift,
            rest & middle != 0,
            rest & (middle - 1) != 0 || more,
        )
    };
    let up = match mode {
        Round::Near => half && (low || kept & 1 == 1),
        Round::Zero => false,
        Round::Down => negative && (half || low),
        Round::Up => !negative && (half || low),
    };
    let sign = u64::from(negative) << 63;
    let infinite = 0x7ff0_0000_0000_0000_u64;
    let size = if last > 1023 - 52 {
        infinite
    } else {
        // The hidden bit, and a carry out of the significand, add one to the exponent field.
        let field = ((last + 1074) as u64) << 52;
        field + kept as u64 + u64::from(up)
    };
    let away = match mode {
        Round::Near => true,
        Round::Zero => false,
        Round::Down => negative,
        Round::Up => !negative,
    };
    let size = if size >= infinite {
        infinite - u64::from(!away)
    } else {
        size
    };
    f64::from_bits(size | sign)
}
