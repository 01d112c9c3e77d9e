use pvt_cuda::Pixels;
use pvt_testkit::{compare::widen, oracle};

use crate::harness::{Bench, assert_close, assert_too_short, random, same_bits, tolerance, wide};

/// Images, height, width, channels, patch, output channels.
type Size = [usize; 6];

const SIZES: [Size; 16] = [
    [1, 1, 1, 1, 1, 1],
    [2, 5, 7, 3, 1, 5],
    [3, 7, 5, 2, 2, 3],
    [1, 13, 11, 5, 3, 17],
    [2, 9, 4, 1, 4, 65],
    [1, 98, 96, 3, 2, 64],
    [1, 49, 97, 16, 1, 129],
    [2, 8, 8, 64, 8, 64],
    [1, 17, 19, 7, 5, 130],
    [1, 3, 130, 3, 2, 49],
    // published models: patch embeddings, then spatial reductions
    [1, 224, 224, 3, 4, 64],
    [2, 56, 56, 64, 2, 128],
    [1, 14, 14, 320, 2, 512],
    [1, 56, 56, 64, 8, 64],
    [2, 28, 28, 128, 4, 128],
    [1, 25, 32, 64, 8, 64],
];

fn run(x: Vec<f32>, [b, h, w, c, p, o]: Size, pixels: Pixels) -> Vec<f32> {
    let mut bench = Bench::on(x);
    let y = bench
        .builder
        .patch_conv("op", bench.x, (b, (h, w), c), (p, o), pixels);
    bench.run(y.unwrap(), b * (h / p) * (w / p) * o)
}

fn exact(x: &[f32], [b, h, w, c, p, o]: Size, pixels: Pixels) -> Vec<f64> {
    let mut x = widen(x);
    if pixels == Pixels::Nhwc {
        x = oracle::channels_first(&x, h * w, c);
    }
    let weight = wide("op.weight", o * c * p * p);
    oracle::patch_conv(&x, [b, c, h, w], &weight, &wide("op.bias", o), p)
}

#[test]
fn matches_f64_on_pixels_and_on_tokens() {
    for size in SIZES {
        for pixels in [Pixels::Nchw, Pixels::Nhwc] {
            let x = random("x", size[..4].iter().product());
            let found = run(x.clone(), size, pixels);
            let inner = size[3] * size[4] * size[4];
            let case = format!("{size:?} {pixels:?}");
            assert_close(&found, &exact(&x, size, pixels), tolerance(inner), &case);
        }
    }
}

#[test]
fn an_image_has_the_same_bits_alone_and_in_a_batch() {
    for [_, h, w, c, p, o] in SIZES {
        for pixels in [Pixels::Nchw, Pixels::Nhwc] {
            let x = random("x", 3 * h * w * c);
            let all = run(x.clone(), [3, h, w, c, p, o], pixels);
            for (x, want) in x.chunks(h * w * c).zip(all.chunks(all.len() / 3)) {
                let alone = run(x.to_vec(), [1, h, w, c, p, o], pixels);
                assert!(
                    same_bits(&alone, want),
                    "{h}x{w}x{c} by {p} to {o}, {pixels:?}"
                );
            }
        }
    }
}

#[test]
fn pixels_that_fill_no_patch_are_not_read() {
    for pixels in [Pixels::Nchw, Pixels::Nhwc] {
        let (h, w, c) = (7, 8, 2);
        let mut x = random("x", h * w * c);
        let want = run(x.clone(), [1, h, w, c, 3, 4], pixels);
        for (i, v) in x.iter_mut().enumerate() {
            let at = if pixels == Pixels::Nchw {
                i % (h * w)
            } else {
                i / c
            };
            if at / w >= 6 || at % w >= 6 {
                *v = f32::NAN;
            }
        }
        assert!(
            same_bits(&run(x, [1, h, w, c, 3, 4], pixels), &want),
            "{pixels:?}"
        );
    }
}

#[test]
fn rejects_a_short_buffer() {
    for pixels in [Pixels::Nchw, Pixels::Nhwc] {
        let mut bench = Bench::on(vec![0.0; 2 * 4 * 6 * 3 - 1]);
        let y = bench
            .builder
            .patch_conv("op", bench.x, (2, (4, 6), 3), (2, 5), pixels);
        assert_too_short(y, (143, 144));
    }
}
