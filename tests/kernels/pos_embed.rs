//! `pos_embed_fwd`, `pos_embed_resize_fwd`

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::tuning::POS_THREADS;
use pvt_testkit::compare::rel_l2;
use pvt_testkit::oracle;

use crate::run::{Value, random, rounded, rounding, run, size_of, values};

const DTYPES: [&str; 3] = ["f32", "f16", "bf16"];

/// `times` the blocks that one vector for each thread takes.
fn launch(values: usize, dtype: &str, times: usize) -> Launch {
    let vectors = values * size_of(dtype) / 16;
    let blocks = vectors.div_ceil(POS_THREADS as usize) * times;
    Launch {
        grid: [u32::try_from(blocks).unwrap(), 1, 1],
        block: [POS_THREADS, 1, 1],
        shared: 0,
        cluster: None,
    }
}

fn word(value: usize) -> Value {
    Value::U32(u32::try_from(value).unwrap())
}

fn check(dtype: &'static str, [b, n, c]: [usize; 3], class: bool) -> Report {
    let seed = (b * 1000 + n * 10 + c) as u64;
    let rows = n + usize::from(class);
    let class_len = if class { c } else { 0 };
    let (x, exact_x) = rounded(dtype, &random(seed, b * n * c, 4.0, 0.5));
    let (token, exact_token) = rounded(dtype, &random(seed + 1, class_len, 2.0, 0.0));
    let (table, exact_table) = rounded(dtype, &random(seed + 2, rows * c, 1.0, 0.0));
    let exact = oracle::pos_embed(&exact_x, &exact_token, &exact_table);
    let arguments = [
        Value::In(x),
        if class { Value::In(token) } else { Value::Null },
        Value::In(table),
        Value::Out(b * rows * c * size_of(dtype)),
        word(b),
        word(n),
        word(c),
    ];
    let launch = launch(rows * c, dtype, b);
    let (bytes, report) = run(("pos_embed", "fwd", dtype), &launch, &arguments);
    let error = rel_l2(&values(dtype, &bytes), &exact);
    assert!(error < rounding(dtype), "{dtype} {b}x{n}x{c}: {error:e}");
    report
}

/// Resizes a table of `k` rows and a grid; what it became, and the table itself.
fn resize(
    dtype: &'static str,
    (k, c): (usize, usize),
    from: (usize, usize),
    to: (usize, usize),
) -> (Vec<u8>, Vec<u8>) {
    let rows = k + from.0 * from.1;
    let (table, exact) = rounded(dtype, &random(rows as u64, rows * c, 1.0, 0.25));
    let rows_out = k + to.0 * to.1;
    let arguments = [
        Value::In(table.clone()),
        Value::Out(rows_out * c * size_of(dtype)),
        word(c),
        word(k),
        word(from.0),
        word(from.1),
        word(to.0),
        word(to.1),
    ];
    let launch = launch(rows_out * c, dtype, 1);
    let (bytes, report) = run(("pos_embed", "resize_fwd", dtype), &launch, &arguments);
    let mut wanted = exact[..k * c].to_vec();
    wanted.extend(oracle::bilinear(&exact[k * c..], from, to, c));
    let error = rel_l2(&values(dtype, &bytes), &wanted);
    assert!(
        error < rounding(dtype),
        "{dtype} {from:?} to {to:?}: {error:e}"
    );
    let written = (rows_out * c * size_of(dtype)) as u64;
    assert_eq!(report.counters.global_stores.sectors, written.div_ceil(32));
    (bytes, table)
}

#[test]
fn adds_positions_and_class_token() {
    for dtype in DTYPES {
        for class in [false, true] {
            for size in [
                [1, 1, 16],
                [3, 1, 512],
                [3, 7, 64],
                [2, 49, 512],
                [3, 50, 320],
                [2, 196, 320],
                [2, 784, 128],
                [1, 3136, 64],
            ] {
                check(dtype, size, class);
            }
        }
    }
}

#[test]
fn moves_each_tensor_once_and_the_table_once_for_each_image() {
    let report = check("f16", [3, 784, 128], false);
    let table = 784 * 128 * 2;
    let counters = &report.counters;
    assert_eq!(counters.distinct_bytes_read, 4 * table);
    assert_eq!(counters.distinct_bytes_written, 3 * table);
    assert_eq!(counters.global_loads.sectors * 32, 6 * table);
    assert_eq!(counters.global_stores.sectors * 32, 3 * table);
}

#[test]
fn resizes_like_interpolate() {
    for dtype in DTYPES {
        for (from, to) in [
            ((7, 7), (8, 8)),
            ((7, 7), (6, 9)),
            ((14, 14), (7, 5)),
            ((1, 1), (3, 5)),
            ((3, 5), (1, 1)),
            ((56, 56), (64, 48)),
        ] {
            resize(dtype, (1, 16), from, to);
            resize(dtype, (0, 64), from, to);
        }
        resize(dtype, (3, 512), (7, 7), (10, 12));
    }
}

#[test]
fn the_same_size_is_a_copy() {
    for dtype in DTYPES {
        let (found, table) = resize(dtype, (1, 64), (7, 5), (7, 5));
        assert!(found == table, "{dtype}");
    }
}
