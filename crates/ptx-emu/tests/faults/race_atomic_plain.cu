// Counts by atomics and clears by plain stores without a barrier between them.
//   x [64] u32 in, values below 64 | y [64] u32 out | grid 1, block 64, shared static 256 bytes

// args: x, y
extern "C" __global__ void race_atomic_plain(const unsigned* __restrict__ x, unsigned* __restrict__ y) {
    __shared__ unsigned s_bins[64];
    const unsigned i = threadIdx.x;
    s_bins[i] = 0;                // FAULT
    atomicAdd(&s_bins[x[i]], 1u); // FAULT
    __syncthreads();
    y[i] = s_bins[i];
}
