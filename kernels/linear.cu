// linear_fwd:      y[r, o] = sum_c n[r, c] * weight[o, c] + bias[o] + residual[r, o]          r < ROWS, o < COLS
// linear_gelu_fwd: y[r, o] = gelu(sum_c n[r, c] * weight[o, c] + bias[o]) + residual[r, o]
//   n = LayerNorm(x) over INNER where gamma is not null, else x; hidden, where not null, gets what GELU is applied to
// linear_bwd_gelu: y[r, o] = (sum_c x[r, c] * weight[o, c]) * gelu'(hidden[r, o]); hidden[r, o] becomes gelu(hidden[r, o])
// linear_parts_fwd: y[r, o] = sum_c x[r, c] * weight[o, c] + bias[o] + residual[r, o], in parts of the inner dimension
//   x [ROWS, INNER] T, rows x_stride apart, in | gamma, beta [INNER] f32 in or null | normed [ROWS, INNER] T out or
//   null: LayerNorm(x) | weight [COLS, INNER] T packed (tile.cuh) in | bias [COLS] f32 in or null | residual [ROWS, COLS]
//   T in or null, may be y | y [ROWS, COLS] T out; with y2 not null y [ROWS, SPLIT] and y2 [ROWS, COLS - SPLIT] | hidden
//   [ROWS, COLS] T out or null, of linear_bwd_gelu in and out
//   grid (ceil(ROWS / BM), column groups), block THREADS: a block has BM rows and every gridDim.y-th tile of BN columns,
//   a warp WM x WN of the BM x BN | entries are named by BM x BN
//   parts: grid (ceil(ROWS / BM), ceil(COLS / BN), Z), for any Z; a part is PART units, of P = ceil(units / PART) parts a
//   block has ceil(P / Z) | partials [P, tiles, BM BN] f32 scratch and arrived [tiles] u32, zeros before and after, both
//   null where Z is 1
//   shared, with units = ceil(INNER / UNIT), 128 bytes of the inner dimension each:
//   without LayerNorm 128 S (BM + BN), with it 128 S BN + 128 BM units; S = 3 slots, of 32x64 8, in f32 and tf32 4
//   needs INNER % 16 == 0, COLS % 8 == 0, SPLIT % 16 == 0, x_stride % 8 == 0, 16-byte pointers; rows past ROWS,
//   columns past COLS and the rest of the last unit are zeros and are not written
//   x is read once per column group with LayerNorm, once per tile of columns without; the weights once per
//   tile of rows; partials, where Z is not 1, are written once and read once
//   f32 sums over INNER upwards, those of parts from zero and then added upwards, so that Z changes no bit;
//   LayerNorm in f32, biased variance in two passes, rounded to T;
//   bias, GELU, its slope and residual in f32, one rounding to T; GELU's slope and value are those of hidden as it is
//   stored, in the forward pass GELU is that of the sum before rounding; repeatable, the same for a row in any batch
//   defines PVT_DTYPE_*
//   source: torch.nn.functional.linear; Ba et al. 2016; Hendrycks and Gimpel 2016
#include "gemm.cuh"
#include "math.cuh"
#include "norm.cuh"
#include "parts.cuh"

// What follows the products and the bias.
enum class Then { NOTHING, GELU, GELU_SLOPE };

struct Linear {
    const T* x;
    const float* gamma;
    const float* beta;
    T* normed;
    const T* weight;
    const float* bias;
    const T* residual;
    T* y;
    T* y2;
    T* hidden;
    u32 ROWS, INNER, COLS, SPLIT, x_stride;
    float eps;
};

// Begins to copy unit `k` of BM rows of x, from `row0` on, to the tile at `s`.
template <u32 BM, u32 THREADS> __device__ inline void copy_rows(u32 s, const Linear& p, u32 row0, u32 k) {
    copy_rows<BM, THREADS>(s, p.x, p.x_stride, p.ROWS, p.INNER, row0, k);
}

