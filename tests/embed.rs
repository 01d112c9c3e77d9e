//! What a program that embeds the library relies on: its own pool is used, a forward pass hardly
//! allocates, and a wrong input is refused before anything runs.
#![allow(unsafe_code)] // a global allocator that counts

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pvt_cuda::config::{Mode, Variant};
use pvt_cuda::executor::{Executor, Params};
use pvt_cuda::model::PlanSpec;
use pvt_cuda::plan::{BufferId, Builder, Plan, Target, View};
use pvt_cuda::shape::{ImageSize, ShapeError};
use pvt_cuda::target::cpu::CpuTarget;
use pvt_cuda::{Error, Pixels};
use pvt_testkit::hash;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// The system's allocator, with counts of what some threads ask for.
struct Counting;

thread_local! {
    /// The measurement that this thread belongs to. The harness of the tests belongs to none, and
    /// threads of a pool that ends belong to an earlier one: both allocate now and then.
    static MEMBER_OF: Cell<usize> = const { Cell::new(0) };
}

static CURRENT: AtomicUsize = AtomicUsize::new(1);
static CALLS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

fn count(bytes: usize) {
    if MEMBER_OF.get() == CURRENT.load(Ordering::Relaxed) {
        CALLS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Makes this thread the only one that is counted, until a pool is made.
fn new_measurement() -> usize {
    let number = CURRENT.fetch_add(1, Ordering::SeqCst) + 1;
    MEMBER_OF.set(number);
    number
}

/// Held by one test at a time, so that counts are of one of them; its thread is counted meanwhile.
struct Alone {
    _lock: MutexGuard<'static, ()>,
}

fn alone() -> Alone {
    static LOCK: Mutex<()> = Mutex::new(());
    let lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    new_measurement();
    Alone { _lock: lock }
}

impl Drop for Alone {
    fn drop(&mut self) {
        MEMBER_OF.set(0);
    }
}

/// A pool of the caller, whose threads are counted.
fn named_pool(threads: usize) -> Arc<ThreadPool> {
    let number = new_measurement();
    let builder = ThreadPoolBuilder::new()
        .num_threads(threads)
        .start_handler(move |_| MEMBER_OF.set(number));
    Arc::new(
        builder
            .thread_name(|i| format!("mine-{i}"))
            .build()
            .unwrap(),
    )
}

/// Runs that are counted together.
const RUNS: usize = 10;

/// Calls and bytes of [`RUNS`] runs of `f`.
fn allocations(mut f: impl FnMut()) -> (usize, usize) {
    let now = || (CALLS.load(Ordering::SeqCst), BYTES.load(Ordering::SeqCst));
    let before = now();
    (0..RUNS).for_each(|_| f());
    let after = now();
    (after.0 - before.0, after.1 - before.1)
}

fn bind(plan: Plan, target: CpuTarget) -> (Executor, Vec<f32>) {
    let plan = Arc::new(plan);
    let params = Params::load(&plan, |p, out| {
        hash::parameter(&p.name, &p.shape, out);
        Ok::<_, Error>(())
    });
    let input = hash::image(plan.input_len());
    (Executor::new(plan, params.unwrap(), target).unwrap(), input)
}

fn tiny(target: CpuTarget) -> (Executor, Vec<f32>) {
    let spec = PlanSpec::infer(1, ImageSize::square(224), Mode::Classify);
    bind(Plan::new(&Variant::Tiny.config(), spec).unwrap(), target)
}

#[test]
fn allocations_of_a_forward_pass_are_few_and_small() {
    let _alone = alone();
    for threads in [1, 2] {
        let (mut executor, input) = tiny(CpuTarget::with_pool(named_pool(threads)));
        for _ in 0..2 {
            executor.run(&input).unwrap();
        }
        let (calls, bytes) = allocations(|| executor.run(&input).unwrap());
        // all of them inside the matrix crate, one a call, and in the queue of the pool
        assert!(
            calls <= 5000 * RUNS && bytes <= 1_000_000 * RUNS,
            "{threads} threads: {calls} allocations of {bytes} bytes in {RUNS} forward passes"
        );
    }
}

/// Allocations and bytes of [`RUNS`] runs of the plan that `append` makes, on one thread. The call comes from
/// inside the pool, so that the pool takes no message from outside.
fn allocations_of(
    input: usize,
    append: impl Fn(&mut Builder, BufferId) -> BufferId,
) -> (usize, usize) {
    let mut builder = Builder::new();
    let x = builder.input(input);
    let y = append(&mut builder, x);
    builder.output("y", View::contiguous(y, &[1])).unwrap();
    let pool = named_pool(1);
    let (mut executor, input) = bind(
        builder.finish().unwrap(),
        CpuTarget::with_pool(pool.clone()),
    );
    pool.install(|| {
        executor.run(&input).unwrap();
        executor.run(&input).unwrap();
        allocations(|| executor.run(&input).unwrap())
    })
}

#[test]
fn steps_without_matrix_products_allocate_nothing() {
    let _alone = alone();
    let counts = allocations_of(100 * 64, |b, x| {
        let y = b.layernorm("norm", x, (100, 64, 64), 1e-6).unwrap();
        let y = b.residual("sum", (x, y), 100 * 64).unwrap();
        b.pos_embed("table", y, (2, 64), ((5, 5), (10, 5)), Some("class"))
            .unwrap()
    });
    assert_eq!(counts, (0, 0), "allocations and bytes");
}

/// Allocations of [`RUNS`] calls of the matrix crate for 48 rows, 64 columns and 64 terms.
fn allocations_of_the_matrix_crate() -> usize {
    let (x, w, mut y) = (
        vec![1f32; 48 * 64],
        vec![1f32; 64 * 64],
        vec![0f32; 48 * 64],
    );
    let mut call = || {
        // SAFETY: three contiguous row-major matrices of 48x64, 64x64 and 48x64 elements.
        unsafe {
            gemm::gemm(
                48,
                64,
                64,
                y.as_mut_ptr(),
                1,
                64,
                true,
                x.as_ptr(),
                1,
                64,
                w.as_ptr(),
                1,
                64,
                1.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    };
    call();
    new_measurement();
    allocations(call).0
}

#[test]
fn steps_with_matrix_products_allocate_only_inside_the_matrix_crate() {
    let _alone = alone();
    let one = allocations_of_the_matrix_crate();
    let linear = |b: &mut Builder, x| {
        b.linear("fc", x, (48, 64, 64), true, Target::NewGelu)
            .unwrap()
    };
    let attention = |b: &mut Builder, x| b.attention("attn", (x, x), (1, 12, 12), (1, 64)).unwrap();
    let tokens = |b: &mut Builder, x| {
        b.patch_conv("sr", x, (1, (2, 20), 32), (2, 64), Pixels::Nhwc)
            .unwrap()
    };
    let pixels = |b: &mut Builder, x| {
        b.patch_conv("sr", x, (1, (4, 20), 3), (4, 64), Pixels::Nchw)
            .unwrap()
    };
    let mlp = |b: &mut Builder, x| {
        let x = b.layernorm("norm", x, (48, 64, 64), 1e-6).unwrap();
        b.mlp("block", x, (48, 64, 64), 1e-6).unwrap();
        x
    };
    // products, by the tiles of 48 rows, 64 columns and, for tokens, one line of a patch
    let len = 48 * 64;
    for (op, products, (found, _)) in [
        ("linear", 1, allocations_of(len, linear)),
        ("attention", 2, allocations_of(len, attention)),
        ("patch_conv on tokens", 2, allocations_of(len, tokens)),
        ("patch_conv on pixels", 1, allocations_of(len, pixels)),
        ("mlp", 2, allocations_of(len, mlp)),
    ] {
        assert_eq!(
            found,
            products * one,
            "{op}: {products} products of {one} allocations each in {RUNS} runs"
        );
    }
}

#[test]
fn runs_on_the_pool_of_the_caller() {
    let _alone = alone();
    let pool = named_pool(2);
    let target = CpuTarget::with_pool(pool.clone());
    assert_eq!(target.threads(), 2);
    let (mut executor, input) = tiny(target);
    let mut steps = 0;
    let mut after = |at: usize| {
        let thread = std::thread::current();
        assert!(
            thread.name().is_some_and(|name| name.starts_with("mine-")),
            "{thread:?}"
        );
        assert_eq!(at, steps, "steps are reported in order");
        steps += 1;
    };
    executor.run_observed(&input, &mut after).unwrap();
    assert_eq!(steps, executor.plan().steps().len());
    // two executors may share it, and it may be busy with the caller's own work
    let (mut other, _) = tiny(CpuTarget::with_pool(pool.clone()));
    pool.install(|| other.run(&input)).unwrap();
    assert_eq!(executor.output("logits"), other.output("logits"));
}

#[test]
fn an_input_of_the_wrong_length_is_refused_before_anything_runs() {
    let _alone = alone();
    let (mut executor, input) = tiny(CpuTarget::new(1).unwrap());
    executor.run(&input).unwrap();
    let logits = executor.output("logits").unwrap();
    let longer = [&input[..], &[0.0]].concat();
    for wrong in [&[][..], &input[1..], &longer] {
        let mut steps = 0;
        let error = executor
            .run_observed(wrong, &mut |_| steps += 1)
            .unwrap_err();
        let (found, expected) = (wrong.len(), input.len());
        assert!(
            matches!(error, Error::Shape(ShapeError::Input { found: f, expected: e })
                if f == found && e == expected),
            "{error}"
        );
        assert_eq!(
            error.to_string(),
            format!(
                "the input holds {found} values, the plan reads {expected}; plan for this batch \
                 and image size"
            )
        );
        assert_eq!(steps, 0);
        assert_eq!(executor.output("logits").unwrap(), logits, "results stay");
    }
}

#[test]
fn parameters_of_another_model_or_mode_are_refused() {
    let _alone = alone();
    let plan = |variant: Variant, mode, side| {
        let spec = PlanSpec::infer(1, ImageSize::square(side), mode);
        Arc::new(Plan::new(&variant.config(), spec).unwrap())
    };
    let own = plan(Variant::Tiny, Mode::Classify, 64);
    let params = Params::load(&own, |_, _| Ok::<_, Error>(())).unwrap();
    let bind = |plan: Arc<Plan>| Executor::new(plan, params.clone(), CpuTarget::new(1).unwrap());
    assert!(bind(own).is_ok());
    assert!(
        bind(plan(Variant::Tiny, Mode::Classify, 96)).is_ok(),
        "any image size"
    );
    for (variant, mode) in [
        (Variant::Tiny, Mode::Backbone),
        (Variant::Small, Mode::Classify),
    ] {
        let error = bind(plan(variant, mode, 64)).unwrap_err();
        assert!(
            matches!(error, Error::Shape(ShapeError::ForeignParams)),
            "{error}"
        );
    }
}

#[test]
fn an_input_that_is_no_number_is_refused_on_request() {
    let _alone = alone();
    let (mut executor, mut input) = tiny(CpuTarget::new(1).unwrap());
    input[1234] = f32::NAN;
    executor.run(&input).unwrap();
    executor.set_check_finite(true);
    let error = executor.run(&input).unwrap_err();
    assert!(
        matches!(error, Error::NonFiniteInput { index: 1234, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("NaN at index 1234"), "{error}");
}
