// layernorm_fwd: y[r, c] = (x[r, c] - mean_r) / sqrt(var_r + eps) * gamma[c] + beta[c]      r < R
//   x [R, C] T, rows x_stride apart, in | gamma, beta [C] f32 in | y [R, C] T out
// layernorm_pos_fwd: y[b, k + n] = layernorm(x[b, n]) + table[k + n], y[b, 0] = class_token + table[0]
//   x [B, N, C] T in | gamma, beta [C] f32 in | table [k + N, C] T in | class_token [C] T in, or null: then
//   k = 0, else 1 | y [B, k + N, C] T out
//   grid ceil(R / (P LN_ROWS)) or more, with R = B (k + N) for the second, block (32, LN_ROWS) | no shared memory
//   a warp takes P = 4, 2 or 1 rows: up to 8, 16 or else 32 lanes hold one, with a vector of 16 bytes each, in
//   longer rows with 2, 4 or 8; blocks for which no row is left do nothing
//   needs C % VEC == 0, x_stride % VEC == 0, 16-byte pointers; rows past R are left out
//   x is requested once for C <= 1024 and three times beyond; gamma, beta once per row, table per image
//   f32, biased variance in two passes over the row, one rounding to T at the end; the order
//   of the sums is fixed by C alone: bitwise repeatable, the same for a row in any batch
//   defines LN_ROWS, PVT_DTYPE_*
//   source: Ba et al. 2016, equations 3 and 4, eps inside the root as in torch.nn.LayerNorm
#include "dtype.cuh"
#include "index.cuh"
#include "rows.cuh"
#include "vec.cuh"

// Where a row comes from and goes to.
struct Row {
    const T* x;
    T* y;
    const T* table;    // added at the end, or null
    bool normalised;   // false: x itself is taken
};

// y = (x - mean) rstd gamma + beta, or x, plus the table, for the vector at column c.
__device__ inline void finish(const Row& r, float (&v)[VEC], u32 c, const float* gamma, const float* beta,
                              float mean, float rstd) {
    float g[VEC];
    float b[VEC];
    load_f32(gamma + c, g);
    load_f32(beta + c, b);
#pragma unroll
    for (u32 i = 0; i < VEC; ++i) {
        const float y = __fmaf_rn((v[i] - mean) * rstd, g[i], b[i]);
        v[i] = r.normalised ? y : v[i];
    }
    if (r.table != nullptr) {
        load(r.table + c, g);
#pragma unroll
        for (u32 i = 0; i < VEC; ++i) {
            v[i] += g[i];
        }
    }
    store(r.y + c, v);
}

// Index of this thread's row, if LANES lanes hold one.
template <u32 LANES> __device__ inline u32 row_of_thread() {
    const u32 warp = blockIdx.x * LN_ROWS + threadIdx.y;
    return warp * ROWS_OF_WARP<LANES> + threadIdx.x / LANES;
}

// Rows in registers. Every lane takes part in the sums, whether it has a row or not.
template <u32 LANES, u32 V, typename Find>
__device__ inline void held(const Find& find, const float* gamma, const float* beta, u32 R, u32 C, float eps) {
    const u32 r = row_of_thread<LANES>();
    const bool there = r < R;
    const Row at = find(there ? r : 0);
    HeldRow<LANES, V> x;
    float mean;
    float rstd;
    x.read(at.x, C, there);
    x.statistics(C, eps, mean, rstd);
#pragma unroll
    for (u32 j = 0; j < V; ++j) {
        const u32 c = x.column(j);
        if (there && c < C) {
            finish(at, x.at[j], c, gamma, beta, mean, rstd);
        }
    }
}

// Rows of any length, one for a warp, read three times.
template <typename Find>
__device__ inline void streamed(const Find& find, const float* gamma, const float* beta, u32 R, u32 C,
                                float eps) {
    const u32 r = row_of_thread<WARP>();
    if (r >= R) {
        return;  // a whole warp; there is no barrier
    }
    const Row at = find(r);
    float mean;
    float rstd;
    row_statistics(at.x, C, eps, mean, rstd);
    for (u32 c = threadIdx.x * VEC; c < C; c += WARP * VEC) {
        float v[VEC];
        load(at.x + c, v);
        finish(at, v, c, gamma, beta, mean, rstd);
    }
}

template <typename Find>
__device__ inline void all_lengths(const Find& find, const float* gamma, const float* beta, u32 R, u32 C,
                                   float eps) {
    constexpr u32 QUARTER = WARP / 4;
    constexpr u32 HALF = WARP / 2;
    constexpr u32 MOST = 1024 / (WARP * VEC);  // vectors in a lane: 8 of f32, 4 of 16 bits
    const u32 vectors = C / VEC;
    if (vectors <= QUARTER) {
        held<QUARTER, 1>(find, gamma, beta, R, C, eps);
    } else if (vectors <= HALF) {
        held<HALF, 1>(find, gamma, beta, R, C, eps);
    } else if (vectors <= WARP) {
        held<WARP, 1>(find, gamma, beta, R, C, eps);
    } else if (vectors <= WARP * 2) {
        held<WARP, 2>(find, gamma, beta, R, C, eps);
    } else if (vectors <= WARP * MOST / 2) {
        held<WARP, MOST / 2>(find, gamma, beta, R, C, eps);
    } else if (vectors <= WARP * MOST) {
        held<WARP, MOST>(find, gamma, beta, R, C, eps);
    } else {
        streamed(find, gamma, beta, R, C, eps);
    }
}

PVT_ENTRY(layernorm_fwd)
__launch_bounds__(WARP * LN_ROWS)(const T* __restrict__ x, const float* __restrict__ gamma,
                                  const float* __restrict__ beta, T* __restrict__ y, u32 R, u32 C,
                                  u32 x_stride, float eps) {
    const auto find = [=](u32 r) { return Row{row(x, r, x_stride), row(y, r, C), nullptr, true}; };
    all_lengths(find, gamma, beta, R, C, eps);
}

PVT_ENTRY(layernorm_pos_fwd)
__launch_bounds__(WARP * LN_ROWS)(const T* __restrict__ x, const float* __restrict__ gamma,
                                  const float* __restrict__ beta, const T* __restrict__ table,
                                  const T* __restrict__ class_token, T* __restrict__ y, u32 B, u32 N, u32 C,
                                  float eps) {
    const u32 k = class_token != nullptr ? 1 : 0;
    const u32 tokens = k + N;
    const auto find = [=](u32 r) {
        const u32 b = r / tokens;
        const u32 t = r % tokens;
        const bool token = t >= k;
        const T* from = token ? row(x, r - b * k - k, C) : class_token;
        return Row{from, row(y, r, C), row(table, t, C), token};
    };
    all_lengths(find, gamma, beta, B * tokens, C, eps);
}
