use pvt_testkit::{compare::widen, oracle};

use crate::harness::{Bench, assert_close, assert_too_short, random, same_bits, tolerance, wide};

/// A norm of rows `stride` apart.
fn run(x: Vec<f32>, rows: usize, c: usize, stride: usize, eps: f32) -> Vec<f32> {
    let mut bench = Bench::on(x);
    let y = bench
        .builder
        .layernorm("op", bench.x, (rows, c, stride), eps);
    bench.run(y.unwrap(), rows * c)
}

fn exact(x: &[f32], c: usize, eps: f32) -> Vec<f64> {
    let (gamma, beta) = (wide("op.weight", c), wide("op.bias", c));
    oracle::layernorm(&widen(x), &gamma, &beta, f64::from(eps))
}

#[test]
fn matches_f64_at_awkward_and_real_sizes() {
    let awkward = [1, 2, 3, 7, 15, 16, 17, 48, 49, 64, 65, 131, 512, 513];
    let rows = [1, 2, 63, 64, 65, 129];
    let cases = rows.into_iter().flat_map(|r| awkward.map(|c| (r, c)));
    let real = [
        (3136, 64),
        (784, 128),
        (196, 320),
        (50, 512),
        (49, 64),
        (8, 768),
    ];
    for (rows, c) in cases.chain(real) {
        let x = random("x", rows * c);
        let found = run(x.clone(), rows, c, c, 1e-6);
        assert_close(
            &found,
            &exact(&x, c, 1e-6),
            tolerance(c),
            &format!("{rows} rows of {c}"),
        );
    }
}

#[test]
fn eps_counts_where_the_variance_is_small() {
    for eps in [1e-5, 1e-6, 0.0] {
        let x: Vec<f32> = random("x", 5 * 64).iter().map(|v| v * 1e-3).collect();
        let found = run(x.clone(), 5, 64, 64, eps);
        assert_close(
            &found,
            &exact(&x, 64, eps),
            tolerance(64),
            &format!("eps {eps}"),
        );
    }
}

#[test]
fn a_row_without_variance_becomes_the_bias() {
    let found = run(vec![3.0; 4 * 10], 4, 10, 10, 1e-5);
    assert!(same_bits(&found, &random("op.bias", 10).repeat(4)));
}

#[test]
fn rows_further_apart_than_they_are_long_are_picked_out() {
    for (rows, c, stride) in [(1, 5, 11), (3, 64, 64 * 50), (65, 16, 17)] {
        let x = random("x", (rows - 1) * stride + c);
        let picked: Vec<f32> = (0..rows)
            .flat_map(|r| &x[r * stride..][..c])
            .copied()
            .collect();
        let found = run(x, rows, c, stride, 1e-6);
        assert_close(
            &found,
            &exact(&picked, c, 1e-6),
            tolerance(c),
            "picked rows",
        );
        assert!(
            same_bits(&found, &run(picked, rows, c, c, 1e-6)),
            "{rows} {c} {stride}"
        );
    }
}

#[test]
fn a_row_has_the_same_bits_in_any_company() {
    let (rows, c) = (131, 65);
    let x = random("x", rows * c);
    let all = run(x.clone(), rows, c, c, 1e-6);
    for row in [0, 63, 64, 130] {
        let alone = run(x[row * c..][..c].to_vec(), 1, c, c, 1e-6);
        assert!(same_bits(&alone, &all[row * c..][..c]), "row {row}");
    }
}

#[test]
fn rejects_a_short_buffer() {
    let mut bench = Bench::on(vec![0.0; 19]);
    let y = bench.builder.layernorm("op", bench.x, (2, 10, 10), 1e-6);
    assert_too_short(y, (19, 20));
    let y = bench.builder.layernorm("op", bench.x, (2, 10, 15), 1e-6);
    assert_too_short(y, (19, 25));
}
