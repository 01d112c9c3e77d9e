// __syncthreads is missing between the stores and the loads of other warps.
//   x [64] f32 in | y [64] f32 out | grid 1, block 64, shared static 256 bytes

// args: x, y
extern "C" __global__ void race_read_after_write(const float* __restrict__ x, float* __restrict__ y) {
    __shared__ float s_x[64];
    const unsigned i = threadIdx.x;
    s_x[i] = x[i];               // FAULT
    const float v = s_x[63 - i]; // FAULT
    y[i] = v;
}
