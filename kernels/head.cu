// head_fwd: logits[b, k] = sum over c of layernorm(x_b)[c] weight[k, c] + bias[k]      b < B, k < K
//   x: rows [C] of T, x_stride apart, in | gamma, beta [C] f32 in | weight [K, C] T in | bias [K] f32 in
//   logits [B, K] f32 out
//   grid ceil(K / HEAD_CLASSES) ceil(B / HEAD_IMAGES), classes fastest, block (32, HEAD_WARPS)
//   a block: up to HEAD_IMAGES rows, normalised into shared memory by one warp each, times HEAD_CLASSES rows
//   of weight, HEAD_CLASSES / HEAD_WARPS of them for a warp at a time, whose lanes split C
//   shared: 4 min(B, HEAD_IMAGES) C bytes, dynamic
//   needs C % VEC == 0, x_stride % VEC == 0, 16-byte pointers; classes past K and images past B are left out
//   weight is requested once per HEAD_IMAGES images, x three times per HEAD_CLASSES classes
//   f32; a lane adds up its channels in ascending order, then a butterfly over lanes: bitwise repeatable, the
//   same for an image alone or in a batch
//   defines HEAD_CLASSES, HEAD_IMAGES, HEAD_WARPS, PVT_DTYPE_*
//   source: Wang et al. 2021, 3.1; the norm runs over the row that is classified only
#include "dtype.cuh"
#include "index.cuh"
#include "rows.cuh"
#include "vec.cuh"

// Classes of a warp.
constexpr u32 CLASSES = HEAD_CLASSES / HEAD_WARPS;
// Quarters of f32 vectors in a vector of T: 1 of f32, 2 of 16 bits.
constexpr u32 PARTS = VEC / VEC_F32;

// Blocks that a multiprocessor should hold: leaves 128 registers to a thread.
constexpr u32 RESIDENT = 4;

static_assert(HEAD_CLASSES % HEAD_WARPS == 0, "each warp has as many classes");
static_assert(HEAD_CLASSES * HEAD_IMAGES <= WARP * HEAD_WARPS, "one thread writes one logit");

// Normalised rows in shared memory, f32. All first parts of the vectors of a row come before all second
// ones: lanes with neighbouring vectors then read neighbouring 16 bytes, which meet in no bank.
__device__ inline float4* part_of(float4* s_x, u32 g, u32 C, u32 part, u32 vector) {
    return s_x + (g * PARTS + part) * (C / VEC) + vector;
}

// Writes the normalised row of image g.
__device__ inline void normalise(const T* x_b, const float* gamma, const float* beta, float4* s_x, u32 g, u32 C,
                                 float eps) {
    float mean;
    float rstd;
    row_statistics(x_b, C, eps, mean, rstd);
    for (u32 c = threadIdx.x * VEC; c < C; c += WARP * VEC) {
        float v[VEC];
        float scale[VEC];
        float shift[VEC];
        load(x_b + c, v);
        load_f32(gamma + c, scale);
        load_f32(beta + c, shift);
#pragma unroll
        for (u32 i = 0; i < VEC; ++i) {
            v[i] = __fmaf_rn((v[i] - mean) * rstd, scale[i], shift[i]);
        }
#pragma unroll
        for (u32 p = 0; p < PARTS; ++p) {
            const u32 i = p * VEC_F32;
            *part_of(s_x, g, C, p, c / VEC) = float4{v[i], v[i + 1], v[i + 2], v[i + 3]};
        }
    }
}

PVT_ENTRY(head_fwd)
__launch_bounds__(WARP * HEAD_WARPS, RESIDENT)(
    const T* __restrict__ x, const float* __restrict__ gamma, const float* __restrict__ beta,
    const T* __restrict__ weight, const float* __restrict__ bias, float* __restrict__ logits, u32 B, u32 C, u32 K,
    u32 x_stride, float eps) {
    extern __shared__ float4 s_x[];
    __shared__ float s_logits[HEAD_IMAGES][HEAD_CLASSES];
    const u32 lane = threadIdx.x;
    const u32 warp = threadIdx.y;
    const u32 tiles = (K - 1) / HEAD_CLASSES + 1;
    const u32 k0 = blockIdx.x % tiles * HEAD_CLASSES;
    const u32 b0 = blockIdx.x / tiles * HEAD_IMAGES;
    const u32 images = b0 < B ? min(B - b0, HEAD_IMAGES) : 0;

    for (u32 g = warp; g < images; g += HEAD_WARPS) {
        normalise(row(x, b0 + g, x_stride), gamma, beta, s_x, g, C, eps);
    }
    __syncthreads();  // s_x written above by one warp per row, read below by all

    float acc[HEAD_IMAGES][CLASSES] = {};
    for (u32 c = lane * VEC; c < C; c += WARP * VEC) {
        float w[CLASSES][VEC] = {};
#pragma unroll
        for (u32 j = 0; j < CLASSES; ++j) {
            const u32 k = k0 + warp * CLASSES + j;
            if (k < K) {
                load(row(weight, k, C) + c, w[j]);
            }
        }
#pragma unroll
        for (u32 g = 0; g < HEAD_IMAGES; ++g) {
            if (g < images) {
#pragma unroll
                for (u32 p = 0; p < PARTS; ++p) {
                    const float4 v = *part_of(s_x, g, C, p, c / VEC);
                    const u32 i = p * VEC_F32;
#pragma unroll
                    for (u32 j = 0; j < CLASSES; ++j) {
                        float sum = acc[g][j];
                        sum = __fmaf_rn(v.x, w[j][i], sum);
                        sum = __fmaf_rn(v.y, w[j][i + 1], sum);
                        sum = __fmaf_rn(v.z, w[j][i + 2], sum);
                        acc[g][j] = __fmaf_rn(v.w, w[j][i + 3], sum);
                    }
                }
            }
        }
    }
#pragma unroll
    for (u32 g = 0; g < HEAD_IMAGES; ++g) {
        if (g < images) {
#pragma unroll
            for (u32 j = 0; j < CLASSES; ++j) {
                const float sum = warp_sum(acc[g][j]);
                if (lane == 0) {
                    s_logits[g][warp * CLASSES + j] = sum;
                }
            }
        }
    }
    __syncthreads();  // s_logits written above by the first lanes, read below by one thread each

    const u32 tid = warp * WARP + lane;
    const u32 g = tid / HEAD_CLASSES;
    const u32 k = k0 + tid % HEAD_CLASSES;
    if (g < images && k < K) {
        row(logits, b0 + g, K)[k] = s_logits[g][tid % HEAD_CLASSES] + bias[k];
    }
}
