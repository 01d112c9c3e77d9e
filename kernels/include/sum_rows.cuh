// Sums of rows of f32, one row of every block of a grid, in a fixed order and without atomics on floats.
//
// Blocks form groups of SUM_GROUP. The last block of a group to arrive adds the rows of its group, and the last of
// these adds the sums of groups: both chains are short, where one block with all rows before it would be the
// slowest part of a small launch. Who arrives last changes no bit.
#pragma once

#include "arrive.cuh"
#include "index.cuh"

// Sums that are on their way from memory at a time.
constexpr u32 SUM_AT_ONCE = 8;

// Whether this block is the last of `blocks` to arrive at `arrived`: the same answer in all threads of the block.
__device__ inline bool last_of(u32* arrived, u32 blocks, u32 tid) {
    // what all threads of the block have stored is told to other blocks below
    __syncthreads();
    const bool last = tid == 0 && arrive_last(arrived, blocks);
    // the first thread has met what other blocks stored; every thread may read it from here on
    return __syncthreads_or(last) != 0;
}

// Sum of rows first..first+count-1 at column `column`, upwards from zero.
__device__ inline float4 sum_of_rows(const float4* rows, u32 columns, u32 first, u32 count, u32 column) {
    float4 total{};
#pragma unroll SUM_AT_ONCE
    for (u32 r = first; r < first + count; ++r) {
        const float4 value = row(rows, r, columns)[column];
        total.x += value.x;
        total.y += value.y;
        total.z += value.z;
        total.w += value.w;
    }
    return total;
}

// Adds the rows 0..gridDim.x-1 of `partials` [gridDim.x + groups][columns], of which this block's threads have
// stored row blockIdx.x, and calls finish(column, sum) once for every column, in the threads of the block that comes
// last. `arrived` [groups + 1] is zero before and after, with groups = ceil(gridDim.x / SUM_GROUP). All threads of
// all blocks call it.
template <u32 THREADS, class Finish>
__device__ inline void sum_rows(float4* partials, u32* arrived, u32 columns, u32 tid, Finish finish) {
    const u32 blocks = gridDim.x;
    const u32 groups = (blocks - 1) / SUM_GROUP + 1;
    const u32 group = blockIdx.x / SUM_GROUP;
    const u32 first = group * SUM_GROUP;
    const u32 count = min(blocks - first, SUM_GROUP);
    if (!last_of(arrived + group, count, tid)) {
        return;  // all threads of the block
    }
    for (u32 column = tid; column < columns; column += THREADS) {
        const float4 total = sum_of_rows(partials, columns, first, count, column);
        if (groups == 1) {
            finish(column, total);
        } else {
            row(partials, blocks + group, columns)[column] = total;
        }
    }
    if (groups == 1 || !last_of(arrived + groups, groups, tid)) {
        return;  // all threads of the block
    }
    for (u32 column = tid; column < columns; column += THREADS) {
        finish(column, sum_of_rows(partials, columns, blocks, groups, column));
    }
}
