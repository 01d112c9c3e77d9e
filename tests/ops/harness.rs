//! One operator in a plan of its own, with random operands.

use std::collections::BTreeMap;
use std::sync::Arc;

use pvt_cuda::Error;
use pvt_cuda::executor::{Executor, Params};
use pvt_cuda::plan::{BufferId, Builder, View};
use pvt_cuda::shape::ShapeError;
use pvt_cuda::target::cpu::CpuTarget;
use pvt_testkit::compare;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// `len` values in (-1, 1), the same for the same name.
pub(crate) fn random(name: &str, len: usize) -> Vec<f32> {
    let seed = name
        .bytes()
        .fold(7u64, |h, b| h.wrapping_mul(31) + u64::from(b));
    let mut rng = StdRng::seed_from_u64(seed);
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// As [`random`], in f64 for an oracle.
pub(crate) fn wide(name: &str, len: usize) -> Vec<f64> {
    compare::widen(&random(name, len))
}

/// A plan under construction and the values it will run with.
pub(crate) struct Bench {
    pub(crate) builder: Builder,
    pub(crate) x: BufferId,
    input: Vec<f32>,
    given: BTreeMap<String, Vec<f32>>,
}

impl Bench {
    /// A plan that reads `input`, as buffer `x`.
    pub(crate) fn on(input: Vec<f32>) -> Self {
        let mut builder = Builder::new();
        let x = builder.input(input.len());
        Self {
            builder,
            x,
            input,
            given: BTreeMap::new(),
        }
    }

    /// A plan for operators of several operands, each from [`Bench::buffer`].
    pub(crate) fn of_operands(longest: usize) -> Self {
        Self::on(vec![0.0; longest])
    }

    /// A workspace buffer that holds `values` when its reader runs: zeros plus a position table.
    pub(crate) fn buffer(&mut self, name: &str, values: Vec<f32>) -> BufferId {
        assert!(self.input.iter().all(|&v| v == 0.0));
        let one = ((1, 1), (1, 1));
        let buffer = self
            .builder
            .pos_embed(name, self.x, (1, values.len()), one, None);
        self.given.insert(name.to_owned(), values);
        buffer.unwrap()
    }

    /// What `len` elements of `y` hold after a run. The run is repeated with 1, 2 and 3 threads and
    /// twice on each, and has to give the same bits every time.
    pub(crate) fn run(mut self, y: BufferId, len: usize) -> Vec<f32> {
        self.builder
            .output("y", View::contiguous(y, &[len]))
            .unwrap();
        let plan = Arc::new(self.builder.finish().unwrap());
        let params = Params::load(&plan, |p, out| {
            match self.given.get(&p.name) {
                Some(values) => out.copy_from_slice(values),
                None => out.copy_from_slice(&random(&p.name, out.len())),
            }
            Ok::<_, Error>(())
        });
        let params = params.unwrap();
        let mut first: Option<Vec<f32>> = None;
        for threads in 1..=3 {
            let target = CpuTarget::new(threads).unwrap();
            let mut executor = Executor::new(plan.clone(), params.clone(), target).unwrap();
            for _ in 0..2 {
                executor.run(&self.input).unwrap();
                let found = executor.output("y").unwrap();
                let first = first.get_or_insert_with(|| found.clone());
                assert!(
                    same_bits(first, &found),
                    "{threads} threads give other bits"
                );
            }
        }
        first.unwrap()
    }
}

/// Whether two results are equal bit for bit.
pub(crate) fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Largest relative L2 error accepted of a sum of `inner` products in f32.
///
/// Every addition rounds a partial sum that has grown like √k, so the error of a chain relative to
/// its result grows like √inner; up to 512 terms the fixed part (rounding of the result, of
/// softmax or of a norm) dominates.
pub(crate) fn tolerance(inner: usize) -> f64 {
    5e-7 * (inner as f64 / 512.0).sqrt().max(1.0)
}

/// Fails unless `found` agrees with `exact`; says where they differ most.
pub(crate) fn assert_close(found: &[f32], exact: &[f64], tolerance: f64, case: &str) {
    assert!(tolerance <= 2e-6, "{case}: a tolerance of {tolerance:e}");
    let error = compare::rel_l2(found, exact);
    let distance = |&i: &usize| (f64::from(found[i]) - exact[i]).abs();
    let worst = (0..exact.len()).max_by(|a, b| distance(a).total_cmp(&distance(b)));
    let worst = worst.unwrap();
    assert!(
        error <= tolerance,
        "{case}: relative L2 error {error:e}, at most {tolerance:e}; worst at {worst}: found {}, \
         exact {}",
        found[worst],
        exact[worst]
    );
}

/// Fails unless building was refused because a buffer is too short.
pub(crate) fn assert_too_short(
    result: pvt_cuda::Result<BufferId>,
    (found, expected): (usize, usize),
) {
    let Error::Shape(error) = result.unwrap_err() else {
        panic!("another error");
    };
    let step = "op".to_owned();
    let want = ShapeError::Buffer {
        step,
        found,
        expected,
    };
    assert_eq!(error, want);
    let text = format!("op: a buffer holds {found} elements, {expected} are needed");
    assert_eq!(error.to_string(), text);
}
