// Backward of head_fwd, logits = LayerNorm(x) weight^T + bias for one row x_b of each image, in three launches.
// head_bwd_dn: dn[s, b, c] = sum over the classes k of slice s of dlogits[b, k] weight[k, c]
//   dlogits [B, K] f32 in | weight [K, C] T in | scratch: dn [S, B, C] f32 out, S = ceil(K / HEADB_SLICE)
//   grid S ceil(C / (32 VEC)), slices fastest, x ceil(B / HEADB_IMAGES), block (32, HEADB_WARPS): a lane has a vector
//   of channels of all images of the block, a warp every HEADB_WARPS-th set of four classes
//   shared: HEADB_SLICE x HEADB_IMAGES f32, and HEADB_WARPS HEADB_IMAGES rows of 32 vectors as in quads.cuh
//   weight is requested once per HEADB_IMAGES images, dlogits once per 32 VEC channels
// head_bwd_norm: dn_b = sum over s of dn[s, b]; dx[b, 0] = LayerNorm backward of dn_b, dx[b, t] = 0 for t > 0
//   x: rows [C] of T, x_stride apart, in | gamma, beta [C] f32 in | dx [B, x_stride] T out
//   scratch: dn in, and dn[0, b] = dn_b out; behind it n [B, C] = LayerNorm(x), e [B, C] = dn xhat out
//   grid B, block HEADB_THREADS | shared: 2 C f32, dynamic | x is requested three times, dn once
// head_bwd_sums: dweight[k, c] += sum over b of dlogits[b, k] n[b, c], dbias[k] += sum over b of dlogits[b, k],
//   dgamma += sum over b of e[b], dbeta += sum over b of dn[0, b]
//   dlogits, scratch in | dweight [K, C], dbias [K], dgamma, dbeta [C] f32 in and out
//   grid (ceil(K / HEADB_TILE) + 1) ceil(C / 128), channels fastest, block (32, HEADB_TILE / 4): a thread has four
//   classes x four channels; the last row of blocks adds up dgamma and dbeta, a warp every (HEADB_TILE / 4)-th image
//   shared: n of 16 images, their dlogits, sums of warps
//   n is requested once per HEADB_TILE classes, dlogits once per 128 channels, dweight once each way
// all: needs C % VEC == 0, x_stride % VEC == 0, 16-byte pointers; any K and B, what lies past them is left out
//   f32, dx rounded once to T; sums over classes: a warp's upwards, then warps, then slices; over images upwards
//   (dgamma, dbeta: a warp's, then warps): bitwise repeatable, dx of an image the same alone and in a batch
//   defines HEADB_SLICE, HEADB_IMAGES, HEADB_WARPS, HEADB_THREADS, HEADB_TILE, PVT_DTYPE_*
//   source: Wang et al. 2021, 3.1, differentiated
#include "dtype.cuh"
#include "index.cuh"
#include "quads.cuh"
#include "reduce.cuh"
#include "vec.cuh"

// Blocks of head_bwd_norm that a multiprocessor should hold: leaves 64 registers to a thread.
constexpr u32 RESIDENT = 4;
// f32 values of 16 bytes: what moves together between threads and f32 tensors.
constexpr u32 FOUR = 4;
// Classes of a thread of head_bwd_sums, and images that it takes at a time.
constexpr u32 SUM_WARPS = HEADB_TILE / FOUR;
constexpr u32 SUM_IMAGES = 16;

static_assert(HEADB_SLICE % (HEADB_WARPS * FOUR) == 0, "each warp has as many classes, in fours");
static_assert(SUM_IMAGES * HEADB_TILE % (WARP * SUM_WARPS) == 0, "each thread copies as many factors");

// Four f32, aligned to 16 bytes.
__device__ inline float4 load_quad(const float* x) { return *reinterpret_cast<const float4*>(x); }
__device__ inline void store_quad(float* x, float4 y) { *reinterpret_cast<float4*>(x) = y; }
__device__ inline void add_quad(float* x, float4 y) { store_quad(x, load_quad(x) + y); }

// Four elements of T from `x`, which is aligned to as many.
__device__ inline void load_four(const T* x, float (&y)[FOUR]) {
    struct alignas(FOUR * sizeof(T)) Few {
        T at[FOUR];
    };
    const Few few = *reinterpret_cast<const Few*>(x);
#pragma unroll
    for (u32 i = 0; i < FOUR; ++i) {
        y[i] = to_f32(few.at[i]);
    }
}

