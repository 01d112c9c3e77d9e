//! `attention_bwd_d<D>`, `attention_bwd_long_dq_d<D>`, `attention_bwd_long_dkv_d<D>`

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::attention_bwd::{
    AttentionBwdShape, AttentionSize, BwdKernel, launch_shape, shape_with, step_queries,
};
use pvt_cuda::target::DType;
use pvt_testkit::compare::{rel_l2, widen};
use pvt_testkit::oracle_attention_bwd::attention_bwd;

use crate::attention::{DTYPES, Size, exact, to_tf32};
use crate::attention_reference::references;
use crate::run::{Value, random, rounded, run_entry, size_of, values};

/// Most relative distance of dq, dk and dv from f64.
fn tolerance(dtype: &str) -> f64 {
    match dtype {
        "f32" => 4e-6,
        "tf32" | "f16" => 1e-3,
        _ => 6e-3,
    }
}

fn word(value: usize) -> Value {
    Value::U32(u32::try_from(value).unwrap())
}

/// What kernels are given, and which of them.
pub(crate) struct Case {
    size: Size,
    q: Vec<f32>,
    kv: Vec<f32>,
    dy: Vec<f32>,
    /// The kernels for any number of keys, however many there are.
    long: bool,
    /// Blocks among which queries are split, rather than as many as the rule says.
    pub(crate) split: Option<usize>,
}

/// What came out.
pub(crate) struct Found {
    dq: Vec<u8>,
    dkv: Vec<u8>,
    pub(crate) shape: AttentionBwdShape,
    /// Of the kernel of dq, if it has one, and of that of dk and dv.
    pub(crate) reports: Vec<Report>,
}

impl Case {
    pub(crate) fn random(size: Size) -> Self {
        let [b, n, m, heads, d] = size;
        Self {
            size,
            q: random(17, b * n * heads * d, 4.0, 0.0),
            kv: random(18, b * m * 2 * heads * d, 4.0, 0.0),
            dy: random(19, b * n * heads * d, 2.0, 0.1),
            long: m > 64,
            split: None,
        }
    }

    fn long(size: Size) -> Self {
        Self {
            long: true,
            ..Self::random(size)
        }
    }

    fn split(self, blocks: usize) -> Self {
        Self {
            split: Some(blocks),
            ..self
        }
    }

    fn shape(&self, kind: DType) -> AttentionBwdShape {
        let [batch, queries, keys, heads, head_dim] = self.size;
        let size = AttentionSize {
            batch,
            queries,
            keys,
            heads,
            head_dim,
        };
        let ruled = launch_shape(kind, size).unwrap();
        if self.split.is_none() && self.long == (keys > 64) {
            return ruled;
        }
        shape_with(kind, size, self.long, self.split.unwrap_or(ruled.split)).unwrap()
    }

    /// y in the type and lse in f32, as a forward pass would leave them: in tf32 from rounded operands.
    fn saved(&self, dtype: &str) -> (Vec<u8>, Vec<u8>) {
        let operands = |x: &[f32]| match dtype {
            "tf32" => x.iter().map(|v| f64::from(to_tf32(*v))).collect(),
            _ => rounded(dtype, x).1,
        };
        let (q, kv) = (operands(&self.q), operands(&self.kv));
        let scale = 1.0 / (self.size[4] as f64).sqrt();
        let (y, lse) = exact(&q, &kv, self.size, scale);
        #[expect(clippy::cast_possible_truncation, reason = "rounded as kernels would")]
        let narrow = |x: &[f64]| x.iter().map(|v| *v as f32).collect::<Vec<_>>();
        (
            rounded(dtype, &narrow(&y)).0,
            rounded("f32", &narrow(&lse)).0,
        )
    }

