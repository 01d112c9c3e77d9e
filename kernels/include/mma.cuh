// Matrix products of one warp on tensor cores (sm_80), and how their operands come from shared memory.
//
// PTX ISA, "Matrix multiply-accumulate using mma instruction". With g = lane / 4 and t = lane % 4:
//
//   mma_16 (f16, bf16; m16n8k16)                      mma_8 (tf32; m16n8k8)
//   a[0] rows g,   k 2t, 2t+1   a[2] k + 8            a[0] row g,   k t     a[2] k + 4
//   a[1] rows g+8, k 2t, 2t+1   a[3] k + 8            a[1] row g+8, k t     a[3] k + 4
//   b[0] column g, k 2t, 2t+1   b[1] k + 8            b[0] column g, k t    b[1] k + 4
//   d[0], d[1] row g, columns 2t, 2t+1                d as on the left
//   d[2], d[3] row g + 8
#pragma once

#include "dtype.cuh"

// Four 8 x 8 matrices of 16-bit elements, row by row: lanes 8i..8i+7 give the addresses of the rows of
// matrix i (16 bytes each, aligned); in matrix i this lane gets row g, elements 2t and 2t + 1. The same
// instruction brings f32: then it is row g, element t.
__device__ inline void ldmatrix(u32 (&d)[4], u32 s) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                 : "r"(s)
                 : "memory");
}

// As `ldmatrix`, transposed: of matrix i this lane gets rows 2t and 2t + 1 of column g.
__device__ inline void ldmatrix_transposed(u32 (&d)[4], u32 s) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                 : "r"(s)
                 : "memory");
}

#if defined(PVT_DTYPE_F16) || defined(PVT_DTYPE_BF16)

// d += a * b for 16 rows, 8 columns, 16 products each, in f32.
__device__ inline void mma_16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
#if defined(PVT_DTYPE_F16)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
#else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
#endif
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Two values rounded to T, the first in the lower half. PTX ISA "cvt.rn.f16x2.f32" takes the upper first.
__device__ inline u32 pack(float low, float high) {
    u32 y;
#if defined(PVT_DTYPE_F16)
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
#else
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
#endif
    return y;
}

#elif defined(PVT_DTYPE_TF32)

// d += a * b for 16 rows, 8 columns, 8 products each, in f32; a and b are rounded by `to_tf32`.
__device__ inline void mma_8(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Bits of an f32 rounded to tf32, to nearest with ties away. Without it the tensor core would truncate.
__device__ inline u32 to_tf32(u32 bits) {
    u32 y;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(__uint_as_float(bits)));
    return y;
}

#endif

// The product of the type, by one name.
#if defined(PVT_DTYPE_F16) || defined(PVT_DTYPE_BF16)

__device__ inline void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) { mma_16(d, a, b0, b1); }

// Two ones of T.
#if defined(PVT_DTYPE_F16)
constexpr u32 ONES = 0x3c003c00;
#else
constexpr u32 ONES = 0x3f803f80;
#endif

// Elements of T are operands as they are.
__device__ inline u32 operand(u32 bits) { return bits; }

#elif defined(PVT_DTYPE_TF32)

__device__ inline void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) { mma_8(d, a, b0, b1); }

__device__ inline u32 operand(u32 bits) { return to_tf32(bits); }

#endif
