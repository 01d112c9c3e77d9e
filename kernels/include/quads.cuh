// Vectors of VEC values as f32 in shared memory.
#pragma once

#include "index.cuh"
#include "vec.cuh"

// Quarters of 16 bytes of a vector of T as f32: 1 of f32, 2 of 16 bits.
constexpr u32 QUADS = VEC * sizeof(float) / 16;

// float4 of a row of `vectors` vectors. All first quads of the vectors come before all second ones, so that lanes
// with neighbouring vectors write neighbouring 16 bytes; 64 bytes further in banks, so that lanes with neighbouring
// quads of the row, which read from both, meet in no bank either.
__device__ inline constexpr u32 quads_of_row(u32 vectors) {
    constexpr u32 LINE = 8;  // float4 in all banks
    return QUADS == 1 ? vectors : ((vectors + LINE - 1) / LINE * LINE + LINE / 2) * QUADS;
}

// Where quad `q` of vector `vector` is in such a row.
__device__ inline constexpr u32 quad_at(u32 vectors, u32 vector, u32 q) {
    return q * (quads_of_row(vectors) / QUADS) + vector;
}

// Where elements 4 f .. 4 f + 3 are.
__device__ inline constexpr u32 quad_of_elements(u32 vectors, u32 f) {
    return quad_at(vectors, f / QUADS, f % QUADS);
}

// Puts a vector of values into a row.
__device__ inline void store_quads(float4* s_row, u32 vectors, u32 vector, const float (&x)[VEC]) {
#pragma unroll
    for (u32 q = 0; q < QUADS; ++q) {
        const u32 i = q * (VEC / QUADS);
        s_row[quad_at(vectors, vector, q)] = float4{x[i], x[i + 1], x[i + 2], x[i + 3]};
    }
}

// a + b
__device__ inline float4 operator+(float4 a, float4 b) {
    return float4{a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w};
}
