// layernorm_fwd: y[r, c] = (x[r, c] - mean_r) / sqrt(var_r + eps) * gamma[c] + beta[c]      r < R
//   x [R, C] T, rows x_stride apart, in | gamma, beta [C] f32 in | y [R, C] T out
//   grid ceil(R / LN_ROWS), block (32, LN_ROWS): one warp per row | no shared memory
//   needs C % VEC == 0, x_stride % VEC == 0, 16-byte pointers; rows past R are left out
//   f32, biased variance in two passes over the row, which the second finds in the cache; the order
//   of the sums is fixed by C alone: bitwise repeatable, the same for a row in any batch
//   defines LN_ROWS, PVT_DTYPE_*
//   source: Ba et al. 2016, equations 3 and 4, eps inside the root as in torch.nn.LayerNorm
#include "dtype.cuh"
#include "index.cuh"
#include "reduce.cuh"
#include "vec.cuh"

PVT_ENTRY(layernorm_fwd)
__launch_bounds__(WARP * LN_ROWS)(const T* __restrict__ x, const float* __restrict__ gamma,
                                  const float* __restrict__ beta, T* __restrict__ y, u32 R, u32 C,
                                  u32 x_stride, float eps) {
    const u32 lane = threadIdx.x;
    const u32 r = blockIdx.x * LN_ROWS + threadIdx.y;
    if (r >= R) {
        return;  // a whole warp; there is no barrier
    }
    const T* x_r = row(x, r, x_stride);
    T* y_r = row(y, r, C);
    float v[VEC];

    float sum = 0.0f;
    for (u32 c = lane * VEC; c < C; c += WARP * VEC) {
        load(x_r + c, v);
#pragma unroll
        for (u32 i = 0; i < VEC; ++i) {
            sum += v[i];
        }
    }
    const float mean = warp_sum(sum) / static_cast<float>(C);

    float squares = 0.0f;
    for (u32 c = lane * VEC; c < C; c += WARP * VEC) {
        load(x_r + c, v);
#pragma unroll
        for (u32 i = 0; i < VEC; ++i) {
            const float d = v[i] - mean;
            squares = __fmaf_rn(d, d, squares);
        }
    }
    const float rstd = 1.0f / __fsqrt_rn(warp_sum(squares) / static_cast<float>(C) + eps);

    for (u32 c = lane * VEC; c < C; c += WARP * VEC) {
        load(x_r + c, v);
#pragma unroll
        for (u32 i = 0; i < VEC; ++i) {
            v[i] = __fmaf_rn((v[i] - mean) * rstd, gamma[c + i], beta[c + i]);
        }
        store(y_r + c, v);
    }
}
