// Only the first 48 of 64 words are written before all are read.
//   x [64] f32 in | y [64] f32 out | grid 1, block 64, shared static 256 bytes

// args: x, y
extern "C" __global__ void uninit_shared(const float* __restrict__ x, float* __restrict__ y) {
    __shared__ float s_x[64];
    const unsigned i = threadIdx.x;
    if (i < 48) s_x[i] = x[i];
    __syncthreads();
    const float v = s_x[63 - i]; // FAULT
    y[i] = v * 2.0f;             // FAULT
}
