// patch_conv_fwd: convolution with kernel = stride = P and no padding, over tokens
//   y[b, (v, u), o] = sum_{dy,dx,c} x[b, v P + dy, u P + dx, c] * weight[o, dy, dx, c] + bias[o]
//   for the N = floor(H / P) x floor(W / P) whole patches; then, where gamma is not null, LayerNorm over o;
//   then, where table is not null, + table[k + n, o]; k = 1 where class_token is not null, else 0, and row 0 of
//   each image is class_token + table[0]
// patch_conv_pixels_fwd: the same from pixels x [B, C, H, W], the inner dimension over (c, dy, dx)
// patch_conv_parts_fwd: patch_conv_fwd, in parts of the inner dimension
//   x [B, H, W, C] T or [B, C, H, W] f32 in | weight [O, P P C] T packed (tile.cuh) in | bias [O] f32 in or null
//   gamma, beta [O] f32 in or null | table [k + N, O] T in or null | class_token [O] T in or null | y [B, k + N, O] T out
//   grid (ceil(B N / BM), ceil(O / BN)), block THREADS: a block has BM patches and BN columns, a warp WM x WN of them
//   entries are named by BM x BN
//   parts: grid (ceil(B N / BM), ceil(O / BN), Z), for any Z; a part is PART units of 128 bytes, of P = ceil(units / PART)
//   parts a block has ceil(P / Z) | partials [P, tiles, BM BN] f32 scratch and arrived [tiles] u32, zeros before and
//   after, both null where Z is 1
//   shared 128 S (BM + BN) and 8 BM: a ring of S = 3 slots, of 32x64 8, of rows and columns, which the f32 results use
//   at the end, and where the patches begin
//   needs O % 8 == 0, 16-byte pointers, C % 8 == 0 over tokens (f32, tf32: % 4), O <= BN where gamma is not null;
//   pixels: any C, P, W; moved four at a time where P % 4 == 0 and W % 4 == 0
//   patches past B N, columns past O and the rest of the last unit are zeros and are not written
//   x is read once per BN columns, the weights once per BM rows; partials, where Z is not 1, written once and read once
//   f32 sums over the inner dimension upwards, those of parts from zero and then added upwards, so that Z changes no
//   bit; LayerNorm in f32, biased variance in two passes; one rounding to T; repeatable, the same for an image in any batch
//   defines PVT_DTYPE_*
//   source: torch.nn.functional.conv2d; Wang et al. 2021, "Pyramid Vision Transformer", 3.2 and 3.3
#include "gemm.cuh"
#include "norm.cuh"
#include "parts.cuh"
#include "patches.cuh"

// What comes after the products.
struct Finish {
    const float* bias;
    const float* gamma;
    const float* beta;
    const T* table;
    const T* class_token;
    T* y;
    u32 O;
    float eps;
};

