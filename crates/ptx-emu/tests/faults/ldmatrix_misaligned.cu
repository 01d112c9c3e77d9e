// Rows for ldmatrix of 20 bytes: only every fourth starts at 16 bytes.
//   x [40] u32 in | y [32] u32 out | grid 1, block 32, shared static 160 bytes

// args: x, y
extern "C" __global__ void ldmatrix_misaligned(const unsigned* __restrict__ x, unsigned* __restrict__ y) {
    __shared__ __align__(16) unsigned s_x[40];
    const unsigned lane = threadIdx.x;
    for (unsigned i = lane; i < 40; i += 32) s_x[i] = x[i];
    __syncthreads();
    unsigned d;
    const unsigned row = (unsigned)__cvta_generic_to_shared(&s_x[lane % 8 * 5]);
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(d) : "r"(row) : "memory"); // FAULT
    y[lane] = d;
}
