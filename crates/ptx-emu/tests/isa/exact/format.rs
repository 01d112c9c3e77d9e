//! Floating-point formats: the values of bits, and the bits of values.

use super::{Mode, Number, Value, cut};

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

    /// The bits of 1.
    pub(crate) fn one(self) -> u64 {
        u64::try_from(self.bias()).unwrap() << self.fraction
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

    /// A value as an f64, which all of these formats fit into.
    pub(crate) fn double(self, bits: u64) -> f64 {
        f64::from_bits(F64.of(self.decode(bits), Mode::Near, false))
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
        if self.is_nan(bits) || self.is_negative(bits) {
            0
        } else {
            bits.min(self.one())
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
