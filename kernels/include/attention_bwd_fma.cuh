// Products of the backward pass of attention in strict f32: a warp is 4 x 8 lanes, each with 4 rows and an eighth
// of the columns.
#pragma once

#include "attention_bwd_share.cuh"
#include "store_words.cuh"

// Rows of a lane, and lanes that share a row.
constexpr u32 LANE_ROWS = 4;
constexpr u32 LANE_COLS = 8;

// Sums of HEIGHT rows and `COLUMNS` columns of a gradient. Rows of a lane are neighbours, or LANE_ROWS apart.
template <u32 COLUMNS, bool NEIGHBOURS> struct Sums {
    static constexpr u32 COUNT = LANE_ROWS * COLUMNS / LANE_COLS;
    // Neighbouring columns of a lane, and how often.
    static constexpr u32 NEAR = COLUMNS / LANE_COLS < VEC ? COLUMNS / LANE_COLS : VEC;
    static constexpr u32 FAR = COLUMNS / LANE_COLS / NEAR;

    struct alignas(NEAR * sizeof(float)) Columns {
        float at[NEAR];
    };

    float d[LANE_ROWS][FAR][NEAR];

    static __device__ u32 place(u32 r) {
        const u32 band = threadIdx.x / LANE_COLS;
        return NEIGHBOURS ? band * LANE_ROWS + r : band + r * LANE_ROWS;
    }
    static __device__ u32 column(u32 f) { return (threadIdx.x % LANE_COLS + f * LANE_COLS) * NEAR; }

    __device__ void clear() {
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            at(i) = 0.0f;
        }
    }

    // This lane's values, one after another.
    __device__ float& at(u32 i) { return d[i / (FAR * NEAR)][i / NEAR % FAR][i % NEAR]; }

    // Row r of x, from column `first` on, times weights: one for each row of this lane.
    template <class Rows> __device__ void add(const float (&w)[LANE_ROWS], const unsigned char* s_x, u32 r, u32 first) {
#pragma unroll
        for (u32 f = 0; f < FAR; ++f) {
            const u32 c = first + column(f);
            const Columns x = *reinterpret_cast<const Columns*>(s_x + Rows::offset(r, c / VEC) + c % VEC * sizeof(float));
#pragma unroll
            for (u32 i = 0; i < LANE_ROWS; ++i) {
#pragma unroll
                for (u32 j = 0; j < NEAR; ++j) {
                    d[i][f][j] = __fmaf_rn(w[i], x.at[j], d[i][f][j]);
                }
            }
        }
    }

    // Rows that are there, times `scale`, to y. Eight lanes store neighbouring vectors.
    __device__ void write(T* y, u32 stride, u32 there, float scale) const {
#pragma unroll
        for (u32 r = 0; r < LANE_ROWS; ++r) {
            if (place(r) < there) {
#pragma unroll
                for (u32 f = 0; f < FAR; ++f) {
                    u32 words[NEAR];
#pragma unroll
                    for (u32 j = 0; j < NEAR; ++j) {
                        words[j] = __float_as_uint(d[r][f][j] * scale);
                    }
                    store_words(row(y, place(r), stride) + column(f), words);
                }
            }
        }
    }
};

