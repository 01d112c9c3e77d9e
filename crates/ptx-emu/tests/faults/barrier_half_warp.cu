// __syncthreads in a branch that half of each warp takes.
//   x [64] f32 in | y [64] f32 out | grid 1, block 64, shared static 256 bytes

// args: x, y
extern "C" __global__ void barrier_half_warp(const float* __restrict__ x, float* __restrict__ y) {
    __shared__ float s_x[64];
    const unsigned i = threadIdx.x;
    s_x[i] = x[i];
    __syncthreads();
    float v = s_x[i];
    if (i % 32 < 16) {
        s_x[i] = v * 2.0f;
        __syncthreads(); // FAULT
        v = s_x[i];
    }
    y[i] = v;
}
