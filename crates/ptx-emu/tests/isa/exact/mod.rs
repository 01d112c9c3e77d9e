//! Correctly rounded results, decided by comparing exact sums of integers times powers of two.

use std::cmp::Ordering;

/// A rounding mode, by the name of its modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Near,
    Zero,
    Down,
    Up,
}

/// Modifiers and what they mean; none means to nearest where an instruction has a default.
pub(crate) const MODES: [(&str, Mode); 5] = [
    ("", Mode::Near),
    (".rn", Mode::Near),
    (".rz", Mode::Zero),
    (".rm", Mode::Down),
    (".rp", Mode::Up),
];

/// `(-1)^negative * significand * 2^exponent`
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term {
    negative: bool,
    significand: u128,
    exponent: i32,
}

impl Term {
    fn magnitude(self) -> Self {
        Self {
            negative: false,
            ..self
        }
    }

    fn negated(self) -> Self {
        Self {
            negative: !self.negative,
            ..self
        }
    }

    fn times(self, other: Self) -> Self {
        Self {
            negative: self.negative != other.negative,
            significand: self.significand * other.significand,
            exponent: self.exponent + other.exponent,
        }
    }
}

/// How a sum compares with zero.
fn sign(terms: &[Term]) -> Ordering {
    let nonzero = || terms.iter().filter(|t| t.significand != 0);
    let Some(low) = nonzero().map(|t| t.exponent).min() else {
        return Ordering::Equal;
    };
    let high = nonzero().map(|t| t.exponent).max().unwrap();
    let limbs = usize::try_from(high - low).unwrap() / 32 + 6;
    let mut sums = [vec![0_u64; limbs], vec![0_u64; limbs]];
    for term in nonzero() {
        let shift = usize::try_from(term.exponent - low).unwrap();
        let sum = &mut sums[usize::from(term.negative)];
        let mut rest = term.significand;
        let mut at = shift / 32;
        let mut first = true;
        while rest != 0 {
            // 32 bits at a time, moved by less than 32, in limbs of 32 with room for carries
            let part = if first {
                let part = (rest << (shift % 32) & 0xffff_ffff) as u64;
                rest >>= 32 - shift % 32;
                first = false;
                part
            } else {
                let part = (rest & 0xffff_ffff) as u64;
                rest >>= 32;
                part
            };
            sum[at] += part;
            at += 1;
        }
    }
    for sum in &mut sums {
        for at in 1..limbs {
            sum[at] += sum[at - 1] >> 32;
            sum[at - 1] &= 0xffff_ffff;
        }
    }
    let [positive, negative] = &sums;
    positive.iter().rev().cmp(negative.iter().rev())
}

/// An IEEE format of at most 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    exponent: u32,
    fraction: u32,
}

/// f32
pub(crate) const SINGLE: Format = Format {
    exponent: 8,
    fraction: 23,
};

/// f64
pub(crate) const DOUBLE: Format = Format {
    exponent: 11,
    fraction: 52,
};

impl Format {
    fn sign_bit(self) -> u64 {
        1 << (self.exponent + self.fraction)
    }

    fn infinity(self) -> u64 {
        ((1 << self.exponent) - 1) << self.fraction
    }

    /// All ones but the sign.
    pub(crate) fn nan(self) -> u64 {
        self.sign_bit() - 1
    }

    pub(crate) fn is_nan(self, bits: u64) -> bool {
        bits & self.nan() > self.infinity()
    }

    fn finite(self, bits: u64) -> bool {
        bits & self.nan() < self.infinity()
    }

    fn is_zero(self, bits: u64) -> bool {
        bits & self.nan() == 0
    }

    pub(crate) fn negative(self, bits: u64) -> bool {
        bits & self.sign_bit() != 0
    }

    pub(crate) fn negated(self, bits: u64) -> u64 {
        bits ^ self.sign_bit()
    }

    /// Subnormal values become zeros of the same sign.
    pub(crate) fn flushed(self, bits: u64) -> u64 {
        if bits & self.infinity() == 0 {
            bits & self.sign_bit()
        } else {
            bits
        }
    }

