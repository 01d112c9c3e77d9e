// A row of 65 floats is read as float4: odd rows do not start at 16 bytes.
//   x [2,65] f32 in | y [2] f32 out | grid 1, block 2

// args: x, y
extern "C" __global__ void misaligned_vector(const float* __restrict__ x, float* __restrict__ y) {
    const float* x_r = x + threadIdx.x * 65;
    const float4 v = *(const float4*)x_r; // FAULT
    y[threadIdx.x] = (v.x + v.y) + (v.z + v.w);
}
