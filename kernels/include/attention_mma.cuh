// Attention of one warp on tensor cores: fragments as in mma.cuh, g = lane / 4, t = lane % 4. In tf32 tensors
// are f32; queries, keys, weights and values are rounded to tf32 on their way into a product.
#pragma once

#include "attention_tile.cuh"
#include "mma.cuh"

// Columns of a product.
constexpr u32 WIDTH = 8;

// Scores and result of the queries of a warp, as accumulators.
template <u32 D, bool LONG> struct Accumulators {
    // Times 16 queries. The second 16 of 16-bit types share every reading of keys and values, which would else
    // take longer than the products; with wider heads, or f32 operands, registers would not do.
    static constexpr u32 TILES = LONG && sizeof(T) < sizeof(float) && D <= 64 ? 2 : 1;
    static constexpr u32 QUERIES = TILES * HEIGHT;
    // Lanes that share a row, rows of a lane, scores of a lane and row.
    static constexpr u32 LANES = 4;
    static constexpr u32 ROWS = 2 * TILES;
    static constexpr u32 SCORES = 2 * PARTS;
    // Bytes of shared memory besides the tiles, for a warp.
    static constexpr u32 SCRATCH = 0;

    float s[TILES][PARTS][4];
    float o[TILES][D / WIDTH][4] = {};

    // Row of the warp's queries, index of a score's key, and the score.
    static __device__ u32 query(u32 r) { return threadIdx.x / LANES + r * EIGHT; }
    static __device__ u32 key(u32 i) { return i / 2 * PART + threadIdx.x % LANES * 2 + i % 2; }
    __device__ float& score(u32 r, u32 i) { return s[r / 2][i / 2][r % 2 * 2 + i % 2]; }

    // Row r of the result times x.
    __device__ void scale(u32 r, float x) {
#pragma unroll
        for (u32 i = 0; i < D / WIDTH; ++i) {
            o[r / 2][i][r % 2 * 2] *= x;
            o[r / 2][i][r % 2 * 2 + 1] *= x;
        }
    }

    // Part n of the scores begins at zero.
    __device__ void start(u32 n) {
#pragma unroll
        for (u32 t = 0; t < TILES; ++t) {
#pragma unroll
            for (u32 i = 0; i < 4; ++i) {
                s[t][n][i] = 0.0f;
            }
        }
    }
};

#if defined(PVT_DTYPE_F16) || defined(PVT_DTYPE_BF16)

template <u32 D, bool LONG> struct Core : Accumulators<D, LONG> {
    using Base = Accumulators<D, LONG>;
    using Rows = Tile<D>;
    using Base::o;
    using Base::s;
    // Inner elements of one product.
    static constexpr u32 DEPTH = 16;

    u32 q[Base::TILES][D / DEPTH][4];

    // Queries into registers, once they are in shared memory.
    __device__ void take_queries(const unsigned char* s_q) {
#pragma unroll
        for (u32 t = 0; t < Base::TILES; ++t) {
            const u32 r = t * HEIGHT + threadIdx.x % HEIGHT;
#pragma unroll
            for (u32 j = 0; j < D / DEPTH; ++j) {
                ldmatrix(q[t][j], shared_address(s_q) + Rows::offset(r, 2 * j + threadIdx.x / HEIGHT));
            }
        }
    }

    // s = q k^T for the parts that have keys.
    __device__ void multiply_keys(const unsigned char*, const unsigned char* s_k, u32 keys) {
        const u32 matrix = threadIdx.x / EIGHT;
        const u32 r = threadIdx.x % EIGHT;
        if constexpr (D == DEPTH) {
#pragma unroll
            for (u32 n = 0; n < PARTS; n += 2) {
                if (n * PART < keys) {
                    u32 k[4];  // both halves of part n, then of the next
                    ldmatrix(k, shared_address(s_k) + Rows::offset((n + matrix / 2) * PART + r, matrix % 2));
                    Base::start(n);
                    Base::start(n + 1);
#pragma unroll
                    for (u32 t = 0; t < Base::TILES; ++t) {
                        mma_16(s[t][n], q[t][0], k[0], k[1]);
                        mma_16(s[t][n + 1], q[t][0], k[2], k[3]);
                    }
                }
            }
        } else {
#pragma unroll
            for (u32 n = 0; n < PARTS; ++n) {
                if (n * PART < keys) {
                    Base::start(n);
#pragma unroll
                    for (u32 j = 0; j < D / DEPTH; j += 2) {
                        u32 k[4];  // both halves of step j, then of the next
                        ldmatrix(k, shared_address(s_k) + Rows::offset(n * PART + r, 2 * j + matrix));
#pragma unroll
                        for (u32 t = 0; t < Base::TILES; ++t) {
                            mma_16(s[t][n], q[t][j], k[0], k[1]);
                            mma_16(s[t][n], q[t][j + 1], k[2], k[3]);
                        }
                    }
                }
            }
        }
    }

    // o += p v, where p is what became of the scores: two parts of them are one operand.
    __device__ void multiply_values(const unsigned char* s_v, unsigned char*, u32 keys) {
#pragma unroll
        for (u32 n = 0; n < PARTS; n += 2) {
            if (n * PART < keys) {
                u32 p[Base::TILES][4];
#pragma unroll
                for (u32 t = 0; t < Base::TILES; ++t) {
                    p[t][0] = pack(s[t][n][0], s[t][n][1]);
                    p[t][1] = pack(s[t][n][2], s[t][n][3]);
                    p[t][2] = pack(s[t][n + 1][0], s[t][n + 1][1]);
                    p[t][3] = pack(s[t][n + 1][2], s[t][n + 1][3]);
                }
#pragma unroll
                for (u32 i = 0; i < D / WIDTH; i += 2) {
                    u32 v[4];  // both halves of the keys for columns i, then for the next
                    ldmatrix_transposed(
                        v, shared_address(s_v) + Rows::offset(n * PART + threadIdx.x % FILLED, i + threadIdx.x / FILLED));
#pragma unroll
                    for (u32 t = 0; t < Base::TILES; ++t) {
                        mma_16(o[t][i], p[t], v[0], v[1]);
                        mma_16(o[t][i + 1], p[t], v[2], v[3]);
                    }
                }
            }
        }
    }

    // Rows of the result that are there to y, through the shared memory of the warp's own queries: a lane
    // has 4 bytes of a chunk, and 16 are to be stored. Eight rows of one chunk meet in no bank.
    __device__ void write(T* y, u32 stride, u32 there, unsigned char* s_q) const {
#pragma unroll
        for (u32 i = 0; i < D / WIDTH; ++i) {
#pragma unroll
            for (u32 r = 0; r < Base::ROWS; ++r) {
                unsigned char* at = s_q + Rows::offset(Base::query(r), i) + threadIdx.x % Base::LANES * sizeof(u32);
                *reinterpret_cast<u32*>(at) = pack(o[r / 2][i][r % 2 * 2], o[r / 2][i][r % 2 * 2 + 1]);
            }
        }
        __syncwarp();  // s_q written above by four lanes a chunk, read below by one
        for (u32 i = threadIdx.x; i < there * Rows::CHUNKS; i += WARP) {
            const u32 r = i / Rows::CHUNKS;
            const u32 chunk = i % Rows::CHUNKS;
            const Vec v = *reinterpret_cast<const Vec*>(s_q + Rows::offset(r, chunk));
            *reinterpret_cast<Vec*>(row(y, r, stride) + chunk * VEC) = v;
        }
    }
};

