// Writes through an optional output that the host left null.
//   x [32] f32 in | y [32] f32 out | mean null | grid 1, block 32

// args: x, y, mean
extern "C" __global__ void null_write(const float* __restrict__ x, float* __restrict__ y, float* __restrict__ mean) {
    const float v = x[threadIdx.x];
    y[threadIdx.x] = v;
    mean[threadIdx.x] = v; // FAULT
}
