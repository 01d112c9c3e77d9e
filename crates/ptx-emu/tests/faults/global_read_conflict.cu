// A block reads what its neighbour writes in the same launch.
//   y [192] f32 in and out | grid 2, block 64

// args: y
extern "C" __global__ void global_read_conflict(float* y) {
    const unsigned i = blockIdx.x * 64 + threadIdx.x;
    const float v = y[i + 64]; // FAULT
    y[i] = v * 2.0f;           // FAULT
}
