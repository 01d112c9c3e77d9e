// Gradients of a weight and a bias, sums over all rows of a layer: dweight[o, k] += sum_r dy[r, o] * x[r, k] and
// dbias[o] += sum_r dy[r, o].
//
// A block has a tile of BM columns of dy and BN columns of x, and some slots of DEPTH rows (outer.cuh). Where several
// blocks along z share a tile, each stores its sums; the last of every group of them to arrive adds those of the group in
// their order, and the last group those of the groups, so that no block reads more than about 2 sqrt(gridDim.z) of them.
#pragma once

#include "outer.cuh"
#include "parts.cuh"

struct Shared {
    // [gridDim.z][tiles][BM x BN + BM] f32, and counters [tiles][groups and, of more than one, one more], zeros before and
    // after every launch; neither used where gridDim.z is 1.
    float* partials;
    u32* arrived;
    // Slots of a block; the last one may have fewer.
    u32 slots;
    // Blocks of a group; the last one may have fewer.
    u32 group;
};

// No row.
constexpr u64 NO_ROW = ~0ull;

// Rows of a matrix, of which a thread takes every STEP-th: where they begin, NO_ROW past the last.
struct Lines {
    u32 r, ROWS, stride;

    template <u32 STEP> __device__ inline u64 next() {
        const u64 first = r < ROWS ? static_cast<u64>(r) * stride : NO_ROW;
        r += STEP;
        return first;
    }
};

// Chunk of a panel that a thread copies, and row of every round.
__device__ inline u32 chunk_of_thread() { return thread_index() % CHUNKS; }
__device__ inline u32 row_of_thread() { return thread_index() / CHUNKS; }

// The elements, counted from where a row begins, of a thread's chunk of each panel; 0 for a panel that the row has not.
template <u32 WIDTH> struct Columns {
    u32 at[WIDTH / UNIT];
    bool inside[WIDTH / UNIT];

    // The panels from column `c0` on, of COLS; `to_element(c)` is where column c is.
    template <class F> __device__ inline void set(u32 c0, u32 COLS, F to_element) {
#pragma unroll
        for (u32 panel = 0; panel < WIDTH / UNIT; ++panel) {
            const u32 c = c0 + panel * UNIT + chunk_of_thread() * VEC;
            inside[panel] = c < COLS;
            at[panel] = inside[panel] ? to_element(c) : 0;
        }
    }
};

// Begins to copy the next DEPTH rows of WIDTH columns to the panels at `s`; zeros past rows and columns.
template <u32 WIDTH, u32 THREADS, class Rows>
__device__ inline void copy_panels(u32 s, const T* __restrict__ x, Rows& rows, const Columns<WIDTH>& columns) {
    constexpr u32 AT_ONCE = THREADS / CHUNKS;
    static_assert(DEPTH % AT_ONCE == 0 && WIDTH % UNIT == 0, "alike for every thread, whole panels");
#pragma unroll
    for (u32 i = 0; i < DEPTH; i += AT_ONCE) {
        const u64 first = rows.template next<AT_ONCE>();
        const bool there = first != NO_ROW;
        // the first row stands in for those beyond: an address without a branch
        const T* x_r = x + (there ? first : 0);
        const u32 to = s + panel_at(i + row_of_thread(), chunk_of_thread());
#pragma unroll
        for (u32 panel = 0; panel < WIDTH / UNIT; ++panel) {
            cp_async_or_zero(shared_address(s_all + to + panel * PANEL_BYTES), x_r + columns.at[panel],
                             there && columns.inside[panel]);
        }
    }
}

// The first slot of this block, and how many it has.
__device__ inline u32 first_slot(const Shared& shared, u32 ROWS) {
    return min(blockIdx.z * shared.slots, ceil_div(ROWS, DEPTH));
}
__device__ inline u32 slots_of_block(const Shared& shared, u32 ROWS) {
    return min(shared.slots, ceil_div(ROWS, DEPTH) - first_slot(shared, ROWS));
}

#if defined(PVT_DTYPE_F16) || defined(PVT_DTYPE_BF16)