// Writes what a warp has: rows from `row0` on and columns from `col0` on of the whole, by way of `s`, which is its own.
template <u32 WM, u32 WN, Then THEN>
__device__ inline void write(const Product<WM, WN>& product, float* s, const Linear& p, u32 row0, u32 col0) {
    constexpr u32 LANES = WN / VEC;
    constexpr u32 AT_ONCE = WARP / LANES;
    constexpr u32 STAGED = Product<WM, WN>::STAGED;
    const u32 c = lane_index() % LANES * VEC;
    const u32 col = col0 + c;
    const bool second = p.y2 != nullptr && col >= p.SPLIT;
    T* y = second ? p.y2 : p.y;
    const u32 y_col = second ? col - p.SPLIT : col;
    const u32 y_cols = p.y2 == nullptr ? p.COLS : second ? p.COLS - p.SPLIT : p.SPLIT;
    float bias[VEC] = {};
    if (p.bias != nullptr && col < p.COLS) {
        load_f32(p.bias + col, bias);
    }
#pragma unroll
    for (u32 pass = 0; pass < WM / STAGED; ++pass) {
        // rows of the last pass have been read by all lanes; this pass writes over them
        __syncwarp();
        product.template stage<WN>(pass, s, 0, 0);
        // rows written by all lanes above are read below
        __syncwarp();
#pragma unroll 1
        for (u32 i = 0; i < STAGED; i += AT_ONCE) {
            const u32 r = i + lane_index() / LANES;
            const u32 at = row0 + pass * STAGED + r;
            if (at < p.ROWS && col < p.COLS) {
                float v[VEC];
                load_staged<WN>(s, r, c, v);
#pragma unroll
                for (u32 k = 0; k < VEC; ++k) {
                    v[k] += bias[k];
                }
                if constexpr (THEN == Then::GELU) {
                    if (p.hidden != nullptr) {
                        store(row(p.hidden, at, p.COLS) + col, v);
                    }
#pragma unroll
                    for (u32 k = 0; k < VEC; ++k) {
                        v[k] = gelu(v[k]);
                    }
                }
                if constexpr (THEN == Then::GELU_SLOPE) {
                    float h[VEC];
                    load_own(row(p.hidden, at, p.COLS) + col, h);
#pragma unroll
                    for (u32 k = 0; k < VEC; ++k) {
                        v[k] *= gelu_slope(h[k]);
                        h[k] = gelu(h[k]);
                    }
                    store(row(p.hidden, at, p.COLS) + col, h);
                }
                if (p.residual != nullptr) {
                    float before[VEC];
                    load_own(row(p.residual, at, p.COLS) + col, before);
#pragma unroll
                    for (u32 k = 0; k < VEC; ++k) {
                        v[k] += before[k];
                    }
                }
                store(row(y, at, y_cols) + y_col, v);
            }
        }
    }
}

