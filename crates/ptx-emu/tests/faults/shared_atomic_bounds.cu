// Values from 48 on count into bins past the end.
//   x [64] u32 in, values up to 63 | bins [48] u32 out | grid 1, block 64, shared static 192 bytes

// args: x, bins
extern "C" __global__ void shared_atomic_bounds(const unsigned* __restrict__ x, unsigned* __restrict__ bins) {
    __shared__ unsigned s_bins[48];
    for (unsigned b = threadIdx.x; b < 48; b += 64) s_bins[b] = 0;
    __syncthreads();
    atomicAdd(&s_bins[x[threadIdx.x]], 1u); // FAULT
    __syncthreads();
    for (unsigned b = threadIdx.x; b < 48; b += 64) bins[b] = s_bins[b];
}
