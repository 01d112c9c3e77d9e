// What a softmax needs besides sums and maxima: exponentials to base 2.
#pragma once

#include "dtype.cuh"

// Of a score that takes no part. Its exponential is 0.
#define PVT_NEGATIVE_INFINITY __uint_as_float(0xff800000u)

// log2(e): e^x = 2^(x log2(e)).
constexpr float LOG2_E = 1.4426950408889634f;
// Its inverse: ln(x) = log2(x) ln(2).
constexpr float LN_2 = 0.6931471805599453f;

// 2^x for x <= 0. PTX ISA "ex2.approx.ftz.f32": within 2^-22 of the value, results below 2^-126 are 0. Strict
// f32 takes the function that keeps them.
__device__ inline float power_of_two(float x) {
#if defined(PVT_DTYPE_F32)
    return exp2f(x);
#else
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#endif
}
