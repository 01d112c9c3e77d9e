//! Arithmetic against the tables of exact results.

use crate::num::Round::{self, Down, Near, Up, Zero};
use crate::num::{bf16, double, f16, single};

const MODES: [Round; 4] = [Near, Zero, Down, Up];

/// Operation, operands and results of each line of a table.
pub(super) fn rows(table: &str, results: usize) -> Vec<(&str, Vec<u64>, Vec<u64>)> {
    table
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            let name = words.next().unwrap();
            let mut values: Vec<u64> = words.map(|w| u64::from_str_radix(w, 16).unwrap()).collect();
            let expected = values.split_off(values.len() - results);
            (name, values, expected)
        })
        .collect()
}

#[test]
fn f32_results_equal_exact_ones() {
    let rows = rows(include_str!("../../../tests/num/f32.txt"), 4);
    assert!(rows.len() > 1500);
    for (name, args, expected) in rows {
        let v: Vec<f32> = args.iter().map(|&x| f32::from_bits(x as u32)).collect();
        for (mode, expected) in MODES.into_iter().zip(expected) {
            let r = match name {
                "add" => single::add(v[0], v[1], mode),
                "sub" => single::sub(v[0], v[1], mode),
                "mul" => single::mul(v[0], v[1], mode),
                "fma" => single::fma(v[0], v[1], v[2], mode),
                "div" => single::div(v[0], v[1], mode),
                _ => single::sqrt(v[0], mode),
            };
            let r = u64::from(r.to_bits());
            assert_eq!(r, expected, "{name} {args:x?} {mode:?}: {r:x} {expected:x}");
        }
    }
}

#[test]
fn f64_results_equal_exact_ones() {
    let rows = rows(include_str!("../../../tests/num/f64.txt"), 4);
    assert!(rows.len() > 1500);
    for (name, args, expected) in rows {
        let v: Vec<f64> = args.iter().map(|&x| f64::from_bits(x)).collect();
        for (mode, expected) in MODES.into_iter().zip(expected) {
            let r = match name {
                "add" => double::add(v[0], v[1], mode),
                "sub" => double::sub(v[0], v[1], mode),
                "mul" => double::mul(v[0], v[1], mode),
                "fma" => double::fma(v[0], v[1], v[2], mode),
                "div" => double::div(v[0], v[1], mode),
                _ => double::sqrt(v[0], mode),
            };
            let r = r.to_bits();
            assert_eq!(r, expected, "{name} {args:x?} {mode:?}: {r:x} {expected:x}");
        }
    }
}

#[test]
fn halves_results_equal_exact_ones() {
    type Binary = fn(u16, u16) -> u16;
    type Ternary = fn(u16, u16, u16) -> u16;
    let formats: [(&str, [Binary; 3], Ternary); 2] = [
        (
            include_str!("../../../tests/num/f16.txt"),
            [f16::add, f16::sub, f16::mul],
            f16::fma,
        ),
        (
            include_str!("../../../tests/num/bf16.txt"),
            [bf16::add, bf16::sub, bf16::mul],
            bf16::fma,
        ),
    ];
    for (table, [add, sub, mul], fma) in formats {
        for (name, args, expected) in rows(table, 1) {
            let v: Vec<u16> = args.iter().map(|&x| x as u16).collect();
            let r = match name {
                "add" => add(v[0], v[1]),
                "sub" => sub(v[0], v[1]),
                "mul" => mul(v[0], v[1]),
                _ => fma(v[0], v[1], v[2]),
            };
            let r = u64::from(r);
            assert_eq!(r, expected[0], "{name} {args:x?}: {r:x} {:x}", expected[0]);
        }
    }
}

/// The integer path of f64 in nearest mode is a second implementation of what the host does.
#[test]
fn soft_nearest_equals_host() {
    use crate::num::soft;
    let mut values: Vec<f64> = super::scattered(400).map(f64::from_bits).collect();
    // Exponents near one another, where sums round and cancel.
    values.extend(
        super::scattered(400)
            .map(|x| f64::from_bits(x & 0x803f_ffff_ffff_ffff | 0x3fc0_0000_0000_0000)),
    );
    values.extend(super::scattered(100).map(|x| f64::from_bits(x & 0x801f_ffff_ffff_ffff)));
    let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
    for (i, &a) in values.iter().enumerate() {
        for &b in values.iter().skip(i % 7).step_by(7) {
            assert!(same(soft::add(a, b, Near), a + b), "{a:e} + {b:e}");
            assert!(same(soft::mul(a, b, Near), a * b), "{a:e} * {b:e}");
            assert!(same(soft::div(a, b, Near), a / b), "{a:e} / {b:e}");
            let c = -a * b * (1.0 + f64::EPSILON);
            assert!(
                same(soft::fma(a, b, c, Near), a.mul_add(b, c)),
                "{a:e} {b:e}"
            );
        }
    }
}
