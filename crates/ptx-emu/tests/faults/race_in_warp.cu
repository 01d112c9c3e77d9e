// Lanes exchange through shared memory without __syncwarp.
//   x [32] f32 in | y [32] f32 out | grid 1, block 32, shared static 128 bytes

// args: x, y
extern "C" __global__ void race_in_warp(const float* __restrict__ x, float* __restrict__ y) {
    __shared__ float s_x[32];
    const unsigned lane = threadIdx.x;
    s_x[lane] = x[lane];
    const float v = s_x[lane ^ 1]; // FAULT
    y[lane] = v;
}
