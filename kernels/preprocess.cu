// preprocess_fwd: y[b, c, h, w] = (x[b, h, w, c] / 255 - mean_c) scale_c      scale_c = 1 / std_c
//   x [B, H, W, 3] bytes in | y [B, 3, H, W] f32 out
//   grid B ceil(H W / (PRE_THREADS QUAD)), block PRE_THREADS: QUAD pixels of one image per thread
//   a block brings its bytes to shared memory as vectors of 16 and writes each plane as vectors of 16 bytes
//   needs 16-byte pointers and nothing of H and W: where a vector is shared with another plane or block, or x
//   ends within it, single elements move
//   the quotient is rounded as a division would be, then one subtraction and one product: where a program
//   divides by std instead, last bits differ
//   defines PRE_THREADS
//   source: torchvision ToTensor and Normalize
#include "dtype.cuh"
#include "index.cuh"
#include "vec.cuh"

constexpr u32 CHANNELS = 3;
// Pixels of a thread: one vector of each plane.
constexpr u32 QUAD = VEC;
// Bytes of a vector.
constexpr u32 BYTES = sizeof(Vec);
// Pixels and bytes of a block.
constexpr u32 PIXELS = PRE_THREADS * QUAD;
constexpr u32 BLOCK_BYTES = PIXELS * CHANNELS;

// x / 255 for x of 0 to 255, rounded as a division: the product is off by an ulp at most, and its error,
// which an FMA gives exactly, corrects it.
__device__ inline float share_of_white(float x) {
    constexpr float WHITE = 255.0f;
    constexpr float INVERSE = 1.0f / WHITE;
    const float y = x * INVERSE;
    return __fmaf_rn(__fmaf_rn(-y, WHITE, x), INVERSE, y);
}

PVT_ENTRY(preprocess_fwd)
__launch_bounds__(PRE_THREADS)(const u8* __restrict__ x, float* __restrict__ y, u32 B, u32 H, u32 W, float mean_r,
                               float mean_g, float mean_b, float scale_r, float scale_g, float scale_b) {
    // bytes stand in it as in their vectors of global memory, with neighbours before and behind that share them
    __shared__ uint4 s_vectors[BLOCK_BYTES / BYTES + 1];
    u8* s_x = reinterpret_cast<u8*>(s_vectors);
    const u32 tid = threadIdx.x;
    const u32 all = H * W;
    const u32 blocks = (all - 1) / PIXELS + 1;  // for an image
    const u32 b = blockIdx.x / blocks;
    const u32 p0 = blockIdx.x % blocks * PIXELS;
    const u32 pixels = b < B ? min(all - p0, PIXELS) : 0;

    const u64 begin = (static_cast<u64>(b) * all + p0) * CHANNELS;
    const u32 x_shift = static_cast<u32>(begin % BYTES);
    const u32 end = x_shift + pixels * CHANNELS;
    const u64 all_bytes = static_cast<u64>(B) * all * CHANNELS;
    const u8* x_v = x + (begin - x_shift);
    for (u32 i = tid * BYTES; i < end; i += PRE_THREADS * BYTES) {
        if (begin - x_shift + i + BYTES <= all_bytes) {
            s_vectors[i / BYTES] = *reinterpret_cast<const uint4*>(x_v + i);
        } else {
            for (u32 j = i; j < end; ++j) {
                s_x[j] = x_v[j];
            }
        }
    }
    __syncthreads();  // s_x written above, read below by other threads

    const float mean[CHANNELS] = {mean_r, mean_g, mean_b};
    const float scale[CHANNELS] = {scale_r, scale_g, scale_b};
#pragma unroll
    for (u32 c = 0; c < CHANNELS; ++c) {
        const u64 first = (static_cast<u64>(b) * CHANNELS + c) * all + p0;
        const u32 y_shift = static_cast<u32>(first % QUAD);
        Vec* y_v = reinterpret_cast<Vec*>(y) + first / QUAD;
        for (u32 i = tid * QUAD; i < y_shift + pixels; i += PRE_THREADS * QUAD) {
            float v[QUAD];
#pragma unroll
            for (u32 j = 0; j < QUAD; ++j) {
                const u32 p = i + j - y_shift;  // beyond `pixels` where it wraps
                const u32 level = p < pixels ? s_x[x_shift + p * CHANNELS + c] : 0;
                v[j] = (share_of_white(static_cast<float>(level)) - mean[c]) * scale[c];
            }
            if (i >= y_shift && i + QUAD <= y_shift + pixels) {
                store(y_v[i / QUAD].at, v);
            } else {
#pragma unroll
                for (u32 j = 0; j < QUAD; ++j) {
                    if (i + j - y_shift < pixels) {
                        y[first - y_shift + i + j] = v[j];
                    }
                }
            }
        }
    }
}
