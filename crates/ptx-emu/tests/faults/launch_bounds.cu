// Nothing is wrong here: the host asks for twice the block that the kernel was compiled for.
//   y [128] f32 out | grid 1, block 128

// args: y
extern "C" __global__ void __launch_bounds__(64) launch_bounds(float* __restrict__ y) { y[threadIdx.x] = 1.0f; }
