// Operands of matrix products in shared memory.
//
// A tile has rows of 128 bytes: one unit of the inner dimension of one row of A, or of one column of B (both
// K-major). The eight 16-byte chunks of row r lie XORed with r % 8. Without that, one chunk of eight rows in a
// column, which is what `ldmatrix` and the products in f32 read together, would be in the same four banks: eight
// wavefronts instead of one. Writing a row, eight lanes with a chunk each, has no conflict either way.
//
// Packed weights (src/kernels/pack.rs) are such tiles in global memory: units of 64 columns x 128 bytes, 8 KiB,
// ordered [column unit][inner unit], zeros beyond the ends, so they are copied as they lie.
#pragma once

#include "cp_async.cuh"
#include "index.cuh"
#include "vec.cuh"

// Bytes of a row of a tile, of a chunk, and chunks of a row.
constexpr u32 ROW_BYTES = 128;
constexpr u32 CHUNK_BYTES = 16;
constexpr u32 CHUNKS = ROW_BYTES / CHUNK_BYTES;
// Elements of the inner dimension in a row; a chunk has VEC of them.
constexpr u32 UNIT = ROW_BYTES / sizeof(T);
// Columns and bytes of a unit of packed weights.
constexpr u32 UNIT_COLS = 64;
constexpr u32 UNIT_BYTES = UNIT_COLS * ROW_BYTES;

// Dynamic shared memory of the block. Positions in it are u32 offsets in bytes.
extern __shared__ __align__(ROW_BYTES) u8 s_all[];

// Four f32: 16 bytes.
struct alignas(CHUNK_BYTES) Four {
    float at[4];
};

__device__ inline u32 ceil_div(u32 x, u32 y) { return (x + y - 1) / y; }

// Offset of a chunk in a tile.
__device__ inline u32 chunk_at(u32 r, u32 chunk) {
    return r * ROW_BYTES + (chunk ^ (r % CHUNKS)) * CHUNK_BYTES;
}

// Thread of the block, and warp.
__device__ inline u32 thread_index() { return threadIdx.x; }
__device__ inline u32 warp_index() { return threadIdx.x / WARP; }
__device__ inline u32 lane_index() { return threadIdx.x % WARP; }

// Begins to copy the units (column unit `unit` and the next ones, `k`) of packed weights for BN columns, which
// become one tile of BN rows at `s`. `COLS` ends at column unit `units`; what lies beyond becomes zeros.
template <u32 BN, u32 THREADS>
__device__ inline void copy_weight(u32 s, const T* weight, u32 unit, u32 units, u32 k, u32 inner_units) {
    constexpr u32 UNIT_CHUNKS = UNIT_BYTES / CHUNK_BYTES;
    constexpr u32 PER_THREAD = UNIT_CHUNKS / THREADS;
    static_assert(BN % UNIT_COLS == 0 && UNIT_CHUNKS % THREADS == 0, "whole units, and alike for every thread");
    const u8* bytes = reinterpret_cast<const u8*>(weight);
#pragma unroll
    for (u32 part = 0; part < BN / UNIT_COLS; ++part) {
        const bool valid = unit + part < units;
        const u64 first = valid ? (static_cast<u64>(unit + part) * inner_units + k) * UNIT_BYTES : 0;
#pragma unroll
        for (u32 i = 0; i < PER_THREAD; ++i) {
            const u32 at = (i * THREADS + thread_index()) * CHUNK_BYTES;
            cp_async_or_zero(shared_address(s_all + s + part * UNIT_BYTES + at), bytes + first + at, valid);
        }
    }
}

// Begins to copy unit `k` of BM rows of x [ROWS, INNER], `stride` apart, from `row0` on, to the tile at `s`; zeros beyond
// ROWS and INNER.
template <u32 BM, u32 THREADS>
__device__ inline void copy_rows(u32 s, const T* x, u32 stride, u32 ROWS, u32 INNER, u32 row0, u32 k) {
    constexpr u32 AT_ONCE = THREADS / CHUNKS;
    static_assert(BM % AT_ONCE == 0, "alike for every thread");
    const u32 chunk = thread_index() % CHUNKS;
    const u32 c = k * UNIT + chunk * VEC;
#pragma unroll
    for (u32 i = 0; i < BM; i += AT_ONCE) {
        const u32 r = i + thread_index() / CHUNKS;
        const bool valid = row0 + r < ROWS && c < INNER;
        // the last row and the first element stand in for those beyond: an address without a branch
        const T* from = row(x, min(row0 + r, ROWS - 1), stride) + (c < INNER ? c : 0);
        cp_async_or_zero(shared_address(s_all + s + chunk_at(r, chunk)), from, valid);
    }
}

// A ring of STAGES slots: `begin(slot)` starts the copies of the next step, `use(slot)` works on what has
// arrived. Both are called once for each step, in order, by all threads.
template <u32 STAGES, class Begin, class Use> __device__ inline void ring(u32 steps, Begin begin, Use use) {
    u32 fill = 0;
#pragma unroll 1
    for (; fill < STAGES - 1; ++fill) {
        if (fill < steps) {
            begin(fill);
        }
        cp_async_commit();
    }
    u32 slot = 0;
    for (u32 step = 0; step < steps; ++step) {
        cp_async_wait<STAGES - 2>();
        // the copies of this step by every thread, awaited above, are read below; the slot that the last
        // step has read is filled below
        __syncthreads();
        if (step + STAGES - 1 < steps) {
            begin(fill);
        }
        cp_async_commit();
        fill = fill + 1 == STAGES ? 0 : fill + 1;
        use(slot);
        slot = slot + 1 == STAGES ? 0 : slot + 1;
    }
}

// VEC f32 from `x`, aligned to 16 bytes: parameters, which are f32 in every type.
__device__ inline void load_f32(const float* x, float (&y)[VEC]) {
#pragma unroll
    for (u32 i = 0; i < VEC; i += 4) {
        const Four four = *reinterpret_cast<const Four*>(x + i);
#pragma unroll
        for (u32 j = 0; j < 4; ++j) {
            y[i + j] = four.at[j];
        }
    }
}

// Four f32 to `y`, aligned to 16 bytes, in one instruction even beside others that store them one by one. PTX ISA "st".
__device__ inline void store_four(float* y, const Four& x) {
    asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(y), "f"(x.at[0]), "f"(x.at[1]), "f"(x.at[2]),
                 "f"(x.at[3])
                 : "memory");
}

// VEC elements of a tensor that the kernel writes too, these by this thread alone: not through the cache for data that
// nobody writes, which `load` may take. PTX ISA "ld".
__device__ inline void load_own(const T* x, float (&y)[VEC]) {
    struct alignas(CHUNK_BYTES) Words {
        u32 at[CHUNK_BYTES / sizeof(u32)];
    } words;
    asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words.at[0]), "=r"(words.at[1]), "=r"(words.at[2]), "=r"(words.at[3])
                 : "l"(x)
                 : "memory");
    const Vec& v = reinterpret_cast<const Vec&>(words);
#pragma unroll
    for (u32 i = 0; i < VEC; ++i) {
        y[i] = to_f32(v.at[i]);
    }
}
