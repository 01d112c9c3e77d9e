// residual_fwd: y[b, i] = a[b, i] + m_b x[b, i]      b < B, i < LEN
//   a, x, y [B, LEN] T, in, in, out; y may be a or x; a may be null: then y = m x | factors f32 in: m_b is
//   factors[FIRST + b], or 1 where factors is null
//   grid B ceil(LEN / (RES_THREADS VEC)), block RES_THREADS: one 16-byte vector per thread | no shared memory
//   needs 16-byte pointers, LEN % VEC == 0 where B > 1; the last thread of an image takes what is left, element by
//   element
//   f32, one rounding to T: bitwise repeatable
//   defines RES_THREADS, PVT_DTYPE_*
//   source: He et al. 2016, equation 1; Huang et al. 2016, equation 2, for the factors
#include "dtype.cuh"
#include "index.cuh"
#include "vec.cuh"

PVT_ENTRY(residual_fwd)
__launch_bounds__(RES_THREADS)(const T* a, const T* x, const float* factors, T* y, u64 LEN, u32 FIRST) {
    const u32 blocks = static_cast<u32>((LEN - 1) / (RES_THREADS * VEC) + 1);  // of an image
    const u32 b = blockIdx.x / blocks;
    const u64 vector = static_cast<u64>(blockIdx.x % blocks) * RES_THREADS + threadIdx.x;  // of the image
    const u64 first = vector * VEC;
    // images before this one have whole vectors; the compiler stores them as such where it sees that
    const u64 begin = (b * (LEN / VEC) + vector) * VEC;
    const float m = factors != nullptr ? factors[FIRST + b] : 1.0f;
    if (first + VEC <= LEN) {
        float sum[VEC] = {};
        float other[VEC];
        if (a != nullptr) {
            load(a + begin, sum);
        }
        load(x + begin, other);
#pragma unroll
        for (u32 i = 0; i < VEC; ++i) {
            sum[i] = __fmaf_rn(m, other[i], sum[i]);
        }
        store(y + begin, sum);
    } else {
        for (u64 i = begin; i < begin + LEN - first && first < LEN; ++i) {
            const float sum = a != nullptr ? to_f32(a[i]) : 0.0f;
            y[i] = from_f32(__fmaf_rn(m, to_f32(x[i]), sum));
        }
    }
}
