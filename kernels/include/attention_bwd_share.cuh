// How the warps of a block share the backward pass of attention for one head.
#pragma once

#include "attention_tile.cuh"

// A step has QUERIES queries and KEYS keys, and two phases with a barrier between them.
//
// Row phase: warp (wq, wk) has HEIGHT queries and OWN_KEYS keys of S = q k^T and dP = dO v^T; the warps of a row of
// warps agree on its softmax. P and dS go to shared memory as operands of products.
// Gradient phase: warp (wq, wk) has the same queries and COLS columns of dq = dS k; each warp has HEIGHT keys of
// dk = dS^T q and dv = P^T dO, whose sums over all steps are D / 2 registers each.
//
// Few warps along the keys save readings of q and dO; more of them are there where shared memory would not hold
// so many queries.
template <u32 D> struct Share {
    static constexpr u32 WK = (sizeof(T) == sizeof(float) ? 2 : 1) * (D > 64 ? 2 : 1);
    static constexpr u32 WQ = ATT_WARPS / WK;
    static constexpr u32 QUERIES = WQ * HEIGHT;
    static constexpr u32 OWN_KEYS = KEYS / WK;
    static constexpr u32 COLS = D / WK;
    static constexpr u32 THREADS = ATT_WARPS * WARP;
    // Bytes of P, or of dS, of a step.
    static constexpr u32 WEIGHT_BYTES = QUERIES * KEYS * sizeof(T);

    static_assert(ATT_WARPS * HEIGHT == KEYS && WQ * WK == ATT_WARPS, "every warp has keys and queries");

    static __device__ u32 wq() { return threadIdx.y / WK; }
    static __device__ u32 wk() { return threadIdx.y % WK; }
    // First key and number of keys, of `keys` in the tile, that this warp has in the row phase.
    static __device__ u32 first_key() { return wk() * OWN_KEYS; }
    static __device__ u32 own_keys(u32 keys) { return keys > first_key() ? min(keys - first_key(), OWN_KEYS) : 0; }
    // First query of this warp, and first key in the gradient phase.
    static __device__ u32 first_query() { return wq() * HEIGHT; }
    static __device__ u32 slice_key() { return threadIdx.y * HEIGHT; }
};
