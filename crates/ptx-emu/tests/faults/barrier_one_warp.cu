// __syncthreads in a branch that one of two warps takes: it meets the other's last barrier, and the
// first warp then waits alone.
//   x [64] f32 in | y [64] f32 out | grid 1, block 64, shared static 256 bytes

// args: x, y
extern "C" __global__ void barrier_one_warp(const float* __restrict__ x, float* __restrict__ y) {
    __shared__ float s_x[64];
    const unsigned i = threadIdx.x;
    s_x[i] = x[i];
    if (x[i] > 0.0f) {
        __syncthreads(); // FAULT
        s_x[i] *= 2.0f;
    }
    __syncthreads(); // FAULT
    y[i] = s_x[i];
}
