//! Attention.

use super::support::data::{assert_within, to_bf16, uniform, widen};
use super::support::kernels::{ATTENTION_D as D, attention_bf16, attention_f32};
use super::support::reference::attention;
use super::support::run::{Data, Kernel, given, out};
use ptx_emu::Schedule;

const SCALE: f32 = 0.125;

/// Batch, queries, keys.
const SIZES: [(u32, u32, u32); 5] = [
    (1, 64, 64),
    (2, 1, 1),
    (1, 65, 49),
    (3, 50, 50),
    (1, 20, 150),
];

/// All batch entries in f64.
fn exact(q: &[f64], k: &[f64], v: &[f64], queries: u32, keys: u32) -> Vec<f64> {
    let (q, kv) = (q.chunks_exact(queries as usize * D), keys as usize * D);
    let mut o = Vec::new();
    for (q, (k, v)) in q.zip(k.chunks_exact(kv).zip(v.chunks_exact(kv))) {
        o.extend(attention(q, k, v, D, f64::from(SCALE)));
    }
    o
}

fn inputs(batch: u32, queries: u32, keys: u32) -> [Vec<f32>; 3] {
    let len = |rows: u32| (batch * rows) as usize * D;
    let wide = |v: Vec<f32>| v.iter().map(|v| v * 3.0).collect();
    [
        wide(uniform(1, len(queries))),
        wide(uniform(2, len(keys))),
        uniform(3, len(keys)),
    ]
}

fn arguments(q: Data, k: Data, v: Data, (batch, queries, keys): (u32, u32, u32)) -> [Data; 7] {
    let o = out::<f32>((batch * queries) as usize * D);
    [
        q,
        k,
        v,
        o,
        Data::U32(queries),
        Data::U32(keys),
        Data::F32(SCALE),
    ]
}

#[test]
fn f32_matches_f64() {
    let kernel = Kernel::new("kernels/attention.cu", &[], "attention_f32");
    for size @ (batch, queries, keys) in SIZES {
        let [q, k, v] = inputs(batch, queries, keys);
        let data = arguments(given(&q), given(&k), given(&v), size);
        let outcome = kernel.run(attention_f32(batch, queries), &data);
        let exact = exact(&widen(&q), &widen(&k), &widen(&v), queries, keys);
        // Scores below 72 · log2(e), each with 64 roundings; |v| < 1.
        assert_within(&outcome.output::<f32>(0), &exact, |_| 2e-5);
    }
}

#[test]
fn tensor_cores_match_f64() {
    let kernel = Kernel::new("kernels/attention.cu", &[], "attention_bf16");
    for size @ (batch, queries, keys) in SIZES {
        let [q, k, v] = inputs(batch, queries, keys).map(|x| to_bf16(&x));
        let data = arguments(given(&q), given(&k), given(&v), size);
        let outcome = kernel.run(attention_bf16(batch, queries), &data);
        let exact = exact(&widen(&q), &widen(&k), &widen(&v), queries, keys);
        // p is rounded to 8 bits: 2⁻⁹ relative, weights of sum 1, |v| < 1.
        assert_within(&outcome.output::<f32>(0), &exact, |_| 2.1e-3);
    }
}

#[test]
fn repeats_in_every_order() {
    let size @ (batch, queries, keys) = (2, 70, 130);
    let [q, k, v] = inputs(batch, queries, keys);
    let f32s = arguments(given(&q), given(&k), given(&v), size);
    let [q, k, v] = [q, k, v].map(|x| to_bf16(&x));
    let bf16s = arguments(given(&q), given(&k), given(&v), size);
    for (entry, shape, data) in [
        ("attention_f32", attention_f32(batch, queries), f32s),
        ("attention_bf16", attention_bf16(batch, queries), bf16s),
    ] {
        let run = |schedule| {
            let kernel = Kernel::new("kernels/attention.cu", &[], entry).in_order(schedule);
            kernel.run(shape, &data).output::<u32>(0)
        };
        let forward = run(Schedule::Forward);
        for schedule in [Schedule::Reverse, Schedule::Shuffle(7)] {
            assert_eq!(forward, run(schedule), "{entry} {schedule:?}");
        }
    }
}
