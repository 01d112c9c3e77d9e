use pvt_cuda::plan::Target;
use pvt_testkit::{compare::widen, oracle};

use crate::harness::{Bench, assert_close, assert_too_short, random, same_bits, tolerance, wide};

const EPS: f32 = 1e-6;

/// Rows, channels, hidden channels.
type Size = (usize, usize, usize);

/// Below one tile of 48 rows, at it, above it and above two; narrow, odd and real widths.
fn sizes() -> impl Iterator<Item = Size> {
    let widths = [(1, 1), (5, 3), (16, 64), (17, 129), (64, 512), (65, 130)];
    let rows = [1, 2, 47, 48, 49, 97];
    let awkward = rows
        .into_iter()
        .flat_map(move |r| widths.map(|(c, e)| (r, c, e)));
    awkward.chain([(3136, 64, 512), (784, 128, 1024), (50, 512, 2048)])
}

fn fused(x: &[f32], size: Size) -> Vec<f32> {
    let mut bench = Bench::of_operands(x.len());
    let y = bench.buffer("x", x.to_vec());
    bench.builder.mlp("op", y, size, EPS).unwrap();
    bench.run(y, x.len())
}

fn in_three_steps(x: &[f32], (rows, c, e): Size) -> Vec<f32> {
    let mut bench = Bench::of_operands(x.len());
    let y = bench.buffer("x", x.to_vec());
    let b = &mut bench.builder;
    let normed = b.layernorm("op.norm2", y, (rows, c, c), EPS).unwrap();
    let fc1 = b.linear("op.mlp.fc1", normed, (rows, c, e), true, Target::NewGelu);
    let sum = Target::AddTo(y);
    b.linear("op.mlp.fc2", fc1.unwrap(), (rows, e, c), true, sum)
        .unwrap();
    bench.run(y, x.len())
}

fn exact(x: &[f32], (_, c, e): Size) -> Vec<f64> {
    let x = widen(x);
    let (gamma, beta) = (wide("op.norm2.weight", c), wide("op.norm2.bias", c));
    let (w1, b1) = (wide("op.mlp.fc1.weight", e * c), wide("op.mlp.fc1.bias", e));
    let (w2, b2) = (wide("op.mlp.fc2.weight", c * e), wide("op.mlp.fc2.bias", c));
    let normed = oracle::layernorm(&x, &gamma, &beta, f64::from(EPS));
    let y = oracle::mlp(&normed, (&w1, &b1), (&w2, &b2));
    x.iter().zip(y).map(|(x, y)| x + y).collect()
}

#[test]
fn matches_f64() {
    for size in sizes() {
        let x = random("x", size.0 * size.1);
        let found = fused(&x, size);
        assert_close(
            &found,
            &exact(&x, size),
            tolerance(size.2),
            &format!("{size:?}"),
        );
    }
}

#[test]
fn equals_its_three_steps_bit_for_bit() {
    for size in sizes() {
        let x = random("x", size.0 * size.1);
        assert!(
            same_bits(&fused(&x, size), &in_three_steps(&x, size)),
            "{size:?}"
        );
    }
}

#[test]
fn eps_counts_where_the_variance_is_small() {
    let size = (49, 16, 64);
    let x: Vec<f32> = random("x", 49 * 16).iter().map(|v| v * 1e-3).collect();
    assert_close(
        &fused(&x, size),
        &exact(&x, size),
        tolerance(64),
        "small variance",
    );
}

#[test]
fn rejects_a_short_buffer() {
    let mut bench = Bench::on(vec![0.0; 29]);
    let x = bench.x;
    let y = bench.builder.mlp("op", x, (3, 10, 20), EPS).map(|()| x);
    assert_too_short(y, (29, 30));
}
