//! Floating-point formats by exact integer arithmetic: a finite number is `m * 2^e`.

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

/// The four modes that have a modifier in most instructions, and its name.
pub(crate) const MODES: [(&str, Mode); 4] = [
    ("rn", Mode::Near),
    ("rz", Mode::Zero),
    ("rm", Mode::Down),
    ("rp", Mode::Up),
];

/// A binary format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// Bits of the exponent.
    pub(crate) exponent: u32,
    /// Bits of the fraction.
    pub(crate) fraction: u32,
    /// Whether it has infinities; without, all ones are its only NaN.
    pub(crate) infinities: bool,
}

const fn format(exponent: u32, fraction: u32) -> Format {
    Format {
        exponent,
        fraction,
        infinities: true,
    }
}

pub(crate) const F16: Format = format(5, 10);
pub(crate) const BF16: Format = format(8, 7);
pub(crate) const F32: Format = format(8, 23);
pub(crate) const F64: Format = format(11, 52);
pub(crate) const TF32: Format = format(8, 10);
pub(crate) const E5M2: Format = format(5, 2);
pub(crate) const E4M3: Format = Format {
    exponent: 4,
    fraction: 3,
    infinities: false,
};

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Nan,
    Infinite { negative: bool },
    Finite(Number),
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

    /// The sum, for terms of up to 24 bits. Where one is too small to reach the last bit of the
    /// other one shifted up by 70, it becomes one unit there: no rounding can tell.
    pub(crate) fn plus(self, other: Self) -> Self {
        if self.m == 0 || other.m == 0 {
            let zero = Self {
                negative: self.negative && other.negative,
                m: 0,
                e: 0,
            };
            return match (self.m, other.m) {
                (0, 0) => zero,
                (0, _) => other,
                _ => self,
            };
        }
        let (high, low) = if self.e >= other.e {
            (self, other)
        } else {
            (other, self)
        };
        let apart = u32::try_from(high.e - low.e).unwrap();
        let (up, small) = if apart <= 100 {
            (apart, low.m)
        } else {
            (70, 1)
        };
        let signed = |negative: bool, m: u128| {
            let m = i128::try_from(m).unwrap();
            if negative { -m } else { m }
        };
        let sum = signed(high.negative, high.m << up) + signed(low.negative, small);
        Self {
            e: high.e - i32::try_from(up).unwrap(),
            ..Self::integer(sum)
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

impl Format {
    /// Bits in all.
    pub(crate) fn bits(self) -> u32 {
        1 + self.exponent + self.fraction
    }

    fn bias(self) -> i32 {
        (1 << (self.exponent - 1)) - 1
    }

    /// The largest finite magnitude, as bits.
    pub(crate) fn largest(self) -> u64 {
        let ones = (1_u64 << (self.bits() - 1)) - 1;
        if self.infinities {
            self.infinity() - 1
        } else {
            ones - 1
        }
    }

    /// The bits of infinity.
    pub(crate) fn infinity(self) -> u64 {
        ((1 << self.exponent) - 1) << self.fraction
    }

    /// The NaN with all ones but the sign.
    pub(crate) fn nan(self) -> u64 {
        (1 << (self.bits() - 1)) - 1
    }

    /// Whether these bits are a NaN.
    pub(crate) fn is_nan(self, bits: u64) -> bool {
        self.decode(bits) == Value::Nan
    }

    pub(crate) fn is_negative(self, bits: u64) -> bool {
        bits >> (self.bits() - 1) & 1 == 1
    }

    pub(crate) fn decode(self, bits: u64) -> Value {
        let negative = self.is_negative(bits);
        let size = bits & self.nan();
        if size > self.largest() {
            return if self.infinities && size == self.infinity() {
                Value::Infinite { negative }
            } else {
                Value::Nan
            };
        }
        let field = i32::try_from(size >> self.fraction).unwrap();
        let fraction = size & ((1 << self.fraction) - 1);
        let least = 1 - self.bias() - i32::try_from(self.fraction).unwrap();
        Value::Finite(if field == 0 {
            Number {
                negative,
                m: fraction.into(),
                e: least,
            }
        } else {
            Number {
                negative,
                m: (fraction | 1 << self.fraction).into(),
                e: least + field - 1,
            }
        })
    }

    /// The bits of an infinity or of zero with a sign.
    pub(crate) fn signed(self, size: u64, negative: bool) -> u64 {
        size | u64::from(negative) << (self.bits() - 1)
    }

    /// The bits of a number, rounded. `finite`: what overflows becomes the largest finite value.
    pub(crate) fn encode(self, number: Number, mode: Mode, finite: bool) -> u64 {
        let Number { negative, m, e } = number;
        if m == 0 {
            return self.signed(0, negative);
        }
        let fraction = i32::try_from(self.fraction).unwrap();
        let least = 1 - self.bias() - fraction;
        let top = e + 127 - i32::try_from(m.leading_zeros()).unwrap();
        let last = least.max(top - fraction);
        let kept = if last >= e {
            cut(m, (last - e).unsigned_abs(), negative, mode)
        } else {
            m << (e - last)
        };
        // The leading one of a normal number counts as one of its exponent.
        let places = u128::from((last - least).unsigned_abs()) << self.fraction;
        let size = kept + places;
        if size <= u128::from(self.largest()) {
            return self.signed(u64::try_from(size).unwrap(), negative);
        }
        let toward_zero = match mode {
            Mode::Near | Mode::Away => false,
            Mode::Zero => true,
            Mode::Down => !negative,
            Mode::Up => negative,
        };
        let size = if finite || toward_zero {
            self.largest()
        } else {
            self.infinity()
        };
        self.signed(size, negative)
    }

    /// A value of another format, rounded to this one. NaN gives all ones.
    pub(crate) fn of(self, value: Value, mode: Mode, finite: bool) -> u64 {
        match value {
            Value::Nan => self.nan(),
            Value::Infinite { negative } if finite => self.signed(self.largest(), negative),
            Value::Infinite { negative } => self.signed(self.infinity(), negative),
            Value::Finite(number) => self.encode(number, mode, finite),
        }
    }

    /// `.ftz`
    pub(crate) fn flush(self, bits: u64) -> u64 {
        if bits & self.infinity() == 0 {
            self.signed(0, self.is_negative(bits))
        } else {
            bits
        }
    }

    /// `.sat`
    pub(crate) fn saturate(self, bits: u64) -> u64 {
        let one = u64::try_from(self.bias()).unwrap() << self.fraction;
        if self.is_nan(bits) || self.is_negative(bits) {
            0
        } else {
            bits.min(one)
        }
    }

    /// `.relu`
    pub(crate) fn relu(self, bits: u64) -> u64 {
        if self.is_nan(bits) {
            self.nan()
        } else if self.is_negative(bits) {
            0
        } else {
            bits
        }
    }
}

#[test]
fn agrees_with_the_processor() {
    let f32s = crate::values::f32s();
    let random = crate::values::random(32, 500, 91);
    for bits in f32s.iter().chain(&random) {
        let x = f32::from_bits(u32::try_from(*bits).unwrap());
        if x.is_nan() {
            continue;
        }
        let value = F32.decode(*bits);
        assert_eq!(F32.of(value, Mode::Near, false), *bits);
        let wide = F64.of(value, Mode::Near, false);
        assert_eq!(wide, f64::from(x).to_bits());
        let third = f64::from(x) / 3.0;
        let value = F64.decode(third.to_bits());
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the rounding that is meant"
        )]
        let narrow = third as f32;
        assert_eq!(
            F32.of(value, Mode::Near, false),
            u64::from(narrow.to_bits())
        );
        for other in &random {
            let y = f32::from_bits(u32::try_from(*other).unwrap());
            let (Value::Finite(a), Value::Finite(b)) = (F32.decode(*bits), F32.decode(*other))
            else {
                continue;
            };
            let sum = F32.encode(a.plus(b), Mode::Near, false);
            assert_eq!(sum, u64::from((x + y).to_bits()), "{x} + {y}");
        }
    }
}
