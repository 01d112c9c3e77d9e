//! Pairs of halves and of 8-bit numbers, tf32, `cvt.pack`.

use super::inputs::between;
use crate::case::{Case, Ty, check, elementwise_for, exactly};
use crate::exact::{BF16, E4M3, E5M2, F16, F32, Format, Mode, TF32};
use crate::values::{f32s, integers, random, rows2, rows3};

/// A conversion of one value of a pair.
#[derive(Clone, Copy, Debug)]
struct One {
    to: Format,
    from: Format,
    mode: Mode,
    relu: bool,
    finite: bool,
}

impl One {
    fn expected(self, source: u64) -> u64 {
        let Self { to, from, mode, .. } = self;
        let bits = to.of(from.decode(source), mode, self.finite);
        if self.relu { to.relu(bits) } else { bits }
    }

    /// Any NaN will do where the ISA does not say which.
    fn right(self, source: u64, found: u64) -> Result<(), String> {
        let expected = self.expected(source);
        let any = !self.relu && !self.finite;
        if found == expected || any && self.to.is_nan(found) && self.to.is_nan(expected) {
            Ok(())
        } else {
            Err(format!("{found:#x}, expected {expected:#x}"))
        }
    }
}

fn singles() -> Vec<Vec<u64>> {
    let mut values = f32s();
    values.extend(between(F32));
    values.extend(random(32, 400, 21));
    // Magnitudes near those of 8-bit and 16-bit numbers.
    let scaled = |x: &u64| x & 0x8fff_ffff | 0x3000_0000 | (x >> 3 & 0x1000_0000);
    values.extend(random(32, 800, 22).iter().map(scaled));
    let count = values.len();
    let row = |i: usize| vec![values[i], values[(i * 5 + 1) % count]];
    (0..count).map(row).collect()
}

const FORMS: [(&str, bool, bool); 4] = [
    ("", false, false),
    (".relu", true, false),
    (".satfinite", false, true),
    (".relu.satfinite", true, true),
];

/// `cvt….to d, a, b` with `a` above `b`.
fn pairs() -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |name: &str, to: Format, mode, (rest, relu, finite): (&str, bool, bool), wide| {
        let one = One {
            to,
            from: F32,
            mode,
            relu,
            finite,
        };
        let rounding = if mode == Mode::Near { "rn" } else { "rz" };
        let body = format!("cvt.{rounding}{rest}.{name}.f32 %d, %a, %b;");
        let bits = to.bits();
        let output = match (wide, bits) {
            (true, _) => Ty::B64,
            (_, 8) => Ty::B16,
            _ => Ty::B32,
        };
        all.push(elementwise_for(
            "sm_90",
            &body,
            &[Ty::B32, Ty::B32],
            output,
            &singles(),
            move |row, found| {
                one.right(row[0], found >> bits)?;
                one.right(row[1], found & (u64::MAX >> (64 - bits)))
            },
        ));
    };
    for form in FORMS {
        for mode in [Mode::Near, Mode::Zero] {
            add("f16x2", F16, mode, form, false);
            add("bf16x2", BF16, mode, form, false);
            add("f16x2", F16, mode, form, true);
        }
        if form.2 {
            add("e4m3x2", E4M3, Mode::Near, form, false);
            add("e5m2x2", E5M2, Mode::Near, form, false);
        }
    }
    all
}

fn tf32() -> Vec<Case> {
    [
        ("rna", Mode::Away, FORMS[0]),
        ("rna", Mode::Away, FORMS[2]),
        ("rn", Mode::Near, FORMS[0]),
        ("rn", Mode::Near, FORMS[1]),
        ("rz", Mode::Zero, FORMS[0]),
        ("rz", Mode::Zero, FORMS[1]),
    ]
    .map(|(name, mode, (rest, relu, finite))| {
        let one = One {
            to: TF32,
            from: F32,
            mode,
            relu,
            finite,
        };
        elementwise_for(
            "sm_90",
            &format!("cvt.{name}{rest}.tf32.f32 %d, %a;"),
            &[Ty::B32],
            Ty::B32,
            &singles(),
            move |row, found| {
                if TF32.is_nan(one.expected(row[0])) {
                    // Its low bits, and which NaN it is, are not specified.
                    return one.right(TF32.nan() << 13, TF32.nan()).and(
                        if TF32.is_nan(found >> 13) {
                            Ok(())
                        } else {
                            Err(format!("{found:#x}, expected a NaN"))
                        },
                    );
                }
                let low = found & 0x1fff;
                if low != 0 {
                    return Err(format!("{found:#x} has low bits"));
                }
                one.right(row[0], found >> 13)
            },
        )
    })
    .into()
}

