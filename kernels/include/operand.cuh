// A weight as matrix products take it from a packed image.
#pragma once

#include "dtype.cuh"

#if defined(PVT_DTYPE_TF32)

// Rounded to tf32, to nearest with ties away. PTX ISA "cvt.rna.tf32.f32" (sm_80).
__device__ inline T operand_of(float x) {
    u32 y;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
    return __uint_as_float(y);
}

#else

__device__ inline T operand_of(float x) { return from_f32(x); }

#endif