    fn run(&self, (dtype, kind): (&'static str, DType)) -> Found {
        let [b, n, m, heads, d] = self.size;
        let shape = self.shape(kind);
        let tensor = |x: &[f32]| Value::In(rounded(dtype, x).0);
        let [q, kv, dy] = [&self.q, &self.kv, &self.dy].map(|x| tensor(x));
        let bytes = b * n * heads * d * size_of(dtype);
        let kv_bytes = b * m * 2 * heads * d * size_of(dtype);
        let sizes = || [word(b), word(n), word(m), word(heads)];
        let scale = || Value::F32(1.0 / (d as f32).sqrt());
        let parts = || [word(shape.split), word(shape.steps), word(shape.group)];
        let counters = || match shape.counters {
            0 => Value::Null,
            count => Value::InOut(vec![0; 4 * count]),
        };
        let start = |kernel: BwdKernel, arguments: Vec<Value>| {
            let launch = Launch {
                grid: [u32::try_from(kernel.grid).unwrap(), 1, 1],
                block: kernel.block,
                shared: kernel.shared,
                cluster: None,
            };
            run_entry(("attention_bwd", kernel.entry, dtype), &launch, &arguments)
        };
        let (outputs, reports) = if let Some(of_queries) = shape.queries {
            let (y, lse) = self.saved(dtype);
            // the front of scratch is what the first kernel writes; the rest has only to be there
            let front = (b * heads * n).next_multiple_of(4);
            let mut arguments = vec![
                q,
                kv,
                Value::In(y),
                Value::In(lse.clone()),
                dy,
                Value::Out(bytes),
                Value::Out(4 * b * heads * n),
            ];
            arguments.extend(sizes());
            arguments.push(scale());
            let (mut outputs, first) = start(of_queries, arguments);
            let mut scratch = outputs.pop().unwrap();
            scratch.resize(4 * front, 0xff);
            scratch.resize(4 * shape.scratch, 0xff);
            let mut arguments = vec![
                tensor(&self.q),
                tensor(&self.kv),
                Value::In(lse),
                tensor(&self.dy),
                Value::Out(kv_bytes),
                Value::InOut(scratch),
                counters(),
            ];
            arguments.extend(sizes());
            arguments.extend(parts());
            arguments.push(scale());
            let (rest, second) = start(shape.keys, arguments);
            outputs.push(rest[0].clone());
            outputs.extend(rest.get(2).cloned());
            (outputs, vec![first, second])
        } else {
            let scratch = match shape.scratch {
                0 => Value::Null,
                count => Value::Out(4 * count),
            };
            let mut arguments = vec![
                q,
                kv,
                dy,
                Value::Out(bytes),
                Value::Out(kv_bytes),
                scratch,
                counters(),
            ];
            arguments.extend(sizes());
            arguments.extend(parts());
            arguments.push(scale());
            let (mut outputs, report) = start(shape.keys, arguments);
            if shape.scratch > 0 {
                outputs.remove(2);
            }
            (outputs, vec![report])
        };
        if let Some(arrived) = outputs.get(2) {
            assert!(arrived.iter().all(|&byte| byte == 0), "{arrived:?}");
        }
        let [dq, dkv] = [outputs[0].clone(), outputs[1].clone()];
        Found {
            dq,
            dkv,
            shape,
            reports,
        }
    }

    /// dq [B, N, C] and dkv [B, M, 2 C] in f64, from the rounded inputs.
    fn exact(&self, dtype: &str) -> (Vec<f64>, Vec<f64>) {
        let [b, n, m, heads, d] = self.size;
        let c = heads * d;
        let [q, kv, dy] = [&self.q, &self.kv, &self.dy].map(|x| rounded(dtype, x).1);
        let (mut dq, mut dkv) = (vec![0.0; q.len()], vec![0.0; kv.len()]);
        for image in 0..b {
            for head in 0..heads {
                let columns = |x: &[f64], tokens: usize, stride: usize, first: usize| {
                    let rows = x[image * tokens * stride..][..tokens * stride].chunks(stride);
                    rows.flat_map(|row| row[first..first + d].to_vec())
                        .collect::<Vec<_>>()
                };
                let [of_q, of_k, of_v] = attention_bwd(
                    &columns(&q, n, c, head * d),
                    &columns(&kv, m, 2 * c, head * d),
                    &columns(&kv, m, 2 * c, c + head * d),
                    &columns(&dy, n, c, head * d),
                    d,
                );
                for (i, row) in of_q.chunks(d).enumerate() {
                    dq[(image * n + i) * c + head * d..][..d].copy_from_slice(row);
                }
                for (part, of) in [of_k, of_v].iter().enumerate() {
                    for (i, row) in of.chunks(d).enumerate() {
                        let at = (image * m + i) * 2 * c + part * c + head * d;
                        dkv[at..at + d].copy_from_slice(row);
                    }
                }
            }
        }
        (dq, dkv)
    }

    /// Runs, and compares with f64.
    pub(crate) fn check(&self, dtype: (&'static str, DType)) -> Found {
        let found = self.run(dtype);
        let (dq, dkv) = self.exact(dtype.0);
        let place = format!(
            "{} {:?} long {} split {}",
            dtype.0, self.size, self.long, found.shape.split
        );
        compare(dtype.0, self.size, &found, (&dq, &dkv), &place);
        found
    }
}

/// dq, dk and dv, each for itself.
fn compare(
    dtype: &'static str,
    [_, _, m, heads, d]: Size,
    found: &Found,
    (dq, dkv): (&[f64], &[f64]),
    place: &str,
) {
    let bound = tolerance(dtype);
    let found_dq = values(dtype, &found.dq);
    let found_dkv = values(dtype, &found.dkv);
    let c = heads * d;
    if m == 1 && found.reports.len() == 1 {
        assert!(found_dq.iter().all(|v| *v == 0.0), "{place}: dq of one key");
        let dk = found_dkv.chunks(2 * c).flat_map(|row| &row[..c]);
        assert!(dk.into_iter().all(|v| *v == 0.0), "{place}: dk of one key");
    } else if m > 1 {
        let error = rel_l2(&found_dq, dq);
        assert!(error < bound, "{place}: dq {error:e}");
    }
    for part in [0, 1] {
        if m == 1 && part == 0 {
            continue;
        }
        let of = |row: &[f32]| row[part * c..][..c].to_vec();
        let half: Vec<f32> = found_dkv.chunks(2 * c).flat_map(of).collect();
        let of = |row: &[f64]| row[part * c..][..c].to_vec();
        let right: Vec<f64> = dkv.chunks(2 * c).flat_map(of).collect();
        let error = rel_l2(&half, &right);
        let name = ["dk", "dv"][part];
        assert!(error < bound, "{place}: {name} {error:e}");
    }
}

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
