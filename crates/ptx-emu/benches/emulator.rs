//! Speed of the emulator in warp instructions per second (`bf16` and `mma`: matrix products per second) on
//! one core, without checks and with all; and a large product on all cores.

#[path = "../tests/support/mod.rs"]
mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ptx_emu::Checks;
use support::speed::Timed;

fn kernels(criterion: &mut Criterion) {
    for (name, n) in [
        ("naive", 256),
        ("tiled", 256),
        ("layernorm", 256),
        ("bf16", 256),
        ("mma", 64),
    ] {
        let mut group = criterion.benchmark_group(name);
        let mut timed = Timed::new(name, n);
        group.throughput(Throughput::Elements(timed.operations()));
        group.bench_function("unchecked", |b| b.iter(|| timed.run(Checks::NONE)));
        group.bench_function("all checks", |b| b.iter(|| timed.run(Checks::ALL)));
        group.finish();
    }
}

fn large(criterion: &mut Criterion) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut group = criterion.benchmark_group("bf16 product of 1024 cubed");
    group.sample_size(10);
    let mut timed = Timed::new("bf16", 1024).on_threads(threads);
    group.bench_function(format!("all checks, {threads} threads"), |b| {
        b.iter(|| timed.run(Checks::ALL));
    });
    group.finish();
}

criterion_group!(all, kernels, large);
criterion_main!(all);
