// cp.async is waited for, but only by the thread that issued it: other threads need a barrier.
//   x [64] f32 in | y [64] f32 out | grid 1, block 64, shared static 256 bytes

// args: x, y
extern "C" __global__ void copy_without_barrier(const float* __restrict__ x, float* __restrict__ y) {
    __shared__ float s_x[64];
    const unsigned i = threadIdx.x;
    const unsigned to = (unsigned)__cvta_generic_to_shared(&s_x[i]);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(to), "l"(x + i) : "memory"); // FAULT
    asm volatile("cp.async.wait_all;" ::: "memory");
    const float v = s_x[63 - i]; // FAULT
    y[i] = v;
}
