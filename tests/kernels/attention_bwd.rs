//! `attention_bwd_d<D>`, `attention_bwd_long_dq_d<D>`, `attention_bwd_long_dkv_d<D>`

use pvt_cuda::kernels::attention_bwd::step_queries;
use pvt_testkit::compare::{rel_l2, widen};

use crate::attention::DTYPES;
use crate::attention_bwd_case::{Case, compare, tolerance};
use crate::attention_reference::references;
use crate::run::{size_of, values};

#[test]
fn matches_f64_for_any_number_of_keys_and_every_width() {
    for dtype in DTYPES {
        for d in [16, 32, 64, 128] {
            for m in [1, 2, 7, 15, 16, 17, 31, 33, 49, 63, 64] {
                Case::random([1, 18, m, 2, d]).check(dtype);
            }
            for m in [65, 130] {
                Case::random([1, 18, m, 1, d]).check(dtype);
            }
        }
    }
}

#[test]
fn the_long_kernels_take_few_keys_and_many() {
    for dtype in DTYPES {
        for d in [16, 32, 64, 128] {
            for m in [1, 16, 49, 64] {
                Case::long([1, 17, m, 1, d]).check(dtype);
            }
        }
        Case::long([1, 33, 1000, 1, 64]).check(dtype);
        Case::long([2, 130, 70, 1, 32]).split(2).check(dtype);
    }
}

#[test]
fn matches_f64_for_any_number_of_queries() {
    for dtype in DTYPES {
        for d in [32, 64, 128] {
            for n in [1, 15, 16, 17, 31, 33, 47, 49, 63, 64, 65, 129] {
                Case::random([1, n, 9, 1, d]).split(1).check(dtype);
                Case::long([1, n, 9, 1, d]).split(1).check(dtype);
            }
        }
        Case::random([2, 197, 50, 1, 64]).check(dtype);
        Case::random([2, 65, 200, 2, 64]).check(dtype);
    }
}

#[test]
fn matches_f64_at_the_sizes_of_the_published_models() {
    for dtype in DTYPES {
        for size in [
            [1, 784, 49, 2, 64],
            [1, 196, 49, 5, 64],
            [3, 50, 50, 8, 64],
            [1, 196, 49, 5, 32],
        ] {
            Case::random(size).check(dtype);
        }
    }
    Case::random([1, 3136, 49, 1, 64]).check(DTYPES[2]);
    Case::random([3, 3136, 49, 1, 64]).split(5).check(DTYPES[3]);
}

#[test]
fn matches_the_stored_reference_vectors() {
    for stored in references() {
        let case = Case {
            size: stored.size,
            q: stored.q,
            kv: stored.kv,
            dy: stored.dy,
            long: false,
            split: None,
        };
        let right = (widen(&stored.dq), widen(&stored.dkv));
        for dtype in &DTYPES[..2] {
            for long in [false, true] {
                let found = Case {
                    q: case.q.clone(),
                    kv: case.kv.clone(),
                    dy: case.dy.clone(),
                    long,
                    ..case
                }
                .run(*dtype);
                let place = format!("{} {} long {long}", stored.name, dtype.0);
                compare(dtype.0, case.size, &found, (&right.0, &right.1), &place);
            }
        }
    }
}

/// dq does not depend on how queries are split; sums over queries do, within rounding. More blocks than have queries
/// are not made.
#[test]
fn any_split_gives_the_same() {
    for dtype in DTYPES {
        for long in [false, true] {
            let case = |split| {
                let size = [1, 16 * 19 + 5, 33, 1, 32];
                let case = if long {
                    Case::long(size)
                } else {
                    Case::random(size)
                };
                case.split(split)
            };
            let first = case(1).check(dtype);
            let first_dkv = widen(&values(dtype.0, &first.dkv));
            for split in [2, 3, 5, 7, 1000] {
                let found = case(split).check(dtype);
                assert!(found.shape.split <= split && found.shape.split > 1);
                assert!(found.dq == first.dq, "{} split {split}", dtype.0);
                let error = rel_l2(&values(dtype.0, &found.dkv), &first_dkv);
                let most = if size_of(dtype.0) == 4 {
                    1e-6
                } else {
                    tolerance(dtype.0)
                };
                assert!(error < most, "{} split {split}: {error:e}", dtype.0);
            }
        }
    }
    // two rounds: 20 parts are 4 groups of 5, 14 parts 3 of 4 and one of 2
    for dtype in DTYPES {
        for steps in [20, 14] {
            let n = steps * step_queries(dtype.1, 128) - 3;
            let case = Case::random([1, n, 20, 2, 128]);
            let found = case.split(steps).check(dtype);
            assert_eq!(found.shape.counters, 2 * (4 + 1), "{:?}", found.shape);
        }
    }
}

#[test]
fn an_image_has_the_same_bits_alone_and_in_a_batch_split_alike() {
    for dtype in DTYPES {
        for long in [false, true] {
            let (n, m, heads, d) = (130, 50, 3, 32);
            let all = Case::random([5, n, m, heads, d]);
            let first = |values: &[f32], count: usize| values[..count].to_vec();
            let alone = Case {
                size: [1, n, m, heads, d],
                q: first(&all.q, n * heads * d),
                kv: first(&all.kv, m * 2 * heads * d),
                dy: first(&all.dy, n * heads * d),
                long,
                split: Some(3),
            };
            let all = Case { long, ..all }.split(3).run(dtype);
            let alone = alone.run(dtype);
            assert!(all.dq.starts_with(&alone.dq), "{}", dtype.0);
            assert!(all.dkv.starts_with(&alone.dkv), "{}", dtype.0);
        }
    }
}

/// Scores of up to 60 either way; one query's scores are all equal.
#[test]
fn huge_and_equal_scores() {
    for dtype in DTYPES {
        for m in [50, 130] {
            let mut case = Case::random([1, 20, m, 2, 64]);
            let whole = |v: &mut f32| *v = (*v * 3.0).round();
            case.q.iter_mut().for_each(whole);
            case.kv.iter_mut().for_each(whole);
            case.q[..128].fill(0.0);
            let found = case.run(dtype);
            let (dq, dkv) = case.exact(dtype.0);
            let place = format!("{} {m} keys", dtype.0);
            compare(dtype.0, case.size, &found, (&dq, &dkv), &place);
        }
    }
}