#elif defined(PVT_DTYPE_TF32)

template <u32 D, bool LONG> struct Core : Accumulators<D, LONG> {
    using Base = Accumulators<D, LONG>;
    using Rows = Tile<D>;
    using Base::o;
    using Base::s;
    // Inner elements of one product.
    static constexpr u32 DEPTH = 8;

    u32 q[D / DEPTH][4];

    // Queries into registers, once they are in shared memory.
    __device__ void take_queries(const unsigned char* s_q) {
#pragma unroll
        for (u32 j = 0; j < D / DEPTH; ++j) {
            ldmatrix(q[j], shared_address(s_q) + Rows::offset(threadIdx.x % HEIGHT, 2 * j + threadIdx.x / HEIGHT));
            round(q[j]);
        }
    }

    // s = q k^T for the parts that have keys.
    __device__ void multiply_keys(const unsigned char*, const unsigned char* s_k, u32 keys) {
#pragma unroll
        for (u32 n = 0; n < PARTS; ++n) {
            if (n * PART < keys) {
                Base::start(n);
#pragma unroll
                for (u32 j = 0; j < D / DEPTH; j += 2) {
                    u32 k[4];  // both halves of step j, then of the next
                    ldmatrix(k, shared_address(s_k) + Rows::offset(n * PART + threadIdx.x % EIGHT, 2 * j + threadIdx.x / EIGHT));
                    round(k);
                    mma_8(s[0][n], q[j], k[0], k[1]);
                    mma_8(s[0][n], q[j + 1], k[2], k[3]);
                }
            }
        }
    }

    // o += p v, where p is what became of the scores. A product adds up eight keys, in which order does not
    // matter: this lane's keys 2t and 2t + 1 stand for k = t and t + 4, so scores are an operand as they are.
    __device__ void multiply_values(const unsigned char* s_v, unsigned char*, u32 keys) {
        const u32 g = threadIdx.x / Base::LANES;
        const u32 t = threadIdx.x % Base::LANES;
#pragma unroll
        for (u32 n = 0; n < PARTS; ++n) {
            if (n * PART < keys) {
                u32 p[4] = {__float_as_uint(s[0][n][0]), __float_as_uint(s[0][n][2]), __float_as_uint(s[0][n][1]),
                            __float_as_uint(s[0][n][3])};
                round(p);
                const u32 r = n * PART + 2 * t;
#pragma unroll
                for (u32 i = 0; i < D / WIDTH; ++i) {
                    const u32 chunk = 2 * i + g / VEC;
                    const u32 within = g % VEC * sizeof(T);
                    const u32 even = at(s_v + Rows::offset(r, chunk) + within);
                    const u32 odd = at(s_v + Rows::offset(r + 1, chunk) + within);
                    mma_8(o[0][i], p, to_tf32(even), to_tf32(odd));
                }
            }
        }
    }

    // Rows of the result that are there to y: four lanes store a sector.
    __device__ void write(T* y, u32 stride, u32 there, unsigned char*) const {
#pragma unroll
        for (u32 r = 0; r < Base::ROWS; ++r) {
            if (Base::query(r) < there) {
                T* y_r = row(y, Base::query(r), stride) + threadIdx.x % Base::LANES * 2;
#pragma unroll
                for (u32 i = 0; i < D / WIDTH; ++i) {
                    *reinterpret_cast<float2*>(y_r + i * WIDTH) = float2{o[0][i][2 * r], o[0][i][2 * r + 1]};
                }
            }
        }
    }

  private:
    static __device__ u32 at(const unsigned char* s) { return *reinterpret_cast<const u32*>(s); }

    static __device__ void round(u32 (&x)[4]) {
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            x[i] = to_tf32(x[i]);
        }
    }
};

#endif
