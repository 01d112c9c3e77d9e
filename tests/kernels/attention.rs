//! `attention_fwd_d<D>`, `attention_long_fwd_d<D>`

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::attention::launch_shape;
use pvt_cuda::target::DType;
use pvt_testkit::compare::{rel_l2, widen};

use crate::attention_reference::references;
use crate::run::{Value, random, rounded, run, values};

pub(crate) const DTYPES: [(&str, DType); 4] = [
    ("f32", DType::F32),
    ("tf32", DType::Tf32),
    ("f16", DType::F16),
    ("bf16", DType::Bf16),
];

/// Images, queries, keys, heads, width of a head.
pub(crate) type Size = [usize; 5];

/// Most relative distance of y and of lse from f64. Only tf32 rounds what the scores are made of.
fn tolerances(dtype: &str) -> (f64, f64) {
    match dtype {
        "f32" => (2e-6, 2e-6),
        "tf32" => (1e-3, 1e-3),
        "f16" => (1e-3, 2e-6),
        _ => (6e-3, 2e-6),
    }
}

/// Rounded to tf32: to 10 bits of mantissa, ties away from zero.
pub(crate) fn to_tf32(value: f32) -> f32 {
    f32::from_bits((value.to_bits() + 0x1000) & !0x1fff)
}

/// softmax(q·kᵀ·scale)·v and ln Σ e^(score·scale), one query at a time.
pub(crate) fn exact(
    q: &[f64],
    kv: &[f64],
    [b, n, m, heads, d]: Size,
    scale: f64,
) -> (Vec<f64>, Vec<f64>) {
    let c = heads * d;
    let (mut y, mut lse) = (vec![0.0; b * n * c], Vec::new());
    for image in 0..b {
        let rows: Vec<_> = kv[image * m * 2 * c..][..m * 2 * c].chunks(2 * c).collect();
        for head in 0..heads {
            for query in 0..n {
                let at = (image * n + query) * c + head * d;
                let score = |row: &&[f64]| {
                    let key = &row[head * d..][..d];
                    let sum: f64 = q[at..at + d].iter().zip(key).map(|(a, b)| a * b).sum();
                    sum * scale
                };
                let scores: Vec<f64> = rows.iter().map(score).collect();
                let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let all: f64 = scores.iter().map(|s| (s - top).exp()).sum();
                for (row, s) in rows.iter().zip(&scores) {
                    let weight = (s - top).exp() / all;
                    let v = &row[c + head * d..][..d];
                    y[at..at + d]
                        .iter_mut()
                        .zip(v)
                        .for_each(|(y, v)| *y += weight * v);
                }
                lse.push(top + all.ln());
            }
        }
    }
    (y, lse)
}

/// What a kernel is given.
pub(crate) struct Case {
    pub(crate) size: Size,
    pub(crate) q: Vec<f32>,
    pub(crate) kv: Vec<f32>,
    pub(crate) scale: f32,
    pub(crate) with_lse: bool,
    /// The kernel for any number of keys, however many there are.
    pub(crate) long: bool,
}

impl Case {
    pub(crate) fn random(size: Size) -> Self {
        let [b, n, m, heads, d] = size;
        Self {
            size,
            q: random(7, b * n * heads * d, 4.0, 0.0),
            kv: random(8, b * m * 2 * heads * d, 4.0, 0.0),
            scale: 1.0 / (d as f32).sqrt(),
            with_lse: true,
            long: false,
        }
    }