// Writes the staged rows of the block, `row0` and on, columns `col0` and on.
template <u32 BM, u32 BN, u32 THREADS>
__device__ inline void write(const float* s, const Finish& p, const Patches& patches, u32 row0, u32 col0) {
    constexpr u32 LANES = BN / VEC;
    constexpr u32 AT_ONCE = WARP / LANES;
    constexpr u32 WARPS = THREADS / WARP;
    static_assert(LANES <= WARP && BM % (AT_ONCE * WARPS) == 0, "a row is of one warp, whole rounds");
    const u32 N = patches.tokens();
    const u32 ROWS = patches.rows();
    const u32 extra = p.class_token != nullptr ? 1 : 0;
    const u32 c = lane_index() % LANES * VEC;
    const u32 col = col0 + c;
    const bool inside = col < p.O;
    float bias[VEC] = {};
    if (p.bias != nullptr && inside) {
        load_f32(p.bias + col, bias);
    }
    for (u32 i = warp_index() * AT_ONCE; i < BM; i += WARPS * AT_ONCE) {
        const u32 r = i + lane_index() / LANES;
        float v[VEC];
        load_staged<BN>(s, r, c, v);
#pragma unroll
        for (u32 k = 0; k < VEC; ++k) {
            v[k] += bias[k];
        }
        if (p.gamma != nullptr) {
            // columns past O are zeros so far, and stay out of both sums
            const float scale = 1.0f / static_cast<float>(p.O);
            float sum = 0.0f;
#pragma unroll
            for (u32 k = 0; k < VEC; ++k) {
                sum += v[k];
            }
            const float mean = group_sum(sum, LANES) * scale;
            float squares = 0.0f;
#pragma unroll
            for (u32 k = 0; k < VEC; ++k) {
                const float d = inside ? v[k] - mean : 0.0f;
                squares = __fmaf_rn(d, d, squares);
            }
            const float rstd = 1.0f / __fsqrt_rn(group_sum(squares, LANES) * scale + p.eps);
            if (inside) {
                float g[VEC];
                float b[VEC];
                load_f32(p.gamma + col, g);
                load_f32(p.beta + col, b);
#pragma unroll
                for (u32 k = 0; k < VEC; ++k) {
                    v[k] = __fmaf_rn((v[k] - mean) * rstd, g[k], b[k]);
                }
            }
        }
        const u32 m = row0 + r;
        if (inside && m < ROWS) {
            const u32 b = m / N;
            const u32 n = m % N;
            // b images of extra + N rows stand before: 64 bits, as rows of y may be more than patches
            T* y_b = p.y + static_cast<u64>(b) * (extra + N) * p.O + col;
            float add[VEC] = {};
            if (p.table != nullptr) {
                load(row(p.table, extra + n, p.O) + col, add);
            }
#pragma unroll
            for (u32 k = 0; k < VEC; ++k) {
                v[k] += add[k];
            }
            store(row(y_b, extra + n, p.O), v);
            if (n == 0 && extra != 0) {
                float first[VEC];
                load(p.class_token + col, first);
                if (p.table != nullptr) {
                    load(p.table + col, add);
                }
#pragma unroll
                for (u32 k = 0; k < VEC; ++k) {
                    first[k] += add[k];
                }
                store(y_b, first);
            }
        }
    }
}

template <bool PIXELS, bool IN_PARTS, u32 BM, u32 BN, u32 WM, u32 WN, u32 STAGES, class In>
__device__ inline void patch_conv(const In* __restrict__ x, const T* __restrict__ weight, const Patches& patches,
                                  const Finish& finish, const Parts& parts) {
    constexpr u32 THREADS = threads(BM, BN, WM, WN);
    constexpr u32 SLOT_BYTES = (BM + BN) * ROW_BYTES;
    static_assert(BM * BN * sizeof(float) <= STAGES * SLOT_BYTES, "the ring holds the results");
    const u32 row0 = blockIdx.x * BM;
    const u32 ROWS = patches.rows();
    const u32 units = ceil_div(patches.inner(), UNIT);
    const u32 warp_row = warp_index() % (BM / WM) * WM;
    const u32 warp_col = warp_index() / (BM / WM) * WN;
    u64* s_first = reinterpret_cast<u64*>(s_all + STAGES * SLOT_BYTES);
    u64 first = NOWHERE;
    if constexpr (PIXELS) {
        const u32 m = row0 + thread_index() % BM;
        first = m < ROWS ? patches.of_pixels(m) : NOWHERE;
    } else {
        for (u32 r = thread_index(); r < BM; r += THREADS) {
            s_first[r] = row0 + r < ROWS ? patches.of_tokens(row0 + r) : NOWHERE;
        }
        // s_first written above, read by every thread's copies below
        __syncthreads();
    }

    const auto begin = [&](u32 slot, u32 k) {
        const u32 s = slot * SLOT_BYTES;
        const u32 unit = blockIdx.y * (BN / UNIT_COLS);
        copy_weight<BN, THREADS>(s, weight, unit, ceil_div(finish.O, UNIT_COLS), k, units);
        if constexpr (PIXELS) {
            copy_pixels<BM, THREADS>(s + BN * ROW_BYTES, x, patches, first, k);
        } else {
            copy_patches<BM, THREADS>(s + BN * ROW_BYTES, x, patches, s_first, k);
        }
    };
    const auto use = [&](Product<WM, WN>& product, u32 slot) {
        const u32 s = slot * SLOT_BYTES;
        product.add(s + BN * ROW_BYTES, warp_row, s, warp_col);
    };
    Product<WM, WN> product;
    if constexpr (IN_PARTS) {
        if (!add_parts<THREADS, STAGES>(product, parts, units, begin, use)) {
            return;
        }
    } else {
        product.clear();
        u32 next_k = 0;
        ring<STAGES>(
            units, [&](u32 slot) { begin(slot, next_k++); }, [&](u32 slot) { use(product, slot); });
    }

    float* staged = reinterpret_cast<float*>(s_all);
    constexpr u32 STAGED = Product<WM, WN>::STAGED;
    // all warps have read the ring above; the results are written over it below
    __syncthreads();
#pragma unroll
    for (u32 pass = 0; pass < WM / STAGED; ++pass) {
        product.template stage<BN>(pass, staged, warp_row + pass * STAGED, warp_col);
    }
    // results written by all warps above are read by rows below
    __syncthreads();
    write<BM, BN, THREADS>(staged, finish, patches, row0, blockIdx.y * BN);
}

