// The product of one warp: WM rows of A times WN columns of B from tiles in shared memory (tile.cuh), kept in
// registers in f32, and brought back row by row through shared memory.
#pragma once

#include "mma.cuh"
#include "tile.cuh"

// Slots of the ring of copies. The small tiles, for few rows, wait for memory rather than for arithmetic: theirs is as
// deep as shared memory allows (src/kernels/tiles.rs).
constexpr u32 STAGES = 3;
constexpr u32 DEEP_STAGES = 8;
// Blocks of a multiprocessor that registers must allow: of the large tiles shared memory allows no more everywhere.
constexpr u32 MIN_BLOCKS = 1;

// Threads of a block of BM x BN whose warps have WM x WN.
__device__ constexpr u32 threads(u32 BM, u32 BN, u32 WM, u32 WN) { return BM / WM * (BN / WN) * WARP; }

// Place of column `c`, row `r` in a staged f32 matrix of WIDTH columns (32, 64 or 128). Groups of eight columns are
// XORed with two bits of the row: accumulators are written by four rows x eight columns at a time, rows r..r+3 on
// tensor cores and every other row in strict f32, whose groups would else be in the same banks. The halves of a group
// change places so that lanes that read four columns of every eight find all banks: 32 columns are read two rows
// at a time, more columns row by row.
template <u32 WIDTH> __device__ inline u32 staged_at(u32 r, u32 c) {
    static_assert(WIDTH == 32 || WIDTH % 64 == 0, "swizzle");
    const u32 four = c / 4;
    const u32 group = (r & 2) | ((r ^ r / 4) & 1);
    const u32 half = WIDTH == 32 ? r % 2 : four / CHUNKS % 2;
    return r * WIDTH + ((four ^ group * 2 ^ half) * 4 + c % 4);
}

// VEC columns from column `c` on of row `r`.
template <u32 WIDTH> __device__ inline void load_staged(const float* s, u32 r, u32 c, float (&v)[VEC]) {
#pragma unroll
    for (u32 i = 0; i < VEC; i += 4) {
        const Four four = *reinterpret_cast<const Four*>(s + staged_at<WIDTH>(r, c + i));
#pragma unroll
        for (u32 j = 0; j < 4; ++j) {
            v[i + j] = four.at[j];
        }
    }
}

#if defined(PVT_DTYPE_F32)

// In strict f32 a lane computes rows lane / 8 * 2 + i % 2 + i / 2 * 8 and columns lane % 8 + 8j, and reads both along the
// inner dimension in chunks: 16 of them for 256 fused multiply-adds where WM x WN is 32 x 64. The eight columns, and
// the four rows, of an instruction are in different banks. Each sum runs over the inner dimension upwards.
template <u32 WM, u32 WN> struct Product {
    static constexpr u32 LANE_ROWS = 4;
    static constexpr u32 LANE_COLS = 8;
    static constexpr u32 M = WM / LANE_ROWS;
    static constexpr u32 N = WN / LANE_COLS;
    // Rows that `stage` writes at a time.
    static constexpr u32 STAGED = 2 * LANE_ROWS;
    static_assert(WM % STAGED == 0 && WN % LANE_COLS == 0, "whole lanes");

    // Row of d[i], column of d[..][j].
    static __device__ inline u32 row_of(u32 i) { return lane_index() / LANE_COLS * 2 + i % 2 + i / 2 * STAGED; }
    static __device__ inline u32 col_of(u32 j) { return lane_index() % LANE_COLS + j * LANE_COLS; }

    float d[M][N];

    // Values of a lane, each by a number.
    static constexpr u32 COUNT = M * N;
    __device__ inline float& at(u32 i) { return d[i / N][i % N]; }

    __device__ inline void clear() {
#pragma unroll
        for (u32 i = 0; i < M; ++i) {
#pragma unroll
            for (u32 j = 0; j < N; ++j) {
                d[i][j] = 0.0f;
            }
        }
    }

    // Adds one unit: rows from `row0` on of the tile at `a`, columns from `col0` on of that at `b`.
    __device__ inline void add(u32 a, u32 row0, u32 b, u32 col0) {
        // rows that are a multiple of eight apart have their chunks in the same order: one XOR serves them all
        const u32 a_at[2] = {a + chunk_at(row0 + row_of(0), 0), a + chunk_at(row0 + row_of(1), 0)};
        const u32 b_at = b + chunk_at(col0 + col_of(0), 0);
#pragma unroll 1
        for (u32 chunk = 0; chunk < CHUNKS; ++chunk) {
            const u32 turn = chunk * CHUNK_BYTES;
            Four x[M];
#pragma unroll
            for (u32 i = 0; i < M; ++i) {
                x[i] = *reinterpret_cast<const Four*>(s_all + ((a_at[i % 2] ^ turn) + i / 2 * CHUNKS * ROW_BYTES));
            }
#pragma unroll
            for (u32 j = 0; j < N; ++j) {
                const Four w = *reinterpret_cast<const Four*>(s_all + ((b_at ^ turn) + j * CHUNKS * ROW_BYTES));
#pragma unroll
                for (u32 k = 0; k < 4; ++k) {
#pragma unroll
                    for (u32 i = 0; i < M; ++i) {
                        d[i][j] = __fmaf_rn(x[i].at[k], w.at[k], d[i][j]);
                    }
                }
            }
        }
    }

    // Writes rows pass * STAGED and on to rows `row0` and on, columns `col0` and on, of a staged matrix.
    template <u32 WIDTH> __device__ inline void stage(u32 pass, float* s, u32 row0, u32 col0) const {
#pragma unroll
        for (u32 i = 0; i < M; ++i) {
            if (i / 2 == pass) {
                const u32 r = row0 + row_of(i % 2);
#pragma unroll
                for (u32 j = 0; j < N; ++j) {
                    s[staged_at<WIDTH>(r, col0 + col_of(j))] = d[i][j];
                }
            }
        }
    }
};

