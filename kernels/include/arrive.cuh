// Blocks that wait for none: the last of them to arrive goes on with what all have written.
#pragma once

#include "types.cuh"

// Counts a block at `arrived`, from which all but the last of `blocks` count up and the last counts back to zero.
// Whether it is the last: then what all threads of the others have written before a barrier and this call may be read
// after it and a barrier. PTX ISA "Memory Consistency Model": fences on both sides of a relaxed atomic.
__device__ inline bool arrive_last(u32* arrived, u32 blocks) {
    u32 before;
    asm volatile(
        "fence.acq_rel.gpu;\n"
        "atom.relaxed.gpu.global.inc.u32 %0, [%1], %2;\n"
        "fence.acq_rel.gpu;"
        : "=r"(before)
        : "l"(arrived), "r"(blocks - 1)
        : "memory");
    return before == blocks - 1;
}
