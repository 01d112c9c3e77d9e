// layernorm_bwd_<MOST>: dx[r] (+)= rstd_r (g - mean(g) - xhat mean(g xhat)), g = gamma dy, xhat = (x - mean_r) rstd_r
//   dgamma[c] += sum over r of dy[r, c] xhat[r, c], dbeta[c] += sum over r of dy[r, c]      r < R, c < C <= MOST
//   x: R rows [C] of T, x_stride apart, in | gamma [C] f32 in | dy T in: row r of the norm is its row
//   r / TOKENS (TOKENS + SKIP) + SKIP + r % TOKENS | dx: rows as x, out, or with ACCUMULATE in and out
//   dgamma, dbeta [C] f32 in and out | partials [blocks + groups][2 C] f32 scratch | arrived [groups + 1] u32, zeros
//   before and after, groups = ceil(blocks / SUM_GROUP)
//   grid: up to LNB_BLOCKS blocks, block (32, LNB_WARPS) | a group of 8, 16 or 32 lanes holds a row, a block takes
//   every gridDim.x-th set of its rows | MOST = 256, 512, 1024: 8, 16 or 32 values in a lane
//   shared: LNB_WARPS rows as in quads.cuh, dynamic
//   needs C % VEC == 0, x_stride % VEC == 0, 16-byte pointers, R < 2^31; rows past R are left out
//   x, dy and, with ACCUMULATE, dx are read once, dx is written once; gamma is requested once a warp
//   f32, biased variance in two passes over registers, dx rounded once to T; dx of a row does not depend on other
//   rows. dgamma, dbeta: a lane adds its rows upwards, then come lanes, warps and blocks (sum_rows.cuh) in a fixed
//   order that R, C and the grid fix: bitwise repeatable
//   defines LNB_WARPS, LNB_BLOCKS, SUM_GROUP, PVT_DTYPE_*
//   source: Ba et al. 2016, equations 3 and 4, differentiated
#include "dtype.cuh"
#include "index.cuh"
#include "quads.cuh"
#include "rows.cuh"
#include "sum_rows.cuh"
#include "vec.cuh"

constexpr u32 THREADS = WARP * LNB_WARPS;

extern __shared__ float4 s_rows[];

// What a launch works on.
struct Job {
    const T* x;
    const float* gamma;
    const T* dy;
    T* dx;
    float4* partials;
    u32 R;
    u32 C;
    u32 x_stride;
    u32 tokens;
    u32 skip;
    bool accumulate;
    float eps;
};

// Adds a vector of every warp and group of lanes to the row of the block, half `half` of its row of partials: lanes
// of a warp by a butterfly, then warps upwards.
template <u32 LANES, u32 V>
__device__ inline void sum_warps(const Job& job, const float (&sums)[V][VEC], u32 half) {
    const u32 lane = threadIdx.x;
    const u32 warp = threadIdx.y;
    const u32 tid = warp * WARP + lane;
    const u32 vectors = job.C / VEC;
    const u32 quads = quads_of_row(vectors);
#pragma unroll
    for (u32 j = 0; j < V; ++j) {
        float sum[VEC];
#pragma unroll
        for (u32 i = 0; i < VEC; ++i) {
            sum[i] = sums[j][i];
#pragma unroll
            for (u32 step = LANES; step < WARP; step *= 2) {
                sum[i] += __shfl_xor_sync(FULL, sum[i], step);
            }
        }
        const u32 c = HeldRow<LANES, V>::column(j);
        if (lane < LANES && c < job.C) {
            store_quads(s_rows + warp * quads, vectors, c / VEC, sum);
        }
    }
    __syncthreads();  // s_rows written above by one warp a row, read below by one thread a column
    const u32 columns = job.C / VEC_F32;
    for (u32 f = tid; f < columns; f += THREADS) {
        float4 total{};
#pragma unroll
        for (u32 w = 0; w < LNB_WARPS; ++w) {
            total = total + s_rows[w * quads + quad_of_elements(vectors, f)];
        }
        row(job.partials, blockIdx.x * 2 + half, columns)[f] = total;
    }
    __syncthreads();  // s_rows read above, written by the next call
}

