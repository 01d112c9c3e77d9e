// grad_norm_fwd: norm = sqrt(sum over i of (g[i] / scale)^2)      i < LEN, and from it what the optimiser's step needs
//   g [LEN] f32 in | hyper: Hyper in | partials [blocks] f32 scratch | arrived [1] u32, zero before and after
//   control: Control in and out. Where a square is not finite: apply = 0, scale halves, down to 1. Else: apply = 1,
//   factor = min(1, clip / (norm + 1e-6)) / scale, steps + 1, the powers of beta and what follows from them; after
//   GROWTH such steps in a row scale doubles, up to MOST_SCALE. GROWTH = 0: scale stays
//   betas are the bits of f64
//   grid ceil(LEN / NORM_CHUNK), block NORM_THREADS: a block adds NORM_CHUNK squares; the last block to arrive adds
//   the sums and writes control
//   no dynamic shared memory | needs 16-byte pointers; the last block takes what is left
//   g is read once
//   squares are f32, without the scale: they overflow beyond 1.8e19, which counts as not finite. A thread adds four
//   sums upwards, then come lanes and warps, all f32; blocks in f64, in a fixed order: bitwise repeatable
//   defines NORM_THREADS, NORM_CHUNK, PVT_DTYPE_F32
//   source: torch.nn.utils.clip_grad_norm_, torch.amp.GradScaler, torch.optim.AdamW
#include "arrive.cuh"
#include "control.cuh"
#include "dtype.cuh"
#include "index.cuh"
#include "reduce.cuh"

constexpr u32 WARPS = NORM_THREADS / WARP;
constexpr u32 FOUR = 4;
// Sums of squares are finite up to the largest f32.
constexpr float LARGEST = 3.402823466e38f;
// torch.nn.utils.clip_grad_norm_ adds it to the norm.
constexpr double CLIP_EPS = 1e-6;

static_assert(NORM_CHUNK % (NORM_THREADS * FOUR) == 0, "whole vectors, and alike for every thread");

// x / s for a power of two s, which a product by its inverse is too.
__device__ inline float square(float x, float inverse) {
    const float y = x * inverse;
    return y * y;
}

// What follows from the norm.
__device__ inline void conclude(Control& c, const Hyper& hyper, double sum, u64 BETA1, u64 BETA2, u32 GROWTH,
                                float MOST_SCALE) {
    const float scale = c.scale;
    const bool finite = sum <= LARGEST;  // nothing compares with what is no number
    const double norm = __dsqrt_rn(sum);
    c.norm = static_cast<float>(norm);
    c.apply = finite ? 1 : 0;
    if (!finite) {
        c.clean = 0;
        c.scale = GROWTH != 0 ? fmaxf(scale * 0.5f, fminf(scale, 1.0f)) : scale;
        return;
    }
    const double clip = hyper.clip > 0.0f ? hyper.clip / (norm + CLIP_EPS) : 1.0;
    c.factor = static_cast<float>((clip < 1.0 ? clip : 1.0) / scale);
    c.steps += 1;
    c.power1 *= __longlong_as_double(static_cast<i64>(BETA1));
    c.power2 *= __longlong_as_double(static_cast<i64>(BETA2));
    c.step_size = static_cast<float>(hyper.lr / (1.0 - c.power1));
    c.root = static_cast<float>(1.0 / __dsqrt_rn(1.0 - c.power2));
    c.decay = static_cast<float>(1.0 - static_cast<double>(hyper.lr) * hyper.weight_decay);
    c.clean += 1;
    if (GROWTH != 0 && c.clean >= GROWTH) {
        c.clean = 0;
        c.scale = fminf(scale * 2.0f, fmaxf(scale, MOST_SCALE));
    }
}

PVT_ENTRY(grad_norm_fwd)
__launch_bounds__(NORM_THREADS)(const float* __restrict__ g, const Hyper* __restrict__ hyper, float* partials,
                                u32* arrived, Control* control, u64 LEN, u64 BETA1, u64 BETA2, u32 GROWTH,
                                float MOST_SCALE) {
    __shared__ float s_warps[WARPS];
    __shared__ double s_sums[NORM_THREADS];
    const u32 tid = threadIdx.x;
    const float inverse = 1.0f / control->scale;
    const u64 first = static_cast<u64>(blockIdx.x) * NORM_CHUNK;
    const u64 left = LEN - first;
    const u32 count = left < NORM_CHUNK ? static_cast<u32>(left) : NORM_CHUNK;
    const float* const chunk = g + first;

    float4 squares{};
    constexpr u32 AT_ONCE = 8;  // vectors on their way from memory
#pragma unroll AT_ONCE
    for (u32 i = tid * FOUR; i + FOUR <= count; i += NORM_THREADS * FOUR) {
        const float4 v = *reinterpret_cast<const float4*>(chunk + i);
        squares.x += square(v.x, inverse);
        squares.y += square(v.y, inverse);
        squares.z += square(v.z, inverse);
        squares.w += square(v.w, inverse);
    }
    float sum = (squares.x + squares.y) + (squares.z + squares.w);
    const u32 tail = count / FOUR * FOUR + tid;
    if (tail < count) {
        sum += square(chunk[tail], inverse);
    }
    sum = warp_sum(sum);
    if (tid % WARP == 0) {
        s_warps[tid / WARP] = sum;
    }
    __syncthreads();  // s_warps written above by the first lanes, read below by the first thread
    bool last = false;
    if (tid == 0) {
        float total = 0.0f;
#pragma unroll
        for (u32 w = 0; w < WARPS; ++w) {
            total += s_warps[w];
        }
        partials[blockIdx.x] = total;
        // of this block no other thread has written what other blocks read; all have read the scale
        last = arrive_last(arrived, gridDim.x);
    }
    // the first thread has met what other blocks stored; every thread reads it below
    if (__syncthreads_or(last) == 0) {
        return;  // all threads of the block
    }
    double whole = 0.0;
    for (u32 b = tid; b < gridDim.x; b += NORM_THREADS) {
        whole += partials[b];
    }
    s_sums[tid] = whole;
    for (u32 half = NORM_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();  // s_sums[half..] written above, read below by the lower threads
        if (tid < half) {
            s_sums[tid] += s_sums[tid + half];
        }
    }
    if (tid == 0) {
        conclude(*control, *hyper, s_sums[0], BETA1, BETA2, GROWTH, MOST_SCALE);
    }
}
