//! Normalisations of rows.

use super::support::data::{assert_within, to_bf16, to_f16, uniform, widen};
use super::support::kernels::{layernorm_block, layernorm_warp, softmax_block, softmax_warp};
use super::support::reference::{layernorm, softmax};
use super::support::run::{Data, Kernel, given, out};
use half::{bf16, f16};

const EPS: f32 = 1e-6;

/// Rounding of f32 and the approximations of `rsqrt` and `ex2`, at values of a few units: sums of C
/// terms in a fixed tree add less than this.
const F32: f64 = 4e-6;

/// Half a unit in the last place of 8 bits, relative.
const BF16: f64 = 1.0 / 256.0;

/// The same of 11 bits.
const F16: f64 = 1.0 / 2048.0;

fn scaled(seed: u64, len: usize, scale: f32, shift: f32) -> Vec<f32> {
    uniform(seed, len)
        .iter()
        .map(|v| v * scale + shift)
        .collect()
}

#[test]
fn layernorm_matches_f64() {
    let file = "kernels/layernorm.cu";
    for (entry, rows, c) in [
        ("layernorm_warp", 1, 4),
        ("layernorm_warp", 7, 128),
        ("layernorm_warp", 5, 324),
        ("layernorm_block", 1, 1),
        ("layernorm_block", 3, 255),
        ("layernorm_block", 4, 1031),
    ] {
        let x = scaled(1, rows * c, 3.0, 0.5);
        let (gamma, beta) = (scaled(2, c, 0.5, 1.0), uniform(3, c));
        let count = u32::try_from(rows).unwrap();
        let shape = if entry == "layernorm_warp" {
            layernorm_warp(count)
        } else {
            layernorm_block(count)
        };
        let outcome = Kernel::new(file, &[], entry).run(
            shape,
            &[
                given(&x),
                given(&gamma),
                given(&beta),
                out::<f32>(x.len()),
                Data::U32(count),
                Data::U32(u32::try_from(c).unwrap()),
                Data::F32(EPS),
            ],
        );
        let exact = layernorm(&widen(&x), &widen(&gamma), &widen(&beta), f64::from(EPS));
        assert_within(&outcome.output::<f32>(0), &exact, |_| F32);
    }
}

#[test]
fn layernorm_of_bf16_matches_f64() {
    let (rows, c) = (6, 66);
    let x = to_bf16(&scaled(4, rows * c, 2.0, -1.0));
    let (gamma, beta) = (scaled(5, c, 0.5, 1.0), uniform(6, c));
    let count = u32::try_from(rows).unwrap();
    let outcome = Kernel::new("kernels/layernorm.cu", &[], "layernorm_bf16").run(
        layernorm_warp(count),
        &[
            given(&x),
            given(&gamma),
            given(&beta),
            out::<bf16>(x.len()),
            Data::U32(count),
            Data::U32(u32::try_from(c).unwrap()),
            Data::F32(EPS),
        ],
    );
    let exact = layernorm(&widen(&x), &widen(&gamma), &widen(&beta), f64::from(EPS));
    let found: Vec<f32> = outcome
        .output::<bf16>(0)
        .iter()
        .map(|v| v.to_f32())
        .collect();
    assert_within(&found, &exact, |i| F32 + BF16 * exact[i].abs());
}

/// Logits of `rows` rows: spread, with -∞ in some, far from zero in others.
fn logits(rows: usize, c: usize) -> Vec<f32> {
    let mut x = scaled(7, rows * c, 6.0, 0.0);
    for (r, row) in x.chunks_exact_mut(c).enumerate() {
        for (i, v) in row.iter_mut().enumerate() {
            if r % 3 == 1 && i % 4 == 1 {
                *v = f32::NEG_INFINITY;
            } else if r % 3 == 2 {
                *v += 80.0;
            }
        }
    }
    x
}

#[test]
fn softmax_matches_f64() {
    for (entry, rows, c) in [
        ("softmax_warp", 1, 1),
        ("softmax_warp", 7, 49),
        ("softmax_warp", 9, 200),
        ("softmax_block", 1, 1),
        ("softmax_block", 5, 127),
        ("softmax_block", 4, 300),
    ] {
        let x = logits(rows, c);
        let count = u32::try_from(rows).unwrap();
        let shape = if entry == "softmax_warp" {
            softmax_warp(count)
        } else {
            softmax_block(count)
        };
        let cols = Data::U32(u32::try_from(c).unwrap());
        let data = [given(&x), out::<f32>(x.len()), Data::U32(count), cols];
        let outcome = Kernel::new("kernels/softmax.cu", &[], entry).run(shape, &data);
        let exact = softmax(&widen(&x), c);
        // A logit of 86 is rounded to 2⁻¹⁷·log2(e) before the exponential, and so is the maximum.
        assert_within(&outcome.output::<f32>(0), &exact, |i| {
            3e-5 * exact[i] + 1e-30
        });
    }
}

#[test]
fn softmax_of_f16_matches_f64() {
    let (rows, c) = (5, 98);
    let x = to_f16(&logits(rows, c));
    let count = u32::try_from(rows).unwrap();
    let cols = Data::U32(u32::try_from(c).unwrap());
    let data = [given(&x), out::<f16>(x.len()), Data::U32(count), cols];
    let outcome =
        Kernel::new("kernels/softmax.cu", &[], "softmax_half").run(softmax_warp(count), &data);
    let exact = softmax(&widen(&x), c);
    let found: Vec<f32> = outcome
        .output::<f16>(0)
        .iter()
        .map(|v| v.to_f32())
        .collect();
    assert_within(&found, &exact, |i| (F16 + 3e-5) * exact[i] + 6e-8);
}
