// attention_bwd_d<D>, attention_bwd_long_dq_d<D>, attention_bwd_long_dkv_d<D>: gradients of y = softmax(q k^T scale) v
//   P = softmax(q k^T scale), dP = dy v^T, delta_i = sum_j P_ij dP_ij = sum_c dy_ic y_ic, dS = P (dP - delta):
//   dq = scale dS k, dk = scale dS^T q, dv = P^T dy         per image and head
//   q, dy [B, N, C] T in | kv [B, M, 2 C] T in: keys in the first C columns, values in the last
//   dq [B, N, C] T out | dkv [B, M, 2 C] T out, as kv; both overwritten
//   C = HEADS D, head h in columns h D .. (h + 1) D | D of 16, 32, 64, 128 | block (32, ATT_WARPS)
//   Q queries are a step, Q = 64, halved where T has 4 bytes and again where D is 128 (attention_bwd_share.cuh)
//   first: M <= ATT_KEYS; all keys stay on chip, softmax and delta are computed again, dq is written as it comes.
//     grid B HEADS SPLIT, blocks of a head next to each other, each with STEPS steps, which between them have all N
//   long: any M, in tiles of ATT_KEYS keys
//     dq: grid B HEADS ceil(N / Q), queries fastest; y [B, N, C] T and lse [B, HEADS, N] f32 in, as the forward
//       gives them; delta [B, HEADS, N] f32 out, to the front of scratch, for dkv
//     dkv: grid B HEADS ceil(M / ATT_KEYS) SPLIT, as first; lse in, scratch in and out
//   SPLIT > 1: dk and dv of a tile are the sum of SPLIT parts, each added from zero over its queries; parts of a
//     group of GROUP are added in order, then groups in order (attention_bwd_join.cuh). Else scratch and arrived
//     may be null in first, and arrived in dkv.
//   scratch f32: first: slots, long: B HEADS N rounded up to 4, then slots: SPLIT of 2 ATT_KEYS D for each tile of
//     keys | arrived [tiles of keys][ceil(SPLIT / GROUP) + 1] u32: zeros before and after
//   shared, dynamic: src/kernels/attention_bwd.rs
//   needs that grid, scale > 0, 16-byte pointers, M >= 1; M = 1 gives dq and dk of exactly 0 in first
//   f16, bf16: m16n8k16; tf32: m16n8k8, operands rounded to nearest; f32: FMA alone
//   scores, softmax (base 2), delta and sums in f32; P and dS rounded to T for products, dq and dkv once at the end
//   the order is fixed by the shapes and SPLIT: bitwise repeatable; dq is the same in any batch and grid
//   first: q, dy requested once, kv once per block | dq: q, dy, y once, kv once per block | dkv: kv once per block,
//   q, dy once per tile of keys | dq, dkv written once
//   defines ATT_KEYS, ATT_WARPS, PVT_DTYPE_*
//   source: Dao 2023, algorithm 2, here without sums of dq in memory
#include "dtype.cuh"
#if defined(PVT_DTYPE_F32)
#include "attention_bwd_fma.cuh"
#else
#include "attention_bwd_mma.cuh"
#endif
#include "attention_bwd_join.cuh"
#include "attention_bwd_rows.cuh"
#include "attention_tile.cuh"
#include "cp_async.cuh"
#include "index.cuh"

// f32 values of 16 bytes, to which slots are aligned.
constexpr u32 VEC_OF_F32 = sizeof(float4) / sizeof(float);

static_assert(KEYS % FILLED == 0, "a tile is whole operands of products");

// Blocks that a multiprocessor should hold at least: leaves 168 or 255 registers to a thread.
template <u32 D> constexpr u32 RESIDENT = D >= 64 ? 2 : 3;
// Tiles of what a loop goes over that are on chip: the next ones come during a step, but where they would not fit.
template <u32 D> constexpr u32 STAGES = D > 64 && sizeof(T) == sizeof(float) ? 1 : 2;