#else

// On tensor cores. A unit is four steps of m16n8k16 (16-bit types) or m16n8k8 (tf32): two chunks each.
template <u32 WM, u32 WN> struct Product {
    static constexpr u32 MMA_M = 16;
    static constexpr u32 MMA_N = 8;
    static constexpr u32 M = WM / MMA_M;
    static constexpr u32 N = WN / MMA_N;
    // Rows that `stage` writes at a time.
    static constexpr u32 STAGED = MMA_M;
    static_assert(WM % MMA_M == 0 && WN % (2 * MMA_N) == 0, "whole fragments, two of B at a time");

    float d[M][N][4];

    // Values of a lane, each by a number.
    static constexpr u32 COUNT = M * N * 4;
    __device__ inline float& at(u32 i) { return d[i / 4 / N][i / 4 % N][i % 4]; }

    __device__ inline void clear() {
#pragma unroll
        for (u32 i = 0; i < M; ++i) {
#pragma unroll
            for (u32 j = 0; j < N; ++j) {
#pragma unroll
                for (u32 k = 0; k < 4; ++k) {
                    d[i][j][k] = 0.0f;
                }
            }
        }
    }

    // Adds one unit: rows from `row0` on of the tile at `a`, columns from `col0` on of that at `b`.
    __device__ inline void add(u32 a, u32 row0, u32 b, u32 col0) {
        const u32 a_at = a_address(a, row0);
        const u32 b_at = b_address(b, col0);
#pragma unroll
        for (u32 step = 0; step < CHUNKS / 2; ++step) {
            const u32 turn = 2 * step * CHUNK_BYTES;
            u32 x[M][4];
#pragma unroll
            for (u32 i = 0; i < M; ++i) {
                load_a(x[i], (a_at ^ turn) + i * MMA_M * ROW_BYTES);
            }
#pragma unroll
            for (u32 j = 0; j < N; j += 2) {
                u32 w[4];
                ldmatrix(w, (b_at ^ turn) + j * MMA_N * ROW_BYTES);
#pragma unroll
                for (u32 i = 0; i < M; ++i) {
                    mma(d[i][j], x[i], w[0], w[1]);
                    mma(d[i][j + 1], x[i], w[2], w[3]);
                }
            }
        }
    }

    // Writes rows pass * STAGED and on to rows `row0` and on, columns `col0` and on, of a staged matrix.
    template <u32 WIDTH> __device__ inline void stage(u32 pass, float* s, u32 row0, u32 col0) const {
        const u32 r = row0 + lane_index() / 4;
        const u32 c = col0 + lane_index() % 4 * 2;
#pragma unroll
        for (u32 i = 0; i < M; ++i) {
            if (i == pass) {
#pragma unroll
                for (u32 j = 0; j < N; ++j) {
                    *reinterpret_cast<Two*>(s + staged_at<WIDTH>(r, c + j * MMA_N)) = {d[i][j][0], d[i][j][1]};
                    *reinterpret_cast<Two*>(s + staged_at<WIDTH>(r + MMA_N, c + j * MMA_N)) = {d[i][j][2], d[i][j][3]};
                }
            }
        }
    }

    struct alignas(8) Two {
        float at[2];
    };

    // Where this lane reads for fragments of A: rows 0..15, chunks 0 and 1 of a step.
    static __device__ inline u32 a_address(u32 a, u32 row0) {
        return shared_address(s_all + a + chunk_at(row0 + lane_index() % MMA_M, lane_index() / MMA_M));
    }

    // The same for two fragments of B: columns 0..7 and 8..15, chunks 0 and 1.
    static __device__ inline u32 b_address(u32 b, u32 col0) {
        const u32 c = col0 + lane_index() % MMA_N + lane_index() / MMA_M * MMA_N;
        return shared_address(s_all + b + chunk_at(c, lane_index() / MMA_N % 2));
    }

    // A fragment of A, rounded to what the product takes.
    static __device__ inline void load_a(u32 (&x)[4], u32 s) {
        ldmatrix(x, s);
#pragma unroll
        for (u32 k = 0; k < 4; ++k) {
            x[k] = operand(x[k]);
        }
    }
};

#endif
