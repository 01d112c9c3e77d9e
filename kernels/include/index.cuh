// Where threads and rows are. Offsets across rows have 64 bits, those inside a row 32.
#pragma once

#include "types.cuh"

// Lanes of a warp.
constexpr u32 WARP = 32;
// All of them, as a mask.
constexpr u32 FULL = 0xffffffffu;

// Begin of row `r` of a tensor with `stride` elements from one row to the next.
template <typename X> __device__ inline X* row(X* x, u32 r, u32 stride) {
    return x + static_cast<u64>(r) * stride;
}