struct Arguments {
    const T* q;
    const T* kv;
    const T* y;
    const float* lse;
    const T* dy;
    T* dq;
    T* dkv;
    float* scratch;
    u32* arrived;
    u32 B;
    u32 N;
    u32 M;
    u32 HEADS;
    u32 SPLIT;
    u32 STEPS;
    u32 GROUP;
    float scale;
};

// Where an image and head are: `of` counts heads, then images.
template <u32 D> struct Place {
    // Columns of a row of q, and elements before and after the head's.
    u32 C;
    u64 queries;  // of the first query
    u64 keys;     // of the first key
    u64 rows;     // of the first query in [B, HEADS, N]

    __device__ Place(const Arguments& a, u32 of) {
        const u32 head = of % a.HEADS;
        const u32 b = of / a.HEADS;
        C = a.HEADS * D;
        queries = static_cast<u64>(b) * a.N * C + head * D;
        keys = static_cast<u64>(b) * a.M * 2 * C + head * D;
        rows = static_cast<u64>(of) * a.N;
    }
};

// Rows of a tile of `most` that begins at `first`.
__device__ inline u32 rows_from(u32 first, u32 all, u32 most) { return first < all ? min(all - first, most) : 0; }

// Rows in shared memory of the `r`-th row of a tile on.
template <u32 D> __device__ inline unsigned char* rows_at(unsigned char* s, u32 r) { return s + r * Tile<D>::ROW_BYTES; }