template <u32 BM, u32 BN, u32 WM, u32 WN, u32 STAGES, Then THEN> __device__ inline void linear(const Linear& p) {
    constexpr u32 WARPS = BM / WM * (BN / WN);
    constexpr u32 THREADS = WARPS * WARP;
    constexpr u32 STAGED_BYTES = Product<WM, WN>::STAGED * WN * sizeof(float);
    static_assert(WARPS * STAGED_BYTES <= BN * ROW_BYTES, "a slot's columns hold what is staged");
    static_assert(BM % (WARPS * 4) == 0, "whole rounds of rows in LayerNorm");
    const u32 row0 = blockIdx.x * BM;
    const u32 units = ceil_div(p.INNER, UNIT);
    const u32 col_units = ceil_div(p.COLS, UNIT_COLS);
    const u32 tiles = ceil_div(p.COLS, BN);
    const u32 own = blockIdx.y < tiles ? ceil_div(tiles - blockIdx.y, gridDim.y) : 0;
    const bool norm = p.gamma != nullptr;
    // a slot: BN columns, then BM rows where they are not in the panel behind the ring
    const u32 slot_bytes = norm ? BN * ROW_BYTES : (BM + BN) * ROW_BYTES;
    const u32 panel = STAGES * slot_bytes;
    const u32 warp_row = warp_index() % (BM / WM) * WM;
    const u32 warp_col = warp_index() / (BM / WM) * WN;

    if (norm) {
        for (u32 k = 0; k < units; ++k) {
            copy_rows<BM, THREADS>(panel + k * BM * ROW_BYTES, p, row0, k);
        }
        cp_async_commit();
        cp_async_wait<0>();
        // the panel that all threads have copied above is normalised below
        __syncthreads();
        constexpr u32 WARP_ROWS = BM / WARPS;
        const bool writes = p.normed != nullptr && blockIdx.y == 0;
        normalise<BM>(panel, warp_index() * WARP_ROWS, WARP_ROWS, p.INNER, p.gamma, p.beta, p.eps,
                      writes ? row(p.normed, row0, p.INNER) : nullptr, p.ROWS - row0);
        // what is written here is read after the barrier in `ring`
    }

    u32 next_tile = blockIdx.y, next_k = 0;
    const auto begin = [&](u32 slot) {
        const u32 s = slot * slot_bytes;
        copy_weight<BN, THREADS>(s, p.weight, next_tile * (BN / UNIT_COLS), col_units, next_k, units);
        if (!norm) {
            copy_rows<BM, THREADS>(s + BN * ROW_BYTES, p, row0, next_k);
        }
        if (++next_k == units) {
            next_k = 0;
            next_tile += gridDim.y;
        }
    };
    Product<WM, WN> product;
    product.clear();
    u32 tile = blockIdx.y, k = 0;
    const auto use = [&](u32 slot) {
        const u32 s = slot * slot_bytes;
        product.add(norm ? panel + k * BM * ROW_BYTES : s + BN * ROW_BYTES, warp_row, s, warp_col);
        if (++k == units) {
            // all warps have read this slot above; its columns give way to the staged results below
            __syncthreads();
            float* staged = reinterpret_cast<float*>(s_all + s + warp_index() * STAGED_BYTES);
            write<WM, WN, THEN>(product, staged, p, row0 + warp_row, tile * BN + warp_col);
            product.clear();
            k = 0;
            tile += gridDim.y;
        }
    };
    ring<STAGES>(own * units, begin, use);
}

// The same without LayerNorm and GELU, where the inner dimension is added in parts: one tile of columns for a block.
template <u32 BM, u32 BN, u32 WM, u32 WN, u32 STAGES>
__device__ inline void linear_parts(const Linear& p, const Parts& parts) {
    constexpr u32 THREADS = threads(BM, BN, WM, WN);
    constexpr u32 SLOT_BYTES = (BM + BN) * ROW_BYTES;
    constexpr u32 STAGED_BYTES = Product<WM, WN>::STAGED * WN * sizeof(float);
    static_assert(THREADS / WARP * STAGED_BYTES <= STAGES * SLOT_BYTES, "the ring holds what is staged");
    const u32 row0 = blockIdx.x * BM;
    const u32 units = ceil_div(p.INNER, UNIT);
    const u32 col_units = ceil_div(p.COLS, UNIT_COLS);
    const u32 warp_row = warp_index() % (BM / WM) * WM;
    const u32 warp_col = warp_index() / (BM / WM) * WN;
    const auto begin = [&](u32 slot, u32 k) {
        const u32 s = slot * SLOT_BYTES;
        copy_weight<BN, THREADS>(s, p.weight, blockIdx.y * (BN / UNIT_COLS), col_units, k, units);
        copy_rows<BM, THREADS>(s + BN * ROW_BYTES, p, row0, k);
    };
    const auto use = [&](Product<WM, WN>& product, u32 slot) {
        const u32 s = slot * SLOT_BYTES;
        product.add(s + BN * ROW_BYTES, warp_row, s, warp_col);
    };
    Product<WM, WN> total;
    if (!add_parts<THREADS, STAGES>(total, parts, units, begin, use)) {
        return;
    }
    // all warps have read the ring above; results are staged over it below
    __syncthreads();
    float* staged = reinterpret_cast<float*>(s_all + warp_index() * STAGED_BYTES);
    write<WM, WN, Then::NOTHING>(total, staged, p, row0 + warp_row, blockIdx.y * BN + warp_col);
}

