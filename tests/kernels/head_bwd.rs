//! `head_bwd_dn`, `head_bwd_norm`, `head_bwd_sums`, one after the other

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::head_bwd::{dn_grid, scratch, slices, sums_grid};
use pvt_cuda::kernels::tuning::{HEADB_THREADS, HEADB_TILE, HEADB_WARPS};
use pvt_testkit::compare::rel_l2;
use pvt_testkit::oracle_head_bwd::head_bwd;

use crate::run::{Value, kind, random, rounded, rounding, run_entry, size_of, values, word};

const DTYPES: [&str; 3] = ["f32", "f16", "bf16"];
/// Sums over images and classes stay in f32.
const SUMS: f64 = 4e-6;

/// Rows of an image.
#[derive(Debug, Clone, Copy)]
struct Case {
    batch: usize,
    channels: usize,
    classes: usize,
    tokens: usize,
    eps: f32,
}

fn launch(grid: (usize, usize), block: [u32; 2], shared: usize) -> Launch {
    Launch {
        grid: [
            u32::try_from(grid.0).unwrap(),
            u32::try_from(grid.1).unwrap(),
            1,
        ],
        block: [block[0], block[1], 1],
        shared: u32::try_from(shared).unwrap(),
        cluster: None,
    }
}

/// Runs all three and checks the gradients; dx, and the reports.
fn check(dtype: &'static str, case: Case) -> (Vec<u8>, Vec<Report>) {
    let Case {
        batch: b,
        channels: c,
        classes: k,
        tokens,
        eps,
    } = case;
    let stride = tokens * c;
    // images and parameters do not depend on the batch
    let (x, exact_x) = rounded(dtype, &random(1, b * stride, 4.0, 0.5));
    let (gamma, exact_gamma) = rounded("f32", &random(2, c, 1.0, 1.0));
    let (beta, exact_beta) = rounded("f32", &random(3, c, 1.0, 0.0));
    let (weight, exact_weight) = rounded(dtype, &random(4, k * c, 0.2, 0.0));
    let (dlogits, exact_dlogits) = rounded("f32", &random(5, b * k, 0.1, 0.0));
    let kept = exact_x.chunks(stride);
    let kept: Vec<f64> = kept.flat_map(|image| image[..c].to_vec()).collect();
    let norm = (&exact_gamma[..], &exact_beta[..], f64::from(eps));
    let [dx, dgamma, dbeta, dweight, dbias] = head_bwd(&kept, norm, &exact_weight, &exact_dlogits);

    let sizes = || [word(b), word(c), word(k)];
    let (x_blocks, y_blocks) = dn_grid(kind(dtype), b, c, k);
    let length = scratch(b, c, k);
    // every element that a launch reads has been written by one before it
    let unset = rounded("f32", &vec![f32::NAN; length]).0;
    let mut arguments = vec![
        Value::In(dlogits.clone()),
        Value::In(weight),
        Value::InOut(unset),
    ];
    arguments.extend(sizes());
    let (outputs, first) = run_entry(
        ("head_bwd", "head_bwd_dn", dtype),
        &launch((x_blocks, y_blocks), [32, HEADB_WARPS], 0),
        &arguments,
    );
    let mut arguments = vec![
        Value::In(x),
        Value::In(gamma),
        Value::In(beta),
        Value::InOut(outputs[0].clone()),
        Value::InOut(vec![0xff; b * stride * size_of(dtype)]),
    ];
    arguments.extend(sizes());
    arguments.extend([word(stride), Value::F32(eps)]);
    let (outputs, second) = run_entry(
        ("head_bwd", "head_bwd_norm", dtype),
        &launch((b, 1), [HEADB_THREADS, 1], 8 * c),
        &arguments,
    );
    let place = format!("{dtype} {case:?}");
    let far = |what: &str, bytes: &[u8], of: &str, exact: &[f64], bound: f64| {
        let error = rel_l2(&values(of, bytes), exact);
        assert!(error < bound, "{place} {what}: {error:e}, bound {bound:e}");
    };
    let mut wanted = vec![0.0; b * stride];
    for (image, row) in wanted.chunks_mut(stride).zip(dx.chunks(c)) {
        image[..c].copy_from_slice(row);
    }
    let gradient = outputs[1].clone();
    far("dx", &gradient, dtype, &wanted, rounding(dtype).max(SUMS));
    for image in gradient.chunks(stride * size_of(dtype)) {
        let others = &image[c * size_of(dtype)..];
        assert!(others.iter().all(|&byte| byte == 0), "{place}: other rows");
    }

    let old = |seed: u64, exact: &[f64]| {
        let (bytes, old) = rounded("f32", &random(seed, exact.len(), 0.5, 0.0));
        let sum: Vec<f64> = old.iter().zip(exact).map(|(a, b)| a + b).collect();
        (bytes, sum)
    };
    let (old_weight, dweight) = old(6, &dweight);
    let (old_bias, dbias) = old(7, &dbias);
    let (old_gamma, dgamma) = old(8, &dgamma);
    let (old_beta, dbeta) = old(9, &dbeta);
    let mut arguments = vec![
        Value::In(dlogits),
        Value::In(outputs[0].clone()),
        Value::InOut(old_weight),
        Value::InOut(old_bias),
        Value::InOut(old_gamma),
        Value::InOut(old_beta),
    ];
    arguments.extend(sizes());
    let (outputs, third) = run_entry(
        ("head_bwd", "head_bwd_sums", dtype),
        &launch((sums_grid(c, k), 1), [32, HEADB_TILE / 4], 0),
        &arguments,
    );
    far("dweight", &outputs[0], "f32", &dweight, SUMS);
    far("dbias", &outputs[1], "f32", &dbias, SUMS);
    far("dgamma", &outputs[2], "f32", &dgamma, SUMS);
    far("dbeta", &outputs[3], "f32", &dbeta, SUMS);
    (gradient, vec![first, second, third])
}

