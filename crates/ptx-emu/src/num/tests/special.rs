//! Modifiers, NaN rules, min and max, comparisons, and the tables of special values of the ISA.

use crate::num::Round::{self, Near};
use crate::num::compare::{Compare, compare};
use crate::num::single::{Property, abs, copysign, ftz, neg, sat, slct, testp};
use crate::num::{approx, bf16, double, f16, minmax, single, trig};

const INF: f32 = f32::INFINITY;
const NORMAL: f32 = f32::MIN_POSITIVE;
/// The greatest subnormal value.
const SUB: f32 = f32::from_bits(0x007f_ffff);

fn bits(x: f32) -> u32 {
    x.to_bits()
}

#[test]
fn approximations_follow_the_special_value_tables() {
    type Row = (&'static str, fn(f32) -> f32, [u32; 5]);
    const NAN: u32 = 0x7fff_ffff;
    let (inf, zero, one) = (bits(INF), 0, bits(1.0));
    let minus = 0x8000_0000;
    // -inf, -0, +0, +inf, NaN
    let table: [Row; 8] = [
        ("rcp", approx::rcp, [minus, inf | minus, inf, zero, NAN]),
        ("sqrt", approx::sqrt, [NAN, minus, zero, inf, NAN]),
        ("rsqrt", approx::rsqrt, [NAN, inf | minus, inf, zero, NAN]),
        ("sin", trig::sin, [NAN, minus, zero, NAN, NAN]),
        ("cos", trig::cos, [NAN, one, one, NAN, NAN]),
        (
            "lg2",
            approx::lg2,
            [NAN, inf | minus, inf | minus, inf, NAN],
        ),
        ("ex2", approx::ex2, [zero, one, one, inf, NAN]),
        ("tanh", approx::tanh, [one | minus, minus, zero, one, NAN]),
    ];
    for (name, f, expected) in table {
        let inputs = [-INF, -0.0, 0.0, INF, f32::from_bits(0xffc0_0001)];
        for (x, expected) in inputs.into_iter().zip(expected) {
            assert_eq!(bits(f(x)), expected, "{name}({x})");
        }
    }
    for f in [approx::sqrt, approx::rsqrt, approx::lg2] {
        assert_eq!(bits(f(-1.0)), NAN);
        assert_eq!(bits(f(-NORMAL)), NAN);
    }
    // Subnormal operands, and the same flushed.
    assert_eq!(approx::rcp(SUB), 1.0 / SUB);
    assert_eq!(approx::rcp(ftz(-SUB)), -INF);
    assert_eq!(ftz(approx::rcp(f32::MAX)), 0.0);
    assert_eq!(bits(ftz(approx::rcp(f32::MIN))), minus);
    assert_eq!(approx::rsqrt(ftz(-SUB)), -INF);
    assert_eq!(bits(approx::sqrt(ftz(-SUB))), minus);
    assert_eq!(approx::lg2(f32::from_bits(1)), -149.0);
    assert_eq!(approx::lg2(ftz(SUB)), -INF);
    assert_eq!(approx::ex2(SUB), 1.0);
    assert_eq!(bits(approx::tanh(-SUB)), bits(-SUB));
    assert_eq!(bits(trig::sin(-SUB)), bits(-SUB));
}

#[test]
fn div_approx_gives_zero_for_huge_divisors() {
    let two126 = f32::from_bits(0x7e80_0000);
    let above = f32::from_bits(0x7e80_0001);
    assert_eq!(approx::div_approx(two126, two126), 1.0);
    assert_eq!(bits(approx::div_approx(f32::MAX, above)), 0);
    assert_eq!(bits(approx::div_approx(-1.0, above)), 0x8000_0000);
    assert_eq!(bits(approx::div_approx(1.0, -f32::MAX)), 0x8000_0000);
    assert_eq!(bits(approx::div_approx(INF, above)), 0x7fff_ffff);
    assert_eq!(bits(approx::div_approx(INF, INF)), 0x7fff_ffff);
    assert_eq!(bits(approx::div_approx(1.0, -INF)), 0x8000_0000);
    assert_eq!(bits(approx::div_approx(0.0, -0.0)), 0x7fff_ffff);
    assert_eq!(approx::div_approx(-3.0, 0.0), -INF);
    assert_eq!(bits(approx::div_approx(1.0, f32::NAN)), 0x7fff_ffff);
    assert_eq!(approx::div_full(above, above), 1.0);
}

#[test]
fn modifiers_flush_and_clamp() {
    for x in [SUB, f32::from_bits(1)] {
        assert_eq!(bits(ftz(x)), 0);
        assert_eq!(bits(ftz(-x)), 0x8000_0000);
    }
    for x in [
        0x0080_0000,
        0x8080_0000,
        0,
        0x8000_0000,
        0x7f80_0001,
        0xff80_0000,
    ] {
        assert_eq!(bits(ftz(f32::from_bits(x))), x);
    }
    let saturated = [
        (-INF, 0.0),
        (-1.0, 0.0),
        (-0.0, 0.0),
        (SUB, SUB),
        (0.25, 0.25),
        (1.0, 1.0),
        (1.5, 1.0),
        (INF, 1.0),
        (f32::NAN, 0.0),
    ];
    for (x, expected) in saturated {
        assert_eq!(bits(sat(x)), bits(expected), "{x}");
        let h = |x: f32| half::f16::from_f32(x).to_bits();
        assert_eq!(f16::sat(h(x)), h(expected), "{x}");
        let (wide, expected) = (f64::from(x), f64::from(expected));
        assert_eq!(double::sat(wide).to_bits(), expected.to_bits(), "{x}");
    }
    for (ftz, least) in [(f16::ftz as fn(u16) -> u16, 0x0400), (bf16::ftz, 0x0080)] {
        assert_eq!(
            [ftz(least - 1), ftz(0x8001), ftz(least)],
            [0, 0x8000, least]
        );
        assert_eq!(ftz(0x7fff), 0x7fff);
    }
    for relu in [f16::relu as fn(u16) -> u16, bf16::relu] {
        assert_eq!([relu(0x8000), relu(0x8001), relu(0x7000)], [0, 0, 0x7000]);
        assert_eq!(
            [relu(0x3c00), relu(0xffff), relu(0x7fc1)],
            [0x3c00, 0x7fff, 0x7fff]
        );
    }
    assert_eq!([f16::relu(0xfc00), bf16::relu(0xff80)], [0, 0]);
    assert_eq!([f16::relu(0xff80), bf16::relu(0xff81)], [0x7fff, 0x7fff]);
}

#[test]
fn signs_move_without_arithmetic() {
    let payload = f32::from_bits(0xffc0_0123);
    assert_eq!(bits(abs(payload)), 0x7fc0_0123);
    assert_eq!(bits(neg(-0.0)), 0);
    assert_eq!(bits(neg(SUB)), 0x807f_ffff);
    assert_eq!(copysign(-2.0, 3.0), -3.0);
    assert_eq!(bits(copysign(payload, 0.0)), 0x8000_0000);
    assert_eq!(double::copysign(2.0, -3.0), 3.0);
    assert_eq!(
        double::abs(f64::from_bits(0xfff8_0000_0000_0001)).to_bits(),
        0xfff8_0000_0000_0001
    );
    assert_eq!(double::abs(-0.0).to_bits(), 0);
    assert_eq!(double::neg(1.0), -1.0);
    assert_eq!(
        [
            f16::abs(0xfc01),
            f16::neg(0x0001),
            bf16::abs(0x8000),
            bf16::neg(0xff80)
        ],
        [0x7c01, 0x8001, 0, 0x7f80]
    );
    assert!(slct(-0.0) && slct(SUB) && !slct(-SUB) && !slct(f32::NAN) && slct(ftz(-SUB)));
}

#[test]
fn min_max_order_zeros_and_drop_nan() {
    // Ascending, with -0 below +0.
    let order = [
        -INF,
        f32::MIN,
        -1.0,
        -SUB,
        -0.0,
        0.0,
        SUB,
        NORMAL,
        1.0,
        f32::MAX,
        INF,
    ];
    for (i, &a) in order.iter().enumerate() {
        for (j, &b) in order.iter().enumerate() {
            let (low, high) = (order[i.min(j)], order[i.max(j)]);
            assert_eq!(bits(minmax::min(a, b)), bits(low), "{a} {b}");
            assert_eq!(bits(minmax::max(a, b)), bits(high), "{a} {b}");
            assert_eq!(bits(minmax::min_nan(a, b)), bits(low));
            assert_eq!(bits(minmax::max_nan(a, b)), bits(high));
            let (x, y) = (f64::from(a), f64::from(b));
            assert_eq!(minmax::min_double(x, y).to_bits(), f64::from(low).to_bits());
            assert_eq!(
                minmax::max_double(x, y).to_bits(),
                f64::from(high).to_bits()
            );
            let sign = (bits(a) ^ bits(b)) & 0x8000_0000;
            let least = abs(a).min(abs(b));
            let r = minmax::xorsign(minmax::min(abs(a), abs(b)), a, b);
            assert_eq!(bits(r), bits(least) | sign, "{a} {b}");
        }
    }
    let nan = f32::from_bits(0xff80_0001);
    for x in [-0.0, 3.0, -INF] {
        for (a, b) in [(x, nan), (nan, x)] {
            assert_eq!(bits(minmax::min(a, b)), bits(x));
            assert_eq!(bits(minmax::max(a, b)), bits(x));
            assert_eq!(bits(minmax::min_nan(a, b)), 0x7fff_ffff);
            assert_eq!(bits(minmax::max_nan(a, b)), 0x7fff_ffff);
            assert_eq!(minmax::min_double(f64::from(a), f64::from(b)), f64::from(x));
        }
    }
    assert_eq!(bits(minmax::min(nan, nan)), 0x7fff_ffff);
    assert_eq!(
        bits(minmax::xorsign(minmax::max(nan, nan), nan, nan)),
        0x7fff_ffff
    );
    assert_eq!(
        minmax::max_double(f64::NAN, f64::NAN).to_bits(),
        double::NAN.to_bits()
    );
    // Halves, over the same order.
    let halves = [0xfc00, 0xbc00, 0x8001, 0x8000, 0, 1, 0x3c00, 0x7c00];
    for (i, &a) in halves.iter().enumerate() {
        for (j, &b) in halves.iter().enumerate() {
            assert_eq!(f16::min(a, b), halves[i.min(j)]);
            assert_eq!(f16::max_nan(a, b), halves[i.max(j)]);
            assert_eq!(bf16::max(a, b), halves[i.max(j)]);
            assert_eq!(bf16::min_nan(a, b), halves[i.min(j)]);
        }
        assert_eq!([f16::min(a, 0x7e00), f16::max_nan(0xfe00, a)], [a, 0x7fff]);
        assert_eq!(
            [bf16::min(a, 0x7fc0), bf16::max_nan(0xffc0, a)],
            [a, 0x7fff]
        );
    }
    assert_eq!(
        f16::xorsign(f16::max(0x3c00, 0x4000), 0xbc00, 0x4000),
        0xc000
    );
    assert_eq!(bf16::xorsign(0x3f80, 0xbf80, 0xc000), 0x3f80);
    assert_eq!(f16::xorsign(0x3c00, 0x7e00, 0xbc00), 0xbc00);
    assert_eq!(bf16::xorsign(0x7fff, 0x7fc0, 0xbf80), 0x7fff);
}

#[test]
fn comparisons_know_unordered_operands() {
    use Compare::{Eq, Equ, Ge, Geu, Gt, Gtu, Le, Leu, Lt, Ltu, Nan, Ne, Neu, Num};
    // Operators that hold for less, equal, greater, unordered.
    let table = [
        (Eq, [false, true, false, false]),
        (Ne, [true, false, true, false]),
        (Lt, [true, false, false, false]),
        (Le, [true, true, false, false]),
        (Gt, [false, false, true, false]),
        (Ge, [false, true, true, false]),
        (Equ, [false, true, false, true]),
        (Neu, [true, false, true, true]),
        (Ltu, [true, false, false, true]),
        (Leu, [true, true, false, true]),
        (Gtu, [false, false, true, true]),
        (Geu, [false, true, true, true]),
        (Num, [true, true, true, false]),
        (Nan, [false, false, false, true]),
    ];
    for (op, expected) in table {
        let pairs = [(1.0, 2.0), (0.0, -0.0), (3.0, -INF), (f32::NAN, 1.0)];
        for ((a, b), expected) in pairs.into_iter().zip(expected) {
            assert_eq!(compare(op, a, b), expected, "{op:?} {a} {b}");
            assert_eq!(compare(op, f64::from(a), f64::from(b)), expected);
        }
        let integers = [(1, 2), (-4, -4), (7, -8)];
        for ((a, b), expected) in integers.into_iter().zip(expected) {
            assert_eq!(compare(op, a, b), expected, "{op:?} {a} {b}");
        }
    }
    assert_eq!(Compare::named("hs"), Some(Ge));
    assert_eq!(Compare::named("neu"), Some(Neu));
    assert_eq!(Compare::named("rn"), None);
    assert_eq!(Round::named("rpi"), Some(Round::Up));
}

#[test]
fn properties_partition_the_values() {
    use Property::{Finite, Infinite, Normal, NotANumber, Number, Subnormal};
    let table: [(f32, &[Property]); 7] = [
        (0.0, &[Finite, Number, Normal]),
        (-0.0, &[Finite, Number, Normal]),
        (SUB, &[Finite, Number, Subnormal]),
        (-NORMAL, &[Finite, Number, Normal]),
        (f32::MAX, &[Finite, Number, Normal]),
        (-INF, &[Infinite, Number]),
        (f32::NAN, &[NotANumber]),
    ];
    for (x, holds) in table {
        let wide = match x {
            SUB => f64::from_bits(0x000f_ffff_ffff_ffff),
            _ if x == -NORMAL => -f64::MIN_POSITIVE,
            _ => f64::from(x),
        };
        for p in [Finite, Infinite, Number, NotANumber, Normal, Subnormal] {
            assert_eq!(testp(x, p), holds.contains(&p), "{x:e} {p:?}");
            assert_eq!(double::testp(wide, p), holds.contains(&p), "{wide:e} {p:?}");
        }
    }
}

#[test]
fn invalid_operations_give_the_canonical_nan() {
    let odd = f32::from_bits(0xffc0_0123);
    for r in [
        single::add(INF, -INF, Near),
        single::sub(odd, 1.0, Round::Down),
        single::mul(0.0, INF, Round::Zero),
        single::fma(0.0, INF, odd, Near),
        single::div(0.0, 0.0, Round::Up),
        single::rcp(odd, Near),
        single::sqrt(-1.0, Near),
    ] {
        assert_eq!(bits(r), 0x7fff_ffff);
    }
    let nan = [
        f16::add(0x7c00, 0xfc00),
        f16::fma(0x7c00, 0, 0x3c00),
        f16::mul(0xfe01, 0),
    ];
    assert_eq!(nan, [0x7fff; 3]);
    let nan = [
        bf16::add(0x7f80, 0xff80),
        bf16::fma(0x7f80, 0, 0x3f80),
        bf16::mul(0xffc1, 0),
    ];
    assert_eq!(nan, [0x7fff; 3]);
    assert_eq!(
        double::sub(f64::INFINITY, f64::INFINITY, Round::Down).to_bits(),
        double::NAN.to_bits()
    );
    // Compiled for one mode and unknown operands, where selections by NaN were once lost.
    let root: fn(f32) -> f32 = |x| single::sqrt(x, Near);
    let root_double: fn(f64) -> f64 = |x| double::sqrt(x, Near);
    let (root, root_double) = (
        std::hint::black_box(root),
        std::hint::black_box(root_double),
    );
    assert_eq!(bits(root(-1.0)), 0x7fff_ffff);
    assert_eq!(root_double(-1.0).to_bits(), double::NAN.to_bits());
    assert_eq!(single::rcp(3.0, Round::Up), f32::from_bits(0x3eaa_aaab));
    assert_eq!(single::rcp(3.0, Round::Down), f32::from_bits(0x3eaa_aaaa));
    assert_eq!(double::rcp(3.0, Round::Up).to_bits(), 0x3fd5_5555_5555_5556);
}
