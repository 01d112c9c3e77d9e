// pos_embed_fwd: y[b, k + n] = x[b, n] + table[k + n], y[b, 0] = class_token + table[0]
//   x [B, N, C] T in | class_token [C] T in, or null: then k = 0, else 1 | table [k + N, C] T in
//   y [B, k + N, C] T out
//   grid B ceil((k + N) C / (POS_THREADS VEC)), block POS_THREADS: one 16-byte vector per thread
// pos_embed_resize_fwd: the first k rows copied; then the grid H0 x W0 resized to H1 x W1, bilinear
//   table [k + H0 W0, C] T in | y [k + H1 W1, C] T out
//   grid ceil((k + H1 W1) C / (POS_THREADS VEC)), block POS_THREADS: one 16-byte vector per thread
//   half-pixel centres, clamped at the edges, two taps an axis, no area filter when shrinking
//   both: no shared memory | needs C % VEC == 0, 16-byte pointers, fewer than 2^32 vectors in an
//   image or table, sides of grids below 2^15; vectors past the end are left out
//   table is read once per image by the first, up to four times by the second
//   f32, one rounding to T: bitwise repeatable | weights from integers, each rounded once
//   defines POS_THREADS, PVT_DTYPE_*
//   source: Wang et al. 2021, 3.3; torch interpolate(mode="bilinear", align_corners=False)
#include "dtype.cuh"
#include "index.cuh"
#include "taps.cuh"
#include "vec.cuh"

PVT_ENTRY(pos_embed_fwd)
__launch_bounds__(POS_THREADS)(const T* __restrict__ x, const T* __restrict__ class_token,
                               const T* __restrict__ table, T* __restrict__ y, u32 B, u32 N, u32 C) {
    const u32 row_vectors = C / VEC;
    const u32 class_vectors = class_token != nullptr ? row_vectors : 0;
    const u32 vectors = class_vectors + N * row_vectors;  // of an image
    const u32 blocks = (vectors - 1) / POS_THREADS + 1;   // for an image
    const u32 b = blockIdx.x / blocks;
    const u32 v = blockIdx.x % blocks * POS_THREADS + threadIdx.x;
    if (b >= B || v >= vectors) {
        return;  // there is no barrier
    }
    const T* from = v < class_vectors ? row(class_token, v, VEC)
                                      : row(row(x, b * N, C), v - class_vectors, VEC);
    float sum[VEC];
    float t[VEC];
    load(from, sum);
    load(row(table, v, VEC), t);
#pragma unroll
    for (u32 i = 0; i < VEC; ++i) {
        sum[i] += t[i];
    }
    store(row(row(y, b * (vectors / row_vectors), C), v, VEC), sum);
}

// a + (b - a) w, as the sum of both parts.
__device__ inline float mix(float a, float b, float w) { return a * (1.0f - w) + b * w; }

PVT_ENTRY(pos_embed_resize_fwd)
__launch_bounds__(POS_THREADS)(const T* __restrict__ table, T* __restrict__ y, u32 C, u32 k, u32 H0, u32 W0,
                               u32 H1, u32 W1) {
    const u32 row_vectors = C / VEC;
    const u32 v = blockIdx.x * POS_THREADS + threadIdx.x;
    const u32 r = v / row_vectors;
    const u32 c = v % row_vectors * VEC;
    if (r >= k + H1 * W1) {
        return;  // there is no barrier
    }
    float value[VEC];
    if (r < k) {
        load(row(table, r, C) + c, value);
    } else {
        const Taps down((r - k) / W1, H0, H1);
        const Taps right((r - k) % W1, W0, W1);
        float corner[2][2][VEC];
        load(row(table, k + down.low * W0 + right.low, C) + c, corner[0][0]);
        load(row(table, k + down.low * W0 + right.high, C) + c, corner[0][1]);
        load(row(table, k + down.high * W0 + right.low, C) + c, corner[1][0]);
        load(row(table, k + down.high * W0 + right.high, C) + c, corner[1][1]);
#pragma unroll
        for (u32 i = 0; i < VEC; ++i) {
            const float top = mix(corner[0][0][i], corner[0][1][i], right.weight);
            const float bottom = mix(corner[1][0][i], corner[1][1][i], right.weight);
            value[i] = mix(top, bottom, down.weight);
        }
    }
    store(row(y, r, C) + c, value);
}