fn small(batch: usize, channels: usize, classes: usize) -> Case {
    Case {
        batch,
        channels,
        classes,
        tokens: 3,
        eps: 1e-6,
    }
}

#[test]
fn matches_f64_for_any_number_of_images_and_classes() {
    for dtype in DTYPES {
        for k in [1, 2, 10, 31, 63, 64, 65] {
            for b in [1, 2, 7, 8, 9, 17] {
                check(dtype, small(b, 64, k));
            }
        }
        for c in [16, 48, 160, 256, 272, 320, 1040] {
            check(dtype, small(3, c, 10));
        }
        check(dtype, small(3, 512, 1000));
    }
}

#[test]
fn rows_without_a_class_token_are_zero() {
    for dtype in DTYPES {
        let tokens = 50;
        check(
            dtype,
            Case {
                tokens,
                ..small(2, 512, 10)
            },
        );
        check(
            dtype,
            Case {
                tokens: 1,
                ..small(2, 64, 10)
            },
        );
    }
}

#[test]
fn eps_counts() {
    check(
        "f32",
        Case {
            eps: 10.0,
            ..small(2, 64, 10)
        },
    );
}

#[test]
fn an_image_has_the_same_bits_alone_and_in_a_batch() {
    for dtype in DTYPES {
        let (all, _) = check(dtype, small(11, 320, 130));
        let (alone, _) = check(dtype, small(1, 320, 130));
        assert!(all.starts_with(&alone), "{dtype}");
    }
}

#[test]
fn moves_what_its_contract_says() {
    for dtype in DTYPES {
        let (b, c, k) = (8, 512, 1000);
        let case = Case {
            tokens: 50,
            ..small(b, c, k)
        };
        let (_, reports) = check(dtype, case);
        let size = size_of(dtype);
        let near = |what: &str, found: u64, wanted: usize| {
            let wanted = wanted as u64;
            assert!(
                (wanted..=wanted + wanted * 15 / 100).contains(&found),
                "{dtype} {what}: {found}, {wanted}"
            );
        };
        let [dn, norm, sums] = &reports[..] else {
            unreachable!("three launches")
        };
        let (rows, parts, weight) = (b * c * 4, slices(k) * b * c * 4, k * c);
        near(
            "weight",
            dn.counters.global_loads.sectors * 32,
            weight * size + b * k * 4 * (c * size / 512),
        );
        near("dn", dn.counters.global_stores.sectors * 32, parts);
        near(
            "parts",
            norm.counters.global_loads.sectors * 32,
            parts + 3 * b * c * size + 2 * b * c * 4,
        );
        near(
            "dx",
            norm.counters.global_stores.sectors * 32,
            b * 50 * c * size + 3 * rows,
        );
        near(
            "dweight",
            sums.counters.global_stores.sectors * 32,
            weight * 4 + k * 4 + 2 * c * 4,
        );
        let factors = (c / 128) * b * k * 4;
        near(
            "rows",
            sums.counters.global_loads.sectors * 32,
            weight * 4 + 32 * rows + 2 * rows + factors,
        );
        for report in &reports {
            let banks = report.counters.shared();
            assert!(
                banks.conflicts() * 100 <= banks.wavefronts * 3,
                "{dtype}: {banks:?}"
            );
        }
    }
}
