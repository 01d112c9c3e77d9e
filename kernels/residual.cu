// residual_fwd: y[i] = a[i] + b[i]      i < LEN
//   a, b [LEN] T in | y [LEN] T out; y may be a or b
//   grid ceil(LEN / (RES_THREADS VEC)), block RES_THREADS: one 16-byte vector per thread | no shared memory
//   needs 16-byte pointers; the last thread takes what is left, element by element
//   f32, one rounding to T: bitwise repeatable
//   defines RES_THREADS, PVT_DTYPE_*
//   source: He et al. 2016, equation 1
#include "dtype.cuh"
#include "index.cuh"
#include "vec.cuh"

PVT_ENTRY(residual_fwd)
__launch_bounds__(RES_THREADS)(const T* a, const T* b, T* y, u64 LEN) {
    const u64 first = (static_cast<u64>(blockIdx.x) * RES_THREADS + threadIdx.x) * VEC;
    if (first + VEC <= LEN) {
        float sum[VEC];
        float other[VEC];
        load(a + first, sum);
        load(b + first, other);
#pragma unroll
        for (u32 i = 0; i < VEC; ++i) {
            sum[i] += other[i];
        }
        store(y + first, sum);
    } else {
        for (u64 i = first; i < LEN; ++i) {
            y[i] = from_f32(to_f32(a[i]) + to_f32(b[i]));
        }
    }
}
