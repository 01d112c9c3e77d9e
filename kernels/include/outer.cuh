// Products that sum over the rows of two matrices: d[m, n] = sum_r a[r, m] * b[r, n], as weight gradients are.
//
// Both operands have the summed dimension outermost. A slot of shared memory holds DEPTH rows of each, in panels of
// 128 bytes of a row, DEPTH rows each. The eight 16-byte chunks of row r of a panel lie XORed with `turn_of(r)`, so that
// neither copies, nor the transposing `ldmatrix` (16-bit types: one chunk of eight rows), nor reading the fragments of
// tf32 (four rows, two chunks) meet a bank twice.
#pragma once

#include "gemm.cuh"

// Rows of a slot and bytes of a panel.
constexpr u32 DEPTH = ROW_BYTES / sizeof(T);
constexpr u32 PANEL_BYTES = DEPTH * ROW_BYTES;

// Bytes that XOR the places of chunks in row `r` of a panel. Of 4-byte types rows 0..3, which a fragment has side by
// side, are two chunks apart.
__device__ constexpr u32 turn_of(u32 r) {
    return (sizeof(T) == 2 ? r % CHUNKS : r % 4 * 2 + r / 4 % 2) * CHUNK_BYTES;
}

// Offset of a chunk in a panel.
__device__ inline u32 panel_at(u32 r, u32 chunk) { return r * ROW_BYTES + (chunk * CHUNK_BYTES ^ turn_of(r)); }

// Offset, in the panels of an operand, of the panel of column `c`; and of its chunk inside a row, before the XOR.
__device__ inline u32 panel_of(u32 c) { return c / UNIT * PANEL_BYTES; }
__device__ inline u32 chunk_of(u32 c) { return c % UNIT / VEC * CHUNK_BYTES; }

#if defined(PVT_DTYPE_F32)

// In strict f32 a lane computes rows lane / 8 * 4 + i % 4 + i / 4 * 16 and columns lane % 8 * 4 + j % 4 + j / 4 * 32, and
// reads both in chunks: of WM x WN 32 x 64 four of them for 64 fused multiply-adds. Each sum runs over rows upwards.
template <u32 WM, u32 WN> struct Outer {
    static constexpr u32 LANE_ROWS = 4;
    static constexpr u32 LANE_COLS = 8;
    static constexpr u32 M = WM / LANE_ROWS;
    static constexpr u32 N = WN / LANE_COLS;
    static constexpr u32 ROWS = LANE_ROWS * VEC;
    static constexpr u32 COLS = LANE_COLS * VEC;
    static_assert(WM % ROWS == 0 && WN % COLS == 0 && COLS == UNIT, "whole chunks");

    float d[M][N];

    // Values of a lane, each by a number.
    static constexpr u32 COUNT = M * N;
    __device__ inline float& at(u32 i) { return d[i / N][i % N]; }

    __device__ inline void clear() {
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            at(i) = 0.0f;
        }
    }

    // Adds one slot: columns from `m0` on of the panels at `a`, from `n0` on of those at `b`.
    template <class Sums> __device__ inline void add(u32 a, u32 m0, u32 b, u32 n0, Sums&) {
        // rows after which the XOR repeats
        constexpr u32 TURNS = CHUNKS;
        const u32 a_at = a + panel_of(m0) + (chunk_of(m0) ^ lane_index() / LANE_COLS * CHUNK_BYTES);
        const u32 b_at = b + panel_of(n0) + lane_index() % LANE_COLS * CHUNK_BYTES;
#pragma unroll 1
        for (u32 r0 = 0; r0 < DEPTH; r0 += TURNS) {
#pragma unroll
            for (u32 i = 0; i < TURNS; ++i) {
                const u32 r = (r0 + i) * ROW_BYTES;
                Four x[M / VEC];
                Four y[N / VEC];
#pragma unroll
                for (u32 m = 0; m < M / VEC; ++m) {
                    const u32 at = a_at ^ chunk_of(m * ROWS) ^ turn_of(i);
                    x[m] = *reinterpret_cast<const Four*>(s_all + at + panel_of(m * ROWS) + r);
                }
#pragma unroll
                for (u32 n = 0; n < N / VEC; ++n) {
                    y[n] = *reinterpret_cast<const Four*>(s_all + (b_at ^ turn_of(i)) + n * PANEL_BYTES + r);
                }
#pragma unroll
                for (u32 m = 0; m < M; ++m) {
#pragma unroll
                    for (u32 n = 0; n < N; ++n) {
                        d[m][n] = __fmaf_rn(x[m / VEC].at[m % VEC], y[n / VEC].at[n % VEC], d[m][n]);
                    }
                }
            }
        }
    }

    // Calls `f(row, column, four)` for every four neighbouring columns that this lane has.
    template <class F> __device__ inline void each_four(F f) {
#pragma unroll
        for (u32 m = 0; m < M; ++m) {
            const u32 r = lane_index() / LANE_COLS * VEC + m % VEC + m / VEC * ROWS;
#pragma unroll
            for (u32 n = 0; n < N; n += VEC) {
                const u32 c = lane_index() % LANE_COLS * VEC + n / VEC * COLS;
                f(r, c, Four{d[m][n], d[m][n + 1], d[m][n + 2], d[m][n + 3]});
            }
        }
    }
};

#else

