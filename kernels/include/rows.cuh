// LayerNorm of a row that some lanes of a warp keep in registers.
#pragma once

#include "index.cuh"
#include "reduce.cuh"
#include "vec.cuh"

// f32 values of one 16-byte vector.
constexpr u32 VEC_F32 = 16 / sizeof(float);

// Rows that a warp takes at a time, where each is held by `LANES` neighbouring lanes.
template <u32 LANES> constexpr u32 ROWS_OF_WARP = WARP / LANES;

// VEC parameters from `x`, which is aligned to 16 bytes.
__device__ inline void load_f32(const float* x, float (&y)[VEC]) {
#pragma unroll
    for (u32 i = 0; i < VEC; i += VEC_F32) {
        const float4 v = *reinterpret_cast<const float4*>(x + i);
        y[i] = v.x;
        y[i + 1] = v.y;
        y[i + 2] = v.z;
        y[i + 3] = v.w;
    }
}

// A row [C] in the registers of a group: lane i of `LANES` has vectors i, i + LANES, ... V at most.
template <u32 LANES, u32 V> struct HeldRow {
    float at[V][VEC];

    // Element that this lane's vector `j` begins with.
    static __device__ u32 column(u32 j) { return (threadIdx.x % LANES + j * LANES) * VEC; }

    // Reads the row; zeros beyond its end and for a row that is not there.
    __device__ void read(const T* x, u32 C, bool there) {
#pragma unroll
        for (u32 j = 0; j < V; ++j) {
            if (there && column(j) < C) {
                load(x + column(j), at[j]);
            } else {
#pragma unroll
                for (u32 i = 0; i < VEC; ++i) {
                    at[j][i] = 0.0f;
                }
            }
        }
    }

    // Mean, and 1 / sqrt(variance + eps), in f32 by two passes over the registers.
    __device__ void statistics(u32 C, float eps, float& mean, float& rstd) const {
        float sum = 0.0f;
#pragma unroll
        for (u32 j = 0; j < V; ++j) {
#pragma unroll
            for (u32 i = 0; i < VEC; ++i) {
                sum += at[j][i];
            }
        }
        mean = group_sum<LANES>(sum) / static_cast<float>(C);
        float squares = 0.0f;
#pragma unroll
        for (u32 j = 0; j < V; ++j) {
            if (column(j) < C) {
#pragma unroll
                for (u32 i = 0; i < VEC; ++i) {
                    const float d = at[j][i] - mean;
                    squares = __fmaf_rn(d, d, squares);
                }
            }
        }
        rstd = 1.0f / __fsqrt_rn(group_sum<LANES>(squares) / static_cast<float>(C) + eps);
    }
};

// Mean, and 1 / sqrt(variance + eps), of a row of any length that a whole warp reads twice.
__device__ inline void row_statistics(const T* x, u32 C, float eps, float& mean, float& rstd) {
    const u32 first = threadIdx.x % WARP * VEC;
    float v[VEC];
    float sum = 0.0f;
    for (u32 c = first; c < C; c += WARP * VEC) {
        load(x + c, v);
#pragma unroll
        for (u32 i = 0; i < VEC; ++i) {
            sum += v[i];
        }
    }
    mean = warp_sum(sum) / static_cast<float>(C);
    float squares = 0.0f;
    for (u32 c = first; c < C; c += WARP * VEC) {
        load(x + c, v);
#pragma unroll
        for (u32 i = 0; i < VEC; ++i) {
            const float d = v[i] - mean;
            squares = __fmaf_rn(d, d, squares);
        }
    }
    rstd = 1.0f / __fsqrt_rn(warp_sum(squares) / static_cast<float>(C) + eps);
}
