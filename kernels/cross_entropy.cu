// cross_entropy_fwd: loss = mean over b of log sum over k exp z_bk - (1 - eps) z_by - eps / K sum over k z_bk,
//   dz_bk = (p_bk - t_bk) / B SCALE, p = softmax(z_b), t_bk = eps / K + (1 - eps) [k = y]      b < B, k < K, y = label_b
//   logits [B, K] f32 in | labels [B] f32 in: whole numbers; any but 0..K-1 gives a loss that is no number, and zeros
//   in dlogits | scale [1] f32 in, or null: then 1 | loss [1] f32 out | dlogits [B, K] f32 out
//   partials [B] f32 scratch | arrived [1] u32, zero before and after
//   grid B, block CE_THREADS: one image per block; the last block to arrive adds the losses
//   no dynamic shared memory
//   needs B, K > 0; any K
//   logits are read once for K <= CE_THREADS CE_HELD, which stay in registers; the others up to three times
//   f32, the largest logit taken off before exp and before all sums; a thread adds its classes, and its images,
//   upwards, then come lanes and warps in a fixed order: bitwise repeatable, dlogits of an image alone are those in
//   a batch but for the factor SCALE / B
//   defines CE_THREADS, PVT_DTYPE_F32
//   source: Szegedy et al. 2016, section 7; torch.nn.CrossEntropyLoss(label_smoothing)
#include "arrive.cuh"
#include "dtype.cuh"
#include "index.cuh"
#include "reduce.cuh"

constexpr u32 WARPS = CE_THREADS / WARP;
// Classes of a thread that stay in registers: 1024 classes for a block of 128.
constexpr u32 CE_HELD = 8;

// Bits of f32 that no header names.
constexpr u32 MINUS_INFINITY = 0xff800000u;
constexpr u32 NO_NUMBER = 0x7fc00000u;

// Largest value of a warp, in every lane.
__device__ inline float warp_max(float x) { return group_max<WARP>(x); }

// `of_warp` of every warp's values, then of the warps': the same in all threads.
template <class OfWarp, class Join>
__device__ inline float of_block(float x, float* s_warps, OfWarp of_warp, Join join) {
    const u32 tid = threadIdx.x;
    const float own = of_warp(x);
    if (tid % WARP == 0) {
        s_warps[tid / WARP] = own;
    }
    __syncthreads();  // s_warps written above by the first lanes, read below by all
    float all = s_warps[0];
#pragma unroll
    for (u32 w = 1; w < WARPS; ++w) {
        all = join(all, s_warps[w]);
    }
    __syncthreads();  // s_warps read above, written by the next call
    return all;
}

__device__ inline float sum_of_block(float x, float* s_warps) {
    return of_block(x, s_warps, warp_sum, [](float a, float b) { return a + b; });
}

// Calls use(i, k) for the classes k of this thread, i < CE_HELD of them in registers, and then more(k) for the rest.
template <class Use, class More> __device__ inline void each_class(u32 K, Use use, More more) {
    const u32 tid = threadIdx.x;
#pragma unroll
    for (u32 i = 0; i < CE_HELD; ++i) {
        const u32 k = i * CE_THREADS + tid;
        if (k < K) {
            use(i, k);
        }
    }
    for (u32 k = CE_HELD * CE_THREADS + tid; k < K; k += CE_THREADS) {
        more(k);
    }
}

PVT_ENTRY(cross_entropy_fwd)
__launch_bounds__(CE_THREADS)(const float* __restrict__ logits, const float* __restrict__ labels,
                              const float* __restrict__ scale, float* __restrict__ loss,
                              float* __restrict__ dlogits, float* partials, u32* arrived, u32 B, u32 K, float eps) {
    __shared__ float s_warps[WARPS];
    const u32 tid = threadIdx.x;
    const u32 b = blockIdx.x;
    const float* const z_b = row(logits, b, K);
    float* const dz_b = row(dlogits, b, K);
    const float label = labels[b];
    // no number compares with none, so that it is no class either
    const bool known = label >= 0.0f && label < static_cast<float>(K) && label == truncf(label);
    const u32 y = known ? static_cast<u32>(label) : 0;

    float held[CE_HELD];
    float most = __uint_as_float(MINUS_INFINITY);
    each_class(
        K,
        [&](u32 i, u32 k) {
            held[i] = z_b[k];
            most = fmaxf(most, held[i]);
        },
        [&](u32 k) { most = fmaxf(most, z_b[k]); });
    most = of_block(most, s_warps, warp_max, [](float x, float z) { return fmaxf(x, z); });

    float total = 0.0f;   // of exp(z - most)
    float linear = 0.0f;  // of z - most
    float right = 0.0f;   // z - most of the label, in one thread
    const auto add = [&](float z, u32 k) {
        const float below = z - most;
        const float e = expf(below);
        total += e;
        linear += below;
        right = k == y ? below : right;
        return e;
    };
    each_class(
        K, [&](u32 i, u32 k) { held[i] = add(held[i], k); }, [&](u32 k) { add(z_b[k], k); });
    total = sum_of_block(total, s_warps);
    linear = sum_of_block(linear, s_warps);
    right = sum_of_block(right, s_warps);

    const float factor = (scale != nullptr ? scale[0] : 1.0f) / static_cast<float>(B);
    const float inverse = 1.0f / total;
    const float off = eps / static_cast<float>(K);
    const float on = 1.0f - eps;
    const auto give = [&](float e, u32 k) {
        const float p = e * inverse;
        const float t = k == y ? off + on : off;
        dz_b[k] = known ? (p - t) * factor : 0.0f;
    };
    each_class(
        K, [&](u32 i, u32 k) { give(held[i], k); }, [&](u32 k) { give(expf(z_b[k] - most), k); });
    if (tid == 0) {
        // without smoothing a logit of minus infinity elsewhere counts nothing
        const float smooth = eps > 0.0f ? off * linear : 0.0f;
        partials[b] = known ? logf(total) - __fmaf_rn(on, right, smooth) : __uint_as_float(NO_NUMBER);
    }
    // of this block no other thread has stored what other blocks read
    const bool last = tid == 0 && arrive_last(arrived, gridDim.x);
    // the first thread has met what other blocks stored; every thread reads it below
    if (__syncthreads_or(last) == 0) {
        return;  // all threads of the block
    }
    float sum = 0.0f;
    for (u32 i = tid; i < B; i += CE_THREADS) {
        sum += partials[i];
    }
    sum = sum_of_block(sum, s_warps);
    if (tid == 0) {
        loss[0] = sum / static_cast<float>(B);
    }
}
