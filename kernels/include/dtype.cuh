// The type in which a module keeps its tensors, and the way from and to f32, in which it computes.
//
// One of PVT_DTYPE_F32, PVT_DTYPE_TF32, PVT_DTYPE_F16, PVT_DTYPE_BF16 is defined by the build, and
// PVT_SUFFIX is the type's name, which PVT_ENTRY appends to the name of a kernel. TF32 keeps tensors in
// f32 and rounds only what enters a matrix product.
#pragma once

#include "types.cuh"

#ifndef PVT_SUFFIX
#error "PVT_SUFFIX is not defined; build.rs does that"
#endif

#define PVT_JOIN_(name, suffix) name##_##suffix
#define PVT_JOIN(name, suffix) PVT_JOIN_(name, suffix)
#define PVT_ENTRY(name) extern "C" __global__ void PVT_JOIN(name, PVT_SUFFIX)

#if defined(PVT_DTYPE_F32) || defined(PVT_DTYPE_TF32)

using T = float;

__device__ inline float to_f32(T x) { return x; }

__device__ inline T from_f32(float x) { return x; }

#elif defined(PVT_DTYPE_F16)

// IEEE half precision. PTX ISA "cvt": exact to f32, to nearest even back.
struct T {
    u16 bits;
};

__device__ inline float to_f32(T x) {
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}

__device__ inline T from_f32(float x) {
    T y;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}

#elif defined(PVT_DTYPE_BF16)

// bfloat16: the upper half of an f32. PTX ISA "cvt.rn.bf16.f32" (sm_80): to nearest even.
struct T {
    u16 bits;
};

__device__ inline float to_f32(T x) { return __uint_as_float(static_cast<u32>(x.bits) << 16); }

__device__ inline T from_f32(float x) {
    T y;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}

#else
#error "define one of PVT_DTYPE_F32, PVT_DTYPE_TF32, PVT_DTYPE_F16, PVT_DTYPE_BF16"
#endif
