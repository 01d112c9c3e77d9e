//! Halves and fp8: all inputs of the unary conversions, and sums and products against integers.

use crate::num::Round::{self, Down, Near, Up, Zero};
use crate::num::fp8::{Fp8, from_f16x2, to_f16x2, to_fp8, to_fp8x2, to_half};
use crate::num::narrow::{from_bf16, from_f16, to_bf16, to_f16};
use crate::num::{bf16, f16};

/// An f16 as a multiple of 2^-24, from its fields.
fn units(h: u16) -> i128 {
    let (field, low) = (i128::from(h >> 10 & 31), i128::from(h & 0x3ff));
    let size = if field == 0 {
        low
    } else {
        (low + 1024) << (field - 1)
    };
    if h & 0x8000 == 0 { size } else { -size }
}

/// The nearest f16 of `n * 2^-48`; `negative`: sign of a zero.
fn nearest(n: i128, negative: bool) -> u16 {
    let size = n.unsigned_abs();
    let sign = if n < 0 || n == 0 && negative {
        0x8000
    } else {
        0
    };
    // Candidates are f16 patterns in order: find the last one not above, then the nearer.
    let value = |pattern: u16| (units(pattern) as u128) << 24;
    let (mut low, mut high) = (0, 0x7c00); // 0x7c00 stands for 2^16
    while high - low > 1 {
        let middle = u16::midpoint(low, high);
        if value(middle) <= size {
            low = middle;
        } else {
            high = middle;
        }
    }
    if size >= 1 << 64 {
        return 0x7c00 | sign;
    }
    let top = if high == 0x7c00 { 1 << 64 } else { value(high) };
    let (below, above) = (size - value(low), top - size);
    let up = above < below || above == below && low & 1 == 1;
    (if up { high } else { low }) | sign
}

fn finite(h: u16) -> bool {
    h & 0x7c00 != 0x7c00
}

#[test]
fn f16_sums_and_products_round_once() {
    let others: Vec<u16> = super::scattered(60)
        .map(|x| x as u16)
        .chain([
            0, 1, 0x8000, 0x8001, 0x3ff, 0x400, 0x3c00, 0xbc01, 0x7bff, 0xfbff,
        ])
        .filter(|&h| finite(h))
        .collect();
    for a in (0..=u16::MAX).filter(|&h| finite(h)) {
        for &b in &others {
            let (x, y) = (units(a), units(b));
            let (sa, sb) = (a & 0x8000 != 0, b & 0x8000 != 0);
            assert_eq!(
                f16::add(a, b),
                nearest((x + y) << 24, sa && sb),
                "{a:x} + {b:x}"
            );
            assert_eq!(
                f16::sub(a, b),
                nearest((x - y) << 24, sa && !sb),
                "{a:x} - {b:x}"
            );
            assert_eq!(f16::mul(a, b), nearest(x * y, sa != sb), "{a:x} * {b:x}");
        }
    }
}

#[test]
fn f16_fused_sums_round_once() {
    for bits in super::scattered(2_000_000) {
        // Every third with exponents near one, where ties and cancellation happen.
        let bits = if bits % 3 == 0 {
            bits & 0x8fff_8fff_8fff | 0x3000_3000_3000
        } else {
            bits
        };
        let (a, b, c) = (bits as u16, (bits >> 16) as u16, (bits >> 32) as u16);
        // Products with few bits, so that ties are common.
        let (a, b) = (a & 0xffe0, b & 0xfff0);
        if !(finite(a) && finite(b) && finite(c)) {
            continue;
        }
        let exact = units(a) * units(b) + (units(c) << 24);
        let negative = (a ^ b) & c & 0x8000 != 0;
        assert_eq!(
            f16::fma(a, b, c),
            nearest(exact, negative),
            "{a:x} {b:x} {c:x}"
        );
    }
}

#[test]
fn widening_is_exact_for_all_inputs() {
    for h in 0..=u16::MAX {
        let (x, y) = (half::f16::from_bits(h), half::bf16::from_bits(h));
        let expected = if x.is_nan() {
            0x7fff_ffff
        } else {
            x.to_f32().to_bits()
        };
        assert_eq!(from_f16(h).to_bits(), expected, "{h:x}");
        let expected = if y.is_nan() {
            0x7fff_ffff
        } else {
            y.to_f32().to_bits()
        };
        assert_eq!(from_bf16(h).to_bits(), expected, "{h:x}");
        // And back, in every mode.
        for mode in [Near, Zero, Down, Up] {
            let back = to_f16(from_f16(h), mode, false);
            assert_eq!(back, if x.is_nan() { 0x7fff } else { h });
            let back = to_bf16(from_bf16(h), mode, false);
            assert_eq!(back, if y.is_nan() { 0x7fff } else { h });
        }
    }
}

