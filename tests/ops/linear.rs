use pvt_cuda::plan::Target;
use pvt_testkit::{compare::widen, oracle};

use crate::harness::{Bench, assert_close, assert_too_short, random, same_bits, tolerance, wide};

/// What follows the product.
#[derive(Debug, Clone, Copy, PartialEq)]
enum After {
    Nothing,
    Gelu,
    Sum,
}

/// Rows, inner dimension, columns.
type Size = (usize, usize, usize);

fn run(x: &[f32], (rows, inner, cols): Size, bias: bool, after: After, sum: &[f32]) -> Vec<f32> {
    let len = rows * cols;
    let mut bench = match after {
        After::Sum => Bench::of_operands(x.len().max(len)),
        _ => Bench::on(x.to_vec()),
    };
    let (x, target) = match after {
        After::Nothing => (bench.x, Target::New),
        After::Gelu => (bench.x, Target::NewGelu),
        After::Sum => {
            let y = bench.buffer("sum", sum.to_vec());
            (bench.buffer("x", x.to_vec()), Target::AddTo(y))
        }
    };
    let y = bench
        .builder
        .linear("op", x, (rows, inner, cols), bias, target);
    bench.run(y.unwrap(), len)
}

fn exact(x: &[f32], (_, inner, cols): Size, bias: bool, after: After, sum: &[f32]) -> Vec<f64> {
    let b = if bias {
        wide("op.bias", cols)
    } else {
        vec![0.0; cols]
    };
    let y = oracle::linear(&widen(x), inner, &wide("op.weight", cols * inner), &b);
    match after {
        After::Nothing => y,
        After::Gelu => y.into_iter().map(oracle::gelu).collect(),
        After::Sum => y.iter().zip(sum).map(|(y, &s)| y + f64::from(s)).collect(),
    }
}

fn check(size: Size) {
    let (rows, inner, cols) = size;
    let (x, sum) = (random("x", rows * inner), random("sum", rows * cols));
    for after in [After::Nothing, After::Gelu, After::Sum] {
        for bias in [true, false] {
            let found = run(&x, size, bias, after, &sum);
            let exact = exact(&x, size, bias, after, &sum);
            let case = format!("{rows}x{inner}x{cols}, bias {bias}, then {after:?}");
            assert_close(&found, &exact, tolerance(inner), &case);
        }
    }
}

#[test]
fn matches_f64_at_awkward_sizes() {
    for size in [
        (1, 1, 1),
        (1, 5, 3),
        (2, 7, 1),
        (7, 1, 2),
        (3, 13, 37),
        (47, 48, 49),
        (48, 64, 64),
        (49, 63, 65),
        (64, 512, 63),
        (65, 513, 64),
        (97, 511, 130),
        (193, 31, 129),
        (385, 17, 66),
        (50, 1030, 10),
        (13, 4099, 17),
    ] {
        check(size);
    }
}

#[test]
fn matches_f64_at_the_sizes_of_the_published_models() {
    for size in [
        (3136, 64, 64),
        (49, 64, 128),
        (784, 128, 128),
        (196, 320, 1280),
        (50, 512, 1024),
        (50, 2048, 512),
        (1, 512, 1000),
    ] {
        check(size);
    }
}

#[test]
fn a_row_has_the_same_bits_in_any_company() {
    for (inner, cols) in [(5, 3), (64, 65), (513, 10), (33, 1), (700, 130)] {
        let rows = 241;
        let (x, sum) = (random("x", rows * inner), random("sum", rows * cols));
        for after in [After::Nothing, After::Gelu, After::Sum] {
            let all = run(&x, (rows, inner, cols), true, after, &sum);
            for (first, count) in [(0, 1), (240, 1), (3, 2), (50, 49), (7, 193)] {
                let x = &x[first * inner..][..count * inner];
                let sum = &sum[first * cols..][..count * cols];
                let part = run(x, (count, inner, cols), true, after, sum);
                let same = same_bits(&part, &all[first * cols..][..count * cols]);
                assert!(
                    same,
                    "{count} rows from {first}, {inner}x{cols}, then {after:?}"
                );
            }
        }
    }
}

#[test]
fn rejects_short_buffers() {
    let mut bench = Bench::on(vec![0.0; 39]);
    let y = bench
        .builder
        .linear("op", bench.x, (4, 10, 3), true, Target::New);
    assert_too_short(y, (39, 40));
    let x = bench.buffer("x", vec![0.0; 11]);
    let y = bench
        .builder
        .linear("op", bench.x, (3, 10, 4), true, Target::AddTo(x));
    assert_too_short(y, (11, 12));
}
