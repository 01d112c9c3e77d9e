// A row of shared memory has 33 words and is read in pairs.
//   x [4,32] f32 in | y [4] f32 out | grid 1, block 32, shared static 528 bytes

// args: x, y
extern "C" __global__ void misaligned_shared(const float* __restrict__ x, float* __restrict__ y) {
    __shared__ __align__(16) float s_x[4][33];
    const unsigned lane = threadIdx.x;
    for (unsigned r = 0; r < 4; ++r) s_x[r][lane] = x[r * 32 + lane];
    __syncthreads();
    if (lane < 4) {
        const float2 v = *(const float2*)s_x[lane]; // FAULT
        y[lane] = v.x + v.y;
    }
}
