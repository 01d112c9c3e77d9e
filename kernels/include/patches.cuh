// Patches of images as rows of a matrix: row m = (b, v, u) is the P x P patch (v, u) of image b.
#pragma once

#include "tile.cuh"

// Where patches are: `B` images of H x W with C channels, floor(H / P) x floor(W / P) whole patches.
struct Patches {
    u32 B, H, W, C, P;

    __device__ inline u32 tokens() const { return (H / P) * (W / P); }
    __device__ inline u32 rows() const { return B * tokens(); }
    __device__ inline u32 inner() const { return P * P * C; }

    // First element of row `m` in [B, H, W, C].
    __device__ inline u64 of_tokens(u32 m) const {
        const u32 across = W / P;
        const u32 u = m % across;
        const u32 v = m / across % (H / P);
        const u32 b = m / tokens();
        return ((static_cast<u64>(b) * H + v * P) * W + u * P) * C;
    }

    // First element of row `m` in [B, C, H, W].
    __device__ inline u64 of_pixels(u32 m) const {
        const u32 across = W / P;
        const u32 u = m % across;
        const u32 v = m / across % (H / P);
        const u32 b = m / tokens();
        return (static_cast<u64>(b) * C * H + v * P) * W + u * P;
    }

    // Whether four pixels of a line of a patch are side by side and aligned.
    __device__ inline bool in_fours() const { return P % 4 == 0 && W % 4 == 0; }

    // From the first element of a patch to element `k` of (dy, dx, c) in [B, H, W, C]: P * C of them are side by side.
    __device__ inline u32 to_token(u32 k) const { return k / (P * C) * (W * C) + k % (P * C); }

    // From the first element of a patch in [B, C, H, W] to element `k` of (c, dy, dx).
    __device__ inline u64 to_pixel(u32 k) const {
        const u32 line = k / P;
        return (static_cast<u64>(line / P) * H + line % P) * W + k % P;
    }
};

// No row.
constexpr u64 NOWHERE = ~0ull;

// Begins to copy unit `k` of BM patches of tokens to the tile at `s`; the inner dimension runs over (dy, dx, c), of
// which P * C elements are side by side. `first` has the patches' first elements, or NOWHERE.
template <u32 BM, u32 THREADS>
__device__ inline void copy_patches(u32 s, const T* __restrict__ x, const Patches& p, const u64* first, u32 k) {
    constexpr u32 AT_ONCE = THREADS / CHUNKS;
    static_assert(BM % AT_ONCE == 0, "alike for every thread");
    const u32 chunk = thread_index() % CHUNKS;
    const u32 at = k * UNIT + chunk * VEC;
    const u32 line = p.P * p.C;
    const u64 inside = static_cast<u64>(at / line) * p.W * p.C + at % line;
#pragma unroll
    for (u32 i = 0; i < BM; i += AT_ONCE) {
        const u32 r = i + thread_index() / CHUNKS;
        const u64 from = first[r];
        const bool valid = from != NOWHERE && at < p.inner();
        cp_async_or_zero(shared_address(s_all + s + chunk_at(r, chunk)), valid ? x + from + inside : x, valid);
    }
}

// VEC pixels of a patch, from `at` of the inner dimension on; zeros past its end, and where `first` is NOWHERE. `fours`:
// four pixels of a line of a patch are side by side and aligned.
__device__ inline void load_pixels(const float* __restrict__ x, const Patches& p, u64 first, u32 at, bool fours,
                                   float (&v)[VEC]) {
#pragma unroll
    for (u32 j = 0; j < VEC; ++j) {
        v[j] = 0.0f;
    }
    if (first != NOWHERE && fours) {
#pragma unroll
        for (u32 j = 0; j < VEC; j += 4) {
            if (at + j < p.inner()) {
                const Four four = *reinterpret_cast<const Four*>(x + first + p.to_pixel(at + j));
#pragma unroll
                for (u32 e = 0; e < 4; ++e) {
                    v[j + e] = four.at[e];
                }
            }
        }
    } else if (first != NOWHERE) {
#pragma unroll
        for (u32 j = 0; j < VEC; ++j) {
            if (at + j < p.inner()) {
                v[j] = x[first + p.to_pixel(at + j)];
            }
        }
    }
}

// Writes unit `k` of BM patches of f32 pixels, as T, to the tile at `s`; the inner dimension runs over (c, dy, dx).
// Neighbouring lanes have neighbouring patches, so that together they read whole lines. `first` is the first
// pixel of this thread's patch, thread_index() % BM, or NOWHERE.
template <u32 BM, u32 THREADS>
__device__ inline void copy_pixels(u32 s, const float* __restrict__ x, const Patches& p, u64 first, u32 k) {
    constexpr u32 PER_THREAD = CHUNKS * BM / THREADS;
    static_assert(THREADS % BM == 0, "one patch for a thread");
    const u32 r = thread_index() % BM;
    const u32 chunk0 = thread_index() / BM * PER_THREAD;
    const bool fours = p.in_fours();
#pragma unroll
    for (u32 i = 0; i < PER_THREAD; ++i) {
        const u32 at = k * UNIT + (chunk0 + i) * VEC;
        float v[VEC];
        load_pixels(x, p, first, at, fours, v);
        store(reinterpret_cast<T*>(s_all + s + chunk_at(r, chunk0 + i)), v);
    }
}
