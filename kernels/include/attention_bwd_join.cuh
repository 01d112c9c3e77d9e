// Sums of the gradients of keys and values that several blocks have parts of.
#pragma once

#include "arrive.cuh"
#include "attention_bwd_share.cuh"

// Gradients of one tile of keys, from `blocks` blocks. Groups of `group` blocks, the last one may be smaller: the last
// block of a group to arrive adds the sums of its blocks, the last of those the sums of groups, each in their order
// from zero. Few steps follow one another, and the order of blocks changes no bit.
template <class C> struct Join {
    using Sums = typename C::OfKeys;
    static constexpr u32 FOURS = Sums::COUNT / 4;
    // Vectors of dk and dv of a block, each thread's beside those of its neighbours.
    static constexpr u32 SLOT = 2 * FOURS * C::THREADS;

    // [blocks] slots
    float4* slots;
    // [groups + 1]: blocks of a group that have arrived, at the end groups; zeros before and after every launch.
    u32* arrived;
    u32 blocks;
    u32 group;
    // Whether this warp has keys of the tile; a warp without any moves nothing.
    bool there;

    // Of block `part`; true in the block that has the whole sums afterwards.
    __device__ bool all(Sums& dk, Sums& dv, u32 part) const {
        if (blocks == 1) {
            return true;
        }
        const u32 groups = (blocks - 1) / group + 1;
        const u32 own = part / group;
        const u32 first = own * group;
        const u32 count = min(blocks - first, group);
        if (!one(dk, dv, part, first, 1, count, arrived + own)) {
            return false;
        }
        return groups == 1 || one(dk, dv, first, 0, group, groups, arrived + groups);
    }

  private:
    // Stores the sums in slot `own`; in the last of `count` blocks to arrive, adds slots `first`, `first + step`, ...
    __device__ bool one(Sums& dk, Sums& dv, u32 own, u32 first, u32 step, u32 count, u32* counter) const {
        const u32 thread = threadIdx.y * WARP + threadIdx.x;
        if (there) {
            float4* to = slots + static_cast<u64>(own) * SLOT + thread;
            store(dk, to);
            store(dv, to + FOURS * C::THREADS);
        }
        __syncthreads();  // all threads have stored; the arrival below tells other blocks
        const bool last = thread == 0 && arrive_last(counter, count);
        // the first thread has met what other blocks stored; every thread reads it below
        if (__syncthreads_or(last) == 0) {
            return false;
        }
        if (there) {
            const float4* from = slots + static_cast<u64>(first) * SLOT + thread;
            const u32 stride = step * SLOT;
            add(dk, from, stride, count);
            add(dv, from + FOURS * C::THREADS, stride, count);
        }
        return true;
    }

    static __device__ void store(Sums& x, float4* to) {
#pragma unroll
        for (u32 i = 0; i < FOURS; ++i) {
            to[i * C::THREADS] = float4{x.at(4 * i), x.at(4 * i + 1), x.at(4 * i + 2), x.at(4 * i + 3)};
        }
    }

    // x becomes the sum of `count` slots.
    static __device__ void add(Sums& x, const float4* from, u32 stride, u32 count) {
        // slots on their way from memory at a time
        constexpr u32 AT_ONCE = FOURS < 8 ? 16 / FOURS : 1;
        x.clear();
#pragma unroll AT_ONCE
        for (u32 of = 0; of < count; ++of) {
#pragma unroll
            for (u32 i = 0; i < FOURS; ++i) {
                const float4 four = from[i * C::THREADS];
                x.at(4 * i) += four.x;
                x.at(4 * i + 1) += four.y;
                x.at(4 * i + 2) += four.z;
                x.at(4 * i + 3) += four.w;
            }
            from += stride;
        }
    }
};
