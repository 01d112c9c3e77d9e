// Element 3 of a local array is read where x says 3, and no thread wrote it.
//   x [32] u32 in, values up to 3 | y [32] f32 out | grid 1, block 32

// args: x, y
extern "C" __global__ void uninit_local(const unsigned* __restrict__ x, float* __restrict__ y) {
    float v[4];
    const unsigned at = x[threadIdx.x];
#pragma unroll 1
    for (unsigned j = 0; j < 3; ++j) v[(j * 2 + threadIdx.x * 3) % 3] = (float)j;
    const float chosen = v[at];         // FAULT
    y[threadIdx.x] = chosen * 2.0f;     // FAULT
}
