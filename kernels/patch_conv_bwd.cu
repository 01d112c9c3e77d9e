// patch_conv_bwd_weight: of patch_conv_fwd (patch_conv.cu, N patches an image, rows r of all B N)
//   dweight[o, c, dy, dx] += sum_r g[r, o] * x[r, (dy, dx, c)], dbias[o] += sum_r g[r, o], with g the gradient of y
// patch_conv_bwd_weight_pixels: the same over pixels, rounded to T
// patch_conv_bwd_data: dx[b, v P + dy, u P + dx, c] = sum_o g[(b, v, u), o] * weight[o, c, dy, dx], or that added to dx
// patch_conv_bwd_data_pixels: the same for pixels, without adding
//   g [B, N, O] T in | x [B, H, W, C] T or [B, C, H, W] f32 in | dweight [O, C, P, P] f32 in and out | dbias [O] f32 in and
//   out or null | partials, arrived, SLOTS, GROUP as in linear_bwd.cu | weight [P P C, O] T packed (tile.cuh), the transpose,
//   rows over (dy, dx, c) or, for pixels, (c, dy, dx), in | dx [B, H, W, C] T or [B, C, H, W] f32 out, with ACCUMULATE in and
//   out: what no patch covers stays as it was
//   weight: grid (ceil(O / BM), ceil(P P C / BN), Z), for any Z, block THREADS: a tile of BM x BN of dweight, a warp WM x WN
//   of it | shared 128 S (BM + BN) and, over tokens, 32 DEPTH: a ring of S = 3 slots of DEPTH rows (64 in 16-bit types, else
//   32), and where patches begin
//   data: grid (ceil(B N / BM), ceil(P P C / BN)), block THREADS: BM patches, BN of their elements | shared 128 S (BM + BN)
//   and 8 BM: a ring of S = 3 slots, of 32x64 8, and where patches begin
//   entries are named by BM x BN
//   needs O % 8 == 0, 16-byte pointers, over tokens C % 8 == 0; pixels: any C, P, W, moved four at a time where
//   P % 4 == 0 and W % 4 == 0; rows and columns past the end are zeros, and are not written
//   weight: g is read once per BN columns of x, x once per BM columns of g; data: g once per BN elements of a patch, weight
//   once per BM patches; each element of dx that a patch covers is written once
//   f32 sums: weight as in linear_bwd.cu, data over O upwards, then dx added in f32, one rounding to T; repeatable
//   defines PVT_DTYPE_*
//   source: the adjoint of torch.nn.functional.conv2d
#include "patches.cuh"
#include "weight_grad.cuh"

// Tables of where the patches of a slot begin: those of two slots are read while those of two more are written.
constexpr u32 TABLES = 4;
constexpr u32 AHEAD = STAGES - 1;
static_assert(TABLES == 2 * AHEAD, "a table is written two barriers after it was last read");

// Rows of a table, of which a thread takes every STEP-th.
struct TableRows {
    const u64* at;

    template <u32 STEP> __device__ inline u64 next() {
        const u64 first = *at;
        at += STEP;
        return first;
    }
};
static_assert(NO_ROW == NOWHERE, "one name for no row");