#define PATCH_CONV(name, PIXELS, In, BM, BN, WM, WN, S)                                                             \
    PVT_ENTRY(name##_##BM##x##BN)                                                                                   \
    __launch_bounds__(threads(BM, BN, WM, WN), MIN_BLOCKS)(                                                         \
        const In* __restrict__ x, const T* __restrict__ weight, const float* __restrict__ bias,                     \
        const float* __restrict__ gamma, const float* __restrict__ beta, const T* __restrict__ table,               \
        const T* __restrict__ class_token, T* __restrict__ y, u32 B, u32 H, u32 W, u32 C, u32 P, u32 O,             \
        float eps) {                                                                                                \
        patch_conv<PIXELS, false, BM, BN, WM, WN, S>(x, weight, {B, H, W, C, P},                                    \
                                                     {bias, gamma, beta, table, class_token, y, O, eps}, {});       \
    }

#define PATCH_CONV_BOTH(BM, BN, WM, WN, S)                                                                          \
    PATCH_CONV(patch_conv_fwd, false, T, BM, BN, WM, WN, S)                                                         \
    PATCH_CONV(patch_conv_pixels_fwd, true, float, BM, BN, WM, WN, S)

#if defined(PVT_DTYPE_F32)
PATCH_CONV_BOTH(128, 128, 32, 64, STAGES)
#else
PATCH_CONV_BOTH(128, 128, 64, 64, STAGES)
#endif
PATCH_CONV_BOTH(32, 128, 32, 32, STAGES)
PATCH_CONV_BOTH(128, 64, 32, 64, STAGES)
PATCH_CONV_BOTH(32, 64, 16, 32, DEEP_STAGES)

#define PATCH_CONV_PARTS(BM, BN, WM, WN, S)                                                                         \
    PVT_ENTRY(patch_conv_parts_fwd_##BM##x##BN)                                                                     \
    __launch_bounds__(threads(BM, BN, WM, WN), MIN_BLOCKS)(                                                         \
        const T* __restrict__ x, const T* __restrict__ weight, const float* __restrict__ bias,                     \
        const float* __restrict__ gamma, const float* __restrict__ beta, const T* __restrict__ table,               \
        const T* __restrict__ class_token, T* __restrict__ y, float* partials, u32* arrived, u32 B, u32 H, u32 W,   \
        u32 C, u32 P, u32 O, u32 PART, float eps) {                                                                 \
        patch_conv<false, true, BM, BN, WM, WN, S>(x, weight, {B, H, W, C, P},                                      \
                                                   {bias, gamma, beta, table, class_token, y, O, eps},              \
                                                   {partials, arrived, PART});                                      \
    }

// A warp has two sets of sums: at most 32 x 64 of each fit its registers.
PATCH_CONV_PARTS(128, 128, 32, 64, STAGES)
PATCH_CONV_PARTS(128, 64, 32, 64, STAGES)
PATCH_CONV_PARTS(32, 64, 16, 32, DEEP_STAGES)