// All rows of this block.
template <u32 LANES, u32 V> __device__ inline void backward(const Job& job) {
    constexpr u32 PER_WARP = ROWS_OF_WARP<LANES>;
    const u32 lane = threadIdx.x;
    const u32 warp = threadIdx.y;
    const float scale = 1.0f / static_cast<float>(job.C);
    float gamma[V][VEC] = {};
    float dgamma[V][VEC] = {};
    float dbeta[V][VEC] = {};
#pragma unroll
    for (u32 j = 0; j < V; ++j) {
        const u32 c = HeldRow<LANES, V>::column(j);
        if (c < job.C) {
            load_f32(job.gamma + c, gamma[j]);
        }
    }
    const u32 step = gridDim.x * LNB_WARPS * PER_WARP;
    // every lane of a warp takes as many turns, as it takes part in all sums
    for (u32 first = (blockIdx.x * LNB_WARPS + warp) * PER_WARP; first < job.R; first += step) {
        const u32 r = first + lane / LANES;
        const bool there = r < job.R;
        const u32 from = there ? r : 0;
        const u32 dy_row = from / job.tokens * (job.tokens + job.skip) + job.skip + from % job.tokens;
        T* const dx_r = row(job.dx, from, job.x_stride);
        HeldRow<LANES, V> x;
        HeldRow<LANES, V> g;
        HeldRow<LANES, V> old;
        x.read(row(job.x, from, job.x_stride), job.C, there);
        g.read(row(job.dy, dy_row, job.C), job.C, there);
        old.read(dx_r, job.C, there && job.accumulate);
        float mean;
        float rstd;
        x.statistics(job.C, job.eps, mean, rstd);
        rstd = there ? rstd : 0.0f;
        float sum = 0.0f;
        float dot = 0.0f;
#pragma unroll
        for (u32 j = 0; j < V; ++j) {
#pragma unroll
            for (u32 i = 0; i < VEC; ++i) {
                const float dy = g.at[j][i];
                const float xhat = (x.at[j][i] - mean) * rstd;
                dbeta[j][i] += dy;
                dgamma[j][i] = __fmaf_rn(dy, xhat, dgamma[j][i]);
                x.at[j][i] = xhat;
                g.at[j][i] = gamma[j][i] * dy;
                sum += g.at[j][i];
                dot = __fmaf_rn(g.at[j][i], xhat, dot);
            }
        }
        const float mean_g = group_sum<LANES>(sum) * scale;
        const float mean_dot = group_sum<LANES>(dot) * scale;
#pragma unroll
        for (u32 j = 0; j < V; ++j) {
            const u32 c = HeldRow<LANES, V>::column(j);
            if (there && c < job.C) {
#pragma unroll
                for (u32 i = 0; i < VEC; ++i) {
                    const float centred = __fmaf_rn(-x.at[j][i], mean_dot, g.at[j][i] - mean_g);
                    old.at[j][i] = __fmaf_rn(rstd, centred, old.at[j][i]);
                }
                store(dx_r + c, old.at[j]);
            }
        }
    }
    sum_warps<LANES>(job, dgamma, 0);
    sum_warps<LANES>(job, dbeta, 1);
}

// `VALUES` of a row in a lane at most: the groups of lanes, and vectors of a lane, that hold a row of C.
template <u32 VALUES> __device__ inline void all_lengths(const Job& job) {
    constexpr u32 QUARTER = WARP / 4;
    constexpr u32 HALF = WARP / 2;
    constexpr u32 FEWEST = 8;  // values in a lane of the kernel for the shortest rows
    const u32 vectors = job.C / VEC;
    if constexpr (VALUES == FEWEST) {
        if (vectors <= QUARTER) {
            backward<QUARTER, 1>(job);
        } else if (vectors <= HALF) {
            backward<HALF, 1>(job);
        } else if (vectors <= WARP || VALUES == VEC) {
            backward<WARP, 1>(job);
        } else {
            backward<WARP, VALUES / VEC>(job);
        }
    } else {
        backward<WARP, VALUES / VEC>(job);
    }
}

// Adds the block's sums, the last block those of all.
__device__ inline void finish(float4* partials, u32* arrived, float* dgamma, float* dbeta, u32 C) {
    const u32 columns = C / VEC_F32;
    const u32 tid = threadIdx.y * WARP + threadIdx.x;
    sum_rows<THREADS>(partials, arrived, 2 * columns, tid, [=](u32 column, float4 sum) {
        if (column < columns) {
            float4* const to = reinterpret_cast<float4*>(dgamma) + column;
            *to = *to + sum;
        } else {
            float4* const to = reinterpret_cast<float4*>(dbeta) + (column - columns);
            *to = *to + sum;
        }
    });
}

#define LAYERNORM_BWD(MOST)                                                                                  \
    PVT_ENTRY(layernorm_bwd_##MOST)                                                                          \
    __launch_bounds__(THREADS)(const T* __restrict__ x, const float* __restrict__ gamma,                     \
                               const T* __restrict__ dy, T* dx, float* dgamma, float* dbeta,                 \
                               float* partials, u32* arrived, u32 R, u32 C, u32 x_stride, u32 TOKENS,        \
                               u32 SKIP, u32 ACCUMULATE, float eps) {                                        \
        float4* const rows = reinterpret_cast<float4*>(partials);                                            \
        all_lengths<MOST / WARP>(                                                                            \
            Job{x, gamma, dy, dx, rows, R, C, x_stride, TOKENS, SKIP, ACCUMULATE != 0, eps});                \
        finish(rows, arrived, dgamma, dbeta, C);                                                             \
    }

LAYERNORM_BWD(256)
LAYERNORM_BWD(512)
LAYERNORM_BWD(1024)
