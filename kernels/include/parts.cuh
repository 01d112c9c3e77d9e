// Sums over a long inner dimension in parts, which blocks along z share where rows are few.
//
// A part is a number of units; its sum runs upwards from zero, and the sums of parts are added in their order,
// again from zero. Who computes a part changes nothing: one block adds all parts in registers, or each block
// stores its own and the last one of a tile adds them all, its own too, from memory.
#pragma once

#include "arrive.cuh"
#include "gemm.cuh"

struct Parts {
    // [parts][tiles][BM x BN] f32: the sums of parts, each thread's values as vectors beside those of its neighbours;
    // not used where gridDim.z is 1.
    float* partials;
    // [tiles]: blocks that have stored theirs; zeros before and after every launch.
    u32* arrived;
    // Units of a part; the last one may have fewer.
    u32 units;
};

// Adds the parts of `inner_units` units that are this block's, with `begin(slot, k)` for the copies of unit k and
// `use(product, slot)` for its products. True where `total` is complete and the block has to finish its tile: alone
// along z, or the last of its tile to arrive. All threads get the same answer.
template <u32 THREADS, u32 STAGES, class P, class Begin, class Use>
__device__ inline bool add_parts(P& total, const Parts& parts, u32 inner_units, Begin begin, Use use) {
    constexpr u32 FOURS = P::COUNT / 4;
    // sums of parts that are on their way from memory at a time: as many loads from a small tile as from a large one
    constexpr u32 AT_ONCE = FOURS < 16 ? 16 / FOURS : 1;
    const u32 tiles = gridDim.x * gridDim.y;
    const u32 tile = blockIdx.y * gridDim.x + blockIdx.x;
    const u32 count = ceil_div(inner_units, parts.units);
    const u32 own = ceil_div(count, gridDim.z);
    u32 part = min(blockIdx.z * own, count);
    const u32 end = min((min(part + own, count)) * parts.units, inner_units);
    u32 next_k = part * parts.units;
    u32 k = next_k;
    const auto values = [&](u32 of) {
        const u64 first = static_cast<u64>(of) * tiles + tile;
        return reinterpret_cast<Four*>(parts.partials) + first * (FOURS * THREADS) + thread_index();
    };

    P product;
    product.clear();
    total.clear();
    const auto begin_next = [&](u32 slot) { begin(slot, next_k++); };
    const auto use_next = [&](u32 slot) {
        use(product, slot);
        ++k;
        if (k % parts.units == 0 || k == inner_units) {
            if (gridDim.z == 1) {
#pragma unroll
                for (u32 i = 0; i < P::COUNT; ++i) {
                    total.at(i) += product.at(i);
                }
            } else {
                Four* to = values(part);
#pragma unroll
                for (u32 i = 0; i < FOURS; ++i) {
                    const u32 at = 4 * i;
                    to[i * THREADS] = {product.at(at), product.at(at + 1), product.at(at + 2), product.at(at + 3)};
                }
                ++part;
            }
            product.clear();
        }
    };
    ring<STAGES>(end - min(next_k, end), begin_next, use_next);
    if (gridDim.z == 1) {
        return true;
    }
    // all threads have stored their values of this block's parts; the arrival below tells other blocks
    __syncthreads();
    const bool last = thread_index() == 0 && arrive_last(parts.arrived + tile, gridDim.z);
    // the first thread has met what other blocks stored; every thread reads it below
    if (__syncthreads_or(last) == 0) {
        return false;
    }
#pragma unroll AT_ONCE
    for (u32 of = 0; of < count; ++of) {
        const Four* from = values(of);
#pragma unroll
        for (u32 i = 0; i < FOURS; ++i) {
            const Four four = from[i * THREADS];
#pragma unroll
            for (u32 j = 0; j < 4; ++j) {
                total.at(4 * i + j) += four.at[j];
            }
        }
    }
    return true;
}
