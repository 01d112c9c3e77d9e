// Products of the backward pass of attention on tensor cores: fragments as in mma.cuh, g = lane / 4, t = lane % 4.
// In tf32 tensors are f32; rows are rounded to tf32 once in shared memory, by the threads that copied them, and P and dS
// on their way there.
#pragma once

#include "attention_bwd_share.cuh"
#include "mma.cuh"
#include "store_words.cuh"

// Columns of a product, and its inner elements: two chunks.
constexpr u32 WIDTH = 8;
constexpr u32 DEPTH = 2 * VEC;

// Sums of HEIGHT rows and `COLUMNS` columns of a gradient, as accumulators.
template <u32 COLUMNS> struct Sums {
    static constexpr u32 COUNT = COLUMNS / 2;

    float d[COLUMNS / WIDTH][4];

    __device__ void clear() {
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            at(i) = 0.0f;
        }
    }

    // This lane's values, one after another.
    __device__ float& at(u32 i) { return d[i / 4][i % 4]; }

    // Rows that are there, times `scale`, rounded to y. Four lanes store a sector.
    __device__ void write(T* y, u32 stride, u32 there, float scale) const {
        const u32 g = threadIdx.x / 4;
        const u32 t = threadIdx.x % 4;
#if defined(PVT_DTYPE_TF32)
#pragma unroll
        for (u32 r = 0; r < 2; ++r) {
            const u32 place = g + r * EIGHT;
            if (place < there) {
                T* to = row(y, place, stride) + 2 * t;
#pragma unroll
                for (u32 i = 0; i < COLUMNS / WIDTH; ++i) {
                    store_words(to + i * WIDTH, {__float_as_uint(d[i][2 * r] * scale),
                                                 __float_as_uint(d[i][2 * r + 1] * scale)});
                }
            }
        }
#else
        // Two products have a sector of each row: words 0 .. 3 in lanes 0 .. 3 of the first, 4 .. 7 of the second.
        // Two exchanges give words 2t and 2t + 1 to lane t.
#pragma unroll
        for (u32 i = 0; i < COLUMNS / WIDTH; i += 2) {
#pragma unroll
            for (u32 r = 0; r < 2; ++r) {
                const u32 place = g + r * EIGHT;
                const u32 a = pack(d[i][2 * r] * scale, d[i][2 * r + 1] * scale);
                const u32 b = pack(d[i + 1][2 * r] * scale, d[i + 1][2 * r + 1] * scale);
                const bool upper = t >= 2;
                const u32 far = __shfl_xor_sync(FULL, upper ? a : b, 2);
                const u32 low = upper ? far : a;   // word t, or t + 2 in upper lanes
                const u32 high = upper ? b : far;  // two words on
                const bool odd = t % 2 != 0;
                const u32 near = __shfl_xor_sync(FULL, odd ? low : high, 1);
                if (place < there) {
                    store_words(row(y, place, stride) + i * WIDTH + 4 * t, {odd ? near : low, odd ? high : near});
                }
            }
        }
#endif
    }
};

