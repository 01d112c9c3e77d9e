// attention_fwd_d<D>, attention_long_fwd_d<D>: y = softmax(q k^T scale) v      per image and head
//   q [B, N, C] T in | kv [B, M, 2 C] T in: keys in the first C columns, values in the last
//   y [B, N, C] T out | lse [B, HEADS, N] f32 out, or null: ln of the sum of e^(score scale)
//   C = HEADS D, head h in columns h D .. (h + 1) D | D of 16, 32, 64, 128
//   grid B HEADS ceil(N / (Q warps)), queries fastest, block (32, warps), warps <= ATT_WARPS: a block has queries of
//   one image and head, Q = 16 for each warp, or 32 in the long kernels of f16 and bf16 for D <= 64
//   first: M <= ATT_KEYS, all keys on chip, softmax in one pass | long: any M, in tiles of ATT_KEYS keys with a
//   running maximum; the next keys come while values are multiplied, the next values while keys are
//   shared, dynamic: (Q warps + 2 ATT_KEYS) rows of D, in f32 and 4096 warps bytes besides
//   needs that grid, scale > 0, 16-byte pointers, M >= 1; queries past N are not written, keys past M have weight 0
//   f16, bf16: m16n8k16; tf32: m16n8k8, operands rounded to nearest; f32: FMA alone
//   scores, softmax (base 2) and sums in f32, weights rounded to T for the product with v, y once at the end;
//   the order is fixed by M and D: bitwise repeatable, the same in any batch and grid
//   q is requested once, kv once per block
//   defines ATT_KEYS, ATT_WARPS, PVT_DTYPE_*
//   source: Vaswani et al. 2017, equation 1; online softmax: Milakov and Gimelshein 2018
#include "dtype.cuh"
#if defined(PVT_DTYPE_F32)
#include "attention_fma.cuh"
#else
#include "attention_mma.cuh"
#endif
#include "attention_tile.cuh"
#include "cp_async.cuh"
#include "index.cuh"
#include "reduce.cuh"
#include "softmax.cuh"

// Blocks that a multiprocessor should hold at least: leaves 128 or 255 registers to a thread.
template <u32 D, bool LONG> constexpr u32 RESIDENT = LONG || D > 64 ? 2 : 4;

static_assert(KEYS % FILLED == 0, "a tile is whole operands of products");

struct Arguments {
    const T* q;
    const T* kv;
    T* y;
    float* lse;
    u32 N;
    u32 M;
    u32 HEADS;
    float scale;
};

// Running softmax of this lane's rows: maximum times `unit`, and this lane's share of the sum, in base 2.
template <typename Warp> struct Softmax {
    float top[Warp::ROWS];
    float sum[Warp::ROWS];

    // Scores of `keys` keys become weights; LATER: what was summed up before is scaled to the new maximum.
    template <bool LATER> __device__ void add(Warp& warp, u32 keys, float unit) {
        if (keys < KEYS) {
#pragma unroll
            for (u32 i = 0; i < Warp::SCORES; ++i) {
                if (Warp::key(i) >= keys) {
#pragma unroll
                    for (u32 r = 0; r < Warp::ROWS; ++r) {
                        warp.score(r, i) = PVT_NEGATIVE_INFINITY;
                    }
                }
            }
        }
#pragma unroll
        for (u32 r = 0; r < Warp::ROWS; ++r) {
            float most = warp.score(r, 0);
#pragma unroll
            for (u32 i = 1; i < Warp::SCORES; ++i) {
                most = fmaxf(most, warp.score(r, i));
            }
            most = group_max<Warp::LANES>(most) * unit;
            if constexpr (LATER) {
                most = fmaxf(most, top[r]);
                const float factor = power_of_two(top[r] - most);
                sum[r] *= factor;
                warp.scale(r, factor);
            } else {
                sum[r] = 0.0f;
            }
            top[r] = most;
#pragma unroll
            for (u32 i = 0; i < Warp::SCORES; ++i) {
                const float weight = power_of_two(__fmaf_rn(warp.score(r, i), unit, -most));
                warp.score(r, i) = weight;
                sum[r] += weight;
            }
        }
    }

    // The result divided by the sums; the logarithm of the sums to `lse`, unless it is null.
    __device__ void finish(Warp& warp, float* lse, u32 there) {
#pragma unroll
        for (u32 r = 0; r < Warp::ROWS; ++r) {
            const float all = group_sum<Warp::LANES>(sum[r]);
            warp.scale(r, 1.0f / all);
            if (lse != nullptr && threadIdx.x % Warp::LANES == 0 && Warp::query(r) < there) {
                lse[Warp::query(r)] = (top[r] + log2f(all)) * LN_2;
            }
        }
    }
};

// Keys of the tile that begins at m0.
__device__ inline u32 keys_from(u32 m0, u32 M) { return min(M - m0, KEYS); }

