// Nothing is wrong here: the host asks for more dynamic shared memory than the device has.
//   y [32] f32 out | grid 1, block 32, shared dynamic 1 MiB

// args: y
extern "C" __global__ void launch_shared_limit(float* __restrict__ y) {
    extern __shared__ float s_x[];
    s_x[threadIdx.x] = 1.0f;
    __syncthreads();
    y[threadIdx.x] = s_x[31 - threadIdx.x];
}