template <u32 D> struct Core : Share<D> {
    using Base = Share<D>;
    using Rows = Tile<D>;
    // Lanes that share a row of scores, rows of a lane, scores of a lane and row.
    static constexpr u32 LANES = 4;
    static constexpr u32 ROWS = 2;
    static constexpr u32 SCORES = Base::OWN_KEYS / LANES;
    // P and dS: queries x keys, or in tf32 keys x queries, of which each eight begin with the even ones.
#if defined(PVT_DTYPE_TF32)
    using Weights = Tile<Base::QUERIES>;
#else
    using Weights = Tile<KEYS>;
#endif
    // Gradients of a warp: of queries, of keys.
    using OfQueries = Sums<Base::COLS>;
    using OfKeys = Sums<D>;

    // Scores of this warp's queries and keys, as accumulators.
    struct Scores {
        float d[Base::OWN_KEYS / WIDTH][4];

        __device__ float& at(u32 r, u32 i) { return d[i / 2][r * 2 + i % 2]; }
    };

    // Row of the warp's queries, and place of score i among the warp's keys.
    static __device__ u32 query(u32 r) { return threadIdx.x / LANES + r * EIGHT; }
    static __device__ u32 key(u32 i) { return i / 2 * PART + threadIdx.x % LANES * 2 + i % 2; }

    // Rounds what this thread has copied with Rows::copy, and awaited, before a barrier passes it on to others.
    static __device__ void round([[maybe_unused]] unsigned char* s, [[maybe_unused]] u32 rows) {
#if defined(PVT_DTYPE_TF32)
        static_assert(Base::QUERIES % (Base::THREADS / Rows::CHUNKS) == 0, "the same rows of q and of dO are a thread's");
        const u32 thread = threadIdx.y * WARP + threadIdx.x;
#pragma unroll 2
        for (u32 r = thread / Rows::CHUNKS; r < rows; r += Base::THREADS / Rows::CHUNKS) {
            uint4* at = reinterpret_cast<uint4*>(s + Rows::offset(r, thread % Rows::CHUNKS));
            const uint4 x = *at;
            *at = uint4{operand(x.x), operand(x.y), operand(x.z), operand(x.w)};
        }
#endif
    }

    // s = a b^T for HEIGHT rows of a, and `keys` rows of b.
    static __device__ void multiply(Scores& s, const unsigned char* s_a, const unsigned char* s_b, u32 keys) {
        const u32 matrix = threadIdx.x / EIGHT;
#pragma unroll
        for (u32 n = 0; n < Base::OWN_KEYS / WIDTH; ++n) {
#pragma unroll
            for (u32 i = 0; i < 4; ++i) {
                s.d[n][i] = 0.0f;
            }
        }
#pragma unroll
        for (u32 j = 0; j < Rows::CHUNKS; j += 2) {
            u32 a[4];
            ldmatrix(a, shared_address(s_a) + Rows::offset(threadIdx.x % HEIGHT, j + threadIdx.x / HEIGHT));
#pragma unroll
            for (u32 n = 0; n < Base::OWN_KEYS / WIDTH; n += 2) {
                if (n * PART < keys) {
                    u32 b[4];  // both halves of part n, then of the next
                    ldmatrix(b, shared_address(s_b) +
                                    Rows::offset((n + matrix / 2) * PART + threadIdx.x % EIGHT, j + matrix % 2));
                    mma(s.d[n], a, b[0], b[1]);
                    mma(s.d[n + 1], a, b[2], b[3]);
                }
            }
        }
    }

    // Scores to shared memory as operands, up to the last key of FILLED of which one is there.
    static __device__ void keep(const Scores& s, unsigned char* s_w, u32 keys) {
        const u32 t = threadIdx.x % LANES;
#pragma unroll
        for (u32 n = 0; n < Base::OWN_KEYS / WIDTH; ++n) {
            if (n / 2 * FILLED < keys) {
#if defined(PVT_DTYPE_TF32)
#pragma unroll
                for (u32 i = 0; i < 4; ++i) {
                    const u32 m = Base::first_key() + n * PART + 2 * t + i % 2;
                    const u32 at = weight(m, Base::first_query() + query(i / 2));
                    *reinterpret_cast<u32*>(s_w + at) = operand(__float_as_uint(s.d[n][i]));
                }
#else
#pragma unroll
                for (u32 r = 0; r < ROWS; ++r) {
                    const u32 at = Weights::offset(Base::first_query() + query(r), Base::first_key() / PART + n);
                    *reinterpret_cast<u32*>(s_w + at + t * sizeof(u32)) = pack(s.d[n][2 * r], s.d[n][2 * r + 1]);
                }
#endif
            }
        }
    }

    // dq += dS k for this warp's queries and columns.
    static __device__ void add_queries(OfQueries& y, const unsigned char* s_ds, const unsigned char* s_k, u32 keys) {
        const u32 first = Base::wk() * Base::COLS / VEC;
#pragma unroll
        for (u32 j = 0; j < KEYS / DEPTH; ++j) {
            if (j * DEPTH < keys) {
                u32 a[4];
#if defined(PVT_DTYPE_TF32)
                // keys 2t and 2t + 1 stand for k = t and t + 4
                const u32 q = Base::first_query() + threadIdx.x / LANES;
                const u32 m = j * DEPTH + threadIdx.x % LANES * 2;
                a[0] = word(s_ds + weight(m, q));
                a[1] = word(s_ds + weight(m, q + EIGHT));
                a[2] = word(s_ds + weight(m + 1, q));
                a[3] = word(s_ds + weight(m + 1, q + EIGHT));
#else
                ldmatrix(a, shared_address(s_ds) + Weights::offset(Base::first_query() + threadIdx.x % HEIGHT,
                                                                   2 * j + threadIdx.x / HEIGHT));
#endif
                add_product(y, a, s_k, j * DEPTH, first);
            }
        }
    }

    // y += w^T x for this warp's keys: dk from dS and q, dv from P and dO.
    static __device__ void add_keys(OfKeys& y, const unsigned char* s_w, const unsigned char* s_x) {
#pragma unroll
        for (u32 j = 0; j < Base::QUERIES / DEPTH; ++j) {
            u32 a[4];
#if defined(PVT_DTYPE_TF32)
            ldmatrix(a, shared_address(s_w) +
                            Weights::offset(Base::slice_key() + threadIdx.x % HEIGHT, 2 * j + threadIdx.x / HEIGHT));
#else
            const u32 matrix = threadIdx.x / EIGHT;
            ldmatrix_transposed(a, shared_address(s_w) + Weights::offset(j * DEPTH + matrix / 2 * EIGHT + threadIdx.x % EIGHT,
                                                                         Base::slice_key() / VEC + matrix % 2));
#endif
            add_product(y, a, s_x, j * DEPTH, 0);
        }
    }

  private:
    // y += a x for DEPTH rows of x from `r` on, and the columns from chunk `first` on.
    template <u32 COLUMNS>
    static __device__ void add_product(Sums<COLUMNS>& y, const u32 (&a)[4], const unsigned char* s_x, u32 r, u32 first) {
#if defined(PVT_DTYPE_TF32)
        // rows 2t and 2t + 1 stand for k = t and t + 4: they lie in different banks
        const u32 g = threadIdx.x / LANES;
        const u32 even = r + threadIdx.x % LANES * 2;
        const u32 within = g % VEC * sizeof(T);
#pragma unroll
        for (u32 i = 0; i < COLUMNS / WIDTH; ++i) {
            const u32 chunk = first + 2 * i + g / VEC;
            const u32 b0 = word(s_x + Rows::offset(even, chunk) + within);
            const u32 b1 = word(s_x + Rows::offset(even + 1, chunk) + within);
            mma(y.d[i], a, b0, b1);
        }
#else
#pragma unroll
        for (u32 i = 0; i < COLUMNS / WIDTH; i += 2) {
            u32 b[4];  // both halves of the rows for columns i, then for the next
            ldmatrix_transposed(
                b, shared_address(s_x) + Rows::offset(r + threadIdx.x % HEIGHT, first + i + threadIdx.x / HEIGHT));
            mma(y.d[i], a, b[0], b[1]);
            mma(y.d[i + 1], a, b[2], b[3]);
        }
#endif
    }

    static __device__ u32 word(const unsigned char* s) { return *reinterpret_cast<const u32*>(s); }

    // tf32: offset of a weight. Of eight queries the even ones come first, as `add_product` takes rows.
    static __device__ u32 weight(u32 key, u32 query) {
        const u32 place = query % 2 * VEC + query % EIGHT / 2;
        return Weights::offset(key, query / EIGHT * 2 + place / VEC) + place % VEC * sizeof(T);
    }
};
