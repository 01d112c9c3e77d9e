// Works in place on an argument that the host declared an input.
//   x [64] f32 in | y [64] f32 out | grid 1, block 64

// args: x, y
extern "C" __global__ void write_input(float* x, float* y) {
    const float v = x[threadIdx.x] * 0.5f;
    x[threadIdx.x] = v; // FAULT
    y[threadIdx.x] = v;
}
