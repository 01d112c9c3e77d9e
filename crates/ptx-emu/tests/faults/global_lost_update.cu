// Adds the sums of blocks with a plain read and write instead of an atomic.
//   x [128] u32 in | sum [1] u32 in and out | grid 4, block 32

// args: x, sum
extern "C" __global__ void global_lost_update(const unsigned* __restrict__ x, unsigned* sum) {
    const unsigned warp_sum = __reduce_add_sync(0xffffffffu, x[blockIdx.x * 32 + threadIdx.x]);
    if (threadIdx.x == 0) {
        const unsigned before = *sum; // FAULT
        *sum = before + warp_sum;     // FAULT
    }
}
