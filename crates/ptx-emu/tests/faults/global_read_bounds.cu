// y[i] = x[i + 1] - x[i] reads one element past x in the last thread.
//   x [128] f32 in | y [128] f32 out | grid 2, block 64

// args: x, y
extern "C" __global__ void global_read_bounds(const float* __restrict__ x, float* __restrict__ y) {
    const unsigned i = blockIdx.x * 64 + threadIdx.x;
    const float here = x[i];
    const float next = x[i + 1]; // FAULT
    y[i] = next - here;
}
