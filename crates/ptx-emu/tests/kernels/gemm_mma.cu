// gemm_mma: c[i,j] = sum_k a[i,k] * w[j,k]     i < ROWS, j < COLS, k < INNER   (c = a * transpose(w))
//   a [ROWS,INNER] row-major T in | w [COLS,INNER] row-major T in | c [ROWS,COLS] row-major f32 out
//   grid (ceil(COLS/64), ceil(ROWS/64)), block 128: a 64x64 tile of c, 32x32 per warp
//   shared static 3 stages * (64+64) rows * 64 bytes = 24576 bytes
//   needs 16-byte aligned a and w, 8-byte aligned c, INNER * sizeof(T) % 16 == 0
//   tails: rows and chunks past the end are filled with zero by the copy, stores are masked
//   tensor-core sums in f32 (f16 with GEMM_F16_SUM), k ascending: bitwise repeatable
//   shared requests are free of conflicts: chunk x of row r lies at chunk x ^ (r / 2 % 4)
//   source: PTX ISA, "Matrix Fragments for mma.m16n8k16 / .m16n8k8", "ldmatrix", "cp.async"
//   defines: one of GEMM_TF32, GEMM_F16, GEMM_F16_SUM (f16 accumulators), GEMM_BF16
//
// A chunk is 16 bytes: 8 elements of 16 bits or 4 of 32. One mma takes two chunks of k of every
// row, whatever T is, and ldmatrix gives the fragments of tf32 as it gives pairs of 16 bits.

typedef unsigned b32; // 32 untyped bits: two f16 or bf16, or one tf32

constexpr unsigned TILE = 64;    // rows and columns of c per block
constexpr unsigned WARP_TILE = 32;
constexpr unsigned THREADS = 128;
constexpr unsigned STAGES = 3;
constexpr unsigned CHUNK = 16;   // bytes
constexpr unsigned CHUNKS = 4;   // chunks per row and stage
constexpr unsigned PITCH = CHUNKS * CHUNK;
constexpr unsigned OPERAND = TILE * PITCH; // bytes of one operand in one stage
constexpr unsigned STAGE = 2 * OPERAND;
constexpr unsigned MMA_ROWS = 16, MMA_COLS = 8;
constexpr unsigned MI = WARP_TILE / MMA_ROWS; // fragments of a and of w per warp
constexpr unsigned NI = WARP_TILE / MMA_COLS;

static_assert(TILE * CHUNKS % THREADS == 0, "whole rounds of copies");

// One row of a fragment pair (g, 2t), (g, 2t+1) as f32, from the accumulators of one mma.
struct Pair {
    float x, y;
};

#if defined(GEMM_F16_SUM)
typedef unsigned short T;
struct Sum { // f16x2: rows g and g + 8
    b32 r[2];
};
__device__ __forceinline__ void mma(Sum& d, const b32 (&a)[4], b32 b0, b32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%0,%1}, {%2,%3,%4,%5}, {%6,%7}, {%0,%1};"
                 : "+r"(d.r[0]), "+r"(d.r[1])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ __forceinline__ Pair row_of(const Sum& d, unsigned half) {
    Pair p;
    asm("{ .reg .b16 lo, hi; mov.b32 {lo, hi}, %2; cvt.f32.f16 %0, lo; cvt.f32.f16 %1, hi; }"
        : "=f"(p.x), "=f"(p.y)
        : "r"(d.r[half]));
    return p;
}
#else
struct Sum { // f32: row g in 0 and 1, row g + 8 in 2 and 3
    float r[4];
};
#define MMA(shape, type)                                                                          \
    __device__ __forceinline__ void mma(Sum& d, const b32 (&a)[4], b32 b0, b32 b1) {              \
        asm volatile("mma.sync.aligned." shape ".row.col.f32." type "." type                      \
                     ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                 \
                     : "+f"(d.r[0]), "+f"(d.r[1]), "+f"(d.r[2]), "+f"(d.r[3])                     \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));             \
    }
#if defined(GEMM_TF32)
typedef float T;
MMA("m16n8k8", "tf32")
#elif defined(GEMM_F16)
typedef unsigned short T;
MMA("m16n8k16", "f16")
#elif defined(GEMM_BF16)
typedef unsigned short T;
MMA("m16n8k16", "bf16")
#else
#error "define one of GEMM_TF32, GEMM_F16, GEMM_F16_SUM, GEMM_BF16"
#endif
__device__ __forceinline__ Pair row_of(const Sum& d, unsigned half) {
    return Pair{d.r[2 * half], d.r[2 * half + 1]};
}
#endif

constexpr unsigned PER_CHUNK = CHUNK / sizeof(T);
constexpr bool ROUNDS = sizeof(T) == 4; // f32 in memory is rounded to tf32 before each mma

// ldmatrix: four 8x8 matrices of 16 bits; lanes 8m..8m+7 give the row addresses of matrix m.
__device__ __forceinline__ void ldmatrix4(b32 (&d)[4], unsigned row_address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                 : "r"(row_address)
                 : "memory");
}

// cp.async: `bytes` (0 or 16) from global memory, the rest of the chunk zero.
__device__ __forceinline__ void copy_chunk(unsigned to, const void* from, unsigned bytes) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <unsigned PENDING>
__device__ __forceinline__ void wait_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

__device__ __forceinline__ b32 rounded(b32 x) {
    if constexpr (ROUNDS) asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(x) : "f"(__int_as_float((int)x)));
    return x;
}

// Byte offset of chunk `chunk` of row `row` in one operand of one stage.
__device__ __forceinline__ unsigned at(unsigned row, unsigned chunk) {
    return row * PITCH + (chunk ^ (row / 2 % CHUNKS)) * CHUNK;
}