// The reverse.
__device__ inline void store_four(T* y, const float (&x)[FOUR]) {
    struct alignas(FOUR * sizeof(T)) Few {
        T at[FOUR];
    } few;
#pragma unroll
    for (u32 i = 0; i < FOUR; ++i) {
        few.at[i] = from_f32(x[i]);
    }
    *reinterpret_cast<Few*>(y) = few;
}

__device__ inline void spread(float4 v, float (&y)[FOUR]) {
    y[0] = v.x;
    y[1] = v.y;
    y[2] = v.z;
    y[3] = v.w;
}

__device__ inline float4 gather(const float (&x)[FOUR]) { return float4{x[0], x[1], x[2], x[3]}; }

__device__ inline u32 slices_of(u32 K) { return (K - 1) / HEADB_SLICE + 1; }

PVT_ENTRY(head_bwd_dn)
__launch_bounds__(WARP * HEADB_WARPS)(const float* __restrict__ dlogits, const T* __restrict__ weight,
                                      float* __restrict__ scratch, u32 B, u32 C, u32 K) {
    constexpr u32 THREADS = WARP * HEADB_WARPS;
    __shared__ __align__(16) float s_factors[HEADB_IMAGES][HEADB_SLICE];
    __shared__ float4 s_sums[HEADB_WARPS][HEADB_IMAGES][quads_of_row(WARP)];
    const u32 lane = threadIdx.x;
    const u32 warp = threadIdx.y;
    const u32 tid = warp * WARP + lane;
    const u32 slices = slices_of(K);
    const u32 s = blockIdx.x % slices;
    const u32 k0 = s * HEADB_SLICE;
    const u32 c0 = blockIdx.x / slices * WARP * VEC;
    const u32 b0 = blockIdx.y * HEADB_IMAGES;

    for (u32 i = tid; i < HEADB_SLICE * HEADB_IMAGES; i += THREADS) {
        const u32 k = i % HEADB_SLICE;
        const u32 g = i / HEADB_SLICE;
        const bool there = k0 + k < K && b0 + g < B;
        s_factors[g][k] = there ? row(dlogits, b0 + g, K)[k0 + k] : 0.0f;
    }
    __syncthreads();  // s_factors written above by one thread each, read below by all

    const u32 c = c0 + lane * VEC;
    float acc[HEADB_IMAGES][VEC] = {};
    const u32 classes = min(K - k0, HEADB_SLICE);
    for (u32 k = warp * FOUR; k < classes && c < C; k += HEADB_WARPS * FOUR) {
        float w[FOUR][VEC] = {};
#pragma unroll
        for (u32 j = 0; j < FOUR; ++j) {
            if (k + j < classes) {
                load(row(weight, k0 + k + j, C) + c, w[j]);
            }
        }
#pragma unroll
        for (u32 g = 0; g < HEADB_IMAGES; ++g) {
            float factor[FOUR];
            spread(load_quad(&s_factors[g][k]), factor);
#pragma unroll
            for (u32 j = 0; j < FOUR; ++j) {
#pragma unroll
                for (u32 i = 0; i < VEC; ++i) {
                    acc[g][i] = __fmaf_rn(factor[j], w[j][i], acc[g][i]);
                }
            }
        }
    }
#pragma unroll
    for (u32 g = 0; g < HEADB_IMAGES; ++g) {
        store_quads(s_sums[warp][g], WARP, lane, acc[g]);
    }
    __syncthreads();  // s_sums written above by one warp each, read below by one thread a column
    for (u32 i = tid; i < HEADB_IMAGES * WARP * QUADS; i += THREADS) {
        const u32 g = i / (WARP * QUADS);
        const u32 f = i % (WARP * QUADS);
        const u32 at = c0 + f * FOUR;
        if (b0 + g < B && at < C) {
            float4 total{};
#pragma unroll
            for (u32 w = 0; w < HEADB_WARPS; ++w) {
                total = total + s_sums[w][g][quad_of_elements(WARP, f)];
            }
            store_quad(row(scratch, s * B + b0 + g, C) + at, total);
        }
    }
}

