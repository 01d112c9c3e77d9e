// gemm_naive: c[i,j] = sum_k a[i,k] * b[k,j]     i < ROWS, j < COLS, k < INNER
//   a [ROWS,INNER] row-major f32 in | b [INNER,COLS] row-major f32 in | c [ROWS,COLS] row-major f32 out
//   grid (ceil(COLS/16), ceil(ROWS/16)), block (16, 16): one thread per element of c
//   shared static 2*16*16*4 = 2048 bytes
//   needs 4-byte aligned pointers
//   tails: rows, columns and inner steps past the end are read as zero, stores are masked
//   f32, k ascending: bitwise repeatable
//   source: CUDA C++ Programming Guide, "Shared Memory", tiled matrix multiplication

constexpr unsigned TILE = 16;

// args: a, b, c, ROWS, COLS, INNER
extern "C" __global__ void __launch_bounds__(TILE* TILE)
    gemm_naive(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c,
               unsigned ROWS, unsigned COLS, unsigned INNER) {
    __shared__ float s_a[TILE][TILE];
    __shared__ float s_b[TILE][TILE];

    const unsigned tx = threadIdx.x;
    const unsigned ty = threadIdx.y;
    const unsigned row = blockIdx.y * TILE + ty;
    const unsigned col = blockIdx.x * TILE + tx;

    float acc = 0.0f;
    for (unsigned k0 = 0; k0 < INNER; k0 += TILE) {
        s_a[ty][tx] = row < ROWS && k0 + tx < INNER ? a[(size_t)row * INNER + k0 + tx] : 0.0f;
        s_b[ty][tx] = k0 + ty < INNER && col < COLS ? b[(size_t)(k0 + ty) * COLS + col] : 0.0f;
        __syncthreads(); // tiles written above, read below
#pragma unroll
        for (unsigned k = 0; k < TILE; ++k) acc += s_a[ty][k] * s_b[k][tx];
        __syncthreads(); // tiles read above, overwritten by the next step
    }
    if (row < ROWS && col < COLS) c[(size_t)row * COLS + col] = acc;
}