// Sums over rows of BM columns of 16-bit types: products of the fragments of dy with ones, in f32, which the warps that
// have the same fragments share.
template <u32 BM, u32 BN, u32 WM, u32 WN> struct ColumnSums {
    using P = Outer<WM, WN>;
    static constexpr u32 SHARES = BN / WN;
    static constexpr u32 FRAGMENTS = P::M / SHARES;
    static_assert(SHARES <= 2 && P::M % SHARES == 0, "every fragment has one warp");
    static constexpr u32 BYTES = BM * sizeof(float);

    float d[FRAGMENTS][4];

    static __device__ inline u32 share() { return warp_index() / (BM / WM); }

    template <u32 M> __device__ inline void add_fragments(const u32 (&x)[M][4]) {
        const bool second = share() != 0;
#pragma unroll
        for (u32 f = 0; f < FRAGMENTS; ++f) {
            u32 a[4];
#pragma unroll
            for (u32 k = 0; k < 4; ++k) {
                a[k] = second ? x[f * SHARES + SHARES - 1][k] : x[f * SHARES][k];
            }
            mma(d[f], a, ONES, ONES);
        }
    }
    __device__ inline void add_slot(u32) {}

    // The sum of column thread_index() % BM; by way of shared memory, which nobody else uses.
    __device__ inline float total() const {
        float* s_sums = reinterpret_cast<float*>(s_all);
        const u32 r = warp_index() % (BM / WM) * WM + share() * P::MMA_M + lane_index() / 4;
        // all columns of a product with ones are the same
        if (lane_index() % 4 == 0) {
#pragma unroll
            for (u32 f = 0; f < FRAGMENTS; ++f) {
                s_sums[r + f * SHARES * P::MMA_M] = d[f][0];
                s_sums[r + f * SHARES * P::MMA_M + P::MMA_N] = d[f][2];
            }
        }
        // sums written by all warps above are read by columns below
        __syncthreads();
        return s_sums[thread_index() % BM];
    }
};

#else

// The same of 4-byte types, as they are: a thread has one chunk of columns and every SUBSETS-th row.
template <u32 BM, u32 BN, u32 WM, u32 WN> struct ColumnSums {
    static constexpr u32 THREADS = threads(BM, BN, WM, WN);
    static constexpr u32 CHUNK_COLS = BM / VEC;
    static constexpr u32 SUBSETS = THREADS / CHUNK_COLS;
    static_assert(THREADS % CHUNK_COLS == 0 && DEPTH % SUBSETS == 0 && BM <= THREADS, "whole rounds");
    static constexpr u32 BYTES = THREADS * sizeof(Four);

    float sums[VEC];

    template <class X> __device__ inline void add_fragments(const X&) {}
    // Adds the rows of the panels at `s`.
    __device__ inline void add_slot(u32 s) {
        const u32 c = thread_index() % CHUNK_COLS * VEC;
#pragma unroll 4
        for (u32 r = thread_index() / CHUNK_COLS; r < DEPTH; r += SUBSETS) {
            float v[VEC];
            load(reinterpret_cast<const T*>(s_all + s + panel_of(c) + panel_at(r, c % UNIT / VEC)), v);
#pragma unroll
            for (u32 i = 0; i < VEC; ++i) {
                sums[i] += v[i];
            }
        }
    }

    // The sum of column thread_index() % BM, of all subsets in their order; by way of shared memory, which nobody else uses.
    __device__ inline float total() const {
        float* s_sums = reinterpret_cast<float*>(s_all);
        *reinterpret_cast<Four*>(s_sums + thread_index() * VEC) = {sums[0], sums[1], sums[2], sums[3]};
        // sums written by all threads above are read by columns below
        __syncthreads();
        float sum = 0.0f;
        for (u32 i = 0; i < SUBSETS; ++i) {
            sum += s_sums[i * BM + thread_index() % BM];
        }
        return sum;
    }
};

#endif

// In place of sums over rows, where they are not wanted.
struct NoSums {
    template <class X> __device__ inline void add_fragments(const X&) {}
};

// Whether this block is the last of `blocks` to arrive: then it may read what all of them stored before.
__device__ inline bool last_of(u32* arrived, u32 blocks) {
    // all threads have stored their values; the arrival below tells other blocks
    __syncthreads();
    const bool last = thread_index() == 0 && arrive_last(arrived, blocks);
    // the first thread has met what other blocks stored; every thread reads it after this
    return __syncthreads_or(last) != 0;
}

