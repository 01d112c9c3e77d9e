use super::Random;
use crate::matrix::format::{from_half, to_half};

#[test]
fn every_f16_widens_exactly() {
    for bits in 0..=u16::MAX {
        let expected = half::f16::from_bits(bits).to_f64();
        let found = f64::from(from_half(u32::from(bits)));
        assert!(
            found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan()),
            "{bits:#06x}: {found} {expected}"
        );
    }
}

/// Every f16, every midpoint of two, and their neighbours, besides random bits.
#[test]
fn singles_round_to_the_nearest_f16() {
    let check = |bits: u32| {
        let x = f32::from_bits(bits);
        let expected = if x.is_nan() {
            0x7fff
        } else {
            u32::from(half::f16::from_f32(x).to_bits())
        };
        assert_eq!(to_half(x), expected, "{bits:#010x}");
    };
    for half in 0..0x7c00_u16 {
        let low = half::f16::from_bits(half).to_f32();
        let high = half::f16::from_bits(half + 1).to_f32().min(65536.0);
        let middle = f32::midpoint(low, high);
        for x in [low, middle] {
            for bits in x.to_bits().saturating_sub(1)..=x.to_bits() + 1 {
                check(bits);
                check(bits | 0x8000_0000);
            }
        }
    }
    let mut random = Random(4);
    (0..1_000_000).for_each(|_| check(random.word()));
    for special in [
        0x7f80_0000,
        0xff80_0000,
        0x7f80_0001,
        0xffff_ffff,
        0x8000_0000,
    ] {
        check(special);
    }
}