template <u32 D> struct Core : Share<D> {
    using Base = Share<D>;
    using Rows = Tile<D>;
    // Lanes that share a row of scores, rows of a lane, scores of a lane and row.
    static constexpr u32 LANES = LANE_COLS;
    static constexpr u32 ROWS = LANE_ROWS;
    static constexpr u32 SCORES = Base::OWN_KEYS / LANES;
    // Gradients of a warp: of queries, of keys.
    using OfQueries = Sums<Base::COLS, false>;
    using OfKeys = Sums<D, true>;

    // Scores of this warp's queries and keys.
    struct Scores {
        float d[ROWS][SCORES];

        __device__ float& at(u32 r, u32 i) { return d[r][i]; }
    };

    // Row of the warp's queries, and place of score i among the warp's keys.
    static __device__ u32 query(u32 r) { return OfQueries::place(r); }
    static __device__ u32 key(u32 i) { return i * LANES + threadIdx.x % LANES; }

    // Operands are what tensors have.
    static __device__ void round(unsigned char*, u32) {}

    // s = a b^T for HEIGHT rows of a, and `keys` rows of b, four inner elements at a time.
    static __device__ void multiply(Scores& s, const unsigned char* s_a, const unsigned char* s_b, u32 keys) {
#pragma unroll
        for (u32 r = 0; r < ROWS; ++r) {
#pragma unroll
            for (u32 i = 0; i < SCORES; ++i) {
                s.d[r][i] = 0.0f;
            }
        }
#pragma unroll 2
        for (u32 chunk = 0; chunk < Rows::CHUNKS; ++chunk) {
            float4 a[ROWS];
#pragma unroll
            for (u32 r = 0; r < ROWS; ++r) {
                a[r] = four(s_a + Rows::offset(query(r), chunk));
            }
#pragma unroll
            for (u32 i = 0; i < SCORES; ++i) {
                if (i * PART < keys) {
                    const float4 b = four(s_b + Rows::offset(key(i), chunk));
#pragma unroll
                    for (u32 r = 0; r < ROWS; ++r) {
                        float sum = __fmaf_rn(a[r].x, b.x, s.d[r][i]);
                        sum = __fmaf_rn(a[r].y, b.y, sum);
                        sum = __fmaf_rn(a[r].z, b.z, sum);
                        s.d[r][i] = __fmaf_rn(a[r].w, b.w, sum);
                    }
                }
            }
        }
    }

    // Scores to shared memory, up to the last key of FILLED of which one is there.
    static __device__ void keep(const Scores& s, unsigned char* s_w, u32 keys) {
#pragma unroll
        for (u32 i = 0; i < SCORES; ++i) {
            if (i / 2 * FILLED < keys) {
#pragma unroll
                for (u32 r = 0; r < ROWS; ++r) {
                    const u32 m = Base::first_key() + key(i);
                    const u32 at = weight(Base::first_query() + query(r), m / VEC) + m % VEC * sizeof(float);
                    *reinterpret_cast<float*>(s_w + at) = s.d[r][i];
                }
            }
        }
    }

    // dq += dS k for this warp's queries and columns, four keys at a time.
    static __device__ void add_queries(OfQueries& y, const unsigned char* s_ds, const unsigned char* s_k, u32 keys) {
        for (u32 m = 0; m < keys; m += VEC) {
            float4 w[ROWS];
#pragma unroll
            for (u32 r = 0; r < ROWS; ++r) {
                w[r] = four(s_ds + weight(Base::first_query() + query(r), m / VEC));
            }
            const u32 first = Base::wk() * Base::COLS;
            y.template add<Rows>({w[0].x, w[1].x, w[2].x, w[3].x}, s_k, m, first);
            y.template add<Rows>({w[0].y, w[1].y, w[2].y, w[3].y}, s_k, m + 1, first);
            y.template add<Rows>({w[0].z, w[1].z, w[2].z, w[3].z}, s_k, m + 2, first);
            y.template add<Rows>({w[0].w, w[1].w, w[2].w, w[3].w}, s_k, m + 3, first);
        }
    }

    // y += w^T x for this warp's keys: dk from dS and q, dv from P and dO.
    static __device__ void add_keys(OfKeys& y, const unsigned char* s_w, const unsigned char* s_x) {
        const u32 chunk = Base::slice_key() / VEC + threadIdx.x / LANES;
#pragma unroll 4
        for (u32 q = 0; q < Base::QUERIES; ++q) {
            const float4 w = four(s_w + weight(q, chunk));
            y.template add<Rows>({w.x, w.y, w.z, w.w}, s_x, q, 0);
        }
    }

  private:
    static __device__ float4 four(const unsigned char* s) { return *reinterpret_cast<const float4*>(s); }

    // Offset in bytes of four weights of a query. Chunks are exchanged in pairs by query: four lanes of different
    // queries with the same key then write to different banks.
    static __device__ u32 weight(u32 q, u32 chunk) {
        return q * KEYS * sizeof(float) + (chunk ^ (q % LANE_ROWS * 2)) * CHUNK;
    }
};
