// Data of cp.async is read without waiting for it.
//   x [64] f32 in | y [64] f32 out | grid 1, block 64, shared static 256 bytes

// args: x, y
extern "C" __global__ void copy_without_wait(const float* __restrict__ x, float* __restrict__ y) {
    __shared__ float s_x[64];
    const unsigned i = threadIdx.x;
    const unsigned to = (unsigned)__cvta_generic_to_shared(&s_x[i]);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(to), "l"(x + i) : "memory");
    asm volatile("cp.async.commit_group;" ::: "memory");
    __syncthreads();
    const float v = s_x[63 - i]; // FAULT
    y[i] = v;
}