/// Nearest conversion against the `half` crate; directed ones by where the result lies.
#[test]
fn narrowing_brackets_its_operand() {
    type Narrow = fn(f32, Round, bool) -> u16;
    type Row = (Narrow, fn(u16) -> f32, fn(f32) -> u16, u16);
    let formats: [Row; 2] = [
        (
            to_f16,
            from_f16,
            |x| half::f16::from_f32(x).to_bits(),
            0x7c00,
        ),
        (
            to_bf16,
            from_bf16,
            |x| half::bf16::from_f32(x).to_bits(),
            0x7f80,
        ),
    ];
    for (to, from, reference, infinity) in formats {
        for pattern in (0..=u32::MAX).step_by(1009) {
            let x = f32::from_bits(pattern);
            if x.is_nan() {
                assert_eq!(to(x, Zero, false), 0x7fff);
                continue;
            }
            assert_eq!(to(x, Near, false), reference(x), "{x:e}");
            let (down, up) = (to(x, Down, false), to(x, Up, false));
            assert!(from(down) <= x && x <= from(up), "{x:e}");
            let exact = from(down) == x;
            let apart = (i32::from(up & 0x7fff) - i32::from(down & 0x7fff)).abs();
            assert_eq!(apart, i32::from(!exact), "{x:e} between neighbours");
            assert_eq!(up >> 15, (pattern >> 31) as u16, "sign of {x:e}");
            let zero = to(x, Zero, false);
            assert_eq!(zero, if x.is_sign_negative() { up } else { down });
            let near = to(x, Near, true);
            let clamped = if near & 0x7fff == infinity {
                near - 1
            } else {
                near
            };
            assert_eq!(near, clamped, "{x:e} stays finite");
        }
    }
}

#[test]
fn bf16_products_round_once() {
    // All mantissas, at products around the least value, 2^-133.
    let small = (0..1u64 << 14).flat_map(|mantissas| {
        (0..8).map(move |e| mantissas & 0x7f | 60 << 7 | (mantissas >> 7 | (56 + e) << 7) << 16)
    });
    for bits in super::scattered(300_000).chain(small) {
        let (a, b) = (bits as u16, (bits >> 16) as u16);
        let (x, y) = (half::bf16::from_bits(a), half::bf16::from_bits(b));
        let exact = x.to_f64() * y.to_f64();
        let expected = if exact.is_nan() {
            0x7fff
        } else {
            nearest_bf16(exact)
        };
        assert_eq!(bf16::mul(a, b), expected, "{a:x} * {b:x}");
    }
}

/// The nearest bf16 of an f64, by search.
fn nearest_bf16(x: f64) -> u16 {
    let size = x.abs();
    let value = |pattern: u16| {
        if pattern == 0x7f80 {
            f64::exp2(128.0)
        } else {
            half::bf16::from_bits(pattern).to_f64()
        }
    };
    let (mut low, mut high) = (0, 0x7f80);
    while high - low > 1 {
        let middle = u16::midpoint(low, high);
        if value(middle) <= size {
            low = middle;
        } else {
            high = middle;
        }
    }
    // Both differences are exact: the operands lie within a factor of two, or one is zero.
    let (below, above) = (size - value(low), value(high) - size);
    let up = above < below || above == below && low & 1 == 1;
    (if up { high } else { low }) | if x.is_sign_negative() { 0x8000 } else { 0 }
}

/// The value of an fp8 pattern from its fields; none for NaN and infinities.
fn fp8_value(byte: u8, format: Fp8) -> Option<f64> {
    let (mantissa, bias) = if format == Fp8::E4m3 { (3, 7) } else { (2, 15) };
    let size = byte & 0x7f;
    let last = if format == Fp8::E4m3 { 0x7e } else { 0x7b };
    let (field, low) = (
        i32::from(size >> mantissa),
        f64::from(size & ((1 << mantissa) - 1)),
    );
    let one = f64::from(1u8 << mantissa);
    let v = match field {
        0 => low / one * f64::exp2(f64::from(1 - bias)),
        _ => (low / one + 1.0) * f64::exp2(f64::from(field - bias)),
    };
    (size <= last).then_some(if byte & 0x80 == 0 { v } else { -v })
}

#[test]
fn fp8_widens_exactly_and_narrows_to_nearest() {
    for format in [Fp8::E4m3, Fp8::E5m2] {
        let last = if format == Fp8::E4m3 { 0x7e } else { 0x7b };
        for byte in 0..=u8::MAX {
            let half = half::f16::from_bits(to_half(byte, format));
            match fp8_value(byte, format) {
                Some(v) => {
                    assert_eq!(half.to_f64().to_bits(), v.to_bits(), "{byte:x}");
                    assert_eq!(to_fp8(v as f32, false, format), byte);
                }
                None if format == Fp8::E5m2 && byte & 0x7f == 0x7c => assert!(half.is_infinite()),
                None => assert_eq!(half.to_bits(), 0x7fff),
            }
        }
        // Between neighbours: the middle goes to the even one, others to the nearer.
        for byte in 0..last {
            let low = fp8_value(byte, format).unwrap() as f32;
            let high = fp8_value(byte + 1, format).unwrap() as f32;
            let middle = f32::midpoint(low, high);
            assert_eq!(to_fp8(middle, false, format), byte + (byte & 1));
            assert_eq!(to_fp8(-middle.next_down(), false, format), byte | 0x80);
            assert_eq!(to_fp8(middle.next_up(), false, format), byte + 1);
        }
        for x in [1e6, f32::INFINITY, f32::MAX] {
            assert_eq!(
                [to_fp8(x, false, format), to_fp8(-x, false, format)],
                [last, last | 0x80]
            );
        }
        assert_eq!(to_fp8(f32::NAN, true, format), 0x7f);
        assert_eq!(to_fp8(-1.0, true, format), 0);
    }
    assert_eq!(to_fp8x2(1.0, -2.0, false, Fp8::E4m3), 0x38c0);
    assert_eq!(to_fp8x2(1.0, -2.0, true, Fp8::E5m2), 0x3c00);
    assert_eq!(from_f16x2(0x3c00_c000, false, Fp8::E5m2), 0x3cc0);
    assert_eq!(to_f16x2(0x38c0, false, Fp8::E4m3), 0x3c00_c000);
    assert_eq!(to_f16x2(0x38c0, true, Fp8::E4m3), 0x3c00_0000);
}
