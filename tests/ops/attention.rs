use pvt_testkit::{compare::widen, oracle};

use crate::attention_reference::references;
use crate::harness::{Bench, assert_close, assert_too_short, random, same_bits, tolerance};

/// Images, queries, keys, heads, head width.
type Size = [usize; 5];

fn run(q: &[f32], kv: &[f32], [b, n, m, heads, d]: Size) -> Vec<f32> {
    let mut bench = Bench::of_operands(q.len().max(kv.len()));
    let operands = (
        bench.buffer("q", q.to_vec()),
        bench.buffer("kv", kv.to_vec()),
    );
    let y = bench
        .builder
        .attention("op", operands, (b, n, m), (heads, d));
    bench.run(y.unwrap(), q.len())
}

/// Random queries, keys and values; queries times `sharpness`.
fn operands([b, n, m, heads, d]: Size, sharpness: f32) -> (Vec<f32>, Vec<f32>) {
    let q = random("q", b * n * heads * d);
    let q = q.into_iter().map(|v| v * sharpness).collect();
    (q, random("kv", b * m * 2 * heads * d))
}

fn check(size: Size, sharpness: f32) {
    let [_, n, m, heads, d] = size;
    let (q, kv) = operands(size, sharpness);
    let exact = oracle::multi_head(&widen(&q), &widen(&kv), [n, m, heads, d]);
    let case = format!("{size:?}, sharpness {sharpness}");
    assert_close(&run(&q, &kv, size), &exact, tolerance(m.max(d)), &case);
}

#[test]
fn matches_f64_for_any_number_of_keys_and_any_head_width() {
    for m in [1, 2, 15, 16, 17, 33, 49, 50, 63, 64, 65, 129, 1000] {
        for d in [1, 5, 16, 32, 64, 65, 128] {
            check([1, 13, m, 2, d], 1.0);
        }
    }
}

#[test]
fn matches_f64_for_any_number_of_queries() {
    // tasks take 12, 24 or 48 queries, by the number of all of them
    for n in [
        1, 2, 11, 12, 13, 37, 191, 192, 193, 216, 217, 767, 768, 769, 817,
    ] {
        check([1, n, 49, 1, 16], 1.0);
    }
    check([3, 25, 7, 3, 5], 1.0);
}

#[test]
fn matches_f64_at_the_sizes_of_the_published_models() {
    for size in [
        [1, 3136, 49, 1, 64],
        [2, 784, 49, 2, 64],
        [1, 196, 49, 5, 64],
        [1, 50, 50, 8, 64],
        [2, 50, 50, 8, 64],
        [1, 500, 1000, 1, 64],
    ] {
        check(size, 1.0);
    }
}

#[test]
fn sharp_and_huge_scores_neither_overflow_nor_lose_their_order() {
    // one key takes nearly all the weight; without the shift by the maximum e^score overflows
    let size = [1, 20, 50, 2, 64];
    let (q, mut kv) = operands(size, 1000.0);
    for row in kv.chunks_exact_mut(2 * 128) {
        for key in &mut row[..128] {
            *key = (*key * 8.0).round() / 8.0;
        }
    }
    let q: Vec<f32> = q.iter().map(|v| v.round()).collect();
    let found = run(&q, &kv, size);
    let exact = oracle::multi_head(&widen(&q), &widen(&kv), [20, 50, 2, 64]);
    assert_close(
        &found,
        &exact,
        tolerance(64),
        "products that f32 holds exactly",
    );
}

#[test]
fn equal_keys_give_the_mean_of_the_values() {
    let size = [1, 7, 33, 1, 16];
    let (q, mut kv) = operands(size, 1.0);
    kv.chunks_exact_mut(32).for_each(|row| row[..16].fill(0.25));
    let mean = |i: usize| {
        widen(&kv)
            .chunks_exact(32)
            .map(|row| row[16 + i])
            .sum::<f64>()
            / 33.0
    };
    let exact: Vec<f64> = (0..7 * 16).map(|i| mean(i % 16)).collect();
    assert_close(&run(&q, &kv, size), &exact, 2e-6, "equal keys");
}

#[test]
fn matches_the_stored_reference_vectors() {
    for case in references() {
        let found = run(&case.q, &case.kv, case.size);
        assert_close(&found, &widen(&case.y), 2e-6, &case.name);
    }
}

#[test]
fn an_image_has_the_same_bits_alone_and_in_a_batch() {
    for [_, n, m, heads, d] in [
        [0, 50, 50, 8, 64],
        [0, 13, 1, 1, 5],
        [0, 97, 33, 3, 16],
        [0, 385, 65, 1, 32],
        [0, 1, 49, 2, 128],
    ] {
        for batch in [3, 8] {
            let (q, kv) = operands([batch, n, m, heads, d], 1.0);
            let all = run(&q, &kv, [batch, n, m, heads, d]);
            let images = q.chunks(n * heads * d).zip(kv.chunks(m * 2 * heads * d));
            for ((q, kv), want) in images.zip(all.chunks(n * heads * d)) {
                let alone = run(q, kv, [1, n, m, heads, d]);
                assert!(
                    same_bits(&alone, want),
                    "{n} queries, {m} keys, {heads}x{d}"
                );
            }
        }
    }
}

#[test]
fn rejects_short_buffers() {
    let mut bench = Bench::of_operands(200);
    let (q, kv) = (
        bench.buffer("q", vec![0.0; 59]),
        bench.buffer("kv", vec![0.0; 119]),
    );
    let x = bench.x;
    let y = bench.builder.attention("op", (q, x), (2, 3, 3), (2, 5));
    assert_too_short(y, (59, 60));
    let y = bench.builder.attention("op", (x, kv), (2, 3, 3), (2, 5));
    assert_too_short(y, (119, 120));
}
