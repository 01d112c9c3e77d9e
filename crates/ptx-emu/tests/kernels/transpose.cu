// transpose_padded, transpose_plain: y[j,i] = x[i,j]     i < ROWS, j < COLS
//   x [ROWS,COLS] row-major f32 in | y [COLS,ROWS] row-major f32 out
//   grid (ceil(COLS/32), ceil(ROWS/32)), block (32, 8): a 32x32 tile, four rows per thread
//   shared static 32*33*4 = 4224 bytes padded, 32*32*4 = 4096 bytes plain
//   needs 4-byte aligned pointers
//   tails: elements past the end are neither read nor written
//   exact: bits are moved
//   shared requests of full tiles: padded 1 wavefront each; plain 1 per store and 32 per load
//   source: Ruetsch and Micikevicius 2009, "Optimizing Matrix Transpose in CUDA"

constexpr unsigned TILE = 32;
constexpr unsigned ROWS_PER_PASS = 8;

template <unsigned PITCH>
__device__ __forceinline__ void transpose(const float* __restrict__ x, float* __restrict__ y,
                                          unsigned ROWS, unsigned COLS, float (*tile)[PITCH]) {
    const unsigned tx = threadIdx.x;
    const unsigned ty = threadIdx.y;
    const unsigned row0 = blockIdx.y * TILE;
    const unsigned col0 = blockIdx.x * TILE;
#pragma unroll
    for (unsigned r = ty; r < TILE; r += ROWS_PER_PASS) {
        if (row0 + r < ROWS && col0 + tx < COLS) tile[r][tx] = x[(size_t)(row0 + r) * COLS + col0 + tx];
    }
    __syncthreads(); // rows written above, columns read below
#pragma unroll
    for (unsigned r = ty; r < TILE; r += ROWS_PER_PASS) {
        if (col0 + r < COLS && row0 + tx < ROWS) y[(size_t)(col0 + r) * ROWS + row0 + tx] = tile[tx][r];
    }
}

// args: x, y, ROWS, COLS
extern "C" __global__ void __launch_bounds__(TILE* ROWS_PER_PASS)
    transpose_padded(const float* __restrict__ x, float* __restrict__ y, unsigned ROWS, unsigned COLS) {
    __shared__ float tile[TILE][TILE + 1];
    transpose<TILE + 1>(x, y, ROWS, COLS, tile);
}

// args: x, y, ROWS, COLS
extern "C" __global__ void __launch_bounds__(TILE* ROWS_PER_PASS)
    transpose_plain(const float* __restrict__ x, float* __restrict__ y, unsigned ROWS, unsigned COLS) {
    __shared__ float tile[TILE][TILE];
    transpose<TILE>(x, y, ROWS, COLS, tile);
}
