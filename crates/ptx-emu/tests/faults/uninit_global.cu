// x was allocated, but the host never wrote it.
//   x [64] f32 in, not written | y [64] f32 out | grid 1, block 64

// args: x, y
extern "C" __global__ void uninit_global(const float* __restrict__ x, float* __restrict__ y) {
    const float v = x[threadIdx.x]; // FAULT
    y[threadIdx.x] = v + 1.0f;      // FAULT
}
