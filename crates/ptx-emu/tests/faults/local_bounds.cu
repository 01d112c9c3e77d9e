// A local array of four words is indexed with 4.
//   x [32] u32 in, values up to 4 | y [32] f32 out | grid 1, block 32

// args: x, y
extern "C" __global__ void local_bounds(const unsigned* __restrict__ x, float* __restrict__ y) {
    float v[4];
#pragma unroll 1
    for (unsigned j = 0; j < 4; ++j) v[(j + threadIdx.x) % 4] = (float)j;
    const unsigned at = x[threadIdx.x];
    y[threadIdx.x] = v[at]; // FAULT
}