// Gradients of one tile of keys, which stays on chip, from a range of queries. SAVED: from lse and delta; else the
// tile has all keys, and dq is written.
template <u32 D, bool SAVED> __device__ inline void keys_stay(const Arguments& a) {
    using C = Core<D>;
    using Rows = Tile<D>;
    constexpr u32 QUERIES = C::QUERIES;
    constexpr u32 STEP_BYTES = 2 * QUERIES * Rows::ROW_BYTES;
    extern __shared__ uint4 s_all[];
    const u32 thread = threadIdx.y * WARP + threadIdx.x;
    const u32 tiles = SAVED ? (a.M - 1) / KEYS + 1 : 1;
    const u32 tile = blockIdx.x / a.SPLIT;
    const u32 part = blockIdx.x % a.SPLIT;
    const Place<D> place(a, tile / tiles);
    const u32 m0 = tile % tiles * KEYS;
    const u32 keys = min(a.M - m0, KEYS);
    const u32 own = C::own_keys(keys);
    const u32 begin_n = min(part * a.STEPS * QUERIES, a.N);
    const u32 end_n = min(begin_n + a.STEPS * QUERIES, a.N);

    unsigned char* s_k = reinterpret_cast<unsigned char*>(s_all);
    unsigned char* s_v = rows_at<D>(s_k, KEYS);
    unsigned char* s_steps = rows_at<D>(s_v, KEYS);
    unsigned char* s_p = s_steps + STAGES<D> * STEP_BYTES;
    unsigned char* s_ds = s_p + C::WEIGHT_BYTES;
    float* s_rows = reinterpret_cast<float*>(s_ds + C::WEIGHT_BYTES);

    // begins to copy the queries from n0 on, if there are any, and what belongs to them
    const auto copy = [&](unsigned char* s, u32 n0) {
        if (n0 < end_n) {
            const u32 there = rows_from(n0, a.N, QUERIES);
            const u64 first = place.queries + static_cast<u64>(n0) * place.C;
            Rows::copy(shared_address(s), a.q + first, place.C, there, QUERIES, thread, C::THREADS);
            Rows::copy(shared_address(rows_at<D>(s, QUERIES)), a.dy + first, place.C, there, QUERIES, thread, C::THREADS);
        }
        cp_async_commit();
    };

    const u32 filled = (keys + FILLED - 1) / FILLED * FILLED;
    const T* keys_b = row(a.kv + place.keys, m0, 2 * place.C);
    Rows::copy(shared_address(s_k), keys_b, 2 * place.C, keys, filled, thread, C::THREADS);
    Rows::copy(shared_address(s_v), keys_b + place.C, 2 * place.C, keys, filled, thread, C::THREADS);
    copy(s_steps, begin_n);

    const float unit = a.scale * LOG2_E;
    const bool has_slice = C::slice_key() < keys;
    typename C::OfKeys dk;
    typename C::OfKeys dv;
    dk.clear();
    dv.clear();
    u32 slot = 0;
    for (u32 n0 = begin_n; n0 < end_n; n0 += QUERIES) {
        unsigned char* s_q = s_steps + slot * STEP_BYTES;
        unsigned char* s_dy = rows_at<D>(s_q, QUERIES);
        const u32 there = rows_from(n0 + C::first_query(), a.N, HEIGHT);
        Saved<C> saved;
        if constexpr (SAVED) {
#pragma unroll
            for (u32 r = 0; r < C::ROWS; ++r) {
                const bool valid = C::query(r) < there;
                const u64 at = place.rows + n0 + C::first_query() + C::query(r);
                saved.top[r] = valid ? a.lse[at] * LOG2_E : 0.0f;
                saved.delta[r] = valid ? a.scratch[at] : 0.0f;
            }
        }
        cp_async_wait<0>();
        if (n0 == begin_n) {
            C::round(s_k, filled);
            C::round(s_v, filled);
        }
        C::round(s_q, 2 * QUERIES);
        // copies by other threads, awaited and rounded above, are read below; what the last step read of the other
        // slot, of P and of dS is written below
        __syncthreads();
        if constexpr (STAGES<D> > 1) {
            slot ^= 1;
            copy(s_steps + slot * STEP_BYTES, n0 + QUERIES);
        }
        {
            typename C::Scores p;
            typename C::Scores ds;
            C::multiply(p, rows_at<D>(s_q, C::first_query()), rows_at<D>(s_k, C::first_key()), own);
            C::multiply(ds, rows_at<D>(s_dy, C::first_query()), rows_at<D>(s_v, C::first_key()), own);
            if constexpr (SAVED) {
                weigh_saved<C>(p, ds, own, unit, saved);
            } else {
                weigh_all<C>(p, ds, own, unit, s_rows);
            }
            C::keep(p, s_p, own);
            C::keep(ds, s_ds, own);
        }
        __syncthreads();  // s_p and s_ds written above, read below by warps with other queries and keys
        if constexpr (!SAVED) {
            typename C::OfQueries dq;
            dq.clear();
            C::add_queries(dq, s_ds, s_k, keys);
            const u64 first = place.queries + static_cast<u64>(n0 + C::first_query()) * place.C;
            dq.write(there > 0 ? a.dq + first + C::wk() * C::COLS : a.dq, place.C, there, a.scale);
        }
        if (has_slice) {
            C::add_keys(dv, s_p, s_dy);
            C::add_keys(dk, s_ds, s_q);
        }
        if constexpr (STAGES<D> == 1) {
            __syncthreads();  // s_q and s_dy read above, copied to below
            copy(s_steps, n0 + QUERIES);
        }
    }
    cp_async_wait<0>();

    const u64 delta = SAVED ? (static_cast<u64>(a.B) * a.HEADS * a.N + VEC_OF_F32 - 1) / VEC_OF_F32 * VEC_OF_F32 : 0;
    Join<C> join;
    join.slots = reinterpret_cast<float4*>(a.scratch + delta) + static_cast<u64>(tile) * a.SPLIT * Join<C>::SLOT;
    join.arrived = a.arrived + static_cast<u64>(tile) * ((a.SPLIT - 1) / a.GROUP + 2);
    join.blocks = a.SPLIT;
    join.group = a.GROUP;
    join.there = has_slice;
    if (join.all(dk, dv, part) && has_slice) {
        T* to = row(a.dkv + place.keys, m0 + C::slice_key(), 2 * place.C);
        const u32 there = rows_from(C::slice_key(), keys, HEIGHT);
        dk.write(to, 2 * place.C, there, a.scale);
        dv.write(to + place.C, 2 * place.C, there, 1.0f);
    }
}

