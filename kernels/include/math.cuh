// Functions of one f32.
#pragma once

#include "dtype.cuh"

// tanh with a relative error of at most 2^-11. PTX ISA "tanh.approx.f32" (sm_75).
__device__ inline float tanh_approx(float x) {
    float y;
    asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// 0.5 x (1 + erf(x / sqrt 2)), as exactly as the type deserves.
__device__ inline float gelu(float x) {
#if defined(PVT_DTYPE_BF16)
    // 0.5 x (1 + tanh(x (c0 + c1 x^2 + c2 x^4))): at most 2.5e-5 from GELU, and what tanh_approx adds; for
    // |x| > 9 the argument is held where tanh is 1
    constexpr float BOUND = 9.0f;
    constexpr float C0 = 0.79750788f, C1 = 0.037005646f, C2 = -3.5151679e-4f;
    const float z = fminf(fmaxf(x, -BOUND), BOUND);
    const float u = z * z;
    const float half = 0.5f * x;
    return __fmaf_rn(half, tanh_approx(z * __fmaf_rn(__fmaf_rn(C2, u, C1), u, C0)), half);
#elif defined(PVT_DTYPE_F16)
    // x (0.5 + z q(s)) with z = x held in [-BOUND, BOUND], s = 2 z^2 / BOUND^2 - 1 and BOUND q(1) = 0.5, so that of large
    // negative x only rounding is left, 1e-8 |x|: minimax on |x| <= BOUND, at most 2.6e-5 from GELU; in z^2 itself the
    // terms would cancel, and rounding would add as much again
    constexpr float BOUND = 4.4f, SCALE = 2.0f / (BOUND * BOUND);
    constexpr float Q[9] = {0.160404414f,   -0.0786123499f, 0.055250816f,    -0.0400888175f, 0.0268002227f,
                            -0.0159781557f, 0.0109918937f,  -0.00788329449f, 0.00275163446f};
    const float z = fminf(fmaxf(x, -BOUND), BOUND);
    const float s = __fmaf_rn(z * z, SCALE, -1.0f);
    float q = Q[8];
#pragma unroll
    for (i32 i = 7; i >= 0; --i) {
        q = __fmaf_rn(q, s, Q[i]);
    }
    return x * __fmaf_rn(z, q, 0.5f);
#else
    constexpr float SQRT_HALF = 0.70710678118654752f;
    return 0.5f * x * (1.0f + erff(x * SQRT_HALF));
#endif
}