template <u32 D, bool LONG> __device__ inline void attention(const Arguments& a) {
    using Rows = Tile<D>;
    using Warp = Core<D, LONG>;
    extern __shared__ uint4 s_all[];
    const u32 lane = threadIdx.x;
    const u32 warp = threadIdx.y;
    const u32 warps = blockDim.y;
    const u32 C = a.HEADS * D;
    const u32 tiles = (a.N - 1) / (Warp::QUERIES * warps) + 1;
    const u32 n0 = (blockIdx.x % tiles * warps + warp) * Warp::QUERIES;
    const u32 head = blockIdx.x / tiles % a.HEADS;
    const u32 b = blockIdx.x / tiles / a.HEADS;
    const u32 there = n0 < a.N ? min(a.N - n0, Warp::QUERIES) : 0;
    const u64 first = (static_cast<u64>(b) * a.N + n0) * C + head * D;
    const T* keys_b = a.kv + static_cast<u64>(b) * a.M * 2 * C + head * D;

    unsigned char* s_k = reinterpret_cast<unsigned char*>(s_all);
    unsigned char* s_v = s_k + KEYS * Rows::ROW_BYTES;
    unsigned char* s_q = s_v + KEYS * Rows::ROW_BYTES + warp * Warp::QUERIES * Rows::ROW_BYTES;
    unsigned char* s_p = s_v + KEYS * Rows::ROW_BYTES + warps * Warp::QUERIES * Rows::ROW_BYTES + warp * Warp::SCRATCH;

    // begins to copy keys (part 0) or values (part 1) of the tile at m0, if there is one
    const auto copy = [&](unsigned char* s, u32 part, u32 m0) {
        if (m0 < a.M) {
            const u32 keys = keys_from(m0, a.M);
            const u32 filled = (keys + FILLED - 1) / FILLED * FILLED;
            Rows::copy(shared_address(s), row(keys_b, m0, 2 * C) + part * C, 2 * C, keys, filled, warp * WARP + lane,
                       warps * WARP);
        }
        cp_async_commit();
    };

    Rows::copy(shared_address(s_q), there > 0 ? a.q + first : a.q, C, there, Warp::QUERIES, lane, WARP);
    copy(s_k, 0, 0);
    copy(s_v, 1, 0);
    cp_async_wait<1>();
    __syncthreads();  // s_q and s_k copied above by other threads, read below

    const float unit = a.scale * LOG2_E;
    Warp core;
    Softmax<Warp> softmax;
    core.take_queries(s_q);
    u32 keys = keys_from(0, a.M);
    core.multiply_keys(s_q, s_k, keys);
    softmax.template add<false>(core, keys, unit);
    cp_async_wait<0>();
    __syncthreads();  // s_v copied above by other threads, read below; s_k read above, copied to below
    if constexpr (LONG) {
        for (u32 m0 = KEYS; m0 < a.M; m0 += KEYS) {
            copy(s_k, 0, m0);
            core.multiply_values(s_v, s_p, keys);
            cp_async_wait<0>();
            __syncthreads();  // s_k copied above, read below; s_v read above, copied to below
            copy(s_v, 1, m0);
            keys = keys_from(m0, a.M);
            core.multiply_keys(s_q, s_k, keys);
            softmax.template add<true>(core, keys, unit);
            cp_async_wait<0>();
            __syncthreads();  // s_v copied above, read below; s_k read above, copied to below
        }
    }
    core.multiply_values(s_v, s_p, keys);

    float* lse = a.lse != nullptr ? a.lse + (static_cast<u64>(b) * a.HEADS + head) * a.N + n0 : nullptr;
    softmax.finish(core, lse, there);
    core.write(there > 0 ? a.y + first : a.y, C, there, s_q);
}

// Both kernels for heads of D.
#define PVT_ATTENTION(D)                                                                                     \
    PVT_ENTRY(attention_fwd_d##D)                                                                            \
    __launch_bounds__(WARP * ATT_WARPS, (RESIDENT<D, false>))(                                               \
        const T* __restrict__ q, const T* __restrict__ kv, T* __restrict__ y, float* __restrict__ lse, u32 B,\
        u32 N, u32 M, u32 HEADS, float scale) {                                                              \
        attention<D, false>(Arguments{q, kv, y, lse, N, M, HEADS, scale});                                   \
    }                                                                                                        \
    PVT_ENTRY(attention_long_fwd_d##D)                                                                       \
    __launch_bounds__(WARP * ATT_WARPS, (RESIDENT<D, true>))(                                                \
        const T* __restrict__ q, const T* __restrict__ kv, T* __restrict__ y, float* __restrict__ lse, u32 B,\
        u32 N, u32 M, u32 HEADS, float scale) {                                                              \
        attention<D, true>(Arguments{q, kv, y, lse, N, M, HEADS, scale});                                    \
    }

PVT_ATTENTION(16)
PVT_ATTENTION(32)
PVT_ATTENTION(64)
PVT_ATTENTION(128)
