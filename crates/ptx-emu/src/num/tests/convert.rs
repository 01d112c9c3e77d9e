//! Conversions against the table of exact results, and integer ones against i128.

use super::tables::rows;
use crate::num::Round::{self, Down, Near, Up, Zero};
use crate::num::convert::{
    Integer, double_integral, double_to_integer, double_to_single, integer_to_bf16,
    integer_to_double, integer_to_f16, integer_to_single, pack, single_integral, single_to_double,
    single_to_integer,
};
use crate::num::narrow::{relu_tf32, to_bf16, to_f16, to_tf32, to_tf32_away};
use crate::num::packed::{self, bf16x2, f16x2, int16x2};
use crate::num::round::odd;

const MODES: [Round; 4] = [Near, Zero, Down, Up];

fn float_to_float(name: &str, a: u64, mode: Round) -> Option<u64> {
    let (wide, x) = (f64::from_bits(a), f32::from_bits(a as u32));
    Some(match name {
        "f64_f32" => double_to_single(wide, mode).to_bits().into(),
        "f64_f16" => to_f16(odd(wide), mode, false).into(),
        "f64_bf16" => to_bf16(odd(wide), mode, false).into(),
        "f32_f16" => to_f16(x, mode, false).into(),
        "f32_bf16" => to_bf16(x, mode, false).into(),
        "f32_tf32" => {
            let bits = to_tf32(x, mode, false);
            assert_eq!(bits & 0x1fff, 0);
            (bits >> 13).into()
        }
        _ => return None,
    })
}

fn to_float<A: Integer>(to: &str, a: u64, mode: Round) -> u64 {
    let a = A::from_bits64(a);
    match to {
        "f32" => integer_to_single(a, mode).to_bits().into(),
        "f64" => integer_to_double(a, mode).to_bits(),
        "f16" => integer_to_f16(a, mode).into(),
        _ => integer_to_bf16(a, mode).into(),
    }
}

fn to_integer<D: Integer>(from: &str, a: u64, mode: Round) -> u64 {
    let d: D = match from {
        "f32" => single_to_integer(f32::from_bits(a as u32), mode),
        _ => double_to_integer(f64::from_bits(a), mode),
    };
    d.to_bits64() & u64::MAX >> (64 - D::BITS)
}

/// The function `f` at the integer type of that name.
macro_rules! at_type {
    ($name:expr, $f:ident ( $($arg:expr),* )) => {
        match $name {
            "u8" => $f::<u8>($($arg),*),
            "u16" => $f::<u16>($($arg),*),
            "u32" => $f::<u32>($($arg),*),
            "u64" => $f::<u64>($($arg),*),
            "s8" => $f::<i8>($($arg),*),
            "s16" => $f::<i16>($($arg),*),
            "s32" => $f::<i32>($($arg),*),
            _ => $f::<i64>($($arg),*),
        }
    };
}

#[test]
fn conversions_equal_exact_ones() {
    let rows = rows(include_str!("../../../tests/num/convert.txt"), 4);
    assert!(rows.len() > 2000);
    for (name, args, expected) in rows {
        let (from, to) = name.split_once('_').unwrap();
        for (mode, expected) in MODES.into_iter().zip(expected) {
            let r = match float_to_float(name, args[0], mode) {
                Some(r) => r,
                None if from.starts_with('f') => at_type!(to, to_integer(from, args[0], mode)),
                None => at_type!(from, to_float(to, args[0], mode)),
            };
            assert_eq!(
                r, expected,
                "{name} {:x} {mode:?}: {r:x} {expected:x}",
                args[0]
            );
        }
    }
}

#[test]
fn integral_values_follow_the_host() {
    let host: [fn(f64) -> f64; 4] = [f64::round_ties_even, f64::trunc, f64::floor, f64::ceil];
    let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
    for (mode, host) in MODES.into_iter().zip(host) {
        for bits in super::scattered(200_000) {
            let wide = f64::from_bits(bits & 0xc37f_ffff_ffff_ffff | 0x3f00_0000_0000_0000);
            let near = f64::from(bits as i16) * 0.25;
            for wide in [wide, near, f64::from_bits(bits)] {
                assert!(
                    same(double_integral(wide, mode), host(wide)),
                    "{wide:e} {mode:?}"
                );
                let x = wide as f32;
                let r = single_integral(x, mode);
                assert!(same(r.into(), host(x.into())), "{x:e} {mode:?}: {r}");
            }
        }
    }
    assert_eq!(single_integral(-0.5, Near).to_bits(), 0x8000_0000);
    assert_eq!(single_integral(f32::from_bits(1), Up), 1.0);
    assert_eq!(double_integral(f64::from_bits(1 << 63 | 1), Down), -1.0);
    assert_eq!(single_integral(f32::NAN, Near).to_bits(), 0x7fff_ffff);
    assert_eq!(single_to_double(f32::NAN).to_bits(), 0x7fff_ffff_ffff_ffff);
}