// On tensor cores, with accumulators as in `Product`. A slot is four steps: 16 rows of 16-bit types, 8 of tf32.
template <u32 WM, u32 WN> struct Outer {
    static constexpr u32 MMA_M = 16;
    static constexpr u32 MMA_N = 8;
    static constexpr u32 MMA_K = 32 / sizeof(T);
    static constexpr u32 M = WM / MMA_M;
    static constexpr u32 N = WN / MMA_N;
    static_assert(WM % MMA_M == 0 && WN % (2 * MMA_N) == 0 && UNIT % (2 * MMA_N) == 0, "whole fragments");

    float d[M][N][4];

    // Values of a lane, each by a number.
    static constexpr u32 COUNT = M * N * 4;
    __device__ inline float& at(u32 i) { return d[i / 4 / N][i / 4 % N][i % 4]; }

    __device__ inline void clear() {
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            at(i) = 0.0f;
        }
    }

    // Adds one slot: columns from `m0` on of the panels at `a`, from `n0` on of those at `b`. Shows `sums` the fragments
    // of A of every step.
    template <class Sums> __device__ inline void add(u32 a, u32 m0, u32 b, u32 n0, Sums& sums) {
        const u32 a_at = a_address(a + panel_of(m0)) ^ chunk_of(m0);
        const u32 b_at = b_address(b + panel_of(n0)) ^ chunk_of(n0);
#pragma unroll
        for (u32 step = 0; step < DEPTH / MMA_K; ++step) {
            const u32 r = step * MMA_K * ROW_BYTES;
            u32 x[M][4];
#pragma unroll
            for (u32 i = 0; i < M; ++i) {
                load_a(x[i], a_at, i * MMA_M, r);
            }
            sums.add_fragments(x);
#pragma unroll
            for (u32 j = 0; j < N; j += 2) {
                u32 y[4];
                load_b(y, b_at, j * MMA_N, r);
#pragma unroll
                for (u32 i = 0; i < M; ++i) {
                    mma(d[i][j], x[i], y[0], y[1]);
                    mma(d[i][j + 1], x[i], y[2], y[3]);
                }
            }
        }
    }

    // Calls `f(row, column, four)` for every four neighbouring columns that this lane has after it has exchanged a pair
    // with its neighbour: even lanes get those of the upper eight rows of a fragment, odd lanes of the lower.
    template <class F> __device__ inline void each_four(F f) {
        const bool odd = lane_index() % 2 != 0;
        const u32 r = lane_index() / 4 + (odd ? MMA_N : 0);
        const u32 c = lane_index() % 4 / 2 * 4;
#pragma unroll
        for (u32 i = 0; i < M; ++i) {
#pragma unroll
            for (u32 j = 0; j < N; ++j) {
                const float(&v)[4] = d[i][j];
                const float first = __shfl_xor_sync(FULL, odd ? v[0] : v[2], 1);
                const float second = __shfl_xor_sync(FULL, odd ? v[1] : v[3], 1);
                const Four four = odd ? Four{first, second, v[2], v[3]} : Four{v[0], v[1], first, second};
                f(r + i * MMA_M, c + j * MMA_N, four);
            }
        }
    }

    // Where this lane reads for fragments that begin at column 0 and row 0 of a panel.
#if defined(PVT_DTYPE_TF32)
    // row t, column g
    static __device__ inline u32 a_address(u32 a) {
        const u32 r = lane_index() % 4;
        const u32 c = lane_index() / 4;
        return a + panel_at(r, c / VEC) + c % VEC * sizeof(T);
    }
    static __device__ inline u32 b_address(u32 b) { return a_address(b); }

    // The element in column `c` and row `r` bytes further on; `lower`: four rows further on.
    static __device__ inline u32 element(u32 s, u32 c, u32 r, bool lower) {
        const u32 at = s ^ chunk_of(c) ^ (lower ? turn_of(4) : 0);
        return operand(*reinterpret_cast<const u32*>(s_all + at + panel_of(c) + r + (lower ? 4 * ROW_BYTES : 0)));
    }
    static __device__ inline void load_a(u32 (&x)[4], u32 a, u32 c, u32 r) {
#pragma unroll
        for (u32 k = 0; k < 4; ++k) {
            x[k] = element(a, c + k % 2 * MMA_N, r, k / 2 != 0);
        }
    }
    static __device__ inline void load_b(u32 (&y)[4], u32 b, u32 c, u32 r) {
#pragma unroll
        for (u32 k = 0; k < 4; ++k) {
            y[k] = element(b, c + k / 2 * MMA_N, r, k % 2 != 0);
        }
    }
#else
    // matrices of `ldmatrix`: rows 0..7 and 8..15, of A columns first, of B rows first
    static __device__ inline u32 a_address(u32 a) {
        const u32 matrix = lane_index() / 8;
        return shared_address(s_all + a + panel_at(lane_index() % 8 + matrix / 2 * 8, matrix % 2));
    }
    static __device__ inline u32 b_address(u32 b) {
        const u32 matrix = lane_index() / 8;
        return shared_address(s_all + b + panel_at(lane_index() % 8 + matrix % 2 * 8, matrix / 2));
    }
    static __device__ inline void load_a(u32 (&x)[4], u32 a, u32 c, u32 r) {
        ldmatrix_transposed(x, (a ^ chunk_of(c)) + panel_of(c) + r);
    }
    static __device__ inline void load_b(u32 (&y)[4], u32 b, u32 c, u32 r) {
        ldmatrix_transposed(y, (b ^ chunk_of(c)) + panel_of(c) + r);
    }
#endif
};

#endif
