// layernorm_*: y[r,c] = (x[r,c] - mean_r) * rstd_r * gamma[c] + beta[c]     r < R, c < C
//   mean_r = sum_c x[r,c] / C, rstd_r = 1 / sqrt(sum_c (x[r,c] - mean_r)^2 / C + eps)
//   f32, two passes, fixed order of sums: bitwise repeatable
//   source: Ba et al. 2016 eq. 3-4, epsilon inside the root
//
// layernorm_warp: one warp per row, sums by shuffles
//   x, y [R,C] f32 in, out | gamma, beta [C] f32 in | needs 16-byte aligned pointers, C % 4 == 0
//   grid ceil(R/4), block (32, 4) | shared none | rows past R are masked
// layernorm_block: one block per row, sums by shuffles, then shared memory
//   x, y [R,C] f32 in, out | gamma, beta [C] f32 in | any C
//   grid R, block 256 | shared static 9*4 = 36 bytes
// layernorm_bf16: one warp per row, two elements per lane and step
//   x, y [R,C] bf16 in, out | gamma, beta [C] f32 in | needs 8-byte aligned pointers, C % 2 == 0
//   grid ceil(R/4), block (32, 4) | shared none | rows past R are masked

constexpr unsigned WARP = 32;
constexpr unsigned ROWS_PER_BLOCK = 4;
constexpr unsigned THREADS = 256;
constexpr unsigned WARPS = THREADS / WARP;
constexpr unsigned ALL = 0xffffffffu;

// Sum over the lanes of a warp, in every lane.
__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (unsigned lanes = WARP / 2; lanes > 0; lanes /= 2) x += __shfl_xor_sync(ALL, x, lanes);
    return x;
}

// Sum over the threads of a block, in every thread.
__device__ __forceinline__ float block_sum(float x, float (&s_warp)[WARPS + 1]) {
    const unsigned lane = threadIdx.x % WARP;
    const unsigned warp = threadIdx.x / WARP;
    x = warp_sum(x);
    __syncthreads(); // result of the sum before is read by all, s_warp is free
    if (lane == 0) s_warp[warp] = x;
    __syncthreads(); // s_warp[0..WARPS) written above, read by the first warp below
    if (warp == 0) {
        const float total = warp_sum(lane < WARPS ? s_warp[lane] : 0.0f);
        if (lane == 0) s_warp[WARPS] = total;
    }
    __syncthreads(); // s_warp[WARPS] written above, read below
    return s_warp[WARPS];
}

// cvt.f32.bf16 needs sm_90: bf16 is the upper half of f32
__device__ __forceinline__ float2 unpack_bf16x2(unsigned pair) {
    return make_float2(__int_as_float((int)(pair << 16)), __int_as_float((int)(pair & 0xffff0000u)));
}
// cvt.rn.bf16x2.f32: first source in the upper half
__device__ __forceinline__ unsigned pack_bf16x2(float low, float high) {
    unsigned pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

// args: x, gamma, beta, y, R, C, eps
extern "C" __global__ void __launch_bounds__(WARP* ROWS_PER_BLOCK)
    layernorm_warp(const float* __restrict__ x, const float* __restrict__ gamma,
                   const float* __restrict__ beta, float* __restrict__ y, unsigned R, unsigned C, float eps) {
    const unsigned lane = threadIdx.x;
    const unsigned r = blockIdx.x * ROWS_PER_BLOCK + threadIdx.y;
    if (r >= R) return; // whole warps leave, and there is no barrier
    const float4* x_r = (const float4*)(x + (size_t)r * C);
    float4* y_r = (float4*)(y + (size_t)r * C);

    float sum = 0.0f;
    for (unsigned i = lane; i < C / 4; i += WARP) {
        const float4 v = x_r[i];
        sum += (v.x + v.y) + (v.z + v.w);
    }
    const float mean = warp_sum(sum) / (float)C;
    float squares = 0.0f;
    for (unsigned i = lane; i < C / 4; i += WARP) {
        const float4 v = x_r[i];
        const float d0 = v.x - mean, d1 = v.y - mean, d2 = v.z - mean, d3 = v.w - mean;
        squares += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
    }
    const float rstd = rsqrtf(warp_sum(squares) / (float)C + eps);
    for (unsigned i = lane; i < C / 4; i += WARP) {
        const float4 v = x_r[i];
        const float4 g = ((const float4*)gamma)[i];
        const float4 b = ((const float4*)beta)[i];
        y_r[i] = make_float4((v.x - mean) * rstd * g.x + b.x, (v.y - mean) * rstd * g.y + b.y,
                             (v.z - mean) * rstd * g.z + b.z, (v.w - mean) * rstd * g.w + b.w);
    }
}

// args: x, gamma, beta, y, R, C, eps
extern "C" __global__ void __launch_bounds__(THREADS)
    layernorm_block(const float* __restrict__ x, const float* __restrict__ gamma,
                    const float* __restrict__ beta, float* __restrict__ y, unsigned R, unsigned C, float eps) {
    __shared__ float s_warp[WARPS + 1];
    const float* x_r = x + (size_t)blockIdx.x * C;
    float* y_r = y + (size_t)blockIdx.x * C;

    float sum = 0.0f;
    for (unsigned c = threadIdx.x; c < C; c += THREADS) sum += x_r[c];
    const float mean = block_sum(sum, s_warp) / (float)C;
    float squares = 0.0f;
    for (unsigned c = threadIdx.x; c < C; c += THREADS) {
        const float d = x_r[c] - mean;
        squares += d * d;
    }
    const float rstd = 1.0f / sqrtf(block_sum(squares, s_warp) / (float)C + eps);
    for (unsigned c = threadIdx.x; c < C; c += THREADS) y_r[c] = (x_r[c] - mean) * rstd * gamma[c] + beta[c];
}

// args: x, gamma, beta, y, R, C, eps
extern "C" __global__ void __launch_bounds__(WARP* ROWS_PER_BLOCK)
    layernorm_bf16(const unsigned* __restrict__ x, const float* __restrict__ gamma,
                   const float* __restrict__ beta, unsigned* __restrict__ y, unsigned R, unsigned C, float eps) {
    const unsigned lane = threadIdx.x;
    const unsigned r = blockIdx.x * ROWS_PER_BLOCK + threadIdx.y;
    if (r >= R) return; // whole warps leave, and there is no barrier
    const unsigned* x_r = x + (size_t)r * (C / 2);
    unsigned* y_r = y + (size_t)r * (C / 2);

    float sum = 0.0f;
    for (unsigned i = lane; i < C / 2; i += WARP) {
        const float2 v = unpack_bf16x2(x_r[i]);
        sum += v.x + v.y;
    }
    const float mean = warp_sum(sum) / (float)C;
    float squares = 0.0f;
    for (unsigned i = lane; i < C / 2; i += WARP) {
        const float2 v = unpack_bf16x2(x_r[i]);
        const float d0 = v.x - mean, d1 = v.y - mean;
        squares += d0 * d0 + d1 * d1;
    }
    const float rstd = rsqrtf(warp_sum(squares) / (float)C + eps);
    for (unsigned i = lane; i < C / 2; i += WARP) {
        const float2 v = unpack_bf16x2(x_r[i]);
        const float2 g = ((const float2*)gamma)[i];
        const float2 b = ((const float2*)beta)[i];
        y_r[i] = pack_bf16x2((v.x - mean) * rstd * g.x + b.x, (v.y - mean) * rstd * g.y + b.y);
    }
}
