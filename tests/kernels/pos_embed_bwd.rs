//! `pos_embed_bwd`

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::tuning::POSB_WARPS;
use pvt_testkit::compare::rel_l2;
use pvt_testkit::oracle_pos_embed_bwd::pos_embed_bwd;

use crate::run::{Value, random, rounded, run_entry, size_of, values, word};

const DTYPES: [&str; 3] = ["f32", "f16", "bf16"];
/// Only d is rounded to the type; sums stay in f32.
const TOLERANCE: f64 = 4e-6;

fn check(
    dtype: &'static str,
    (batch, c): (usize, usize),
    class: bool,
    from: (usize, usize),
    to: (usize, usize),
) -> Report {
    let k = usize::from(class);
    let (cells, tokens) = (k + from.0 * from.1, k + to.0 * to.1);
    let seed = (batch * 10_000 + cells * 100 + tokens) as u64;
    let (d, exact_d) = rounded(dtype, &random(seed, batch * tokens * c, 2.0, 0.1));
    let (old, exact_old) = rounded("f32", &random(seed + 1, cells * c, 1.0, 0.0));
    let (token, exact_token) = rounded("f32", &random(seed + 2, k * c, 1.0, 0.0));
    let [mut dtable, mut dclass] = pos_embed_bwd(&exact_d, class, from, to, c);
    dtable.iter_mut().zip(exact_old).for_each(|(a, b)| *a += b);
    dclass
        .iter_mut()
        .zip(exact_token)
        .for_each(|(a, b)| *a += b);
    let arguments = [
        Value::In(d),
        Value::InOut(old),
        if class {
            Value::InOut(token)
        } else {
            Value::Null
        },
        word(batch),
        word(c),
        word(from.0),
        word(from.1),
        word(to.0),
        word(to.1),
    ];
    let vectors = cells * c * size_of(dtype) / 16;
    let launch = Launch {
        grid: [u32::try_from(vectors.div_ceil(32)).unwrap(), 1, 1],
        block: [32, POSB_WARPS, 1],
        shared: 0,
        cluster: None,
    };
    let (outputs, report) = run_entry(
        ("pos_embed_bwd", "pos_embed_bwd", dtype),
        &launch,
        &arguments,
    );
    let place = format!("{dtype} {batch} images of {c}, {from:?} to {to:?}, class token: {class}");
    let error = rel_l2(&values("f32", &outputs[0]), &dtable);
    assert!(error < TOLERANCE, "{place}: {error:e}");
    if class {
        let error = rel_l2(&values("f32", &outputs[1]), &dclass);
        assert!(error < TOLERANCE, "{place}: class token {error:e}");
    }
    report
}

#[test]
fn sums_over_images_where_grids_are_alike() {
    for dtype in DTYPES {
        for class in [false, true] {
            for (batch, c, grid) in [
                (1, 16, (1, 1)),
                (2, 64, (3, 5)),
                (3, 512, (7, 7)),
                (7, 320, (2, 3)),
                (9, 24, (3, 3)),
                (100, 16, (2, 2)),
            ] {
                check(dtype, (batch, c), class, grid, grid);
            }
        }
        check(dtype, (1, 320), false, (14, 14), (14, 14));
    }
    check("bf16", (2, 64), false, (28, 28), (28, 28));
}

#[test]
fn is_the_transpose_of_the_resize() {
    for dtype in DTYPES {
        for (from, to) in [
            ((7, 7), (8, 8)),
            ((7, 7), (6, 9)),
            ((7, 7), (25, 40)),
            ((14, 14), (7, 5)),
            ((14, 13), (3, 2)),
            ((1, 1), (3, 5)),
            ((3, 5), (1, 1)),
            ((2, 2), (2, 3)),
            ((5, 4), (1, 9)),
        ] {
            check(dtype, (1, 16), true, from, to);
            check(dtype, (3, 64), false, from, to);
        }
        check(dtype, (2, 512), true, (7, 7), (10, 12));
    }
}

#[test]
fn moves_d_once_and_the_table_once_each_way() {
    for dtype in DTYPES {
        for (batch, c, class, grid) in [(3, 512, true, (7, 7)), (2, 128, false, (14, 28))] {
            let report = check(dtype, (batch, c), class, grid, grid);
            let counters = &report.counters;
            let k = usize::from(class);
            let rows = k + grid.0 * grid.1;
            let d = (batch * rows * c * size_of(dtype)) as u64;
            let sums = ((rows + k) * c * 4) as u64;
            assert_eq!(counters.distinct_bytes_read, d + sums);
            assert_eq!(counters.distinct_bytes_written, sums);
            assert_eq!(counters.global_loads.sectors * 32, d + sums, "{dtype}");
            assert_eq!(counters.global_stores.sectors * 32, sums, "{dtype}");
            let banks = counters.shared();
            assert!(
                banks.conflicts() * 100 <= banks.wavefronts * 3,
                "{dtype}: {banks:?}"
            );
        }
    }
}
