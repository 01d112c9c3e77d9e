//! Exact results: finite numbers are `m * 2^e`, computed with integers and rounded once.

mod arithmetic;
mod format;
mod ulps;

pub(crate) use format::{BF16, E4M3, E5M2, F16, F32, F64, Format, TF32};
pub(crate) use ulps::{single_of, within_ulps};

/// Rounding of an exact value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// To nearest, ties to even.
    Near,
    /// To nearest, ties away from zero.
    Away,
    /// Towards zero.
    Zero,
    /// Towards negative infinity.
    Down,
    /// Towards positive infinity.
    Up,
}

/// The modifiers of a rounding mode, first of all that of an instruction with a default.
pub(crate) const MODES: [(&str, Mode); 5] = [
    ("", Mode::Near),
    (".rn", Mode::Near),
    (".rz", Mode::Zero),
    (".rm", Mode::Down),
    (".rp", Mode::Up),
];

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Nan,
    Infinite { negative: bool },
    Finite(Number),
}

impl Value {
    /// The sign; a NaN has none.
    pub(crate) fn is_negative(self) -> bool {
        match self {
            Self::Nan => false,
            Self::Infinite { negative } | Self::Finite(Number { negative, .. }) => negative,
        }
    }

    pub(crate) fn is_zero(self) -> bool {
        matches!(self, Self::Finite(Number { m: 0, .. }))
    }
}

/// `(-1)^negative * m * 2^e`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    pub(crate) negative: bool,
    pub(crate) m: u128,
    pub(crate) e: i32,
}

impl Number {
    /// An integer.
    pub(crate) fn integer(value: i128) -> Self {
        Self {
            negative: value < 0,
            m: value.unsigned_abs(),
            e: 0,
        }
    }

    /// The product, for factors of up to 64 bits.
    pub(crate) fn times(self, other: Self) -> Self {
        Self {
            negative: self.negative != other.negative,
            m: self.m * other.m,
            e: self.e + other.e,
        }
    }

    /// The same number with `m` of 126 bits, for one of no more.
    fn spread(self) -> Self {
        let up = self.m.leading_zeros() - 2;
        Self {
            m: self.m << up,
            e: self.e - i32::try_from(up).unwrap(),
            ..self
        }
    }

    /// The sum, for terms of up to 106 bits. What the smaller one has below the 126 bits of the
    /// larger one becomes a last bit that is set. No rounding can tell: the terms then lie so far
    /// apart that the sum keeps 125 bits. A sum of zero is negative if both terms are.
    pub(crate) fn plus(self, other: Self) -> Self {
        let top = |n: Self| (n.m != 0).then(|| n.e - i32::try_from(n.m.leading_zeros()).unwrap());
        let (high, low) = if top(self) >= top(other) {
            (self, other)
        } else {
            (other, self)
        };
        if low.m == 0 {
            let negative = high.negative && (high.m != 0 || low.negative);
            return Self { negative, ..high };
        }
        let high = high.spread();
        let down = high.e - low.e;
        let small = match u32::try_from(down) {
            Err(_) => low.m << down.unsigned_abs(),
            Ok(down) if down >= 128 => 1,
            Ok(down) => low.m >> down | u128::from(low.m & ((1 << down) - 1) != 0),
        };
        let signed = |negative: bool, m: u128| {
            let m = i128::try_from(m).unwrap();
            if negative { -m } else { m }
        };
        Self {
            e: high.e,
            ..Self::integer(signed(high.negative, high.m) + signed(low.negative, small))
        }
    }

    /// The quotient by a number of up to 53 bits, with a last bit that says whether more follow.
    fn over(self, other: Self) -> Self {
        let high = self.spread();
        let (quotient, rest) = (high.m / other.m, high.m % other.m);
        Self {
            negative: self.negative != other.negative,
            m: quotient << 1 | u128::from(rest != 0),
            e: high.e - other.e - 1,
        }
    }

    /// The root of a positive number of up to 53 bits, with a last bit as of a quotient.
    fn root(self) -> Self {
        let mut high = self.spread();
        if high.e % 2 != 0 {
            (high.m, high.e) = (high.m >> 1, high.e + 1);
        }
        let root = high.m.isqrt();
        Self {
            negative: false,
            m: root << 1 | u128::from(root * root != high.m),
            e: high.e / 2 - 1,
        }
    }

    /// Rounded to an integer.
    pub(crate) fn round(self, mode: Mode) -> i128 {
        let magnitude = if self.e >= 0 {
            // More than any integer type holds: clamped by whoever asks.
            let room = self.m.leading_zeros().saturating_sub(2);
            if u32::try_from(self.e).unwrap() > room && self.m != 0 {
                u128::MAX >> 2
            } else {
                self.m << self.e
            }
        } else {
            cut(self.m, self.e.unsigned_abs(), self.negative, mode)
        };
        let magnitude = i128::try_from(magnitude).unwrap();
        if self.negative { -magnitude } else { magnitude }
    }
}

/// `m / 2^shift`, rounded.
fn cut(m: u128, shift: u32, negative: bool, mode: Mode) -> u128 {
    if shift == 0 {
        return m;
    }
    // Shifts by 127 and more leave nothing, and what is lost is below one half.
    let (m, shift) = if shift > 126 {
        (u128::from(m != 0), 126)
    } else {
        (m, shift)
    };
    let (kept, rest, half) = (m >> shift, m & ((1 << shift) - 1), 1 << (shift - 1));
    let up = match mode {
        Mode::Near => rest > half || rest == half && kept & 1 == 1,
        Mode::Away => rest >= half,
        Mode::Zero => false,
        Mode::Down => negative && rest != 0,
        Mode::Up => !negative && rest != 0,
    };
    kept + u128::from(up)
}
