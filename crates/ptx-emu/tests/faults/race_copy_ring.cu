// A ring of one buffer: cp.async of the next step overwrites what the other warp still reads.
//   x [4,64] f32 in | y [64] f32 out | grid 1, block 64, shared static 256 bytes

// args: x, y
extern "C" __global__ void race_copy_ring(const float* __restrict__ x, float* __restrict__ y) {
    __shared__ float ring[64];
    const unsigned i = threadIdx.x;
    float sum = 0.0f;
    const unsigned to = (unsigned)__cvta_generic_to_shared(&ring[i]);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(to), "l"(x + i) : "memory");
    asm volatile("cp.async.commit_group;" ::: "memory");
#pragma unroll 1
    for (unsigned step = 0; step < 4; ++step) {
        asm volatile("cp.async.wait_group 0;" ::: "memory");
        __syncthreads();
        sum += ring[63 - i]; // FAULT
        if (step + 1 < 4) {
            asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(to), "l"(x + (step + 1) * 64 + i) : "memory"); // FAULT
            asm volatile("cp.async.commit_group;" ::: "memory");
        }
    }
    y[i] = sum;
}
