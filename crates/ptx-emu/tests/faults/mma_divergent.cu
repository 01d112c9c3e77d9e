// mma.sync in a branch that half of the warp takes.
//   x [32] u32 in, pairs of bf16 | y [32,4] f32 out | grid 1, block 32

// args: x, y
extern "C" __global__ void mma_divergent(const unsigned* __restrict__ x, float* __restrict__ y) {
    const unsigned lane = threadIdx.x;
    const unsigned v = x[lane];
    float d[4] = {};
    if (lane < 16) {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%4,%4,%4}, {%4,%4}, {%0,%1,%2,%3};" : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(v)); // FAULT
    }
    *(float4*)(y + 4 * lane) = make_float4(d[0], d[1], d[2], d[3]);
}