// dq of one tile of queries, which stays on chip, from all keys; and their delta.
template <u32 D> __device__ inline void queries_stay(const Arguments& a) {
    using C = Core<D>;
    using Rows = Tile<D>;
    constexpr u32 QUERIES = C::QUERIES;
    constexpr u32 TILE_BYTES = 2 * KEYS * Rows::ROW_BYTES;
    extern __shared__ uint4 s_all[];
    const u32 thread = threadIdx.y * WARP + threadIdx.x;
    const u32 tiles = (a.N - 1) / QUERIES + 1;
    const u32 n0 = blockIdx.x % tiles * QUERIES;
    const Place<D> place(a, blockIdx.x / tiles);
    const u32 in_block = rows_from(n0, a.N, QUERIES);
    const u64 first = place.queries + static_cast<u64>(n0) * place.C;

    unsigned char* s_q = reinterpret_cast<unsigned char*>(s_all);
    unsigned char* s_dy = rows_at<D>(s_q, QUERIES);
    unsigned char* s_tiles = rows_at<D>(s_dy, QUERIES);
    unsigned char* s_ds = s_tiles + STAGES<D> * TILE_BYTES;
    float* s_delta = reinterpret_cast<float*>(s_ds + C::WEIGHT_BYTES);

    // begins to copy the tile of keys and values at m0, if there is one
    const auto copy = [&](unsigned char* s, u32 m0) {
        if (m0 < a.M) {
            const u32 keys = rows_from(m0, a.M, KEYS);
            const u32 filled = (keys + FILLED - 1) / FILLED * FILLED;
            const T* from = row(a.kv + place.keys, m0, 2 * place.C);
            Rows::copy(shared_address(s), from, 2 * place.C, keys, filled, thread, C::THREADS);
            Rows::copy(shared_address(rows_at<D>(s, KEYS)), from + place.C, 2 * place.C, keys, filled, thread, C::THREADS);
        }
        cp_async_commit();
    };

    Rows::copy(shared_address(s_q), a.q + first, place.C, in_block, QUERIES, thread, C::THREADS);
    Rows::copy(shared_address(s_dy), a.dy + first, place.C, in_block, QUERIES, thread, C::THREADS);
    copy(s_tiles, 0);
    cp_async_wait<0>();
    C::round(s_q, 2 * QUERIES);
    __syncthreads();  // s_q and s_dy copied and rounded above by other threads, read below
    const u32 chunk = thread % Rows::CHUNKS;
#pragma unroll
    for (u32 r0 = 0; r0 < QUERIES; r0 += C::THREADS / Rows::CHUNKS) {
        const u32 r = r0 + thread / Rows::CHUNKS;
        float y[VEC] = {};
        float dy[VEC] = {};
        if (r < in_block) {
            load(row(a.y + first, r, place.C) + chunk * VEC, y);
            load(reinterpret_cast<const T*>(s_dy + Rows::offset(r, chunk)), dy);
        }
        float delta = 0.0f;
#pragma unroll
        for (u32 i = 0; i < VEC; ++i) {
            delta = __fmaf_rn(y[i], dy[i], delta);
        }
        delta = group_sum<Rows::CHUNKS>(delta);
        if (chunk == 0 && r < QUERIES) {
            s_delta[r] = delta;
            if (r < in_block) {
                a.scratch[place.rows + n0 + r] = delta;
            }
        }
    }

    const float unit = a.scale * LOG2_E;
    const u32 there = rows_from(n0 + C::first_query(), a.N, HEIGHT);
    Saved<C> saved;
#pragma unroll
    for (u32 r = 0; r < C::ROWS; ++r) {
        const u32 query = C::first_query() + C::query(r);
        saved.top[r] = C::query(r) < there ? a.lse[place.rows + n0 + query] * LOG2_E : 0.0f;
    }
    typename C::OfQueries dq;
    dq.clear();
    u32 slot = 0;
    for (u32 m0 = 0; m0 < a.M; m0 += KEYS) {
        unsigned char* s_k = s_tiles + slot * TILE_BYTES;
        unsigned char* s_v = rows_at<D>(s_k, KEYS);
        const u32 keys = rows_from(m0, a.M, KEYS);
        const u32 own = C::own_keys(keys);
        cp_async_wait<0>();
        const u32 filled = (keys + FILLED - 1) / FILLED * FILLED;
        C::round(s_k, filled);
        C::round(s_v, filled);
        // copies by other threads, awaited and rounded above, and s_delta are read below; what the last step read of
        // the other slot and of s_ds is written below
        __syncthreads();
        if constexpr (STAGES<D> > 1) {
            slot ^= 1;
            copy(s_tiles + slot * TILE_BYTES, m0 + KEYS);
        }
        {
            typename C::Scores p;
            typename C::Scores ds;
#pragma unroll
            for (u32 r = 0; r < C::ROWS; ++r) {
                saved.delta[r] = s_delta[C::first_query() + C::query(r)];
            }
            C::multiply(p, rows_at<D>(s_q, C::first_query()), rows_at<D>(s_k, C::first_key()), own);
            C::multiply(ds, rows_at<D>(s_dy, C::first_query()), rows_at<D>(s_v, C::first_key()), own);
            weigh_saved<C>(p, ds, own, unit, saved);
            C::keep(ds, s_ds, own);
        }
        __syncthreads();  // s_ds written above, read below by warps with other columns
        C::add_queries(dq, s_ds, s_k, keys);
        if constexpr (STAGES<D> == 1) {
            __syncthreads();  // s_k and s_v read above, copied to below
            copy(s_tiles, m0 + KEYS);
        }
    }
    cp_async_wait<0>();
    const u64 to = first + static_cast<u64>(C::first_query()) * place.C + C::wk() * C::COLS;
    dq.write(there > 0 ? a.dq + to : a.dq, place.C, there, a.scale);
}

