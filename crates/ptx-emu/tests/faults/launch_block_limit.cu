// Nothing is wrong here: the host asks for a block of 2048 threads.
//   y [2048] f32 out | grid 1, block 2048

// args: y
extern "C" __global__ void launch_block_limit(float* __restrict__ y) { y[threadIdx.x] = 1.0f; }
