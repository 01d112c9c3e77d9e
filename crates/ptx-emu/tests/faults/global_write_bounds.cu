// The guard i < N is missing: the last block writes past y.
//   x [128] f32 in | y [100] f32 out | grid 2, block 64

// args: x, y
extern "C" __global__ void global_write_bounds(const float* __restrict__ x, float* __restrict__ y) {
    const unsigned i = blockIdx.x * 64 + threadIdx.x;
    const float v = 2.0f * x[i];
    y[i] = v; // FAULT
}