#define LINEAR(BM, BN, WM, WN, S)                                                                                   \
    PVT_ENTRY(linear_fwd_##BM##x##BN)                                                                               \
    __launch_bounds__(threads(BM, BN, WM, WN), MIN_BLOCKS)(                                                         \
        const T* __restrict__ x, const float* __restrict__ gamma, const float* __restrict__ beta,                   \
        T* __restrict__ normed, const T* __restrict__ weight, const float* __restrict__ bias, const T* residual,    \
        T* y, T* __restrict__ y2, u32 ROWS, u32 INNER, u32 COLS, u32 SPLIT, u32 x_stride, float eps) {              \
        linear<BM, BN, WM, WN, S, Then::NOTHING>({x, gamma, beta, normed, weight, bias, residual, y, y2, nullptr,   \
                                                  ROWS, INNER, COLS, SPLIT, x_stride, eps});                        \
    }                                                                                                               \
    PVT_ENTRY(linear_gelu_fwd_##BM##x##BN)                                                                          \
    __launch_bounds__(threads(BM, BN, WM, WN), MIN_BLOCKS)(                                                         \
        const T* __restrict__ x, const float* __restrict__ gamma, const float* __restrict__ beta,                   \
        T* __restrict__ normed, const T* __restrict__ weight, const float* __restrict__ bias, const T* residual,    \
        T* y, T* __restrict__ y2, T* __restrict__ hidden, u32 ROWS, u32 INNER, u32 COLS, u32 SPLIT, u32 x_stride,   \
        float eps) {                                                                                                \
        linear<BM, BN, WM, WN, S, Then::GELU>({x, gamma, beta, normed, weight, bias, residual, y, y2, hidden, ROWS, \
                                               INNER, COLS, SPLIT, x_stride, eps});                                 \
    }                                                                                                               \
    PVT_ENTRY(linear_bwd_gelu_##BM##x##BN)                                                                          \
    __launch_bounds__(threads(BM, BN, WM, WN), MIN_BLOCKS)(                                                         \
        const T* __restrict__ x, const T* __restrict__ weight, T* __restrict__ y, T* hidden, u32 ROWS, u32 INNER,   \
        u32 COLS, u32 x_stride) {                                                                                   \
        linear<BM, BN, WM, WN, S, Then::GELU_SLOPE>({x, nullptr, nullptr, nullptr, weight, nullptr, nullptr, y,     \
                                                     nullptr, hidden, ROWS, INNER, COLS, COLS, x_stride, 0.0f});    \
    }

// A deep ring beside a panel of rows of 4-byte elements would leave no room for 512 channels.
constexpr u32 FEW_ROWS_STAGES = sizeof(T) == 4 ? DEEP_STAGES / 2 : DEEP_STAGES;

#if defined(PVT_DTYPE_F32)
LINEAR(128, 128, 32, 64, STAGES)
#else
LINEAR(128, 128, 64, 64, STAGES)
#endif
LINEAR(64, 128, 32, 64, STAGES)
LINEAR(64, 64, 32, 32, STAGES)
LINEAR(32, 64, 16, 32, FEW_ROWS_STAGES)

#define LINEAR_PARTS(BM, BN, WM, WN, S)                                                                             \
    PVT_ENTRY(linear_parts_fwd_##BM##x##BN)                                                                         \
    __launch_bounds__(threads(BM, BN, WM, WN), MIN_BLOCKS)(                                                         \
        const T* __restrict__ x, const T* __restrict__ weight, const float* __restrict__ bias, const T* residual,   \
        T* y, float* partials, u32* arrived, u32 ROWS, u32 INNER, u32 COLS, u32 x_stride, u32 PART) {               \
        linear_parts<BM, BN, WM, WN, S>({x, nullptr, nullptr, nullptr, weight, bias, residual, y, nullptr, nullptr, \
                                         ROWS, INNER, COLS, COLS, x_stride, 0.0f},                                  \
                                        {partials, arrived, PART});                                                 \
    }

// A warp has two sets of sums: at most 32 x 64 of each fit its registers.
LINEAR_PARTS(128, 128, 32, 64, STAGES)
LINEAR_PARTS(64, 64, 32, 32, STAGES)
LINEAR_PARTS(32, 64, 16, 32, FEW_ROWS_STAGES)
