//! Bounds of the approximate functions over scans of all bit patterns.

use crate::num::{approx, bf16, double, f16, trig};

/// Distance between neighbours at the f32 value nearest to `x`; 2^-149 below the normal range.
fn ulp(x: f64) -> f64 {
    let exponent = (x.abs().to_bits() >> 52) as i32 - 1023;
    f64::exp2(f64::from(exponent.max(-126) - 23))
}

/// Largest error of `f` in ulp of the exact result, over patterns `step` apart, where both are
/// finite; elsewhere they must agree.
fn worst(step: usize, f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> f64 {
    let mut worst: f64 = 0.0;
    for pattern in (0..=u32::MAX).step_by(step) {
        let x = f32::from_bits(pattern);
        let (got, expected) = (f(x), exact(f64::from(x)));
        if expected.is_nan() {
            assert!(got.is_nan(), "{x:e}: {got:e}");
            continue;
        }
        if got.is_infinite() || expected.abs() >= 3.402_823_567e38 {
            assert_eq!(got, expected as f32, "{x:e}");
            continue;
        }
        let error = (f64::from(got) - expected).abs() / ulp(expected);
        assert!(error < 4.0, "{x:e}: {got:e} for {expected:e}");
        worst = worst.max(error);
    }
    worst
}

#[test]
fn reciprocals_and_roots_within_their_bounds() {
    let rcp = worst(997, approx::rcp, |x| 1.0 / x);
    let sqrt = worst(997, approx::sqrt, f64::sqrt);
    assert!(rcp <= 0.5 && sqrt <= 0.5, "{rcp} {sqrt}");
    // Relative 2^-22.9.
    let mut relative: f64 = 0.0;
    for pattern in (1..0x7f80_0000u32).step_by(499) {
        let x = f32::from_bits(pattern);
        let exact = 1.0 / f64::from(x).sqrt();
        relative = relative.max((f64::from(approx::rsqrt(x)) / exact - 1.0).abs());
    }
    assert!(relative <= f64::exp2(-23.4), "{}", relative.log2());
}

#[test]
fn exponential_within_its_bound() {
    let e = worst(499, approx::ex2, f64::exp2);
    assert!(e <= 1.3, "{e}");
    // Every place of the reduced range, closely.
    let mut relative: f64 = 0.0;
    for i in 0..2_000_000u32 {
        let x = i as f32 * (128.0 / 2_000_000.0) - 64.0;
        let exact = f64::from(x).exp2();
        relative = relative.max((f64::from(approx::ex2(x)) / exact - 1.0).abs());
    }
    assert!(relative <= f64::exp2(-23.1), "{}", relative.log2());
    for k in -149i16..128 {
        let exact = f64::exp2(f64::from(k)) as f32;
        assert_eq!(approx::ex2(f32::from(k)), exact, "2^{k}");
    }
    assert_eq!(approx::ex2(-150.5), 0.0);
    assert_eq!(approx::ex2(-149.4), f32::from_bits(1));
    assert_eq!(approx::ex2(128.0), f32::INFINITY);
    assert!(approx::ex2(127.999_99) < f32::MAX);
}

#[test]
fn logarithm_within_an_ulp() {
    let e = worst(499, approx::lg2, f64::log2);
    assert!(e <= 0.51, "{e}");
    // Around one, where the result is small.
    for i in -200_000i32..200_000 {
        let x = f32::from_bits((0x3f80_0000 + i) as u32);
        let exact = f64::from(x).log2();
        let error = (f64::from(approx::lg2(x)) - exact).abs();
        assert!(error <= 0.51 * ulp(exact), "{x}");
    }
}

#[test]
fn tanh_within_an_ulp() {
    let e = worst(499, approx::tanh, f64::tanh);
    assert!(e <= 0.6, "{e}");
}

#[test]
fn sine_and_cosine_within_their_bounds() {
    let mut worst: f64 = 0.0;
    for i in -1_000_000i32..=1_000_000 {
        for scale in [
            2.0 * std::f32::consts::PI,
            100.0 * std::f32::consts::PI,
            1_048_576.0,
        ] {
            let x = i as f32 * 1e-6 * scale;
            let wide = f64::from(x);
            worst = worst.max((f64::from(trig::sin(x)) - wide.sin()).abs());
            worst = worst.max((f64::from(trig::cos(x)) - wide.cos()).abs());
        }
    }
    assert!(worst <= f64::exp2(-24.0), "{}", worst.log2());
    for pattern in (0x4000_0000..0x7f80_0000u32).step_by(9973) {
        let x = f32::from_bits(pattern);
        assert!(
            trig::sin(x).abs() <= 1.0 && trig::cos(x).abs() <= 1.0,
            "{x:e}"
        );
    }
}

#[test]
fn quotients_within_two_ulp() {
    for (x, y) in super::scattered(400_000).zip(super::scattered(400_001).skip(1)) {
        // |b| in [2^-126, 2^126], quotients in the normal range.
        let a = f32::from_bits((x as u32) & 0xbfff_ffff | 0x2000_0000);
        let b = f32::from_bits((y as u32) & 0x9fff_ffff | 0x3000_0000);
        let exact = f64::from(a) / f64::from(b);
        if !(1.2e-38..3.4e38).contains(&exact.abs()) {
            continue;
        }
        let error = (f64::from(approx::div_approx(a, b)) - exact).abs() / ulp(exact);
        assert!(error <= 1.51, "{a:e} / {b:e}: {error}");
        assert!((f64::from(approx::div_full(a, b)) - exact).abs() <= 0.5 * ulp(exact));
    }
}

#[test]
fn gross_f64_approximations_use_the_upper_word() {
    let cases: [(u64, u64, u64); 8] = [
        // operand, reciprocal, reciprocal square root
        (
            0xfff0_0000_0000_0000,
            0x8000_0000_0000_0000,
            0x7fff_ffff_0000_0000,
        ),
        (
            0x800f_ffff_ffff_ffff,
            0xfff0_0000_0000_0000,
            0xfff0_0000_0000_0000,
        ),
        (
            0x8000_0000_0000_0000,
            0xfff0_0000_0000_0000,
            0xfff0_0000_0000_0000,
        ),
        (
            0x0000_0000_0000_0001,
            0x7ff0_0000_0000_0000,
            0x7ff0_0000_0000_0000,
        ),
        (0x7ff0_0000_0000_0000, 0, 0),
        (
            0x7ff8_0000_0000_0001,
            0x7fff_ffff_0000_0000,
            0x7fff_ffff_0000_0000,
        ),
        (
            0x4010_0000_ffff_ffff,
            0x3fd0_0000_0000_0000,
            0x3fe0_0000_0000_0000,
        ),
        (0x7fef_ffff_ffff_ffff, 0, 0x1ff0_0000_0000_0000),
    ];
    for (a, rcp, rsqrt) in cases {
        let a = f64::from_bits(a);
        assert_eq!(double::rcp_approx_ftz(a).to_bits(), rcp, "rcp {a:e}");
        assert_eq!(double::rsqrt_approx_ftz(a).to_bits(), rsqrt, "rsqrt {a:e}");
    }
    for x in super::scattered(2000) {
        let a = f64::from_bits(x & 0x5fcf_ffff_ffff_ffff | 0x0010_0000_0000_0000);
        let (rcp, rsqrt) = (double::rcp_approx_ftz(a), double::rsqrt_approx_ftz(a));
        assert_eq!((rcp.to_bits() | rsqrt.to_bits()) & 0xffff_ffff, 0);
        // Rounding to 20 bits is all that the reciprocal of the upper word suffers.
        let a = f64::from_bits(a.to_bits() & 0xffff_ffff_0000_0000);
        assert!((rcp * a - 1.0).abs() <= f64::exp2(-21.0), "{a:e}");
        assert!(
            (rsqrt * rsqrt * a - 1.0).abs() <= f64::exp2(-19.99),
            "{a:e}"
        );
    }
    assert_eq!(double::rsqrt_approx(4.0), 0.5);
    assert_eq!(double::rsqrt_approx(-1.0).to_bits(), double::NAN.to_bits());
    assert_eq!(double::rsqrt_approx(-0.0), f64::NEG_INFINITY);
}

#[test]
fn halves_within_their_bounds_for_all_inputs() {
    let (mut ex2, mut tanh): (f64, f64) = (0.0, 0.0);
    let (mut ex2_b, mut tanh_b): (f64, f64) = (0.0, 0.0);
    for h in 0..=u16::MAX {
        let x = half::f16::from_bits(h).to_f64();
        let value = |h| half::f16::from_bits(h).to_f64();
        if x.is_nan() {
            assert_eq!([f16::ex2(h), f16::tanh(h)], [0x7fff; 2]);
        } else {
            let exact = x.exp2();
            if (6.2e-5..65_500.0).contains(&exact) {
                ex2 = ex2.max((value(f16::ex2(h)) / exact - 1.0).abs());
            }
            tanh = tanh.max((value(f16::tanh(h)) - x.tanh()).abs());
        }
        let x = half::bf16::from_bits(h).to_f64();
        let value = |h| half::bf16::from_bits(h).to_f64();
        if x.is_nan() {
            assert_eq!([bf16::ex2_ftz(h), bf16::tanh(h)], [0x7fff; 2]);
        } else {
            let exact = x.exp2();
            if (1.18e-38..3.3e38).contains(&exact) {
                ex2_b = ex2_b.max((value(bf16::ex2_ftz(h)) / exact - 1.0).abs());
            } else if exact < 1.17e-38 {
                assert_eq!(bf16::ex2_ftz(h), 0);
            }
            tanh_b = tanh_b.max((value(bf16::tanh(h)) - x.tanh()).abs());
        }
    }
    assert!(
        ex2 <= f64::exp2(-10.9) && tanh <= f64::exp2(-11.9),
        "{ex2} {tanh}"
    );
    assert!(
        ex2_b <= f64::exp2(-7.9) && tanh_b <= f64::exp2(-8.9),
        "{ex2_b} {tanh_b}"
    );
    // The special values of the ISA tables.
    let f16s = [
        f16::ex2(0xfc00),
        f16::ex2(0x8000),
        f16::ex2(0),
        f16::ex2(0x7c00),
    ];
    assert_eq!(f16s, [0, 0x3c00, 0x3c00, 0x7c00]);
    let bf16s = [
        bf16::ex2_ftz(0xff80),
        bf16::ex2_ftz(0x8001),
        bf16::ex2_ftz(0x7f80),
    ];
    assert_eq!(bf16s, [0, 0x3f80, 0x7f80]);
    let tanhs = [
        f16::tanh(0xfc00),
        f16::tanh(0x8000),
        f16::tanh(0x7c00),
        f16::tanh(0x8001),
    ];
    assert_eq!(tanhs, [0xbc00, 0x8000, 0x3c00, 0x8001]);
    assert_eq!([bf16::tanh(0xff80), bf16::tanh(0x8000)], [0xbf80, 0x8000]);
}

/// Adding the bits of a result to a digest (FNV-1a).
fn digest(mut state: u64, bits: u32) -> u64 {
    for byte in bits.to_le_bytes() {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    state
}

/// Not what the values are, which the bounds say, but that vector code, scalar code and other
/// machines compute the same: the digests were taken once, in scalar code.
#[test]
fn approximations_have_the_same_bits_everywhere() {
    type Row = (&'static str, fn(&[f32; 32]) -> [f32; 32], u64);
    let table: [Row; 8] = [
        ("ex2", |x| x.map(approx::ex2), 0xa3c2_43ab_53bf_fd54),
        ("lg2", |x| x.map(approx::lg2), 0x79bf_8a90_4c9d_8164),
        ("tanh", |x| x.map(approx::tanh), 0xc3db_ddd5_6a99_fbc4),
        ("sin", |x| x.map(trig::sin), 0xacd5_2e77_e63e_2c65),
        ("cos", |x| x.map(trig::cos), 0x10e6_0643_cf75_3944),
        ("rsqrt", |x| x.map(approx::rsqrt), 0x65b2_6427_b1f7_9050),
        ("sqrt", |x| x.map(approx::sqrt), 0xc816_911f_b71d_b049),
        ("rcp", |x| x.map(approx::rcp), 0xfe65_bc44_ce36_abb3),
    ];
    for (name, f, expected) in table {
        let mut state = 0xcbf2_9ce4_8422_2325;
        for first in (0..=u32::MAX).step_by(32 * 4099) {
            let lanes =
                std::array::from_fn(|i| f32::from_bits(first.wrapping_add(i as u32 * 4099)));
            for r in f(&lanes) {
                state = digest(state, r.to_bits());
            }
        }
        assert_eq!(state, expected, "{name}: {state:#018x}");
    }
}