    /// The value of finite bits; those of infinity are taken for the next power of two.
    fn term(self, bits: u64) -> Term {
        let fraction = bits & ((1 << self.fraction) - 1);
        let field = (bits & self.infinity()) >> self.fraction;
        let hidden = u64::from(field != 0) << self.fraction;
        let bias = (1 << (self.exponent - 1)) - 1;
        let exponent = i32::try_from(field.max(1)).unwrap() - bias;
        Term {
            negative: self.negative(bits),
            significand: u128::from(fraction | hidden),
            exponent: exponent - i32::try_from(self.fraction).unwrap(),
        }
    }

    /// The magnitude nearest in the sense of `mode` to one that `compare` compares values with.
    /// `guess`: bits of something close.
    fn rounded(
        self,
        negative: bool,
        mode: Mode,
        guess: u64,
        compare: impl Fn(Term) -> Ordering,
    ) -> u64 {
        let most = self.infinity() - 1;
        let mut bits = (guess & self.nan()).min(most);
        while compare(self.term(bits)).is_gt() {
            bits -= 1;
        }
        while bits <= most && compare(self.term(bits + 1)).is_le() {
            bits += 1;
        }
        let away = match mode {
            Mode::Near => {
                let below = self.term(bits);
                let middle = Term {
                    significand: 2 * below.significand + 1,
                    exponent: below.exponent - 1,
                    ..below
                };
                match compare(middle) {
                    Ordering::Less => true,
                    Ordering::Equal => bits & 1 == 1,
                    Ordering::Greater => false,
                }
            }
            Mode::Zero => false,
            Mode::Down => negative,
            Mode::Up => !negative,
        };
        let exact = bits <= most && compare(self.term(bits)).is_eq();
        let magnitude = match (exact, away) {
            (true, _) => bits,
            (false, true) => (bits + 1).min(self.infinity()),
            (false, false) => bits.min(if mode == Mode::Near { bits } else { most }),
        };
        magnitude | if negative { self.sign_bit() } else { 0 }
    }

    /// A sum of products; a sum of zero has the sign of its terms, or that which `mode` gives it.
    fn sum(self, terms: &[Term], mode: Mode, guess: u64) -> u64 {
        let order = sign(terms);
        if order.is_eq() {
            let all = terms.iter().all(|t| t.negative);
            let any = terms.iter().any(|t| t.negative);
            let negative = if mode == Mode::Down { any } else { all };
            return if negative { self.sign_bit() } else { 0 };
        }
        let negative = order.is_lt();
        self.rounded(negative, mode, guess, |value| {
            let mut all = vec![value];
            all.extend(
                terms
                    .iter()
                    .map(|t| if negative { *t } else { t.negated() }),
            );
            sign(&all)
        })
    }

    /// The host's own operations: for infinities and NaN, and as a guess for the rest.
    fn host(
        self,
        row: &[u64],
        single: impl Fn(&[f32]) -> f32,
        double: impl Fn(&[f64]) -> f64,
    ) -> u64 {
        let bits = if self == SINGLE {
            let values: Vec<_> = row.iter().map(|v| single_of(*v)).collect();
            u64::from(single(&values).to_bits())
        } else {
            let values: Vec<_> = row.iter().map(|v| f64::from_bits(*v)).collect();
            double(&values).to_bits()
        };
        if self.is_nan(bits) { self.nan() } else { bits }
    }

    pub(crate) fn add(self, row: &[u64], mode: Mode) -> u64 {
        let host = self.host(row, |v| v[0] + v[1], |v| v[0] + v[1]);
        if !row.iter().all(|v| self.finite(*v)) {
            return host;
        }
        self.sum(&[self.term(row[0]), self.term(row[1])], mode, host)
    }

    pub(crate) fn sub(self, row: &[u64], mode: Mode) -> u64 {
        self.add(&[row[0], self.negated(row[1])], mode)
    }

    pub(crate) fn mul(self, row: &[u64], mode: Mode) -> u64 {
        let host = self.host(row, |v| v[0] * v[1], |v| v[0] * v[1]);
        if !row.iter().all(|v| self.finite(*v)) {
            return host;
        }
        self.sum(&[self.term(row[0]).times(self.term(row[1]))], mode, host)
    }

