// fill_fwd: y[i] = VALUE      i < LEN
//   y [LEN] f32 out
//   grid ceil(LEN / FILL_THREADS), block FILL_THREADS: one element per thread | no shared memory
//   needs nothing; bitwise repeatable
//   defines FILL_THREADS, PVT_DTYPE_F32
//   source: none
#include "dtype.cuh"

PVT_ENTRY(fill_fwd)
__launch_bounds__(FILL_THREADS)(T* __restrict__ y, u32 LEN, float VALUE) {
    const u32 i = blockIdx.x * FILL_THREADS + threadIdx.x;
    if (i < LEN) {
        y[i] = from_f32(VALUE);
    }
}
