// Vectors of 16 bytes in global memory, with tails.
#pragma once

#include "dtype.cuh"

// Elements of one vector.
constexpr u32 VEC = 16 / sizeof(T);

struct alignas(16) Vec {
    T at[VEC];
};

// VEC elements from `x`, which is aligned to 16 bytes, as f32.
__device__ inline void load(const T* x, float (&y)[VEC]) {
    const Vec v = *reinterpret_cast<const Vec*>(x);
#pragma unroll
    for (u32 i = 0; i < VEC; ++i) {
        y[i] = to_f32(v.at[i]);
    }
}

// The reverse.
__device__ inline void store(T* y, const float (&x)[VEC]) {
    Vec v;
#pragma unroll
    for (u32 i = 0; i < VEC; ++i) {
        v.at[i] = from_f32(x[i]);
    }
    *reinterpret_cast<Vec*>(y) = v;
}
