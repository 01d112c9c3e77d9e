use crate::harness::{Bench, assert_too_short, random, same_bits};

#[test]
fn is_the_correctly_rounded_sum() {
    // a task takes 16384 elements
    for len in [1, 2, 17, 16_383, 16_384, 16_385, 3 * 16_384 + 7] {
        let (a, b) = (random("a", len), random("b", len));
        let want: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        let mut bench = Bench::of_operands(len);
        let operands = (bench.buffer("a", a), bench.buffer("b", b));
        let y = bench.builder.residual("op", operands, len).unwrap();
        assert!(same_bits(&bench.run(y, len), &want), "{len} elements");
    }
}

#[test]
fn a_buffer_can_be_added_to_itself() {
    let x = random("x", 100);
    let mut bench = Bench::on(x.clone());
    let y = bench
        .builder
        .residual("op", (bench.x, bench.x), 100)
        .unwrap();
    let want: Vec<f32> = x.iter().map(|v| 2.0 * v).collect();
    assert!(same_bits(&bench.run(y, 100), &want));
}

#[test]
fn rejects_short_buffers() {
    let mut bench = Bench::of_operands(10);
    let b = bench.buffer("b", vec![0.0; 9]);
    let y = bench.builder.residual("op", (bench.x, b), 10);
    assert_too_short(y, (9, 10));
    let y = bench.builder.residual("op", (b, bench.x), 10);
    assert_too_short(y, (9, 10));
}

/// y = a + m·b with a factor for each image, and m·b alone.
#[test]
fn a_factor_for_each_image() {
    let (images, len) = (3, 3 * 17_000);
    for alone in [false, true] {
        let (a, b) = (random("a", len), random("b", len));
        let factors = [0.0, 1.25, 1.0f32];
        let want: Vec<f32> = (0..len)
            .map(|i| {
                let branch = factors[i / (len / images)] * b[i];
                if alone { branch } else { a[i] + branch }
            })
            .collect();
        let mut bench = Bench::of_operands(len);
        bench.builder = std::mem::take(&mut bench.builder).images(images);
        let (a, b) = (bench.buffer("a", a), bench.buffer("b", b));
        let f = bench.buffer("factors", [9.0, 0.0, 1.25, 1.0].to_vec());
        let a = (!alone).then_some(a);
        let y = bench.builder.add_scaled("op", (a, b), len, Some((f, 1)));
        assert!(
            same_bits(&bench.run(y.unwrap(), len), &want),
            "alone: {alone}"
        );
    }
}