// The kernels for heads of D.
#define PVT_ATTENTION_BWD(D)                                                                                  \
    PVT_ENTRY(attention_bwd_d##D)                                                                             \
    __launch_bounds__(WARP * ATT_WARPS, RESIDENT<D>)(                                                         \
        const T* __restrict__ q, const T* __restrict__ kv, const T* __restrict__ dy, T* __restrict__ dq,      \
        T* __restrict__ dkv, float* scratch, u32* arrived, u32 B, u32 N, u32 M, u32 HEADS, u32 SPLIT,         \
        u32 STEPS, u32 GROUP, float scale) {                                                                  \
        keys_stay<D, false>({q, kv, nullptr, nullptr, dy, dq, dkv, scratch, arrived, B, N, M, HEADS, SPLIT,   \
                             STEPS, GROUP, scale});                                                           \
    }                                                                                                         \
    PVT_ENTRY(attention_bwd_long_dq_d##D)                                                                     \
    __launch_bounds__(WARP * ATT_WARPS, RESIDENT<D>)(                                                         \
        const T* __restrict__ q, const T* __restrict__ kv, const T* __restrict__ y,                           \
        const float* __restrict__ lse, const T* __restrict__ dy, T* __restrict__ dq,                          \
        float* __restrict__ delta, u32 B, u32 N, u32 M, u32 HEADS, float scale) {                             \
        queries_stay<D>({q, kv, y, lse, dy, dq, nullptr, delta, nullptr, B, N, M, HEADS, 1, 1, 1, scale});    \
    }                                                                                                         \
    PVT_ENTRY(attention_bwd_long_dkv_d##D)                                                                    \
    __launch_bounds__(WARP * ATT_WARPS, RESIDENT<D>)(                                                         \
        const T* __restrict__ q, const T* __restrict__ kv, const float* __restrict__ lse,                     \
        const T* __restrict__ dy, T* __restrict__ dkv, float* scratch, u32* arrived, u32 B, u32 N, u32 M,     \
        u32 HEADS, u32 SPLIT, u32 STEPS, u32 GROUP, float scale) {                                            \
        keys_stay<D, true>({q, kv, nullptr, lse, dy, nullptr, dkv, scratch, arrived, B, N, M, HEADS, SPLIT,   \
                            STEPS, GROUP, scale});                                                            \
    }

PVT_ATTENTION_BWD(16)
PVT_ATTENTION_BWD(32)
PVT_ATTENTION_BWD(64)
PVT_ATTENTION_BWD(128)
