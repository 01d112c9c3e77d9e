// __syncwarp of all lanes in a branch that half of them take.
//   x [32] f32 in | y [32] f32 out | grid 1, block 32

// args: x, y
extern "C" __global__ void syncwarp_inactive(const float* __restrict__ x, float* __restrict__ y) {
    const unsigned lane = threadIdx.x;
    float v = x[lane];
    if (lane < 16) {
        y[lane] = v;
        __syncwarp(); // FAULT
        v = y[lane] * 2.0f;
    }
    y[lane] = v;
}
