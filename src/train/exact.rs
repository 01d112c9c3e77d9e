//! Elementary functions from additions, multiplications, divisions and roots alone.
//!
//! IEEE 754 fixes the result of those to the last bit, whereas logarithms and cosines of system
//! libraries differ between machines. What these functions give is the same everywhere.

use std::f64::consts::{FRAC_PI_2, LN_2, SQRT_2};

/// Natural logarithm of a positive, normal number; relative error below 1e-15.
///
/// ln(2^e · m) = e · ln 2 + 2 · artanh((m - 1) / (m + 1)) with m in (√½, √2].
pub(super) fn ln(x: f64) -> f64 {
    const EXPONENT_BITS: u64 = 0x7FF;
    const MANTISSA_BITS: u64 = (1 << 52) - 1;
    let bits = x.to_bits();
    let biased = (bits >> 52) & EXPONENT_BITS;
    let mut exponent = biased as f64 - 1023.0;
    let mut m = f64::from_bits(bits & MANTISSA_BITS | 1023 << 52);
    if m > SQRT_2 {
        m *= 0.5;
        exponent += 1.0;
    }
    let s = (m - 1.0) / (m + 1.0); // at most 0.172, so that s^24 / 25 is below 1e-19
    let square = s * s;
    let series = (0..12)
        .rev()
        .fold(0.0, |sum, k| sum * square + 1.0 / f64::from(2 * k + 1));
    exponent * LN_2 + 2.0 * s * series
}

/// (1 + cos(π t)) / 2 for t in 0..=1: exactly 1 at 0 and 0 at 1.
pub(super) fn half_cosine(t: f64) -> f64 {
    if t > 0.5 {
        return 1.0 - half_cosine(1.0 - t);
    }
    // (1 + cos 2x) / 2 = cos² x, with x at most π / 4: the term of x^18 is below 1e-17
    let x = t * FRAC_PI_2;
    let square = x * x;
    let cosine = (1..=9).rev().fold(1.0, |tail, k: i32| {
        1.0 - square * tail / f64::from((2 * k - 1) * 2 * k)
    });
    cosine * cosine
}

/// A rational function's coefficients, highest power first.
type Rational = ([f64; 8], [f64; 8]);

// Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied
// Statistics 37, 1988, routine PPND16: three rational functions, relative error about 1e-16.
/// Of 0.425² - q² where q = p - ½ is at most 0.425 from 0.
const CENTRE: Rational = (
    [
        2_509.080_928_730_122_672_7,
        33_430.575_583_588_128_105,
        67_265.770_927_008_700_853,
        45_921.953_931_549_871_457,
        13_731.693_765_509_461_125,
        1_971.590_950_306_551_442_7,
        133.141_667_891_784_377_45,
        3.387_132_872_796_366_608,
    ],
    [
        5_226.495_278_852_545_925,
        28_729.085_735_721_942_674,
        39_307.895_800_092_710_61,
        21_213.794_301_586_595_867,
        5_394.196_021_424_751_107_7,
        687.187_007_492_057_908_3,
        42.313_330_701_600_911_252,
        1.0,
    ],
);
/// Of √(-ln p) - 1.6 where the root is at most 5.
const MIDDLE: Rational = (
    [
        7.745_450_142_783_414_076_4e-4,
        0.022_723_844_989_269_184_583_3,
        0.241_780_725_177_450_611_77,
        1.270_458_252_452_368_382_58,
        3.647_848_324_763_204_605_04,
        5.769_497_221_460_691_405_5,
        4.630_337_846_156_545_295_9,
        1.423_437_110_749_683_577_34,
    ],
    [
        1.050_750_071_644_416_843_24e-9,
        5.475_938_084_995_344_946e-4,
        0.015_198_666_563_616_457_196_6,
        0.148_103_976_427_480_074_59,
        0.689_767_334_985_100_004_55,
        1.676_384_830_183_803_849_4,
        2.053_191_626_637_758_821_87,
        1.0,
    ],
);
/// Of √(-ln p) - 5 beyond.
const TAIL: Rational = (
    [
        2.010_334_399_292_288_132_65e-7,
        2.711_555_568_743_487_578_15e-5,
        0.001_242_660_947_388_078_438_6,
        0.026_532_189_526_576_123_093,
        0.296_560_571_828_504_891_23,
        1.784_826_539_917_291_335_8,
        5.463_784_911_164_114_369_9,
        6.657_904_643_501_103_777_2,
    ],
    [
        2.044_263_103_389_939_785_64e-15,
        1.421_511_758_316_445_888_7e-7,
        1.846_318_317_510_054_681_8e-5,
        7.868_691_311_456_132_591e-4,
        0.014_875_361_290_850_614_852_5,
        0.136_929_880_922_735_805_31,
        0.599_832_206_555_887_937_69,
        1.0,
    ],
);

/// The number that a standard normal variable stays below with probability `p`, in (0, 1).
pub(super) fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * quotient(&CENTRE, 0.180_625 - q * q);
    }
    let root = (-ln(p.min(1.0 - p))).sqrt();
    let distance = if root <= 5.0 {
        quotient(&MIDDLE, root - 1.6)
    } else {
        quotient(&TAIL, root - 5.0)
    };
    distance.copysign(q)
}

fn quotient((above, below): &Rational, x: f64) -> f64 {
    let value = |coefficients: &[f64; 8]| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    value(above) / value(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, tolerance: f64) {
        let error = (found - expected).abs() / expected.abs().max(1e-300);
        assert!(error <= tolerance, "{found:e}, expected {expected:e}");
    }

    #[test]
    fn logarithms_are_those_of_libm() {
        for k in -520..520 {
            let x = 1.618_033_988_749_895f64.powi(k);
            if k != 0 {
                close(ln(x), libm::log(x), 1e-15);
            }
        }
        close(ln(0.707), libm::log(0.707), 1e-15);
        close(ln(1.0 - 1e-9), libm::log(1.0 - 1e-9), 1e-15);
        assert_eq!(ln(1.0).to_bits(), 0);
    }

    #[test]
    fn cosines_are_those_of_libm() {
        for k in 0..=1000 {
            let t = f64::from(k) / 1000.0;
            let expected = f64::midpoint(1.0, libm::cos(std::f64::consts::PI * t));
            assert!((half_cosine(t) - expected).abs() < 4e-16, "{t}");
        }
        assert_eq!(
            [0.0, 1.0].map(|t| half_cosine(t).to_bits()),
            [1.0f64, 0.0].map(f64::to_bits)
        );
    }

    #[test]
    fn quantiles_undo_the_distribution() {
        // the distribution function by libm's erfc, another formula altogether
        for k in 1..4000 {
            let x = f64::from(k) / 500.0;
            let below = 0.5 * libm::erfc(x * std::f64::consts::FRAC_1_SQRT_2);
            close(normal_quantile(below), -x, 1e-13);
            if x < 3.0 {
                close(normal_quantile(1.0 - below), x, 1e-12);
            }
        }
        close(normal_quantile(0.975), 1.959_963_984_540_054, 1e-15);
        assert_eq!(normal_quantile(0.5).to_bits(), 0);
    }
}