template <u32 BM, u32 BN, u32 WM, u32 WN>
__device__ inline void conv_weight(const T* __restrict__ g, const T* __restrict__ x, float* dweight, float* dbias,
                                   const Patches& p, u32 O, const Shared& shared) {
    constexpr u32 THREADS = threads(BM, BN, WM, WN);
    static_assert(AHEAD * DEPTH <= THREADS, "a thread writes one row");
    const u32 ROWS = p.rows();
    const u32 INNER = p.inner();
    const u32 row0 = blockIdx.x * BM;
    const u32 col0 = blockIdx.y * BN;
    u64* s_first = reinterpret_cast<u64*>(s_all + STAGES * (BM + BN) * ROW_BYTES);
    Columns<BN> columns;
    columns.set(col0, INNER, [&](u32 k) { return p.to_token(k); });
    // the row that this thread looks up next
    u32 r = first_slot(shared, ROWS) * DEPTH + thread_index();
    if (thread_index() < AHEAD * DEPTH) {
        s_first[thread_index()] = r < ROWS ? p.of_tokens(r) : NOWHERE;
    }
    r += AHEAD * DEPTH;
    // the first tables, written above, are read by every thread's copies below
    __syncthreads();
    u32 table = 0;
    const auto begin = [&](u32 s) {
        TableRows rows = {s_first + table * DEPTH + row_of_thread()};
        copy_panels<BN, THREADS>(s, x, rows, columns);
        // for the slot after the next, whose copies begin two barriers of the ring later
        if (thread_index() < DEPTH) {
            s_first[(table + AHEAD) % TABLES * DEPTH + thread_index()] = r < ROWS ? p.of_tokens(r) : NOWHERE;
        }
        r += DEPTH;
        table = (table + 1) % TABLES;
    };
    const u32 area = p.P * p.P;
    const auto finish = [&](u32 o, u32 c, const Four& four) {
        const u32 k = col0 + c;
        if (row0 + o < O && k < INNER) {
            // four channels at one place of the patch
            float* to = row(dweight, row0 + o, INNER) + k % p.C * area + k / p.C;
#pragma unroll
            for (u32 i = 0; i < 4; ++i) {
                to[i * area] += four.at[i];
            }
        }
    };
    weight_grad<BM, BN, WM, WN>(g, dbias, ROWS, O, shared, begin, finish);
}

template <u32 BM, u32 BN, u32 WM, u32 WN>
__device__ inline void conv_weight_pixels(const T* __restrict__ g, const float* __restrict__ x, float* dweight,
                                          float* dbias, const Patches& p, u32 O, const Shared& shared) {
    constexpr u32 THREADS = threads(BM, BN, WM, WN);
    constexpr u32 PER_THREAD = BN / VEC * DEPTH / THREADS;
    static_assert(THREADS % DEPTH == 0 && BN / VEC * DEPTH % THREADS == 0, "one patch for a thread, whole chunks");
    const u32 ROWS = p.rows();
    const u32 INNER = p.inner();
    const u32 row0 = blockIdx.x * BM;
    const u32 col0 = blockIdx.y * BN;
    const bool fours = p.in_fours();
    // neighbouring lanes have neighbouring patches, so that together they read whole lines
    const u32 r = thread_index() % DEPTH;
    const u32 c0 = thread_index() / DEPTH * PER_THREAD * VEC;
    u32 m = first_slot(shared, ROWS) * DEPTH + r;
    const auto begin = [&](u32 s) {
        const u64 first = m < ROWS ? p.of_pixels(m) : NOWHERE;
#pragma unroll
        for (u32 i = 0; i < PER_THREAD; ++i) {
            const u32 c = c0 + i * VEC;
            float v[VEC];
            load_pixels(x, p, first, col0 + c, fours, v);
            store(reinterpret_cast<T*>(s_all + s + panel_of(c) + panel_at(r, c % UNIT / VEC)), v);
        }
        m += DEPTH;
    };
    const bool whole = INNER % 4 == 0;
    const auto finish = [&](u32 o, u32 c, const Four& four) {
        const u32 k = col0 + c;
        if (row0 + o < O) {
            float* to = row(dweight, row0 + o, INNER) + k;
            if (whole && k < INNER) {
                add_four(to, four);
            } else {
#pragma unroll
                for (u32 i = 0; i < 4; ++i) {
                    if (k + i < INNER) {
                        to[i] += four.at[i];
                    }
                }
            }
        }
    };
    weight_grad<BM, BN, WM, WN>(g, dbias, ROWS, O, shared, begin, finish);
}

