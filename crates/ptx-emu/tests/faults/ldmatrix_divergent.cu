// ldmatrix in a branch that half of the warp takes.
//   x [64] u32 in | y [32] u32 out | grid 1, block 32, shared static 256 bytes

// args: x, y
extern "C" __global__ void ldmatrix_divergent(const unsigned* __restrict__ x, unsigned* __restrict__ y) {
    __shared__ __align__(16) unsigned s_x[64];
    const unsigned lane = threadIdx.x;
    s_x[lane] = x[lane];
    s_x[lane + 32] = x[lane + 32];
    __syncthreads();
    unsigned d = 0;
    if (lane < 16) {
        const unsigned row = (unsigned)__cvta_generic_to_shared(&s_x[lane * 4]);
        asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(d) : "r"(row) : "memory"); // FAULT
    }
    y[lane] = d;
}
