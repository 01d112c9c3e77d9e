// LayerNorm of rows that lie in shared memory.
#pragma once

#include "reduce.cuh"
#include "tile.cuh"

// Sum over groups of `width` lanes (a power of two), in every lane of the group.
__device__ inline float group_sum(float x, u32 width) {
    for (u32 step = width / 2; step > 0; step /= 2) {
        x += __shfl_xor_sync(FULL, x, step);
    }
    return x;
}

// Lanes for a row of so many vectors: the fewest of 8, 16 and 32 that have one each, so that no lane of a warp
// idles where rows are short.
__device__ inline u32 lanes_of_row(u32 vectors) {
    return vectors <= WARP / 4 ? WARP / 4 : vectors <= WARP / 2 ? WARP / 2 : WARP;
}

// Rows first..first+rows-1 of the panel at `panel` (units of BM rows side by side, C channels) become
// gamma (x - mean) / sqrt(var + eps) + beta, rounded to T. One warp does all of them, `rows` a multiple of 4; biased
// variance in two passes, in an order that C alone fixes. `normed`, where not null, gets rows below `ROWS` too: it is
// the first row's place in a matrix of C columns.
template <u32 BM>
__device__ inline void normalise(u32 panel, u32 first, u32 rows, u32 C, const float* __restrict__ gamma,
                                 const float* __restrict__ beta, float eps, T* normed, u32 ROWS) {
    const u32 vectors = C / VEC;
    const u32 width = lanes_of_row(vectors);
    const u32 lane = lane_index() % width;
    const float scale = 1.0f / static_cast<float>(C);
    for (u32 r = first + lane_index() / width; r < first + rows; r += WARP / width) {
        float v[VEC];
        const auto at = [&](u32 i) {
            return reinterpret_cast<T*>(s_all + panel + i / CHUNKS * (BM * ROW_BYTES) + chunk_at(r, i % CHUNKS));
        };
        float sum = 0.0f;
        for (u32 i = lane; i < vectors; i += width) {
            load(at(i), v);
#pragma unroll
            for (u32 k = 0; k < VEC; ++k) {
                sum += v[k];
            }
        }
        const float mean = group_sum(sum, width) * scale;
        float squares = 0.0f;
        for (u32 i = lane; i < vectors; i += width) {
            load(at(i), v);
#pragma unroll
            for (u32 k = 0; k < VEC; ++k) {
                const float d = v[k] - mean;
                squares = __fmaf_rn(d, d, squares);
            }
        }
        const float rstd = 1.0f / __fsqrt_rn(group_sum(squares, width) * scale + eps);
        for (u32 i = lane; i < vectors; i += width) {
            float g[VEC];
            float b[VEC];
            load(at(i), v);
            load_f32(gamma + i * VEC, g);
            load_f32(beta + i * VEC, b);
#pragma unroll
            for (u32 k = 0; k < VEC; ++k) {
                v[k] = __fmaf_rn((v[k] - mean) * rstd, g[k], b[k]);
            }
            store(at(i), v);
            if (normed != nullptr && r < ROWS) {
                store(row(normed, r, C) + i * VEC, v);
            }
        }
    }
}