// Writes what a warp has of WM patches, the first of which begin at `first`, and columns `col0` and on, by way of `s`,
// which is its own.
template <u32 WM, u32 WN>
__device__ inline void write_tokens(const Product<WM, WN>& product, float* s, T* dx, const Patches& p,
                                    const u64* first, u32 col0, bool accumulate) {
    constexpr u32 LANES = WN / VEC;
    constexpr u32 AT_ONCE = WARP / LANES;
    constexpr u32 STAGED = Product<WM, WN>::STAGED;
    const u32 c = lane_index() % LANES * VEC;
    const bool inside = col0 + c < p.inner();
    T* to = dx + p.to_token(col0 + c);
#pragma unroll
    for (u32 pass = 0; pass < WM / STAGED; ++pass) {
        // rows of the last pass have been read by all lanes; this pass writes over them
        __syncwarp();
        product.template stage<WN>(pass, s, 0, 0);
        // rows written by all lanes above are read below
        __syncwarp();
#pragma unroll 1
        for (u32 i = 0; i < STAGED; i += AT_ONCE) {
            const u32 r = i + lane_index() / LANES;
            const u64 at = first[pass * STAGED + r];
            if (inside && at != NOWHERE) {
                float v[VEC];
                load_staged<WN>(s, r, c, v);
                if (accumulate) {
                    float before[VEC];
                    load_own(to + at, before);
#pragma unroll
                    for (u32 k = 0; k < VEC; ++k) {
                        v[k] += before[k];
                    }
                }
                store(to + at, v);
            }
        }
    }
}

// The same for pixels: two lanes have two fours of a patch, the next two those of the next patch, so that lines are
// written whole and four rows of staged values, in different banks, are read together.
template <u32 WM, u32 WN>
__device__ inline void write_pixels(const Product<WM, WN>& product, float* s, float* dx, const Patches& p,
                                    const u64* first, u32 col0) {
    constexpr u32 STAGED = Product<WM, WN>::STAGED;
    constexpr u32 FOURS = WARP / STAGED;
    const bool fours = p.in_fours();
    const u32 r = lane_index() / 2 % STAGED;
    const u32 c0 = (lane_index() % 2 + lane_index() / (2 * STAGED) * 2) * 4;
    static_assert(FOURS % 2 == 0 && WN % (4 * FOURS) == 0, "whole rounds");
#pragma unroll
    for (u32 pass = 0; pass < WM / STAGED; ++pass) {
        // rows of the last pass have been read by all lanes; this pass writes over them
        __syncwarp();
        product.template stage<WN>(pass, s, 0, 0);
        // rows written by all lanes above are read below
        __syncwarp();
        const u64 at = first[pass * STAGED + r];
#pragma unroll 1
        for (u32 c = c0; c < WN; c += 4 * FOURS) {
            const u32 k = col0 + c;
            const Four four = *reinterpret_cast<const Four*>(s + staged_at<WN>(r, c));
            if (fours) {
                if (at != NOWHERE && k < p.inner()) {
                    store_four(dx + at + p.to_pixel(k), four);
                }
            } else if (at != NOWHERE) {
#pragma unroll
                for (u32 i = 0; i < 4; ++i) {
                    if (k + i < p.inner()) {
                        dx[at + p.to_pixel(k + i)] = four.at[i];
                    }
                }
            }
        }
    }
}

