// Stores of words side by side to global memory, as one instruction. PTX ISA "st".
//
// A vector that is written where paths with different values of it meet, the compiler may store word by word; a warp
// then asks for every sector as often.
#pragma once

#include "types.cuh"

__device__ inline void store_words(void* y, const u32 (&x)[1]) {
    asm volatile("st.global.u32 [%0], %1;" ::"l"(y), "r"(x[0]) : "memory");
}

// y is aligned to 8 bytes.
__device__ inline void store_words(void* y, const u32 (&x)[2]) {
    asm volatile("st.global.v2.u32 [%0], {%1, %2};" ::"l"(y), "r"(x[0]), "r"(x[1]) : "memory");
}

// y is aligned to 16 bytes.
__device__ inline void store_words(void* y, const u32 (&x)[4]) {
    asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(y), "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3])
                 : "memory");
}
