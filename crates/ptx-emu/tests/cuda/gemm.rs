//! Matrix products.

use super::support::data::{assert_within, to_bf16, to_f16, to_tf32, uniform, widen};
use super::support::kernels::{GEMM_MMA, Shape, gemm_mma, gemm_naive, gemm_tiled};
use super::support::reference::{Product, gemm, gemm_transposed};
use super::support::run::{Data, Kernel, given, out};
use ptx_emu::Schedule;

/// Rows, columns, inner.
type Size = (u32, u32, u32);

fn arguments(a: Data, b: Data, (rows, cols, inner): Size) -> [Data; 6] {
    let c = out::<f32>(rows as usize * cols as usize);
    [a, b, c, Data::U32(rows), Data::U32(cols), Data::U32(inner)]
}

/// Row-major f32 times row-major f32.
fn plain(file: &str, entry: &'static str, shape: fn(u32, u32) -> Shape, sizes: &[Size]) {
    let kernel = Kernel::new(file, &[], entry);
    for &size @ (rows, cols, inner) in sizes {
        let a = uniform(1, (rows * inner) as usize);
        let b = uniform(2, (inner * cols) as usize);
        let outcome = kernel.run(shape(rows, cols), &arguments(given(&a), given(&b), size));
        let exact = gemm(&widen(&a), &widen(&b), cols as usize, inner as usize);
        let bound = exact.bound(inner as usize);
        assert_within(&outcome.output::<f32>(0), &exact.values, bound);
    }
}

#[test]
fn naive_matches_f64() {
    let sizes = [
        (1, 1, 1),
        (16, 16, 16),
        (17, 33, 5),
        (50, 31, 64),
        (7, 64, 129),
    ];
    plain("kernels/gemm_naive.cu", "gemm_naive", gemm_naive, &sizes);
}

#[test]
fn tiled_matches_f64() {
    let sizes = [
        (1, 4, 4),
        (64, 64, 16),
        (65, 68, 20),
        (3, 128, 100),
        (127, 60, 32),
    ];
    plain("kernels/gemm_tiled.cu", "gemm_tiled", gemm_tiled, &sizes);
}

/// Operands in the format of a variant, and their product from the same rounded values.
fn operands(define: &str, (rows, cols, inner): Size) -> (Data, Data, Product) {
    let a = uniform(3, (rows * inner) as usize);
    let w = uniform(4, (cols * inner) as usize);
    let inner = inner as usize;
    match define {
        "-DGEMM_TF32" => {
            let exact = gemm_transposed(&widen(&to_tf32(&a)), &widen(&to_tf32(&w)), inner);
            (given(&a), given(&w), exact)
        }
        "-DGEMM_BF16" => {
            let (a, w) = (to_bf16(&a), to_bf16(&w));
            let exact = gemm_transposed(&widen(&a), &widen(&w), inner);
            (given(&a), given(&w), exact)
        }
        _ => {
            let (a, w) = (to_f16(&a), to_f16(&w));
            let exact = gemm_transposed(&widen(&a), &widen(&w), inner);
            (given(&a), given(&w), exact)
        }
    }
}

#[test]
fn tensor_cores_match_f64() {
    let sizes = [
        (64, 64, 32),
        (1, 1, 8),
        (63, 65, 40),
        (130, 7, 200),
        (16, 96, 96),
    ];
    for (define, _) in GEMM_MMA {
        let kernel = Kernel::new("kernels/gemm_mma.cu", &[define], "gemm_mma");
        for size @ (rows, cols, inner) in sizes {
            let (a, w, exact) = operands(define, size);
            let outcome = kernel.run(gemm_mma(rows, cols), &arguments(a, w, size));
            let found = outcome.output::<f32>(0);
            if define == "-DGEMM_F16_SUM" {
                // Each of the K/16 sums is rounded to f16, at most at the size of Σ|a·b|.
                let steps = f64::from(inner.div_ceil(16));
                let unit = (steps + 1.0) * 2.0_f64.powi(-11);
                assert_within(&found, &exact.values, |i| unit * exact.sums[i] + 6e-8);
            } else {
                assert_within(&found, &exact.values, exact.bound(inner as usize));
            }
        }
    }
}

#[test]
fn tensor_cores_repeat_in_every_order() {
    let size = (96, 70, 104);
    for (define, _) in GEMM_MMA {
        let run = |schedule| {
            let kernel = Kernel::new("kernels/gemm_mma.cu", &[define], "gemm_mma");
            let (a, w, _) = operands(define, size);
            let outcome = kernel
                .in_order(schedule)
                .run(gemm_mma(size.0, size.1), &arguments(a, w, size));
            outcome.output::<u32>(0)
        };
        let forward = run(Schedule::Forward);
        for schedule in [
            Schedule::Reverse,
            Schedule::Shuffle(1),
            Schedule::Shuffle(2),
        ] {
            assert_eq!(forward, run(schedule), "{define} {schedule:?}");
        }
    }
}

#[test]
fn code_for_hopper_gives_the_same_bits() {
    let size @ (rows, cols, _) = (33, 66, 72);
    for (define, _) in GEMM_MMA {
        let run = |arch| {
            let (a, w, _) = operands(define, size);
            let kernel = Kernel::for_arch("kernels/gemm_mma.cu", &[define], "gemm_mma", arch);
            kernel
                .run(gemm_mma(rows, cols), &arguments(a, w, size))
                .output::<u32>(0)
        };
        assert_eq!(run(80), run(90), "{define}");
    }
}
