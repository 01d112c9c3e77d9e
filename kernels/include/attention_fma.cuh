// Attention of one warp in strict f32: 4 x 8 lanes, each with 4 queries and 8 keys of the scores, then with the
// same queries and D / 8 columns of the result.
#pragma once

#include "attention_tile.cuh"

template <u32 D, bool LONG> struct Core {
    using Rows = Tile<D>;
    static constexpr u32 QUERIES = HEIGHT;
    // Lanes that share a row, rows of a lane, scores of a lane and row.
    static constexpr u32 LANES = 8;
    static constexpr u32 ROWS = QUERIES * LANES / WARP;
    static constexpr u32 SCORES = PARTS;
    // Bytes of shared memory besides the tiles, for a warp: the weights.
    static constexpr u32 SCRATCH = QUERIES * KEYS * sizeof(float);
    // Neighbouring columns of the result that a lane has, and how often.
    static constexpr u32 NEAR = D / LANES < VEC ? D / LANES : VEC;
    static constexpr u32 FAR = D / LANES / NEAR;

    float s[ROWS][SCORES];
    float o[ROWS][FAR][NEAR] = {};

    // Row of the warp's queries, index of a score's key, and the score.
    static __device__ u32 query(u32 r) { return threadIdx.x / LANES + r * ROWS; }
    static __device__ u32 key(u32 i) { return i * PART + threadIdx.x % LANES; }
    __device__ float& score(u32 r, u32 i) { return s[r][i]; }

    __device__ void take_queries(const unsigned char*) {}

    // s = q k^T for the parts that have keys, four inner elements at a time.
    __device__ void multiply_keys(const unsigned char* s_q, const unsigned char* s_k, u32 keys) {
#pragma unroll
        for (u32 r = 0; r < ROWS; ++r) {
#pragma unroll
            for (u32 i = 0; i < SCORES; ++i) {
                s[r][i] = 0.0f;
            }
        }
#pragma unroll 2
        for (u32 chunk = 0; chunk < Rows::CHUNKS; ++chunk) {
            float4 q[ROWS];
#pragma unroll
            for (u32 r = 0; r < ROWS; ++r) {
                q[r] = at(s_q + Rows::offset(query(r), chunk));
            }
#pragma unroll
            for (u32 i = 0; i < SCORES; ++i) {
                if (i * PART < keys) {
                    const float4 k = at(s_k + Rows::offset(key(i), chunk));
#pragma unroll
                    for (u32 r = 0; r < ROWS; ++r) {
                        float sum = __fmaf_rn(q[r].x, k.x, s[r][i]);
                        sum = __fmaf_rn(q[r].y, k.y, sum);
                        sum = __fmaf_rn(q[r].z, k.z, sum);
                        s[r][i] = __fmaf_rn(q[r].w, k.w, sum);
                    }
                }
            }
        }
    }

    // o += p v, where p is what became of the scores: through shared memory of the warp, as every lane needs
    // all weights of its queries. Between two calls stands a barrier of the block.
    __device__ void multiply_values(const unsigned char* s_v, unsigned char* s_p, u32 keys) {
#pragma unroll
        for (u32 r = 0; r < ROWS; ++r) {
#pragma unroll
            for (u32 i = 0; i < SCORES; ++i) {
                unsigned char* to = s_p + weight(query(r), key(i) / VEC) + key(i) % VEC * sizeof(float);
                *reinterpret_cast<float*>(to) = s[r][i];
            }
        }
        __syncwarp();  // s_p written above by the lanes of each key, read below by all of a row
        for (u32 m = 0; m < keys; m += VEC) {
            float p[ROWS][VEC];
#pragma unroll
            for (u32 r = 0; r < ROWS; ++r) {
                const float4 four = at(s_p + weight(query(r), m / VEC));
                p[r][0] = four.x;
                p[r][1] = four.y;
                p[r][2] = four.z;
                p[r][3] = four.w;
            }
#pragma unroll
            for (u32 j = 0; j < VEC; ++j) {
#pragma unroll
                for (u32 f = 0; f < FAR; ++f) {
                    const u32 c = column(f);
                    const auto* v = reinterpret_cast<const Columns*>(s_v + Rows::offset(m + j, c / VEC) +
                                                                     c % VEC * sizeof(float));
                    const Columns near = *v;
#pragma unroll
                    for (u32 r = 0; r < ROWS; ++r) {
#pragma unroll
                        for (u32 i = 0; i < NEAR; ++i) {
                            o[r][f][i] = __fmaf_rn(p[r][j], near.at[i], o[r][f][i]);
                        }
                    }
                }
            }
        }
    }

    // Row r of the result times x.
    __device__ void scale(u32 r, float x) {
#pragma unroll
        for (u32 f = 0; f < FAR; ++f) {
#pragma unroll
            for (u32 i = 0; i < NEAR; ++i) {
                o[r][f][i] *= x;
            }
        }
    }

    // Rows of the result that are there to y: eight lanes store neighbouring vectors.
    __device__ void write(T* y, u32 stride, u32 there, unsigned char*) const {
#pragma unroll
        for (u32 r = 0; r < ROWS; ++r) {
            if (query(r) < there) {
#pragma unroll
                for (u32 f = 0; f < FAR; ++f) {
                    Columns near;
#pragma unroll
                    for (u32 i = 0; i < NEAR; ++i) {
                        near.at[i] = o[r][f][i];
                    }
                    *reinterpret_cast<Columns*>(row(y, query(r), stride) + column(f)) = near;
                }
            }
        }
    }

  private:
    struct alignas(NEAR * sizeof(float)) Columns {
        float at[NEAR];
    };

    static __device__ u32 column(u32 f) { return (threadIdx.x % LANES + f * LANES) * NEAR; }

    static __device__ float4 at(const unsigned char* s) { return *reinterpret_cast<const float4*>(s); }

    // Offset in bytes of four weights of a query. Chunks are exchanged in pairs by query: four lanes of
    // different queries with the same key then write to different banks.
    static __device__ u32 weight(u32 q, u32 chunk) {
        return q * KEYS * sizeof(float) + (chunk ^ (q % ROWS * 2)) * CHUNK;
    }
};
