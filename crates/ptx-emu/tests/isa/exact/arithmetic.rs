//! Arithmetic on the bits of operands, with the rules for zeros, infinities and NaN.

use super::Value::{Finite, Infinite, Nan};
use super::{F32, F64, Format, Mode, Value};

impl Format {
    /// `a * b + c`
    fn fused(self, [a, b, c]: [Value; 3], mode: Mode) -> u64 {
        let negative = a.is_negative() != b.is_negative();
        match (a, b, c) {
            (Nan, _, _) | (_, Nan, _) | (_, _, Nan) => self.nan(),
            (Infinite { .. }, other, c) | (other, Infinite { .. }, c) => {
                let against = matches!(c, Infinite { negative: n } if n != negative);
                if other.is_zero() || against {
                    self.nan()
                } else {
                    self.signed(self.infinity(), negative)
                }
            }
            (_, _, Infinite { negative }) => self.signed(self.infinity(), negative),
            (Finite(a), Finite(b), Finite(c)) => {
                let mut sum = a.times(b).plus(c);
                if sum.m == 0 && mode == Mode::Down {
                    sum.negative = negative || c.negative;
                }
                self.encode(sum, mode, false)
            }
        }
    }

    pub(crate) fn fma(self, row: &[u64], mode: Mode) -> u64 {
        self.fused([row[0], row[1], row[2]].map(|v| self.decode(v)), mode)
    }

    pub(crate) fn add(self, row: &[u64], mode: Mode) -> u64 {
        self.fma(&[row[0], self.one(), row[1]], mode)
    }

    pub(crate) fn sub(self, row: &[u64], mode: Mode) -> u64 {
        self.add(&[row[0], row[1] ^ self.signed(0, true)], mode)
    }

    /// The term added is a zero of the sign of the product, which a product of zero keeps.
    pub(crate) fn mul(self, row: &[u64], mode: Mode) -> u64 {
        let negative = self.is_negative(row[0]) != self.is_negative(row[1]);
        self.fma(&[row[0], row[1], self.signed(0, negative)], mode)
    }

    pub(crate) fn div(self, row: &[u64], mode: Mode) -> u64 {
        let (a, b) = (self.decode(row[0]), self.decode(row[1]));
        let negative = a.is_negative() != b.is_negative();
        match (a, b) {
            (Nan, _) | (_, Nan) | (Infinite { .. }, Infinite { .. }) => self.nan(),
            _ if a.is_zero() && b.is_zero() => self.nan(),
            (Infinite { .. }, _) => self.signed(self.infinity(), negative),
            _ if b.is_zero() => self.signed(self.infinity(), negative),
            (_, Infinite { .. }) => self.signed(0, negative),
            _ if a.is_zero() => self.signed(0, negative),
            (Finite(a), Finite(b)) => self.encode(a.over(b), mode, false),
        }
    }

    pub(crate) fn rcp(self, row: &[u64], mode: Mode) -> u64 {
        self.div(&[self.one(), row[0]], mode)
    }

    pub(crate) fn sqrt(self, row: &[u64], mode: Mode) -> u64 {
        match self.decode(row[0]) {
            Infinite { negative: false } => row[0],
            value if value.is_zero() => row[0],
            Finite(a) if !a.negative => self.encode(a.root(), mode, false),
            _ => self.nan(),
        }
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
            if self.is_negative(*v) {
                -1 - size
            } else {
                size
            }
        };
        let found = if greatest {
            numbers.iter().max_by_key(|v| key(v))
        } else {
            numbers.iter().min_by_key(|v| key(v))
        };
        *found.unwrap()
    }
}

/// Bits of an operation of the processor, NaN as [`Format::nan`] has it.
macro_rules! host {
    ($format:ident, $float:ident, $operation:expr, $row:expr) => {{
        let [a, b, c] = $row.map(|v| $float::from_bits(v.try_into().unwrap()));
        let operation: fn($float, $float, $float) -> $float = $operation;
        let found = operation(a, b, c);
        if found.is_nan() {
            $format.nan()
        } else {
            u64::from(found.to_bits())
        }
    }};
}

macro_rules! compare {
    ($format:ident, $float:ident, $rows:expr) => {
        for row in $rows {
            let row: [u64; 3] = row.try_into().unwrap();
            macro_rules! same {
                ($name:ident, $operation:expr) => {
                    assert_eq!(
                        $format.$name(&row, Mode::Near),
                        host!($format, $float, $operation, row),
                        "{} of {row:x?}",
                        stringify!($name)
                    );
                };
            }
            same!(add, |a, b, _| a + b);
            same!(sub, |a, b, _| a - b);
            same!(mul, |a, b, _| a * b);
            same!(div, |a, b, _| a / b);
            same!(rcp, |a, _, _| 1.0 / a);
            same!(sqrt, |a, _, _| a.sqrt());
            same!(fma, |a, b, c| a.mul_add(b, c));
        }
    };
}

#[test]
fn agrees_with_the_processor() {
    use crate::values::{f32s, f64s, rows3};
    let (f32s, f64s) = (f32s(), f64s());
    compare!(F32, f32, rows3([&f32s, &f32s, &f32s], [32; 3], 4000, 4000));
    compare!(F64, f64, rows3([&f64s, &f64s, &f64s], [64; 3], 4000, 4000));
    for bits in f64s {
        let x = f64::from_bits(bits);
        if !x.is_nan() {
            assert_eq!(F64.double(bits).to_bits(), bits);
            let narrow = F32.of(F64.decode(bits), Mode::Near, false);
            assert_eq!(narrow, u64::from((x as f32).to_bits()), "{x:e}");
        }
    }
}

/// Directed results enclose the exact one, next to each other, and the nearest is one of them.
#[test]
fn modes_enclose() {
    use crate::values::{f32s, rows2};
    let f32s = f32s();
    for row in rows2([&f32s, &f32s], [32; 2], 2000) {
        for f in [Format::add, Format::mul, Format::div] {
            let [near, zero, down, up] = [Mode::Near, Mode::Zero, Mode::Down, Mode::Up]
                .map(|mode| F32.double(f(F32, &row, mode)));
            if near.is_nan() {
                continue;
            }
            assert!(down <= near && near <= up, "{row:x?}: {down} {near} {up}");
            assert!(near == down || near == up, "{row:x?}: {down} {near} {up}");
            assert_eq!(
                zero,
                if near.is_sign_negative() { up } else { down },
                "{row:x?}"
            );
        }
    }
}
