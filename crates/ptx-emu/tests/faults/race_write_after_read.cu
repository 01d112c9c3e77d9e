// The second __syncthreads of the loop is missing: a fast warp overwrites what a slow one reads.
//   x [4,64] f32 in | y [64] f32 out | grid 1, block 64, shared static 256 bytes

// args: x, y
extern "C" __global__ void race_write_after_read(const float* __restrict__ x, float* __restrict__ y) {
    __shared__ float s_x[64];
    const unsigned i = threadIdx.x;
    float sum = 0.0f;
#pragma unroll 1
    for (unsigned step = 0; step < 4; ++step) {
        s_x[i] = x[step * 64 + i]; // FAULT
        __syncthreads();
        sum += s_x[63 - i]; // FAULT
    }
    y[i] = sum;
}