// Sums of a and b over the block, the same in all threads.
__device__ inline void sums_of_block(float (*s_warps)[2], float& a, float& b) {
    const u32 tid = threadIdx.x;
    a = warp_sum(a);
    b = warp_sum(b);
    __syncthreads();  // s_warps read by the call before, written below
    if (tid % WARP == 0) {
        s_warps[tid / WARP][0] = a;
        s_warps[tid / WARP][1] = b;
    }
    __syncthreads();  // s_warps written above by the first lanes, read below by all
    a = 0.0f;
    b = 0.0f;
#pragma unroll
    for (u32 w = 0; w < HEADB_THREADS / WARP; ++w) {
        a += s_warps[w][0];
        b += s_warps[w][1];
    }
}

PVT_ENTRY(head_bwd_norm)
__launch_bounds__(HEADB_THREADS, RESIDENT)(const T* x, const float* __restrict__ gamma,
                                 const float* __restrict__ beta, float* scratch, T* dx, u32 B, u32 C,
                                 u32 K, u32 x_stride, float eps) {
    extern __shared__ float4 s_rows[];  // xhat, then g = gamma dn, [C] f32 each
    __shared__ float s_warps[HEADB_THREADS / WARP][2];
    const u32 tid = threadIdx.x;
    const u32 b = blockIdx.x;
    const u32 fours = C / FOUR;
    const u32 slices = slices_of(K);
    float* const n_b = row(scratch, slices * B + b, C);
    float* const e_b = row(n_b, B, C);
    const float scale = 1.0f / static_cast<float>(C);
    const T* const x_b = row(x, b, x_stride);
    T* const dx_b = row(dx, b, x_stride);

    float sum = 0.0f;
    float none = 0.0f;
    for (u32 f = tid; f < fours; f += HEADB_THREADS) {
        float v[FOUR];
        load_four(x_b + f * FOUR, v);
        sum += (v[0] + v[1]) + (v[2] + v[3]);
    }
    sums_of_block(s_warps, sum, none);
    const float mean = sum * scale;
    float squares = 0.0f;
    for (u32 f = tid; f < fours; f += HEADB_THREADS) {
        float v[FOUR];
        load_four(x_b + f * FOUR, v);
#pragma unroll
        for (u32 i = 0; i < FOUR; ++i) {
            squares = __fmaf_rn(v[i] - mean, v[i] - mean, squares);
        }
    }
    sums_of_block(s_warps, squares, none);
    const float rstd = 1.0f / __fsqrt_rn(squares * scale + eps);

    float sum_g = 0.0f;
    float dot = 0.0f;
    for (u32 f = tid; f < fours; f += HEADB_THREADS) {
        float4 total{};
#pragma unroll 8
        for (u32 s = 0; s < slices; ++s) {
            total = total + load_quad(row(scratch, s * B + b, C) + f * FOUR);
        }
        float v[FOUR];
        float d[FOUR];
        float scales[FOUR];
        float shifts[FOUR];
        float normal[FOUR];
        float product[FOUR];
        load_four(x_b + f * FOUR, v);
        spread(total, d);
        spread(load_quad(gamma + f * FOUR), scales);
        spread(load_quad(beta + f * FOUR), shifts);
#pragma unroll
        for (u32 i = 0; i < FOUR; ++i) {
            v[i] = (v[i] - mean) * rstd;
            normal[i] = __fmaf_rn(v[i], scales[i], shifts[i]);
            product[i] = d[i] * v[i];
            d[i] *= scales[i];
            sum_g += d[i];
            dot = __fmaf_rn(d[i], v[i], dot);
        }
        store_quad(n_b + f * FOUR, gather(normal));
        store_quad(e_b + f * FOUR, gather(product));
        store_quad(row(scratch, b, C) + f * FOUR, total);
        // read again by this thread alone
        s_rows[f] = gather(v);
        s_rows[fours + f] = gather(d);
    }
    sums_of_block(s_warps, sum_g, dot);
    for (u32 f = tid; f < fours; f += HEADB_THREADS) {
        float v[FOUR];
        float g[FOUR];
        spread(s_rows[f], v);
        spread(s_rows[fours + f], g);
#pragma unroll
        for (u32 i = 0; i < FOUR; ++i) {
            g[i] = rstd * __fmaf_rn(-v[i], dot * scale, g[i] - sum_g * scale);
        }
        store_four(dx_b + f * FOUR, g);
    }
    const float zeros[VEC] = {};
    for (u32 i = C + tid * VEC; i < x_stride; i += HEADB_THREADS * VEC) {
        store(dx_b + i, zeros);
    }
}