    pub(crate) fn fma(self, row: &[u64], mode: Mode) -> u64 {
        let fused = |v: &[f32]| v[0].mul_add(v[1], v[2]);
        let host = self.host(row, fused, |v| v[0].mul_add(v[1], v[2]));
        if !row.iter().all(|v| self.finite(*v)) {
            return host;
        }
        let product = self.term(row[0]).times(self.term(row[1]));
        self.sum(&[product, self.term(row[2])], mode, host)
    }

    pub(crate) fn div(self, row: &[u64], mode: Mode) -> u64 {
        let host = self.host(row, |v| v[0] / v[1], |v| v[0] / v[1]);
        let zero = row.iter().any(|v| self.is_zero(*v));
        if zero || !row.iter().all(|v| self.finite(*v)) {
            return host;
        }
        let (a, b) = (self.term(row[0]), self.term(row[1]));
        self.rounded(a.negative != b.negative, mode, host, |value| {
            sign(&[value.times(b.magnitude()), a.magnitude().negated()])
        })
    }

    pub(crate) fn rcp(self, row: &[u64], mode: Mode) -> u64 {
        let one = (self.nan() >> (self.fraction + 1)) << self.fraction;
        self.div(&[one, row[0]], mode)
    }

    pub(crate) fn sqrt(self, row: &[u64], mode: Mode) -> u64 {
        let host = self.host(row, |v| v[0].sqrt(), |v| v[0].sqrt());
        if self.is_zero(row[0]) || self.negative(row[0]) || !self.finite(row[0]) {
            return host;
        }
        let a = self.term(row[0]);
        self.rounded(false, mode, host, |value| {
            sign(&[value.times(value), a.negated()])
        })
    }

    /// `min` or `max`: -0 is less than +0; a NaN gives way to a number, or not (`nan`).
    pub(crate) fn extreme(self, row: &[u64], greatest: bool, nan: bool) -> u64 {
        let numbers: Vec<_> = row.iter().copied().filter(|v| !self.is_nan(*v)).collect();
        if numbers.is_empty() || nan && numbers.len() < row.len() {
            return self.nan();
        }
        // as integers, values of a sign are in order, and negative ones in the opposite one
        let key = |v: &u64| {
            let size = i128::from(v & self.nan());
            if self.negative(*v) { -1 - size } else { size }
        };
        let found = if greatest {
            numbers.iter().max_by_key(|v| key(v))
        } else {
            numbers.iter().min_by_key(|v| key(v))
        };
        *found.unwrap()
    }
}

/// The f32 in the low half of 64 bits.
pub(crate) fn single_of(bits: u64) -> f32 {
    f32::from_bits(u32::try_from(bits & 0xffff_ffff).unwrap())
}

/// Whether `found` is at most `ulps` of f32 from the correctly rounded `exact`.
pub(crate) fn within_ulps(found: f64, exact: f64, ulps: f64, ftz: bool) -> Result<(), String> {
    let least = f64::from(f32::MIN_POSITIVE);
    if exact.is_nan() || found.is_nan() {
        return if exact.is_nan() && found.is_nan() {
            Ok(())
        } else {
            Err(format!("{found:e}, expected {exact:e}"))
        };
    }
    let size = exact.abs();
    let ulp = (size.log2().floor().max(-126.0) - 23.0).exp2();
    let overflows = size >= f64::from(f32::MAX) - 2.0 * 2_f64.powi(104);
    let right = if size.is_infinite() || found.is_infinite() {
        found.is_infinite() && overflows && found.is_sign_negative() == exact.is_sign_negative()
    } else if size == 0.0 {
        found == 0.0 && found.is_sign_negative() == exact.is_sign_negative()
    } else if ftz && size < least * (1.0 + 4.0 * f64::from(f32::EPSILON)) && found == 0.0 {
        true
    } else if ftz && size < least * (1.0 - 4.0 * f64::from(f32::EPSILON)) {
        false
    } else {
        (found - exact).abs() <= (ulps + 0.5) * ulp
    };
    if right {
        Ok(())
    } else {
        Err(format!("{found:e}, expected {exact:e} within {ulps} ulp"))
    }
}
