// A shuffle names all lanes in its mask, and half of them never come.
//   x [32] f32 in | y [32] f32 out | grid 1, block 32

// args: x, y
extern "C" __global__ void shuffle_inactive(const float* __restrict__ x, float* __restrict__ y) {
    const unsigned lane = threadIdx.x;
    float v = x[lane];
    if (lane < 16) {
        v += __shfl_xor_sync(0xffffffffu, v, 1); // FAULT
    }
    y[lane] = v;
}