// dgamma and dbeta of 128 channels from c0 on.
__device__ inline void sum_images(const float* e, const float* dn, float* dgamma, float* dbeta, u32 B, u32 C, u32 c0) {
    __shared__ float4 s_sums[2][SUM_WARPS][WARP];
    const u32 lane = threadIdx.x;
    const u32 warp = threadIdx.y;
    const u32 c = c0 + lane * FOUR;
    float4 scale{};
    float4 shift{};
    if (c < C) {
#pragma unroll 4
        for (u32 b = warp; b < B; b += SUM_WARPS) {
            scale = scale + load_quad(row(e, b, C) + c);
            shift = shift + load_quad(row(dn, b, C) + c);
        }
    }
    s_sums[0][warp][lane] = scale;
    s_sums[1][warp][lane] = shift;
    __syncthreads();  // s_sums written above by all warps, read below by the first two
    if (warp < 2 && c < C) {
        float4 total{};
#pragma unroll
        for (u32 w = 0; w < SUM_WARPS; ++w) {
            total = total + s_sums[warp][w][lane];
        }
        add_quad((warp == 0 ? dgamma : dbeta) + c, total);
    }
}

PVT_ENTRY(head_bwd_sums)
__launch_bounds__(WARP * SUM_WARPS)(const float* __restrict__ dlogits, const float* __restrict__ scratch,
                                    float* dweight, float* dbias, float* dgamma, float* dbeta, u32 B, u32 C,
                                    u32 K) {
    constexpr u32 THREADS = WARP * SUM_WARPS;
    constexpr u32 CHANNELS = WARP * FOUR;
    __shared__ float4 s_n[SUM_IMAGES][WARP];
    __shared__ float4 s_factors[SUM_IMAGES][SUM_WARPS];
    const u32 lane = threadIdx.x;
    const u32 warp = threadIdx.y;
    const u32 tid = warp * WARP + lane;
    const u32 tiles = (C - 1) / CHANNELS + 1;
    const u32 c0 = blockIdx.x % tiles * CHANNELS;
    const u32 k0 = blockIdx.x / tiles * HEADB_TILE;
    const float* const n = row(scratch, slices_of(K) * B, C);
    if (k0 >= K) {
        sum_images(row(n, B, C), scratch, dgamma, dbeta, B, C, c0);
        return;  // all threads of the block
    }
    const u32 c = c0 + lane * FOUR;
    const u32 k = k0 + warp * FOUR;
    float acc[FOUR][FOUR] = {};
    float bias = 0.0f;  // of class k + lane, in the first lanes
    for (u32 b0 = 0; b0 < B; b0 += SUM_IMAGES) {
        for (u32 g = warp; g < SUM_IMAGES; g += SUM_WARPS) {
            const bool there = b0 + g < B && c < C;
            s_n[g][lane] = there ? load_quad(row(n, b0 + g, C) + c) : float4{};
        }
        for (u32 i = tid; i < SUM_IMAGES * HEADB_TILE; i += THREADS) {
            const u32 g = i / HEADB_TILE;
            const u32 j = i % HEADB_TILE;
            const bool there = b0 + g < B && k0 + j < K;
            reinterpret_cast<float*>(s_factors[g])[j] = there ? row(dlogits, b0 + g, K)[k0 + j] : 0.0f;
        }
        __syncthreads();  // s_n, s_factors written above by one thread each, read below by all
#pragma unroll
        for (u32 g = 0; g < SUM_IMAGES; ++g) {
            float value[FOUR];
            float factor[FOUR];
            spread(s_n[g][lane], value);
            spread(s_factors[g][warp], factor);
#pragma unroll
            for (u32 j = 0; j < FOUR; ++j) {
#pragma unroll
                for (u32 i = 0; i < FOUR; ++i) {
                    acc[j][i] = __fmaf_rn(factor[j], value[i], acc[j][i]);
                }
                bias += lane == j ? factor[j] : 0.0f;
            }
        }
        __syncthreads();  // s_n, s_factors read above, written in the next turn
    }
#pragma unroll
    for (u32 j = 0; j < FOUR; ++j) {
        if (k + j < K && c < C) {
            add_quad(row(dweight, k + j, C) + c, gather(acc[j]));
        }
    }
    if (c0 == 0 && lane < FOUR && k + lane < K) {
        dbias[k + lane] += bias;
    }
}
