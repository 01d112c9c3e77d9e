//! A run of the kernels of the backward pass of attention.

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::attention_bwd::{
    AttentionBwdShape, AttentionSize, BwdKernel, launch_shape, shape_with,
};
use pvt_cuda::target::DType;
use pvt_testkit::compare::rel_l2;
use pvt_testkit::oracle_attention_bwd::attention_bwd;

use crate::attention::{Size, exact, to_tf32};
use crate::run::{Value, random, rounded, run_entry, size_of, values};

/// Most relative distance of dq, dk and dv from f64.
pub(crate) fn tolerance(dtype: &str) -> f64 {
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
    pub(crate) size: Size,
    pub(crate) q: Vec<f32>,
    pub(crate) kv: Vec<f32>,
    pub(crate) dy: Vec<f32>,
    /// The kernels for any number of keys, however many there are.
    pub(crate) long: bool,
    /// Blocks among which queries are split, rather than as many as the rule says.
    pub(crate) split: Option<usize>,
}

/// What came out.
pub(crate) struct Found {
    pub(crate) dq: Vec<u8>,
    pub(crate) dkv: Vec<u8>,
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

    pub(crate) fn long(size: Size) -> Self {
        Self {
            long: true,
            ..Self::random(size)
        }
    }

    pub(crate) fn split(self, blocks: usize) -> Self {
        Self {
            split: Some(blocks),
            ..self
        }
    }

    pub(crate) fn shape(&self, kind: DType) -> AttentionBwdShape {
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
    pub(crate) fn saved(&self, dtype: &str) -> (Vec<u8>, Vec<u8>) {
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

    pub(crate) fn run(&self, (dtype, kind): (&'static str, DType)) -> Found {
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
    pub(crate) fn exact(&self, dtype: &str) -> (Vec<f64>, Vec<f64>) {
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
pub(crate) fn compare(
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
