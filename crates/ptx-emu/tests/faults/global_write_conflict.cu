// Two blocks write their own value to the same words.
//   x [128] f32 in | y [64] f32 out | grid 2, block 64

// args: x, y
extern "C" __global__ void global_write_conflict(const float* __restrict__ x, float* __restrict__ y) {
    const float v = x[blockIdx.x * 64 + threadIdx.x];
    y[threadIdx.x] = v; // FAULT
}