template <bool PIXELS, u32 BM, u32 BN, u32 WM, u32 WN, u32 STAGES, class Out>
__device__ inline void conv_data(const T* __restrict__ g, const T* __restrict__ weight, Out* dx, const Patches& p, u32 O,
                                 bool accumulate) {
    constexpr u32 THREADS = threads(BM, BN, WM, WN);
    constexpr u32 SLOT_BYTES = (BM + BN) * ROW_BYTES;
    constexpr u32 STAGED_BYTES = Product<WM, WN>::STAGED * WN * sizeof(float);
    static_assert(THREADS / WARP * STAGED_BYTES <= STAGES * SLOT_BYTES, "the ring holds what is staged");
    const u32 row0 = blockIdx.x * BM;
    const u32 ROWS = p.rows();
    const u32 units = ceil_div(O, UNIT);
    const u32 warp_row = warp_index() % (BM / WM) * WM;
    const u32 warp_col = warp_index() / (BM / WM) * WN;
    u64* s_first = reinterpret_cast<u64*>(s_all + STAGES * SLOT_BYTES);
    for (u32 r = thread_index(); r < BM; r += THREADS) {
        const u32 m = row0 + r;
        s_first[r] = m < ROWS ? (PIXELS ? p.of_pixels(m) : p.of_tokens(m)) : NOWHERE;
    }
    u32 next_k = 0;
    const auto begin = [&](u32 slot) {
        const u32 s = slot * SLOT_BYTES;
        copy_weight<BN, THREADS>(s, weight, blockIdx.y * (BN / UNIT_COLS), ceil_div(p.inner(), UNIT_COLS), next_k, units);
        copy_rows<BM, THREADS>(s + BN * ROW_BYTES, g, O, ROWS, O, row0, next_k);
        ++next_k;
    };
    Product<WM, WN> product;
    product.clear();
    const auto use = [&](u32 slot) {
        const u32 s = slot * SLOT_BYTES;
        product.add(s + BN * ROW_BYTES, warp_row, s, warp_col);
    };
    ring<STAGES>(units, begin, use);
    // all warps have read the ring above; results are staged over it below. s_first written above, read below
    __syncthreads();
    float* staged = reinterpret_cast<float*>(s_all + warp_index() * STAGED_BYTES);
    const u32 col0 = blockIdx.y * BN + warp_col;
    if constexpr (PIXELS) {
        write_pixels<WM, WN>(product, staged, dx, p, s_first + warp_row, col0);
    } else {
        write_tokens<WM, WN>(product, staged, dx, p, s_first + warp_row, col0, accumulate);
    }
}

#define CONV_WEIGHT(name, function, In, BM, BN, WM, WN)                                                             \
    PVT_ENTRY(name##_##BM##x##BN)                                                                                   \
    __launch_bounds__(threads(BM, BN, WM, WN), MIN_BLOCKS)(                                                         \
        const T* __restrict__ g, const In* __restrict__ x, float* dweight, float* dbias, float* partials,           \
        u32* arrived, u32 B, u32 H, u32 W, u32 C, u32 P, u32 O, u32 SLOTS, u32 GROUP) {                             \
        function<BM, BN, WM, WN>(g, x, dweight, dbias, {B, H, W, C, P}, O, {partials, arrived, SLOTS, GROUP});      \
    }

// The addresses of elements in the checkpoint's order leave no registers for warps of 64 x 64.
CONV_WEIGHT(patch_conv_bwd_weight, conv_weight, T, 128, 128, 32, 64)
CONV_WEIGHT(patch_conv_bwd_weight, conv_weight, T, 64, 128, 32, 64)
CONV_WEIGHT(patch_conv_bwd_weight, conv_weight, T, 64, 64, 32, 32)
CONV_WEIGHT(patch_conv_bwd_weight_pixels, conv_weight_pixels, float, 64, 64, 32, 32)

#define CONV_DATA(BM, BN, WM, WN, S)                                                                                \
    PVT_ENTRY(patch_conv_bwd_data_##BM##x##BN)                                                                      \
    __launch_bounds__(threads(BM, BN, WM, WN), MIN_BLOCKS)(                                                         \
        const T* __restrict__ g, const T* __restrict__ weight, T* dx, u32 B, u32 H, u32 W, u32 C, u32 P, u32 O,     \
        u32 ACCUMULATE) {                                                                                           \
        conv_data<false, BM, BN, WM, WN, S>(g, weight, dx, {B, H, W, C, P}, O, ACCUMULATE != 0);                    \
    }

#if defined(PVT_DTYPE_F32)
CONV_DATA(128, 128, 32, 64, STAGES)
#else
CONV_DATA(128, 128, 64, 64, STAGES)
#endif
CONV_DATA(64, 64, 32, 32, STAGES)
CONV_DATA(32, 64, 16, 32, DEEP_STAGES)

PVT_ENTRY(patch_conv_bwd_data_pixels_64x64)
__launch_bounds__(threads(64, 64, 32, 32), MIN_BLOCKS)(const T* __restrict__ g, const T* __restrict__ weight,
                                                      float* __restrict__ dx, u32 B, u32 H, u32 W, u32 C, u32 P,
                                                      u32 O) {
    conv_data<true, 64, 64, 32, 32, STAGES>(g, weight, dx, {B, H, W, C, P}, O, false);
}
