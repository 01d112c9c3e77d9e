// cp.async of 16 bytes from rows of 20 bytes.
//   x [32,5] f32 in | y [32] f32 out | grid 1, block 32, shared static 512 bytes

// args: x, y
extern "C" __global__ void misaligned_copy(const float* __restrict__ x, float* __restrict__ y) {
    __shared__ __align__(16) float s_x[32][4];
    const unsigned lane = threadIdx.x;
    const unsigned to = (unsigned)__cvta_generic_to_shared(s_x[lane]);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(x + lane * 5) : "memory"); // FAULT
    asm volatile("cp.async.wait_all;" ::: "memory");
    __syncthreads();
    y[lane] = s_x[31 - lane][0];
}
