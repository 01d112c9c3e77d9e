// Dynamic shared memory holds 64 words, thread 63 writes word 64.
//   x [64] f32 in | y [64] f32 out | grid 1, block 64, shared dynamic 256 bytes

// args: x, y
extern "C" __global__ void shared_bounds(const float* __restrict__ x, float* __restrict__ y) {
    extern __shared__ float s_x[];
    const unsigned i = threadIdx.x;
    const float v = x[i];
    s_x[i + 1] = v; // FAULT
    __syncthreads();
    y[i] = i > 0 ? s_x[i] : 0.0f;
}