// Adds the sums of all blocks of a tile. True in the one block that has the total, and has to add it to the gradients.
template <u32 BM, u32 THREADS, class P>
__device__ inline bool add_shared(P& product, float& bias, bool has_bias, const Shared& shared) {
    if (gridDim.z == 1) {
        return true;
    }
    constexpr u32 FOURS = P::COUNT / 4;
    constexpr u32 AT_ONCE = FOURS < 16 ? 16 / FOURS : 1;
    const u32 tiles = gridDim.x * gridDim.y;
    const u32 tile = blockIdx.y * gridDim.x + blockIdx.x;
    const auto values = [&](u32 of) {
        return shared.partials + (static_cast<u64>(of) * tiles + tile) * (P::COUNT * THREADS + BM);
    };
    const auto store_sums = [&](u32 of) {
        Four* to = reinterpret_cast<Four*>(values(of)) + thread_index();
#pragma unroll
        for (u32 i = 0; i < FOURS; ++i) {
            const u32 at = 4 * i;
            to[i * THREADS] = {product.at(at), product.at(at + 1), product.at(at + 2), product.at(at + 3)};
        }
        if (has_bias && thread_index() < BM) {
            values(of)[P::COUNT * THREADS + thread_index()] = bias;
        }
    };
    const auto add_sums = [&](u32 first, u32 count, u32 step) {
        product.clear();
        bias = 0.0f;
#pragma unroll AT_ONCE
        for (u32 k = 0; k < count; ++k) {
            const Four* from = reinterpret_cast<const Four*>(values(first + k * step)) + thread_index();
#pragma unroll
            for (u32 i = 0; i < FOURS; ++i) {
                const Four four = from[i * THREADS];
#pragma unroll
                for (u32 j = 0; j < 4; ++j) {
                    product.at(4 * i + j) += four.at[j];
                }
            }
            if (has_bias && thread_index() < BM) {
                bias += values(first + k * step)[P::COUNT * THREADS + thread_index()];
            }
        }
    };
    const u32 groups = ceil_div(gridDim.z, shared.group);
    const u32 group = blockIdx.z / shared.group;
    const u32 head = group * shared.group;
    const u32 members = min(shared.group, gridDim.z - head);
    u32* arrived = shared.arrived + tile * (groups == 1 ? 1 : groups + 1);
    store_sums(blockIdx.z);
    if (!last_of(arrived + group, members)) {
        return false;
    }
    add_sums(head, members, 1);
    if (groups == 1) {
        return true;
    }
    // each thread writes where it alone has read
    store_sums(head);
    if (!last_of(arrived + groups, groups)) {
        return false;
    }
    add_sums(0, groups, shared.group);
    return true;
}

// Both gradients for dy [ROWS, COLS]: `begin_x(s)` begins to copy the next rows of x to the panels at `s`, and `finish(row,
// column, four)` adds to four neighbouring columns of the weight's gradient, counted from the tile's first.
template <u32 BM, u32 BN, u32 WM, u32 WN, class Begin, class Finish>
__device__ inline void weight_grad(const T* __restrict__ dy, float* dbias, u32 ROWS, u32 COLS, const Shared& shared,
                                   Begin begin_x, Finish finish) {
    constexpr u32 THREADS = threads(BM, BN, WM, WN);
    constexpr u32 SLOT_BYTES = (BM + BN) * ROW_BYTES;
    using Sums = ColumnSums<BM, BN, WM, WN>;
    static_assert(Sums::BYTES <= STAGES * SLOT_BYTES, "the ring holds the sums of columns");
    const u32 col0 = blockIdx.x * BM;
    const u32 warp_row = warp_index() % (BM / WM) * WM;
    const u32 warp_col = warp_index() / (BM / WM) * WN;
    const bool has_bias = dbias != nullptr && blockIdx.y == 0;

    Lines rows = {first_slot(shared, ROWS) * DEPTH + row_of_thread(), ROWS, COLS};
    Columns<BM> columns;
    columns.set(col0, COLS, [](u32 c) { return c; });
    const auto begin = [&](u32 slot) {
        const u32 s = slot * SLOT_BYTES;
        copy_panels<BM, THREADS>(s, dy, rows, columns);
        begin_x(s + BM * ROW_BYTES);
    };
    Outer<WM, WN> product;
    product.clear();
    Sums bias = {};
    const auto use = [&](u32 slot) {
        const u32 s = slot * SLOT_BYTES;
        // one loop of products with sums of columns and one without, rather than a branch in each step
        if (has_bias) {
            product.add(s, warp_row, s + BM * ROW_BYTES, warp_col, bias);
            bias.add_slot(s);
        } else {
            NoSums none;
            product.add(s, warp_row, s + BM * ROW_BYTES, warp_col, none);
        }
    };
    ring<STAGES>(slots_of_block(shared, ROWS), begin, use);

    float total = 0.0f;
    if (has_bias) {
        // all threads have read the ring above; their sums are written over it below
        __syncthreads();
        total = bias.total();
    }
    if (!add_shared<BM, THREADS>(product, total, has_bias, shared)) {
        return;
    }
    product.each_four([&](u32 r, u32 c, const Four& four) { finish(warp_row + r, warp_col + c, four); });
    if (has_bias && thread_index() < BM && col0 + thread_index() < COLS) {
        dbias[col0 + thread_index()] += total;
    }
}

// Adds four values to neighbouring ones.
__device__ inline void add_four(float* to, const Four& four) {
    Four& v = *reinterpret_cast<Four*>(to);
    v = {v.at[0] + four.at[0], v.at[1] + four.at[1], v.at[2] + four.at[2], v.at[3] + four.at[3]};
}
