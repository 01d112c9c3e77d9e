// The host freed x before the launch.
//   x [64] f32 in, freed | y [64] f32 out | grid 1, block 64

// args: x, y
extern "C" __global__ void use_after_free(const float* __restrict__ x, float* __restrict__ y) {
    const float v = x[threadIdx.x]; // FAULT
    y[threadIdx.x] = v + 1.0f;
}
