// Functions of one f32.
#pragma once

#include "dtype.cuh"

// tanh with a relative error of at most 2^-11. PTX ISA "tanh.approx.f32" (sm_75).
__device__ inline float tanh_approx(float x) {
    float y;
    asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// GELU, 0.5 x (1 + erf(x / sqrt 2)), as exactly as the type deserves, and `gelu_slope`, the derivative of the very
// form that `gelu` has.
#if defined(PVT_DTYPE_BF16)

// 0.5 x (1 + tanh(x (c0 + c1 x^2 + c2 x^4))): at most 2.5e-5 from GELU, and what tanh_approx adds; for
// |x| > BOUND the argument is held where tanh is 1.
constexpr float GELU_BOUND = 9.0f;
constexpr float GELU_C0 = 0.79750788f, GELU_C1 = 0.037005646f, GELU_C2 = -3.5151679e-4f;

__device__ inline float gelu(float x) {
    const float z = fminf(fmaxf(x, -GELU_BOUND), GELU_BOUND);
    const float u = z * z;
    const float half = 0.5f * x;
    return __fmaf_rn(half, tanh_approx(z * __fmaf_rn(__fmaf_rn(GELU_C2, u, GELU_C1), u, GELU_C0)), half);
}

// At most 1.2e-4 from the slope of GELU, and what tanh_approx adds, twice.
__device__ inline float gelu_slope(float x) {
    const float z = fminf(fmaxf(x, -GELU_BOUND), GELU_BOUND);
    const float u = z * z;
    const float t = tanh_approx(z * __fmaf_rn(__fmaf_rn(GELU_C2, u, GELU_C1), u, GELU_C0));
    const float inner = __fmaf_rn(__fmaf_rn(5.0f * GELU_C2, u, 3.0f * GELU_C1), u, GELU_C0);
    return __fmaf_rn(0.5f * z * inner, __fmaf_rn(-t, t, 1.0f), __fmaf_rn(0.5f, t, 0.5f));
}

#elif defined(PVT_DTYPE_F16)

// x (0.5 + z q(s)) with z = x held in [-BOUND, BOUND], s = 2 z^2 / BOUND^2 - 1 and BOUND q(1) = 0.5, so that of large
// negative x only rounding is left, 1e-8 |x|: minimax on |x| <= BOUND, at most 2.6e-5 from GELU; in z^2 itself the
// terms would cancel, and rounding would add as much again.
constexpr float GELU_BOUND = 4.4f, GELU_SCALE = 2.0f / (GELU_BOUND * GELU_BOUND);
constexpr i32 GELU_TERMS = 9;
__device__ constexpr float GELU_Q[GELU_TERMS] = {0.160404414f,   -0.0786123499f, 0.055250816f,
                                                 -0.0400888175f, 0.0268002227f,  -0.0159781557f,
                                                 0.0109918937f,  -0.00788329449f, 0.00275163446f};

__device__ inline float gelu(float x) {
    const float z = fminf(fmaxf(x, -GELU_BOUND), GELU_BOUND);
    const float s = __fmaf_rn(z * z, GELU_SCALE, -1.0f);
    float q = GELU_Q[GELU_TERMS - 1];
#pragma unroll
    for (i32 i = GELU_TERMS - 2; i >= 0; --i) {
        q = __fmaf_rn(q, s, GELU_Q[i]);
    }
    return x * __fmaf_rn(z, q, 0.5f);
}

// 0.5 + 2 z q + 2 SCALE z^3 q', where q' is the derivative by s; beyond BOUND z is constant, and the slope 0 or 1. At most
// 2e-3 from the slope of GELU, at BOUND: there the error of a minimax polynomial of degree 18 turns most steeply.
__device__ inline float gelu_slope(float x) {
    if (fabsf(x) > GELU_BOUND) {
        return x > 0.0f ? 1.0f : 0.0f;
    }
    const float s = __fmaf_rn(x * x, GELU_SCALE, -1.0f);
    float q = GELU_Q[GELU_TERMS - 1];
    float slope = 0.0f;
#pragma unroll
    for (i32 i = GELU_TERMS - 2; i >= 0; --i) {
        slope = __fmaf_rn(slope, s, q);
        q = __fmaf_rn(q, s, GELU_Q[i]);
    }
    return __fmaf_rn(2.0f * x, __fmaf_rn(GELU_SCALE * x * x, slope, q), 0.5f);
}

#else

constexpr float SQRT_HALF = 0.70710678118654752f;
constexpr float INVERSE_SQRT_TWO_PI = 0.39894228040143268f;

__device__ inline float gelu(float x) { return 0.5f * x * (1.0f + erff(x * SQRT_HALF)); }

// 0.5 (1 + erf(x / sqrt 2)) + x exp(-x^2 / 2) / sqrt(2 pi)
__device__ inline float gelu_slope(float x) {
    const float density = INVERSE_SQRT_TWO_PI * expf(-0.5f * x * x);
    return __fmaf_rn(x, density, 0.5f * (1.0f + erff(x * SQRT_HALF)));
}

#endif
