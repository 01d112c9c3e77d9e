// Sums in a fixed order: the same bits in every run.
#pragma once

#include "index.cuh"

// Sum over the lanes of a warp, in every lane: a butterfly, so all lanes add in the same tree.
__device__ inline float warp_sum(float x) {
#pragma unroll
    for (u32 step = WARP / 2; step > 0; step /= 2) {
        x += __shfl_xor_sync(FULL, x, step);
    }
    return x;
}

// Sum over groups of `LANES` neighbouring lanes, in each of them: the same tree in every lane.
template <u32 LANES> __device__ inline float group_sum(float x) {
#pragma unroll
    for (u32 step = LANES / 2; step > 0; step /= 2) {
        x += __shfl_xor_sync(FULL, x, step);
    }
    return x;
}

// Their largest value, in each of them.
template <u32 LANES> __device__ inline float group_max(float x) {
#pragma unroll
    for (u32 step = LANES / 2; step > 0; step /= 2) {
        x = fmaxf(x, __shfl_xor_sync(FULL, x, step));
    }
    return x;
}
