// Asynchronous copies from global to shared memory (sm_80). PTX ISA "cp.async".
#pragma once

#include "types.cuh"

// Address of a pointer into shared memory, as instructions want it.
__device__ inline u32 shared_address(const void* s) {
    return static_cast<u32>(__cvta_generic_to_shared(s));
}

// Begins to copy 16 bytes, both sides aligned to 16. Nobody may touch `s` before this thread has waited
// for the copy (`cp_async_wait`) and a barrier has passed that on to the others.
__device__ inline void cp_async(u32 s, const void* x) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(s), "l"(x) : "memory");
}

// As `cp_async`, or 16 zeros where `valid` is false; `x` must then still be an address of the tensor.
__device__ inline void cp_async_or_zero(u32 s, const void* x, bool valid) {
    const u32 bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(s), "l"(x), "r"(bytes) : "memory");
}

// Ends a group: the copies that this thread began since the last group, which may be none.
__device__ inline void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most `PENDING` of this thread's latest groups are under way.
template <u32 PENDING> __device__ inline void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}