// Starts the copies of inner chunks chunk0.. of rows row0.. of x [rows,INNER] into `to`.
__device__ __forceinline__ void load_operand(unsigned to, const T* x, unsigned row0, unsigned rows,
                                             unsigned INNER, unsigned chunk0) {
#pragma unroll
    for (unsigned i = 0; i < TILE * CHUNKS / THREADS; ++i) {
        const unsigned n = i * THREADS + threadIdx.x;
        const unsigned row = n / CHUNKS;
        const unsigned chunk = n % CHUNKS;
        const unsigned k = (chunk0 + chunk) * PER_CHUNK;
        const bool in = row0 + row < rows && k < INNER;
        const T* source = in ? x + (size_t)(row0 + row) * INNER + k : x;
        copy_chunk(to + at(row, chunk), source, in ? CHUNK : 0);
    }
}

// args: a, w, c, ROWS, COLS, INNER
extern "C" __global__ void __launch_bounds__(THREADS)
    gemm_mma(const T* __restrict__ a, const T* __restrict__ w, float* __restrict__ c, unsigned ROWS,
             unsigned COLS, unsigned INNER) {
    __shared__ __align__(128) unsigned char ring[STAGES * STAGE];

    const unsigned lane = threadIdx.x % 32;
    const unsigned warp = threadIdx.x / 32;
    const unsigned row0 = blockIdx.y * TILE;
    const unsigned col0 = blockIdx.x * TILE;
    const unsigned warp_i = warp / 2 * WARP_TILE;
    const unsigned warp_j = warp % 2 * WARP_TILE;
    const unsigned base = (unsigned)__cvta_generic_to_shared(ring);
    const unsigned steps = (INNER + CHUNKS * PER_CHUNK - 1) / (CHUNKS * PER_CHUNK);

    // Row and chunk this lane names for ldmatrix. Of a: rows 0-7 and 8-15 of chunk 0, then of chunk 1.
    // Of w: chunks 0 and 1 of columns 0-7, then of columns 8-15.
    const unsigned a_row = warp_i + lane % 16;
    const unsigned a_chunk = lane / 16;
    const unsigned w_row = warp_j + lane / 16 * 8 + lane % 8;
    const unsigned w_chunk = lane / 8 % 2;

    Sum sum[MI][NI] = {};
#pragma unroll
    for (unsigned s = 0; s < STAGES - 1; ++s) {
        if (s < steps) {
            load_operand(base + s * STAGE, a, row0, ROWS, INNER, s * CHUNKS);
            load_operand(base + s * STAGE + OPERAND, w, col0, COLS, INNER, s * CHUNKS);
        }
        commit_copies();
    }
    unsigned stage = 0;
    for (unsigned step = 0; step < steps; ++step) {
        wait_copies<STAGES - 2>();
        __syncthreads(); // stage of this step arrived for all; that of the step before is read by all
        const unsigned ahead = step + STAGES - 1;
        if (ahead < steps) {
            const unsigned to = base + (stage == 0 ? STAGES - 1 : stage - 1) * STAGE;
            load_operand(to, a, row0, ROWS, INNER, ahead * CHUNKS);
            load_operand(to + OPERAND, w, col0, COLS, INNER, ahead * CHUNKS);
        }
        commit_copies(); // a group per step, empty at the end, keeps the count of wait_group right

        const unsigned s_a = base + stage * STAGE;
        const unsigned s_w = s_a + OPERAND;
#pragma unroll
        for (unsigned k = 0; k < CHUNKS; k += 2) {
            b32 fa[MI][4], fw[NI / 2][4];
#pragma unroll
            for (unsigned i = 0; i < MI; ++i) ldmatrix4(fa[i], s_a + at(a_row + i * MMA_ROWS, k + a_chunk));
#pragma unroll
            for (unsigned j = 0; j < NI / 2; ++j) ldmatrix4(fw[j], s_w + at(w_row + j * 16, k + w_chunk));
#pragma unroll
            for (unsigned e = 0; e < 4; ++e) {
#pragma unroll
                for (unsigned i = 0; i < MI; ++i) fa[i][e] = rounded(fa[i][e]);
#pragma unroll
                for (unsigned j = 0; j < NI / 2; ++j) fw[j][e] = rounded(fw[j][e]);
            }
#pragma unroll
            for (unsigned i = 0; i < MI; ++i)
#pragma unroll
                for (unsigned j = 0; j < NI; ++j)
                    mma(sum[i][j], fa[i], fw[j / 2][j % 2 * 2], fw[j / 2][j % 2 * 2 + 1]);
        }
        stage = stage == STAGES - 1 ? 0 : stage + 1;
    }
    wait_copies<0>(); // only empty groups are left

    const unsigned g = lane / 4;
    const unsigned t = lane % 4;
#pragma unroll
    for (unsigned i = 0; i < MI; ++i)
#pragma unroll
        for (unsigned j = 0; j < NI; ++j)
#pragma unroll
            for (unsigned half = 0; half < 2; ++half) {
                const unsigned row = row0 + warp_i + i * MMA_ROWS + half * 8 + g;
                const unsigned col = col0 + warp_j + j * MMA_COLS + t * 2;
                if (row >= ROWS || col >= COLS) continue;
                float* c_r = c + (size_t)row * COLS;
                const Pair p = row_of(sum[i][j], half);
                if (COLS % 2 == 0) {
                    *(float2*)(c_r + col) = make_float2(p.x, p.y);
                } else { // rows start at odd words: no pairs
                    c_r[col] = p.x;
                    if (col + 1 < COLS) c_r[col + 1] = p.y;
                }
            }
}
