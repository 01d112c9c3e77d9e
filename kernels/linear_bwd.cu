// linear_bwd_weight: dweight[o, k] += sum_r dy[r, o] * x[r, k], dbias[o] += sum_r dy[r, o]    o < COLS, k < INNER, r < ROWS
//   dy [ROWS, COLS] T in | x [ROWS, INNER] T in | dweight [COLS, INNER] f32 in and out | dbias [COLS] f32 in and out or null
//   partials [Z, tiles, BM BN + BM] f32 scratch and arrived [tiles, G + 1] u32, [tiles] where G is 1, zeros before and
//   after, with G = ceil(Z / GROUP); both null where Z is 1
//   grid (ceil(COLS / BM), ceil(INNER / BN), Z), for any Z, block THREADS: a tile of BM x BN of dweight, a warp WM x WN of
//   it, and SLOTS slots of 128 bytes of rows (64 in 16-bit types, else 32); entries are named by BM x BN
//   shared 128 S (BM + BN): a ring of S = 3 slots, whose place the sums of dbias take at the end
//   needs COLS % 8 == 0, INNER % 8 == 0, 16-byte pointers; any ROWS: rows and columns past the end are zeros
//   dy is read once per BN columns of x, x once per BM columns of dy; partials, where Z is not 1, written once and read once,
//   and one in GROUP once more
//   f32 sums over the rows of a block upwards (tensor cores: 16 or 8 rows at a time), of dbias alike, in 4-byte types in fixed subsets; over blocks
//   by groups upwards, then over groups upwards; repeatable for a shape, SLOTS and GROUP
//   defines PVT_DTYPE_*
//   source: the adjoint of torch.nn.functional.linear
#include "weight_grad.cuh"

template <u32 BM, u32 BN, u32 WM, u32 WN>
__device__ inline void linear_weight(const T* __restrict__ dy, const T* __restrict__ x, float* dweight, float* dbias,
                                     u32 ROWS, u32 INNER, u32 COLS, const Shared& shared) {
    constexpr u32 THREADS = threads(BM, BN, WM, WN);
    const u32 row0 = blockIdx.x * BM;
    const u32 col0 = blockIdx.y * BN;
    Lines rows = {first_slot(shared, ROWS) * DEPTH + row_of_thread(), ROWS, INNER};
    Columns<BN> columns;
    columns.set(col0, INNER, [](u32 c) { return c; });
    const auto begin = [&](u32 s) { copy_panels<BN, THREADS>(s, x, rows, columns); };
    const auto finish = [&](u32 r, u32 c, const Four& four) {
        if (row0 + r < COLS && col0 + c < INNER) {
            add_four(row(dweight, row0 + r, INNER) + col0 + c, four);
        }
    };
    weight_grad<BM, BN, WM, WN>(dy, dbias, ROWS, COLS, shared, begin, finish);
}

#define LINEAR_WEIGHT(BM, BN, WM, WN)                                                                               \
    PVT_ENTRY(linear_bwd_weight_##BM##x##BN)                                                                        \
    __launch_bounds__(threads(BM, BN, WM, WN), MIN_BLOCKS)(                                                         \
        const T* __restrict__ dy, const T* __restrict__ x, float* dweight, float* dbias, float* partials,           \
        u32* arrived, u32 ROWS, u32 INNER, u32 COLS, u32 SLOTS, u32 GROUP) {                                        \
        linear_weight<BM, BN, WM, WN>(dy, x, dweight, dbias, ROWS, INNER, COLS, {partials, arrived, SLOTS, GROUP}); \
    }

// In 4-byte types the addresses of single elements leave no registers for warps of 64 x 64.
#if defined(PVT_DTYPE_F32) || defined(PVT_DTYPE_TF32)
LINEAR_WEIGHT(128, 128, 32, 64)
#else
LINEAR_WEIGHT(128, 128, 64, 64)
#endif
LINEAR_WEIGHT(128, 64, 32, 64)
LINEAR_WEIGHT(64, 128, 32, 64)
LINEAR_WEIGHT(64, 64, 32, 32)
