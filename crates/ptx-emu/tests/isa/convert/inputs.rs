//! Inputs of conversions.

use super::Kind::{self, Float, Integer};
use crate::exact::{BF16, E4M3, E5M2, F16, F32, F64, Format, Mode, Number, TF32, Value};
use crate::values::{floats, integers, random};

/// Bits of f32 or f64 around what other formats hold: halves between neighbours, limits of
/// integers, and what lies next to them.
pub(crate) fn between(format: Format) -> Vec<u64> {
    let mut values = Vec::new();
    let mut around = |number: Number| {
        let bits = format.encode(number, Mode::Near, true);
        values.extend([bits, bits + 1, bits.saturating_sub(1)]);
    };
    for narrow in [F16, BF16, TF32, E4M3, E5M2, F32] {
        let bits = narrow.bits();
        let most = narrow.largest();
        let mut sizes = random(bits - 1, 60, u64::from(narrow.fraction));
        sizes.extend([0, 1, 2, most, most - 1, 1 << narrow.fraction]);
        for (at, size) in sizes.iter().enumerate() {
            if let Value::Finite(Number { m, e, .. }) = narrow.decode(*size) {
                let negative = at % 2 == 1;
                // The middle between it and the next.
                around(Number {
                    negative,
                    m: 2 * m + 1,
                    e: e - 1,
                });
            }
        }
    }
    for bits in [0, 1, 2, 7, 8, 15, 16, 31, 32, 63, 64] {
        for (part, negative) in [
            (0, false),
            (1, true),
            (2, false),
            (3, true),
            (2, true),
            (0, true),
        ] {
            // 2^bits and quarters below and above.
            for m in [(4_u128 << bits) + part, (4_u128 << bits) - part] {
                around(Number { negative, m, e: -2 });
            }
        }
    }
    values
}

/// Inputs of a type, as bits of a register of `register` bits: the upper ones are anything.
pub(crate) fn inputs(kind: Kind, register: u32, all: bool) -> Vec<Vec<u64>> {
    let bits = kind.bits();
    let mut values = match kind {
        _ if bits == 8 => (0..256).collect(),
        Float(_) if bits == 16 && all => (0..0x1_0000).collect(),
        Integer { .. } => integers(bits),
        Float(format) => floats(format.exponent, format.fraction),
    };
    if let Float(format @ (F32 | F64)) = kind {
        values.extend(between(format));
    }
    if let Integer { bits: 64, .. } = kind {
        // Next to what f32 and f64 hold.
        for shift in [11, 40] {
            for (x, less) in random(53, 40, shift).iter().zip(0..) {
                values.push((x << 11 | 1 << 10).wrapping_sub(less % 3));
                values.push((x | 1) << 10 >> (shift % 40));
            }
        }
    }
    values.extend(random(bits, 400, 5));
    let above = random(64, values.len(), 6);
    let wide = u64::MAX >> (64 - register);
    let low = u64::MAX >> (64 - bits);
    let join = |(value, above): (&u64, &u64)| vec![(value & low | above & !low) & wide];
    values.iter().zip(&above).map(join).collect()
}
