// Two lanes store different values to one word in one instruction.
//   x [32] f32 in | y [16] f32 out | grid 1, block 32, shared static 64 bytes

// args: x, y
extern "C" __global__ void race_same_word(const float* __restrict__ x, float* __restrict__ y) {
    __shared__ float s_x[16];
    const unsigned lane = threadIdx.x;
    s_x[lane / 2] = x[lane]; // FAULT
    __syncthreads();
    if (lane < 16) y[lane] = s_x[lane];
}
