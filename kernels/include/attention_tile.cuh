// Rows of one head in shared memory, for the kernels of attention.
#pragma once

#include "cp_async.cuh"
#include "index.cuh"
#include "vec.cuh"

// Keys of a tile.
constexpr u32 KEYS = ATT_KEYS;
// Columns of scores that are computed or left out together, as n8 of mma.
constexpr u32 PART = 8;
constexpr u32 PARTS = KEYS / PART;
// Keys and values are filled up with zero rows to a multiple of this, as k16 of mma.
constexpr u32 FILLED = 16;
// Queries in a product, as m16 of mma.
constexpr u32 HEIGHT = 16;
// Rows of an 8 x 8 matrix, and chunks of 16 bytes in all banks of shared memory.
constexpr u32 EIGHT = 8;
// Bytes of a chunk.
constexpr u32 CHUNK = 16;

// Rows of D elements in chunks of 16 bytes, exchanged so that eight neighbouring rows have the same chunk in
// eight different groups of banks: without it ldmatrix, which reads just that, would take up to eight
// wavefronts for one. The same holds for two neighbouring chunks of every second row, as tf32 reads values.
template <u32 D> struct Tile {
    static constexpr u32 CHUNKS = D / VEC;
    static constexpr u32 ROW_BYTES = CHUNKS * CHUNK;

    static_assert(WARP % CHUNKS == 0, "a thread copies the same chunk of several rows");

    // Offset in bytes of a chunk of row `r`.
    static __device__ u32 offset(u32 r, u32 chunk) {
        if constexpr (CHUNKS >= EIGHT) {
            return r * ROW_BYTES + (chunk ^ (r % EIGHT)) * CHUNK;
        } else if constexpr (CHUNKS == EIGHT / 2) {
            // a row has half of the banks: in every second pair they change places
            const u32 place = r ^ (r / 2 % 2);
            return place * ROW_BYTES + (chunk ^ (r / 2 % CHUNKS)) * CHUNK;
        } else {
            return r * ROW_BYTES + (chunk ^ (r / (EIGHT / CHUNKS) % CHUNKS)) * CHUNK;
        }
    }

    // Begins to copy rows of `x`, `stride` elements apart, to `s`; rows from `there` on become zeros. Done by
    // `threads` threads, whole warps, of which this is the `thread`-th.
    static __device__ void copy(u32 s, const T* x, u32 stride, u32 there, u32 rows, u32 thread, u32 threads) {
        const u32 chunk = thread % CHUNKS;
        const u32 step = threads / CHUNKS;
        const T* from = row(x, thread / CHUNKS, stride) + chunk * VEC;
        for (u32 r = thread / CHUNKS; r < rows; r += step) {
            const bool valid = r < there;
            cp_async_or_zero(s + offset(r, chunk), valid ? from : x, valid);
            from = row(from, step, stride);
        }
    }
};
