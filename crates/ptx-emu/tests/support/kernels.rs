//! Launch shapes of the kernels, each with its argument list. Letters are those of the sources.

/// Grid, block and bytes of dynamic shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) shared: u32,
}

const fn shape(grid: [u32; 3], block: [u32; 3]) -> Shape {
    Shape {
        grid,
        block,
        shared: 0,
    }
}

/// The variants of `kernels/gemm_mma.cu`: its definition, and bytes per element of a and w.
pub(crate) const GEMM_MMA: [(&str, usize); 4] = [
    ("-DGEMM_TF32", 4),
    ("-DGEMM_F16", 2),
    ("-DGEMM_F16_SUM", 2),
    ("-DGEMM_BF16", 2),
];

/// Head channels of `kernels/attention.cu`.
pub(crate) const ATTENTION_D: usize = 64;

/// Every source with the definitions of each of its variants.
pub(crate) const SOURCES: [(&str, &[&str]); 12] = [
    ("kernels/gemm_naive.cu", &[]),
    ("kernels/gemm_tiled.cu", &[]),
    ("kernels/gemm_mma.cu", &["-DGEMM_TF32"]),
    ("kernels/gemm_mma.cu", &["-DGEMM_F16"]),
    ("kernels/gemm_mma.cu", &["-DGEMM_F16_SUM"]),
    ("kernels/gemm_mma.cu", &["-DGEMM_BF16"]),
    ("kernels/layernorm.cu", &[]),
    ("kernels/softmax.cu", &[]),
    ("kernels/attention.cu", &[]),
    ("kernels/histogram.cu", &[]),
    ("kernels/transpose.cu", &[]),
    ("kernels/odds.cu", &[]),
];

/// `gemm_naive.cu`, entry `gemm_naive`: a [ROWS,INNER] f32 in, b [INNER,COLS] f32 in,
/// c [ROWS,COLS] f32 out, u32 ROWS, COLS, INNER. Any sizes.
pub(crate) const fn gemm_naive(rows: u32, cols: u32) -> Shape {
    shape([cols.div_ceil(16), rows.div_ceil(16), 1], [16, 16, 1])
}

/// `gemm_tiled.cu`, entry `gemm_tiled`: as `gemm_naive`; COLS and INNER are multiples of 4.
pub(crate) const fn gemm_tiled(rows: u32, cols: u32) -> Shape {
    shape([cols.div_ceil(64), rows.div_ceil(64), 1], [256, 1, 1])
}

/// `gemm_mma.cu` with one of [`GEMM_MMA`], entry `gemm_mma`: a [ROWS,INNER] in, w [COLS,INNER] in
/// (f32, f16 or bf16), c [ROWS,COLS] f32 out, u32 ROWS, COLS, INNER; rows of a and w are multiples of
/// 16 bytes.
pub(crate) const fn gemm_mma(rows: u32, cols: u32) -> Shape {
    shape([cols.div_ceil(64), rows.div_ceil(64), 1], [128, 1, 1])
}

/// `layernorm.cu`, entries `layernorm_warp` (C % 4 == 0) and `layernorm_bf16` (x and y bf16,
/// C % 2 == 0): x [R,C] in, gamma [C] f32 in, beta [C] f32 in, y [R,C] out, u32 R, C, f32 eps.
pub(crate) const fn layernorm_warp(rows: u32) -> Shape {
    shape([rows.div_ceil(4), 1, 1], [32, 4, 1])
}

/// `layernorm.cu`, entry `layernorm_block`: the same arguments in f32, any C.
pub(crate) const fn layernorm_block(rows: u32) -> Shape {
    shape([rows, 1, 1], [256, 1, 1])
}

/// `softmax.cu`, entries `softmax_warp` and `softmax_half` (f16, C % 2 == 0): x [R,C] in, y [R,C] out,
/// u32 R, C.
pub(crate) const fn softmax_warp(rows: u32) -> Shape {
    shape([rows.div_ceil(4), 1, 1], [32, 4, 1])
}

/// `softmax.cu`, entry `softmax_block`: the same arguments in f32.
pub(crate) const fn softmax_block(rows: u32) -> Shape {
    shape([rows, 1, 1], [128, 1, 1])
}

/// `attention.cu`, entry `attention_bf16`: q [B,N,64], k [B,M,64], v [B,M,64] bf16 in, o [B,N,64] f32
/// out, u32 N, M, f32 scale.
pub(crate) const fn attention_bf16(batch: u32, queries: u32) -> Shape {
    Shape {
        grid: [queries.div_ceil(64), batch, 1],
        block: [128, 1, 1],
        shared: 3 * 64 * 128,
    }
}

/// `attention.cu`, entry `attention_f32`: the same arguments in f32.
pub(crate) const fn attention_f32(batch: u32, queries: u32) -> Shape {
    shape([queries.div_ceil(4), batch, 1], [32, 4, 1])
}

/// `histogram.cu`, entries `histogram_shared` and `histogram_global`: x [N] u8 in, bins [256] u32 in
/// and out, u32 N. Any number of blocks.
pub(crate) const fn histogram(blocks: u32) -> Shape {
    shape([blocks, 1, 1], [256, 1, 1])
}

/// `transpose.cu`, entries `transpose_padded` and `transpose_plain`: x [ROWS,COLS] f32 in,
/// y [COLS,ROWS] f32 out, u32 ROWS, COLS. A full tile takes 32 shared stores of 1 wavefront and 32 shared
/// loads, of 1 wavefront padded and of 32 plain.
pub(crate) const fn transpose(rows: u32, cols: u32) -> Shape {
    shape([cols.div_ceil(32), rows.div_ceil(32), 1], [32, 8, 1])
}

/// `odds.cu`, any number of blocks of 256 threads:
/// - `saxpy`: x [N] f32 in, y [N] f32 in and out, f32 a, u32 N
/// - `total`: x [N] u32 in, partial [blocks] u32 scratch, done [1] u32 in and out (0), sum [1] u32 out,
///   u32 N
/// - `moments`: x [N] f32 in, out [2] f64 in and out, u32 N
/// - `compact` (one block): x [N] u32 in, out [N] u32 out, count [1] u32 out, u32 N
pub(crate) const fn strided(blocks: u32) -> Shape {
    shape([blocks, 1, 1], [256, 1, 1])
}

/// `odds.cu`, one thread per element: x in, y out, u32 N.
/// - `call_table`: u32 to u32
/// - `local_sort`: [N,8] f32 to [N] f32
/// - `gelu`: f32 to f32
/// - `integers`: u64, not 0, to u64
pub(crate) const fn elementwise(n: u32) -> Shape {
    shape([n.div_ceil(256), 1, 1], [256, 1, 1])
}

/// `odds.cu`, entry `reverse`: x [N] f32 in, y [N] f32 out, u32 N.
pub(crate) fn reverse(n: u32) -> Shape {
    Shape {
        grid: [1, 1, 1],
        block: [n.clamp(1, 1024), 1, 1],
        shared: 4 * n,
    }
}
