// __syncwarp of each half of a warp does not order the halves.
//   x [32] f32 in | y [32] f32 out | grid 1, block 32, shared static 128 bytes

// args: x, y
extern "C" __global__ void race_partial_syncwarp(const float* __restrict__ x, float* __restrict__ y) {
    __shared__ float s_x[32];
    const unsigned lane = threadIdx.x;
    s_x[lane] = x[lane]; // FAULT
    if (lane < 16) {
        __syncwarp(0x0000ffffu);
    } else {
        __syncwarp(0xffff0000u);
    }
    const float v = s_x[lane ^ 16]; // FAULT
    y[lane] = v;
}
