//! Counters that follow from the sources by counting on paper.

use super::support::data::{to_bf16, uniform};
use super::support::kernels::{Shape, gemm_mma, gemm_naive, transpose};
use super::support::run::{Data, Kernel, given, out};
use ptx_emu::Report;

fn transposed(entry: &'static str) -> Report {
    let x = uniform(1, 64 * 96);
    let data = [given(&x), out::<f32>(x.len()), Data::U32(64), Data::U32(96)];
    Kernel::new("kernels/transpose.cu", &[], entry)
        .run(transpose(64, 96), &data)
        .report
}

/// 6 tiles of 32 rows and as many columns.
const TILES: u64 = 6;

#[test]
fn padding_removes_every_conflict() {
    let counters = transposed("transpose_padded").counters;
    assert_eq!(counters.shared_loads.requests, TILES * 32);
    assert_eq!(counters.shared_loads.wavefronts, TILES * 32);
    assert_eq!(counters.shared_stores.wavefronts, TILES * 32);
}

#[test]
fn columns_without_padding_conflict_32_ways() {
    let counters = transposed("transpose_plain").counters;
    assert_eq!(counters.shared_loads.requests, TILES * 32);
    assert_eq!(counters.shared_loads.wavefronts, TILES * 32 * 32);
    assert_eq!(counters.shared_stores.wavefronts, TILES * 32);
}

#[test]
fn whole_rows_are_whole_sectors() {
    let counters = transposed("transpose_padded").counters;
    // 32 floats are 4 sectors.
    for traffic in [counters.global_loads, counters.global_stores] {
        assert_eq!(traffic.requests, TILES * 32);
        assert_eq!(traffic.sectors, TILES * 32 * 4);
    }
}

fn product(
    file: &str,
    options: &[&str],
    entry: &'static str,
    shape: Shape,
    a: Data,
    b: Data,
) -> Report {
    let n = Data::U32(64);
    let data = [a, b, out::<f32>(64 * 64), n.clone(), n.clone(), n];
    Kernel::new(file, options, entry).run(shape, &data).report
}

#[test]
fn naive_product_reads_every_tile() {
    let (a, b) = (uniform(1, 64 * 64), uniform(2, 64 * 64));
    let report = product(
        "kernels/gemm_naive.cu",
        &[],
        "gemm_naive",
        gemm_naive(64, 64),
        given(&a),
        given(&b),
    );
    // 16 blocks of 8 warps in 4 steps: two loads each, of two rows of 16 floats, two sectors a row.
    let loads = report.counters.global_loads;
    assert_eq!(loads.requests, 16 * 8 * 4 * 2);
    assert_eq!(loads.sectors, 16 * 8 * 4 * 2 * 4);
    assert_eq!(report.counters.shared_stores.requests, 16 * 8 * 4 * 2);
}

#[test]
fn swizzled_tiles_have_no_conflict() {
    let (a, b) = (to_bf16(&uniform(1, 64 * 64)), to_bf16(&uniform(2, 64 * 64)));
    let report = product(
        "kernels/gemm_mma.cu",
        &["-DGEMM_BF16"],
        "gemm_mma",
        gemm_mma(64, 64),
        given(&a),
        given(&b),
    );
    let counters = report.counters;
    // 4 warps, 64 / 16 steps of 2 fragments of a and 2 of w, each of 4 matrices.
    assert_eq!(counters.matrix_loads.requests, 4 * 4 * 4);
    assert_eq!(counters.matrix_loads.wavefronts, 4 * 4 * 4 * 4);
    // 8 products of 16x8x16 per warp and step: 2·64³ operations in all.
    assert_eq!(counters.matrix_operations.total(), 4 * 4 * 8);
    assert_eq!(counters.matrix_flops.total(), 2 * 64 * 64 * 64);
    // Copies of 16 bytes: 128 rows of 64 bytes in two steps, 32 to a request, four times 8 lanes.
    assert_eq!(counters.async_loads.requests, 2 * 128 * 4 / 32);
    assert_eq!(counters.shared_copies.wavefronts, 2 * 128 * 4 / 8);
}