    /// y and lse as bytes, and the report.
    pub(crate) fn run(&self, (dtype, kind): (&'static str, DType)) -> (Vec<u8>, Vec<u8>, Report) {
        let [b, n, m, heads, d] = self.size;
        let keys = if self.long { m.max(65) } else { m };
        let shape = launch_shape(kind, b, n, keys, heads, d).unwrap();
        let launch = Launch {
            grid: shape.grid,
            block: shape.block,
            shared: shape.shared,
            cluster: None,
        };
        let word = |value: usize| Value::U32(u32::try_from(value).unwrap());
        let (q, _) = rounded(dtype, &self.q);
        let (kv, _) = rounded(dtype, &self.kv);
        let y_bytes = q.len();
        let arguments = [
            Value::In(q),
            Value::In(kv),
            Value::Out(y_bytes),
            if self.with_lse {
                Value::Out(4 * b * heads * n)
            } else {
                Value::Null
            },
            word(b),
            word(n),
            word(m),
            word(heads),
            Value::F32(self.scale),
        ];
        let entry = shape.entry.strip_prefix("attention_").unwrap();
        let (mut bytes, report) = run(("attention", entry, dtype), &launch, &arguments);
        let lse = bytes.split_off(y_bytes);
        (bytes, lse, report)
    }

    /// Runs, and compares with f64.
    pub(crate) fn check(&self, dtype: (&'static str, DType)) -> Report {
        let (y, lse, report) = self.run(dtype);
        let dtype = dtype.0;
        let (_, q) = rounded(dtype, &self.q);
        let (_, kv) = rounded(dtype, &self.kv);
        let (exact_y, exact_lse) = exact(&q, &kv, self.size, f64::from(self.scale));
        let (bound_y, bound_lse) = tolerances(dtype);
        let error = rel_l2(&values(dtype, &y), &exact_y);
        assert!(error < bound_y, "{dtype} {:?}: y {error:e}", self.size);
        if self.with_lse {
            let error = rel_l2(&values("f32", &lse), &exact_lse);
            assert!(error < bound_lse, "{dtype} {:?}: lse {error:e}", self.size);
        }
        report
    }
}

#[test]
fn matches_f64_for_any_number_of_keys_and_every_width() {
    for dtype in DTYPES {
        for d in [16, 32, 64, 128] {
            for m in [1, 2, 7, 8, 9, 16, 17, 49, 50, 63, 64, 65, 127, 129] {
                Case::random([1, 18, m, 2, d]).check(dtype);
            }
        }
    }
}

/// From operands that are rounded as they are to be, only the weights of keys differ. With one key there
/// is no weight but 1: what comes out is the value, rounded to tf32.
#[test]
fn tf32_rounds_operands_to_nearest() {
    let dtype = DTYPES[1];
    for d in [16, 32, 64, 128] {
        for m in [50, 130] {
            let case = Case::random([1, 40, m, 2, d]);
            let (y, lse, _) = case.run(dtype);
            let round = |values: &[f32]| -> Vec<f64> {
                values.iter().map(|v| f64::from(to_tf32(*v))).collect()
            };
            let (q, kv) = (round(&case.q), round(&case.kv));
            let (exact_y, exact_lse) = exact(&q, &kv, case.size, f64::from(case.scale));
            let error = rel_l2(&values("f32", &lse), &exact_lse);
            assert!(error < 2e-6, "{:?}: lse {error:e}", case.size);
            let error = rel_l2(&values("f32", &y), &exact_y);
            assert!(error < 3e-4, "{:?}: y {error:e}", case.size);
        }
        let case = Case::random([1, 1, 1, 1, d]);
        let exact: Vec<f64> = case.kv[d..]
            .iter()
            .map(|v| f64::from(to_tf32(*v)))
            .collect();
        let error = rel_l2(&values("f32", &case.run(dtype).0), &exact);
        assert!(error < 1e-6, "one key, {d}: {error:e}");
    }
}

#[test]
fn the_long_kernels_take_few_keys_and_many() {
    for dtype in DTYPES {
        for d in [16, 32, 64, 128] {
            for m in [1, 49, 64] {
                let long = true;
                Case {
                    long,
                    ..Case::random([1, 17, m, 1, d])
                }
                .check(dtype);
            }
        }
        Case::random([1, 33, 1000, 1, 64]).check(dtype);
    }
}

#[test]
fn matches_f64_for_any_number_of_queries() {
    for dtype in DTYPES {
        for n in [1, 7, 15, 16, 17, 31, 32, 33, 50, 63, 64, 65] {
            Case::random([1, n, 9, 1, 32]).check(dtype);
        }
        for (n, m) in [(197, 50), (784, 49), (50, 200)] {
            Case::random([2, n, m, 1, 64]).check(dtype);
        }
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
}

/// Scores of up to 60 and more either way, from small whole numbers that every type holds exactly; one
/// query's scores are all equal.
#[test]
fn huge_and_equal_scores() {
    for dtype in DTYPES {
        for m in [50, 130] {
            let mut case = Case::random([1, 20, m, 2, 64]);
            let whole = |v: &mut f32| *v = (*v * 1.2).round();
            case.q.iter_mut().for_each(whole);
            case.kv.iter_mut().for_each(whole);
            case.q[..128].fill(0.0);
            case.scale = 1.0;
            let (_, lse, _) = case.run(dtype);
            let lse = values("f32", &lse);
            assert!(lse.iter().any(|v| *v > 60.0), "scores are large");
            assert!((lse[0] - (m as f32).ln()).abs() < 1e-5, "{}", lse[0]);
            case.check(dtype);
            // all scores far below zero: without the shift all weights would vanish
            case.kv
                .chunks_mut(256)
                .for_each(|row| row[..128].fill(-2.0));
            case.q.fill(2.0);
            let (y, lse, _) = case.run(dtype);
            let mean = |i: usize| {
                let column = case.kv.chunks(256).map(|row| f64::from(row[128 + i]));
                column.sum::<f64>() / m as f64
            };
            let mean: Vec<f64> = (0..128).map(mean).collect();
            let error = rel_l2(&values(dtype.0, &y)[..128], &mean);
            assert!(error < tolerances(dtype.0).0, "{} {error:e}", dtype.0);
            let lse = values("f32", &lse)[0];
            assert!((lse - (m as f32).ln() + 256.0).abs() < 1e-4, "{lse}");
        }
    }
}

#[test]
fn matches_the_stored_reference_vectors() {
    for stored in references() {
        let case = Case {
            size: stored.size,
            q: stored.q,
            kv: stored.kv,
            scale: stored.scale,
            with_lse: true,
            long: false,
        };
        for dtype in &DTYPES[..2] {
            let (y, lse, _) = case.run(*dtype);
            let (bound_y, bound_lse) = tolerances(dtype.0);
            let place = format!("{} {}", stored.name, dtype.0);
            let error = rel_l2(&values("f32", &y), &widen(&stored.y));
            assert!(error < bound_y, "{place}: {error:e}");
            let error = rel_l2(&values("f32", &lse), &widen(&stored.lse));
            assert!(error < bound_lse, "{place}: lse {error:e}");
        }
    }
}

#[test]
fn lse_may_be_missing() {
    for dtype in DTYPES {
        for m in [33, 70] {
            let with = Case::random([1, 20, m, 1, 32]);
            let with_lse = false;
            let without = Case {
                with_lse,
                ..Case::random([1, 20, m, 1, 32])
            };
            let (y, lse, _) = with.run(dtype);
            let (same, none, _) = without.run(dtype);
            assert!(y == same && none.is_empty() && lse.len() == 80);
        }
    }
}
