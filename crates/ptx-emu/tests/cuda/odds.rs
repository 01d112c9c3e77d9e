//! Histograms, transposes, and the small kernels.

use super::support::data::{assert_within, bytes, integers, uniform, widen};
use super::support::kernels::{elementwise, histogram, reverse, strided, transpose};
use super::support::reference;
use super::support::run::{Data, Kernel, given, in_out, out};

const ODDS: &str = "kernels/odds.cu";

fn count(n: usize) -> Data {
    Data::U32(u32::try_from(n).unwrap())
}

#[test]
fn histogram_is_exact() {
    for entry in ["histogram_shared", "histogram_global"] {
        let kernel = Kernel::new("kernels/histogram.cu", &[], entry);
        for (n, blocks) in [(0, 1), (1, 2), (255, 1), (3000, 3)] {
            let x = bytes(1, n.max(1));
            let data = [given(&x), in_out(&[5_u32; 256]), count(n)];
            let found = kernel.run(histogram(blocks), &data).output::<u32>(0);
            let exact = reference::histogram(&x[..n]).map(|bin| bin + 5);
            assert_eq!(found, exact, "{entry} {n}");
        }
    }
}

#[test]
fn transpose_is_exact() {
    for entry in ["transpose_padded", "transpose_plain"] {
        let kernel = Kernel::new("kernels/transpose.cu", &[], entry);
        for (rows, cols) in [(1, 1), (32, 32), (33, 65), (100, 7)] {
            let x = uniform(1, (rows * cols) as usize);
            let data = [
                given(&x),
                out::<f32>(x.len()),
                Data::U32(rows),
                Data::U32(cols),
            ];
            let found = kernel.run(transpose(rows, cols), &data).output::<f32>(0);
            let exact = reference::transpose(&x, rows as usize, cols as usize);
            assert_eq!(found, exact, "{entry} {rows} {cols}");
        }
    }
}

#[test]
fn saxpy_rounds_once() {
    let (x, y) = (uniform(1, 700), uniform(2, 700));
    let data = [given(&x), in_out(&y), Data::F32(1.7), count(700)];
    let found = Kernel::new(ODDS, &[], "saxpy")
        .run(strided(2), &data)
        .output::<f32>(0);
    let exact: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x.mul_add(1.7, *y)).collect();
    assert_eq!(found, exact);
}

#[test]
fn reverse_uses_dynamic_shared_memory() {
    for n in [1, 33, 1024, 5000] {
        let x = uniform(3, n);
        let length = u32::try_from(n).unwrap();
        let data = [given(&x), out::<f32>(n), Data::U32(length)];
        let found = Kernel::new(ODDS, &[], "reverse")
            .run(reverse(length), &data)
            .output::<f32>(0);
        assert!(found.iter().eq(x.iter().rev()), "{n}");
    }
}

#[test]
fn total_is_added_by_the_last_block() {
    let kernel = Kernel::new(ODDS, &[], "total");
    for (n, blocks) in [(1, 1), (5000, 7)] {
        let x = integers(4, n, u32::MAX);
        let partial = vec![0_u32; blocks as usize];
        let data = [
            given(&x),
            in_out(&partial),
            in_out(&[0_u32]),
            out::<u32>(1),
            count(n),
        ];
        let outcome = kernel.run(strided(blocks), &data);
        let exact = x.iter().fold(0, |sum: u32, v| sum.wrapping_add(*v));
        assert_eq!(outcome.output::<u32>(1), [0]);
        assert_eq!(outcome.output::<u32>(2), [exact]);
    }
}

#[test]
fn compact_keeps_the_order() {
    for n in [1, 256, 1000] {
        let x = integers(5, n, 1000);
        let data = [given(&x), out::<u32>(n), out::<u32>(1), count(n)];
        let outcome = Kernel::new(ODDS, &[], "compact").run(strided(1), &data);
        let odd: Vec<u32> = x.into_iter().filter(|v| v % 2 == 1).collect();
        assert_eq!(
            outcome.output::<u32>(1),
            [u32::try_from(odd.len()).unwrap()]
        );
        assert_eq!(outcome.output::<u32>(0)[..odd.len()], odd);
    }
}

#[test]
fn functions_are_called_through_a_table() {
    let x = integers(6, 300, 40);
    let data = [given(&x), out::<u32>(300), count(300)];
    let outcome = Kernel::new(ODDS, &[], "call_table").run(elementwise(300), &data);
    assert_eq!(outcome.output::<u32>(0), reference::call_table(&x));
}

#[test]
fn local_arrays_are_indexed_at_run_time() {
    let x = uniform(7, 300 * 8);
    let data = [given(&x), out::<f32>(300), count(300)];
    let outcome = Kernel::new(ODDS, &[], "local_sort").run(elementwise(300), &data);
    // Eight roundings of sums below 15.
    assert_within(
        &outcome.output::<f32>(0),
        &reference::local_sort(&x),
        |_| 8e-6,
    );
}

#[test]
fn gelu_matches_f64() {
    let x: Vec<f32> = uniform(8, 500).iter().map(|v| v * 7.0).collect();
    let data = [given(&x), out::<f32>(500), count(500)];
    let outcome = Kernel::new(ODDS, &[], "gelu").run(elementwise(500), &data);
    let exact = reference::gelu(&widen(&x));
    // The constant is 1/√2 to 8 digits; 1 + erf cancels where x is far below 0.
    assert_within(&outcome.output::<f32>(0), &exact, |i| {
        4e-7 * f64::from(x[i]).abs() + 1e-30
    });
}

/// A sum with the errors of its additions carried along (Neumaier 1974).
fn compensated(start: f64, terms: impl Iterator<Item = f64>) -> f64 {
    let (sum, lost) = terms.fold((start, 0.0), |(sum, lost), term| {
        let next = sum + term;
        let error = if sum.abs() >= term.abs() {
            (sum - next) + term
        } else {
            (term - next) + sum
        };
        (next, lost + error)
    });
    sum + lost
}

#[test]
fn moments_add_in_f64() {
    let x = uniform(9, 3000);
    let data = [given(&x), in_out(&[1.0_f64, 2.0]), count(3000)];
    let found = Kernel::new(ODDS, &[], "moments")
        .run(strided(4), &data)
        .output::<f64>(0);
    let wide = widen(&x);
    // compensated sums: exact to the last bit of the result
    let exact = [
        compensated(1.0, wide.iter().copied()),
        compensated(2.0, wide.iter().map(|v| v * v)),
    ];
    for (f, e) in found.iter().zip(exact) {
        assert!((f - e).abs() < 1e-11, "{f} {e}");
    }
}

#[test]
fn wide_integers_are_exact() {
    let low = integers(10, 1000, u32::MAX);
    let high = integers(11, 1000, u32::MAX);
    let pairs = low.iter().zip(&high).enumerate();
    // Every other value has a short upper half, so that quotients differ from 0.
    let x: Vec<u64> = pairs
        .map(|(i, (&l, &h))| (u64::from(h) << 32 >> (i % 2 * 40)) | u64::from(l) | 1)
        .collect();
    let data = [given(&x), out::<u64>(1000), count(1000)];
    let outcome = Kernel::new(ODDS, &[], "integers").run(elementwise(1000), &data);
    assert_eq!(outcome.output::<u64>(0), reference::integers(&x));
}
