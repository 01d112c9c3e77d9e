// gemm_tiled: c[i,j] = sum_k a[i,k] * b[k,j]     i < ROWS, j < COLS, k < INNER
//   a [ROWS,INNER] row-major f32 in | b [INNER,COLS] row-major f32 in | c [ROWS,COLS] row-major f32 out
//   grid (ceil(COLS/64), ceil(ROWS/64)), block 256: a 64x64 tile of c, 4x4 elements per thread
//   shared static 16*68*4 + 16*64*4 = 8448 bytes: a transposed with rows of 68, b with rows of 64
//   needs 16-byte aligned pointers, INNER % 4 == 0, COLS % 4 == 0
//   tails: any ROWS; groups of four past INNER or COLS are read as zero, stores are masked
//   f32, k ascending: bitwise repeatable
//   shared requests: s_a stores 2-way (padding of 4 halves the 4-way of rows of 64), all others free
//   source: blocked matrix multiplication with register tiles (Volkov and Demmel 2008)

constexpr unsigned TILE = 64;     // rows and columns of c per block
constexpr unsigned STEP = 16;     // inner indices per shared tile
constexpr unsigned MICRO = 4;     // rows and columns of c per thread
constexpr unsigned THREADS = 256; // (TILE / MICRO)^2
constexpr unsigned PITCH_A = TILE + 4;

static_assert(TILE / MICRO * (TILE / MICRO) == THREADS, "one register tile per thread");
static_assert(TILE * STEP == 4 * THREADS, "one group of four per thread and tile");

// args: a, b, c, ROWS, COLS, INNER
extern "C" __global__ void __launch_bounds__(THREADS)
    gemm_tiled(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c,
               unsigned ROWS, unsigned COLS, unsigned INNER) {
    __shared__ __align__(16) float s_a[STEP][PITCH_A]; // s_a[k][i]
    __shared__ __align__(16) float s_b[STEP][TILE];    // s_b[k][j]

    const unsigned tid = threadIdx.x;
    const unsigned row0 = blockIdx.y * TILE;
    const unsigned col0 = blockIdx.x * TILE;
    const float4 zero = make_float4(0.0f, 0.0f, 0.0f, 0.0f);

    // What this thread copies of each tile: four along k of a, four along j of b.
    const unsigned a_i = tid / (STEP / 4);
    const unsigned a_k = tid % (STEP / 4) * 4;
    const unsigned b_k = tid / (TILE / 4);
    const unsigned b_j = tid % (TILE / 4) * 4;
    const bool a_row = row0 + a_i < ROWS;
    const bool b_col = col0 + b_j < COLS;
    const float* a_r = a + (size_t)(row0 + a_i) * INNER;

    // What it computes.
    const unsigned i0 = tid / (TILE / MICRO) * MICRO;
    const unsigned j0 = tid % (TILE / MICRO) * MICRO;

    float acc[MICRO][MICRO] = {};
    for (unsigned k0 = 0; k0 < INNER; k0 += STEP) {
        const bool a_in = a_row && k0 + a_k < INNER;
        const bool b_in = b_col && k0 + b_k < INNER;
        const float4 x = a_in ? *(const float4*)(a_r + k0 + a_k) : zero;
        const float4 y = b_in ? *(const float4*)(b + (size_t)(k0 + b_k) * COLS + col0 + b_j) : zero;
        s_a[a_k + 0][a_i] = x.x;
        s_a[a_k + 1][a_i] = x.y;
        s_a[a_k + 2][a_i] = x.z;
        s_a[a_k + 3][a_i] = x.w;
        *(float4*)&s_b[b_k][b_j] = y;
        __syncthreads(); // tiles written above, read below
#pragma unroll
        for (unsigned k = 0; k < STEP; ++k) {
            const float4 u = *(const float4*)&s_a[k][i0];
            const float4 v = *(const float4*)&s_b[k][j0];
            const float us[MICRO] = {u.x, u.y, u.z, u.w};
            const float vs[MICRO] = {v.x, v.y, v.z, v.w};
#pragma unroll
            for (unsigned i = 0; i < MICRO; ++i)
#pragma unroll
                for (unsigned j = 0; j < MICRO; ++j) acc[i][j] += us[i] * vs[j];
        }
        __syncthreads(); // tiles read above, overwritten by the next step
    }
    if (col0 + j0 >= COLS) return;
#pragma unroll
    for (unsigned i = 0; i < MICRO; ++i) {
        const unsigned row = row0 + i0 + i;
        if (row < ROWS) {
            *(float4*)(c + (size_t)row * COLS + col0 + j0) =
                make_float4(acc[i][0], acc[i][1], acc[i][2], acc[i][3]);
        }
    }
}
