// Two groups of cp.async are in flight and the wait leaves one of them, then the second is read.
//   x [128] f32 in | y [64] f32 out | grid 1, block 64, shared static 512 bytes

// args: x, y
extern "C" __global__ void copy_wrong_group(const float* __restrict__ x, float* __restrict__ y) {
    __shared__ float s_x[2][64];
    const unsigned i = threadIdx.x;
    const unsigned to = (unsigned)__cvta_generic_to_shared(&s_x[0][i]);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(to), "l"(x + i) : "memory");
    asm volatile("cp.async.commit_group;" ::: "memory");
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(to + 256), "l"(x + 64 + i) : "memory");
    asm volatile("cp.async.commit_group;" ::: "memory");
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    __syncthreads();
    const float first = s_x[0][63 - i];
    const float second = s_x[1][63 - i]; // FAULT
    y[i] = first + second;
}
