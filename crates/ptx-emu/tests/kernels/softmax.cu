// softmax_*: y[r,c] = exp(x[r,c] - max_r) / sum_c exp(x[r,c] - max_r)     r < R, c < C
//   x [R,C] f32 in | y [R,C] f32 out; x may hold -inf, but not a whole row of it
//   needs 4-byte aligned pointers, C >= 1
//   f32, fixed order of sums: bitwise repeatable
//
// softmax_warp: one warp per row, maximum and sum in one pass, base-2 exponent
//   grid ceil(R/4), block (32, 4) | shared none | rows past R are masked, lanes past C hold no share
//   source: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax"
// softmax_block: one block per row, three passes, expf
//   grid R, block 128 | shared static 4*4 = 16 bytes
// softmax_half: softmax_warp on f16 in and out (the sums in f32), C even and pointers 4-byte aligned
//   grid ceil(R/4), block (32, 4) | shared none

constexpr unsigned WARP = 32;
constexpr unsigned ROWS_PER_BLOCK = 4;
constexpr unsigned THREADS = 128;
constexpr unsigned WARPS = THREADS / WARP;
constexpr unsigned ALL = 0xffffffffu;
constexpr float LOG2E = 1.4426950408889634f;
constexpr float LOWEST = -3.402823466e38f; // below any logit, and LOWEST - LOWEST is 0

// ex2.approx.ftz.f32: 2^x within 2 ulp, sm_20
__device__ __forceinline__ float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

__device__ __forceinline__ float2 unpack_f16x2(unsigned pair) {
    float2 v;
    asm("{ .reg .b16 lo, hi; mov.b32 {lo, hi}, %2; cvt.f32.f16 %0, lo; cvt.f32.f16 %1, hi; }"
        : "=f"(v.x), "=f"(v.y)
        : "r"(pair));
    return v;
}
// cvt.rn.f16x2.f32: first source in the upper half, sm_80
__device__ __forceinline__ unsigned pack_f16x2(float low, float high) {
    unsigned pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

// Running maximum of x * log2(e) and sum of 2^(x * log2(e) - max).
struct Running {
    float max = LOWEST, sum = 0.0f;

    __device__ __forceinline__ void add(float x) { join(fmaxf(x * LOG2E, LOWEST), 1.0f); }
    __device__ __forceinline__ void join(float other_max, float other_sum) {
        const float top = fmaxf(max, other_max);
        sum = sum * exp2_fast(max - top) + other_sum * exp2_fast(other_max - top);
        max = top;
    }
    // Joins the lanes of a warp; every lane has the result.
    __device__ __forceinline__ void join_warp() {
#pragma unroll
        for (unsigned lanes = WARP / 2; lanes > 0; lanes /= 2)
            join(__shfl_xor_sync(ALL, max, lanes), __shfl_xor_sync(ALL, sum, lanes));
    }
};

// args: x, y, R, C
extern "C" __global__ void __launch_bounds__(WARP* ROWS_PER_BLOCK)
    softmax_warp(const float* __restrict__ x, float* __restrict__ y, unsigned R, unsigned C) {
    const unsigned lane = threadIdx.x;
    const unsigned r = blockIdx.x * ROWS_PER_BLOCK + threadIdx.y;
    if (r >= R) return; // whole warps leave, and there is no barrier
    const float* x_r = x + (size_t)r * C;
    float* y_r = y + (size_t)r * C;
    Running row;
    for (unsigned c = lane; c < C; c += WARP) row.add(x_r[c]);
    row.join_warp();
    const float scale = 1.0f / row.sum;
    for (unsigned c = lane; c < C; c += WARP) y_r[c] = exp2_fast(fmaxf(x_r[c] * LOG2E, LOWEST) - row.max) * scale;
}

// args: x, y, R, C
extern "C" __global__ void __launch_bounds__(WARP* ROWS_PER_BLOCK)
    softmax_half(const unsigned* __restrict__ x, unsigned* __restrict__ y, unsigned R, unsigned C) {
    const unsigned lane = threadIdx.x;
    const unsigned r = blockIdx.x * ROWS_PER_BLOCK + threadIdx.y;
    if (r >= R) return; // whole warps leave, and there is no barrier
    const unsigned* x_r = x + (size_t)r * (C / 2);
    unsigned* y_r = y + (size_t)r * (C / 2);
    Running row;
    for (unsigned i = lane; i < C / 2; i += WARP) {
        const float2 v = unpack_f16x2(x_r[i]);
        row.add(v.x);
        row.add(v.y);
    }
    row.join_warp();
    const float scale = 1.0f / row.sum;
    for (unsigned i = lane; i < C / 2; i += WARP) {
        const float2 v = unpack_f16x2(x_r[i]);
        y_r[i] = pack_f16x2(exp2_fast(fmaxf(v.x * LOG2E, LOWEST) - row.max) * scale,
                            exp2_fast(fmaxf(v.y * LOG2E, LOWEST) - row.max) * scale);
    }
}

// args: x, y, R, C
extern "C" __global__ void __launch_bounds__(THREADS)
    softmax_block(const float* __restrict__ x, float* __restrict__ y, unsigned R, unsigned C) {
    __shared__ float s_warp[WARPS];
    const unsigned lane = threadIdx.x % WARP;
    const unsigned warp = threadIdx.x / WARP;
    const float* x_r = x + (size_t)blockIdx.x * C;
    float* y_r = y + (size_t)blockIdx.x * C;

    float max = LOWEST;
    for (unsigned c = threadIdx.x; c < C; c += THREADS) max = fmaxf(max, x_r[c]);
#pragma unroll
    for (unsigned lanes = WARP / 2; lanes > 0; lanes /= 2) max = fmaxf(max, __shfl_xor_sync(ALL, max, lanes));
    if (lane == 0) s_warp[warp] = max;
    __syncthreads(); // maxima written above, read below
#pragma unroll
    for (unsigned w = 0; w < WARPS; ++w) max = fmaxf(max, s_warp[w]);

    float sum = 0.0f;
    for (unsigned c = threadIdx.x; c < C; c += THREADS) {
        const float e = expf(x_r[c] - max);
        y_r[c] = e; // read again by the same thread
        sum += e;
    }
#pragma unroll
    for (unsigned lanes = WARP / 2; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(ALL, sum, lanes);
    __syncthreads(); // maxima read above, overwritten below
    if (lane == 0) s_warp[warp] = sum;
    __syncthreads(); // sums written above, read below
    float total = 0.0f;
#pragma unroll
    for (unsigned w = 0; w < WARPS; ++w) total += s_warp[w];
    for (unsigned c = threadIdx.x; c < C; c += THREADS) y_r[c] = y_r[c] / total;
}
