use std::sync::Arc;

use pvt_cuda::Error;
use pvt_cuda::executor::{Executor, Params, Real};
use pvt_cuda::plan::{Builder, Elements, View};
use pvt_cuda::target::cpu::CpuTarget;
use pvt_testkit::compare::widen;

use crate::attention_reference::{Reference, references};
use crate::gradient::check;

#[test]
fn queries_keys_and_values_match_differences() {
    for (batch, queries, keys, heads, width) in [
        (1, 1, 1, 1, 1),
        (2, 5, 3, 2, 7),
        (1, 50, 50, 2, 16),
        (2, 49, 70, 1, 66),
        (1, 97, 17, 3, 8),
    ] {
        let c = heads * width;
        let sizes = (batch, queries, keys);
        check(
            &format!("{batch} images, {queries} over {keys}, {heads}x{width}"),
            &[("q", batch * queries * c), ("kv", batch * keys * 2 * c)],
            |b, ids| {
                let both = (ids[0], ids[1]);
                (
                    b.attention("op", both, sizes, (heads, width)).unwrap(),
                    batch * queries * c,
                )
            },
            |b, ids, dy| {
                let all = (ids[0], ids[1], dy);
                let (dq, dkv) = b
                    .attention_bwd("op", all, None, sizes, (heads, width))
                    .unwrap();
                vec![(0, dq), (1, dkv)]
            },
        );
    }
}

/// dq, then dkv, of a stored case.
fn run<T: Real>(case: &Reference) -> [Vec<T>; 2] {
    let [b, n, m, heads, d] = case.size;
    let mut builder = Builder::new();
    let mut input = |name, values: &[f32]| {
        let id = builder.named_input(name, &[values.len()], Elements::F32);
        let wide: Vec<T> = values.iter().map(|&v| T::from(v)).collect();
        (id, wide)
    };
    let [q, kv, dy] =
        [("q", &case.q), ("kv", &case.kv), ("dy", &case.dy)].map(|(n, v)| input(n, v));
    let all = (q.0, kv.0, dy.0);
    let (dq, dkv) = builder
        .attention_bwd("op", all, None, (b, n, m), (heads, d))
        .unwrap();
    for (name, id, len) in [("dq", dq, q.1.len()), ("dkv", dkv, kv.1.len())] {
        builder.output(name, View::contiguous(id, &[len])).unwrap();
    }
    let plan = Arc::new(builder.finish().unwrap());
    let params = Params::<T>::load_as(&plan, |_, _| Ok::<_, Error>(())).unwrap();
    let mut executor = Executor::new(plan, params, CpuTarget::new(2).unwrap()).unwrap();
    executor.run_inputs(&[&q.1, &kv.1, &dy.1]).unwrap();
    ["dq", "dkv"].map(|name| executor.output(name).unwrap())
}

fn distance<T: Real>(found: &[T], exact: &[f32]) -> f64 {
    let pairs = found.iter().zip(widen(exact));
    let (error, norm) = pairs.fold((0.0, 0.0), |(error, norm), (&f, e)| {
        let f: f64 = f.into();
        (error + (f - e).powi(2), norm + e * e)
    });
    (error / if norm > 0.0 { norm } else { 1.0 }).sqrt()
}

#[test]
fn matches_the_stored_reference_vectors() {
    for case in references() {
        let (narrow, wide) = (run::<f32>(&case), run::<f64>(&case));
        for (i, exact) in [&case.dq, &case.dkv].into_iter().enumerate() {
            let (f32, f64) = (distance(&narrow[i], exact), distance(&wide[i], exact));
            assert!(
                f32 < 2e-6 && f64 < 1e-7,
                "{} {i}: {f32:e} {f64:e}",
                case.name
            );
        }
        if case.size[2] == 1 {
            // softmax over one key is constant: not a single bit of dq and dk
            let c = case.size[3] * case.size[4];
            let dk = narrow[1].chunks_exact(2 * c).flat_map(|row| &row[..c]);
            assert!(
                narrow[0].iter().chain(dk).all(|v| v.abs() <= 0.0),
                "{}",
                case.name
            );
        }
    }
}