#[test]
fn nan_gives_the_integer_of_the_isa() {
    // Zero unless the source is f64 or the destination has 64 bits; then the top bit.
    assert_eq!(single_to_integer::<i32>(f32::NAN, Near), 0);
    assert_eq!(single_to_integer::<u8>(f32::NAN, Zero), 0);
    assert_eq!(single_to_integer::<i64>(f32::NAN, Zero), i64::MIN);
    assert_eq!(single_to_integer::<u64>(f32::NAN, Down), 1 << 63);
    assert_eq!(double_to_integer::<i32>(f64::NAN, Zero), i32::MIN);
    assert_eq!(double_to_integer::<u16>(f64::NAN, Near), 0x8000);
}

#[test]
fn relu_satfinite_and_ties_away() {
    for (x, rn, rz, finite) in [
        (65_519.996f32, 0x7bffu16, 0x7bff, 0x7bff),
        (65_520.0, 0x7c00, 0x7bff, 0x7bff),
        (f32::INFINITY, 0x7c00, 0x7c00, 0x7bff),
        (f32::NAN, 0x7fff, 0x7fff, 0x7fff),
    ] {
        assert_eq!(to_f16(x, Near, false), rn);
        assert_eq!(to_f16(x, Zero, false), rz);
        assert_eq!(to_f16(x, Near, true), finite);
    }
    assert_eq!(to_f16(f32::NEG_INFINITY, Zero, true), 0xfbff);
    assert_eq!(to_bf16(f32::MAX, Near, false), 0x7f80);
    assert_eq!(to_bf16(f32::MIN, Near, true), 0xff7f);
    assert_eq!(to_tf32(f32::MAX, Zero, false), 0x7f7f_e000);
    assert_eq!(to_tf32(f32::MAX, Near, true), 0x7f7f_e000);
    let tf32 = |bits: u32, finite| to_tf32_away(f32::from_bits(bits), finite);
    assert_eq!(tf32(0x3f80_0fff, false), 0x3f80_0000);
    assert_eq!(tf32(0x3f80_1000, false), 0x3f80_2000);
    assert_eq!(tf32(0xbf80_3000, false), 0xbf80_4000);
    assert_eq!(tf32(0x0000_1000, false), 0x0000_2000);
    assert_eq!(tf32(0xff7f_f000, false), 0xff80_0000);
    assert_eq!(tf32(0xff7f_f000, true), 0xff7f_e000);
    assert_eq!(tf32(0x7f80_0000, false), 0x7f80_0000);
    assert_eq!(tf32(0x7f80_0000, true), 0x7f7f_e000);
    assert_eq!(tf32(0xff80_0001, true), 0x7fff_e000);
    // Ties to even differ from ties away just here.
    assert_eq!(
        to_tf32(f32::from_bits(0x3f80_1000), Near, false),
        0x3f80_0000
    );
    assert_eq!(
        [
            relu_tf32(0xbf80_0000),
            relu_tf32(0x3f80_0000),
            relu_tf32(0xffc0_0000)
        ],
        [0, 0x3f80_0000, 0x7fff_e000]
    );
    // The first operand goes to the upper half.
    assert_eq!(packed::to_f16x2(1.0, -2.0, Near, false), 0x3c00_c000);
    assert_eq!(packed::to_bf16x2(1.0, -2.0, Near, false), 0x3f80_c000);
    assert_eq!(bf16x2::relu(0xbf80_4000), 0x0000_4000);
    assert_eq!(
        bf16x2::fma(0x3f80_4000, 0x4000_4000, 0x3f80_0000),
        0x4040_4080
    );
    assert_eq!(f16x2::sub(0x3c00_4000, 0x4000_3c00), 0xbc00_3c00);
    assert_eq!(
        f16x2::fma(0x3c00_4000, 0x4000_4000, 0x3c00_0000),
        0x4200_4400
    );
    assert_eq!(
        f16x2::xorsign(0x3c00_4000, 0x8000_0000, 0x0000_0000),
        0xbc00_4000
    );
    assert_eq!(int16x2::add(0x0001_ffff, 0x0002_0001), 0x0003_0000);
    assert_eq!(int16x2::min_s16(0x0001_ffff, 0x8000_0001), 0x8000_ffff);
    assert_eq!(int16x2::max_s16(0x0001_ffff, 0x8000_0001), 0x0001_0001);
    assert_eq!(int16x2::min_u16(0x0001_ffff, 0x8000_0001), 0x0001_0001);
    assert_eq!(int16x2::max_u16(0x0001_ffff, 0x8000_0001), 0x8000_ffff);
    assert_eq!(int16x2::relu(0x8000_7fff), 0x0000_7fff);
}

#[test]
fn cvt_pack_fills_from_below() {
    assert_eq!(pack(70_000, -5, 0x1234_5678, 16, true), 0x7fff_fffb);
    assert_eq!(pack(70_000, -5, 0x1234_5678, 16, false), 0xffff_0000);
    assert_eq!(pack(300, -300, 0x1234_5678, 8, true), 0x5678_7f80);
    assert_eq!(pack(300, 7, 0xffff_0001, 8, false), 0x0001_ff07);
    assert_eq!(pack(-9, 3, 0x0fff_fff1, 4, true), 0xffff_f183);
    assert_eq!(pack(9, 3, 1, 2, false), 0x0000_001f);
}