/// Between pairs of halves and of 8-bit numbers: every half, every byte.
fn bytes() -> Vec<Case> {
    let mut all = Vec::new();
    for (name, format) in [("e4m3x2", E4M3), ("e5m2x2", E5M2)] {
        for (rest, relu, _) in [FORMS[0], FORMS[1]] {
            let down = One {
                to: format,
                from: F16,
                mode: Mode::Near,
                relu,
                finite: true,
            };
            let halves = (0..0x1_0000_u64).map(|x| vec![x << 16 | x.wrapping_mul(40_503) & 0xffff]);
            all.push(elementwise_for(
                "sm_90",
                &format!("cvt.rn.satfinite{rest}.{name}.f16x2 %d, %a;"),
                &[Ty::B32],
                Ty::B16,
                &halves.collect::<Vec<_>>(),
                move |row, found| {
                    down.right(row[0] >> 16, found >> 8)?;
                    down.right(row[0] & 0xffff, found & 0xff)
                },
            ));
            let up = One {
                to: F16,
                from: format,
                mode: Mode::Near,
                relu,
                finite: false,
            };
            let pairs: Vec<_> = (0..0x1_0000).map(|x| vec![x]).collect();
            all.push(elementwise_for(
                "sm_90",
                &format!("cvt.rn{rest}.f16x2.{name} %d, %a;"),
                &[Ty::B16],
                Ty::B32,
                &pairs,
                move |row, found| {
                    up.right(row[0] >> 8, found >> 16)?;
                    up.right(row[0] & 0xff, found & 0xffff)
                },
            ));
        }
    }
    all
}

/// `cvt.pack.sat.type.s32{.b32} d, a, b{, c}`
fn packs() -> Vec<Case> {
    let mut all = Vec::new();
    let mut edges = integers(32);
    for bit in [1, 2, 3, 4, 7, 8, 15, 16] {
        for x in [1_i64 << bit, -1 << bit] {
            edges.extend([x - 1, x, x + 1].map(|x| x.cast_unsigned() & 0xffff_ffff));
        }
    }
    for (name, bits, signed) in [
        ("u16", 16, false),
        ("s16", 16, true),
        ("u8", 8, false),
        ("s8", 8, true),
        ("u4", 4, false),
        ("s4", 4, true),
        ("u2", 2, false),
        ("s2", 2, true),
    ] {
        let clamp = move |x: u64| {
            let (least, most) = if signed {
                (-(1_i64 << (bits - 1)), (1_i64 << (bits - 1)) - 1)
            } else {
                (0, (1 << bits) - 1)
            };
            let value = i64::from(u32::try_from(x).unwrap().cast_signed());
            value.clamp(least, most).cast_unsigned() & ((1 << bits) - 1)
        };
        if bits == 16 {
            all.push(elementwise_for(
                "sm_80",
                &format!("cvt.pack.sat.{name}.s32 %d, %a, %b;"),
                &[Ty::B32, Ty::B32],
                Ty::B32,
                &rows2([&edges, &edges], [32, 32], 200),
                exactly(move |row| clamp(row[0]) << 16 | clamp(row[1])),
            ));
        } else {
            all.push(elementwise_for(
                "sm_80",
                &format!("cvt.pack.sat.{name}.s32.b32 %d, %a, %b, %c;"),
                &[Ty::B32; 3],
                Ty::B32,
                &rows3([&edges, &edges, &edges], [32, 32, 32], 1500, 200),
                exactly(move |row| {
                    let low = clamp(row[0]) << bits | clamp(row[1]);
                    (row[2] << (2 * bits) | low) & 0xffff_ffff
                }),
            ));
        }
    }
    all
}

/// Constants and special registers as sources, 8-bit registers.
fn operands() -> Vec<Case> {
    let one = |body: &str, output: Ty, expected: u64| {
        elementwise_for(
            "sm_80",
            body,
            &[Ty::B32],
            output,
            &[vec![0]],
            exactly(move |_| expected),
        )
    };
    vec![
        one("cvt.s64.s32 %d, -5;", Ty::B64, 5_u64.wrapping_neg()),
        one("cvt.u64.u32 %d, -5;", Ty::B64, 0xffff_fffb),
        one("cvt.rn.f32.s32 %d, -5;", Ty::B32, 0xc0a0_0000),
        one("cvt.rn.f16.f32 %d, 0f3FC00000;", Ty::B16, 0x3e00),
        one(
            "cvt.rn.f16x2.f32 %d, 1.5, 0fBF800000;",
            Ty::B32,
            0x3e00_bc00,
        ),
        one("cvt.rn.f32.u32 %d, WARP_SZ;", Ty::B32, 0x4200_0000),
        one("cvt.u64.u32 %d, %ntid.x;", Ty::B64, 64),
        one("cvt.u16.u32 %d, %ntid.x;", Ty::B16, 64),
        one(
            ".reg .b8 %q; cvt.u8.u32 %q, 0x1f0; cvt.s32.s8 %d, %q;",
            Ty::B32,
            0xffff_fff0,
        ),
        one(
            ".reg .pred %p; setp.ne.u32 %p, %a, 0; mov.u32 %d, 7; @%p cvt.u32.u8 %d, 9;",
            Ty::B32,
            7,
        ),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    [pairs(), tf32(), bytes(), packs(), operands()]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn pairs_and_tf32() {
    check(&pairs());
    check(&tf32());
}

#[test]
fn every_pair_of_bytes() {
    super::check_once(&bytes());
}

#[test]
fn packed_integers_and_operands() {
    check(&packs());
    check(&operands());
}
