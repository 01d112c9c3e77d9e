// attention_*: o[b,n,:] = sum_m p[b,n,m] * v[b,m,:],  p[b,n,:] = softmax_m(scale * q[b,n,:] . k[b,m,:])
//   b < B (batch times heads), n < N queries, m < M keys, D = 64 head channels
//   q [B,N,D], k [B,M,D], v [B,M,D] row-major in | o [B,N,D] row-major f32 out
//   scores, running maximum and sums in f32, keys ascending: bitwise repeatable
//   source: Dao et al. 2022 alg. 1 with the rescaling of Dao 2023, base-2 exponent
//
// attention_bf16: tensor cores, one block per 64 queries, one warp per 16
//   q, k, v bf16, 16-byte aligned | grid (ceil(N/64), B), block 128
//   shared dynamic 3*64*128 = 24576 bytes (q, k, v tiles): chunk x of row r lies at chunk x ^ (r % 8)
//   tails: rows past N and M are copied as zero, keys past M get weight 0, stores are masked
//   p is rounded to bf16 before it meets v
// attention_f32: plain f32, one block per 4 queries, one warp per query
//   q, k, v f32, 4-byte aligned | grid (ceil(N/4), B), block (32, 4)
//   shared static (32*65 + 32*64 + 4*64)*4 = 17536 bytes
//   tails: keys past M get weight 0, queries past N compute on zeros and store nothing

typedef unsigned b32; // two bf16

constexpr unsigned D = 64;
constexpr unsigned WARP = 32;
constexpr unsigned ALL = 0xffffffffu;
constexpr float LOG2E = 1.4426950408889634f;
constexpr float NONE = -1.0e30f; // score of a key that does not exist: finite, so that NONE - NONE is 0

// ---- attention_bf16

constexpr unsigned THREADS = 128;
constexpr unsigned QUERIES = 64; // per block
constexpr unsigned KEYS = 64;    // per step
constexpr unsigned CHUNK = 16;   // bytes
constexpr unsigned CHUNKS = D * 2 / CHUNK;
constexpr unsigned PITCH = CHUNKS * CHUNK;
constexpr unsigned S_Q = 0, S_K = QUERIES * PITCH, S_V = S_K + KEYS * PITCH; // byte offsets

// ldmatrix: four 8x8 matrices of 16 bits; lanes 8m..8m+7 give the row addresses of matrix m.
__device__ __forceinline__ void ldmatrix4(b32 (&d)[4], unsigned row_address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                 : "r"(row_address)
                 : "memory");
}
// The same, each matrix transposed.
__device__ __forceinline__ void ldmatrix4_trans(b32 (&d)[4], unsigned row_address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                 : "r"(row_address)
                 : "memory");
}
__device__ __forceinline__ void mma(float (&d)[4], const b32 (&a)[4], b32 b0, b32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
// cvt.rn.bf16x2.f32: first source in the upper half, sm_80
__device__ __forceinline__ b32 pack_bf16x2(float low, float high) {
    b32 pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}
// ex2.approx.ftz.f32: 2^x within 2 ulp
__device__ __forceinline__ float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
// cp.async: `bytes` (0 or 16) from global memory, the rest of the chunk zero.
__device__ __forceinline__ void copy_chunk(unsigned to, const void* from, unsigned bytes) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <unsigned PENDING>
__device__ __forceinline__ void wait_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

__device__ __forceinline__ unsigned at(unsigned row, unsigned chunk) {
    return row * PITCH + (chunk ^ (row % 8)) * CHUNK;
}

// Starts the copies of rows row0..row0+64 of x [rows, D] into the tile at `tile`.
__device__ __forceinline__ void load_tile(unsigned tile, const unsigned short* x, unsigned row0, unsigned rows) {
#pragma unroll
    for (unsigned i = 0; i < KEYS * CHUNKS / THREADS; ++i) {
        const unsigned n = i * THREADS + threadIdx.x;
        const unsigned row = n / CHUNKS;
        const unsigned chunk = n % CHUNKS;
        const bool in = row0 + row < rows;
        const unsigned short* source = in ? x + (size_t)(row0 + row) * D + chunk * (CHUNK / 2) : x;
        copy_chunk(tile + at(row, chunk), source, in ? CHUNK : 0);
    }
}

// args: q, k, v, o, N, M, scale
extern "C" __global__ void __launch_bounds__(THREADS)
    attention_bf16(const unsigned short* __restrict__ q, const unsigned short* __restrict__ k,
                   const unsigned short* __restrict__ v, float* __restrict__ o, unsigned N, unsigned M, float scale) {
    extern __shared__ __align__(128) unsigned char tiles[];
    const unsigned base = (unsigned)__cvta_generic_to_shared(tiles);
    const unsigned lane = threadIdx.x % WARP;
    const unsigned warp = threadIdx.x / WARP;
    const unsigned g = lane / 4;
    const unsigned t = lane % 4;
    const unsigned n0 = blockIdx.x * QUERIES;
    const size_t b = blockIdx.y;
    const float scale2 = scale * LOG2E;
    q += b * N * D;
    k += b * M * D;
    v += b * M * D;
    o += b * N * D;

    load_tile(base + S_Q, q, n0, N);
    load_tile(base + S_K, k, 0, M);
    commit_copies(); // q and the first k
    load_tile(base + S_V, v, 0, M);
    commit_copies(); // the first v

    b32 fq[D / 16][4];                   // queries of this warp, kept in registers
    float acc[D / 8][4] = {};            // o before division: rows g and g + 8
    float max[2] = {NONE, NONE};         // running maximum of scale2 * q.k of both rows
    float sum[2] = {0.0f, 0.0f};         // this lane's share of the running sum
    for (unsigned m0 = 0; m0 < M; m0 += KEYS) {
        wait_copies<1>();
        __syncthreads(); // k (and q) of all threads arrived; v may be on its way
        if (m0 == 0) {
#pragma unroll
            for (unsigned d = 0; d < D / 16; ++d)
                ldmatrix4(fq[d], base + S_Q + at(warp * 16 + lane % 16, 2 * d + lane / 16));
        }
        float s[KEYS / 8][4] = {};
#pragma unroll
        for (unsigned j = 0; j < KEYS / 16; ++j) {
#pragma unroll
            for (unsigned d = 0; d < D / 16; ++d) {
                b32 fk[4]; // chunks 2d and 2d+1 of keys 0-7, then of keys 8-15
                ldmatrix4(fk, base + S_K + at(j * 16 + lane / 16 * 8 + lane % 8, 2 * d + lane / 8 % 2));
                mma(s[2 * j], fq[d], fk[0], fk[1]);
                mma(s[2 * j + 1], fq[d], fk[2], fk[3]);
            }
        }
        __syncthreads(); // k read by all above, overwritten by the next copy
        if (m0 + KEYS < M) load_tile(base + S_K, k, m0 + KEYS, M);
        commit_copies();

        float top[2] = {max[0], max[1]};
#pragma unroll
        for (unsigned j = 0; j < KEYS / 8; ++j)
#pragma unroll
            for (unsigned e = 0; e < 4; ++e) {
                const bool exists = m0 + j * 8 + t * 2 + e % 2 < M;
                s[j][e] = exists ? s[j][e] * scale2 : NONE;
                top[e / 2] = fmaxf(top[e / 2], s[j][e]);
            }
#pragma unroll
        for (unsigned half = 0; half < 2; ++half) {
            top[half] = fmaxf(top[half], __shfl_xor_sync(ALL, top[half], 1));
            top[half] = fmaxf(top[half], __shfl_xor_sync(ALL, top[half], 2));
            const float shrink = exp2_fast(max[half] - top[half]);
            max[half] = top[half];
            sum[half] *= shrink;
#pragma unroll
            for (unsigned d = 0; d < D / 8; ++d) {
                acc[d][2 * half] *= shrink;
                acc[d][2 * half + 1] *= shrink;
            }
        }
#pragma unroll
        for (unsigned j = 0; j < KEYS / 8; ++j)
#pragma unroll
            for (unsigned e = 0; e < 4; ++e) {
                s[j][e] = exp2_fast(s[j][e] - max[e / 2]);
                sum[e / 2] += s[j][e];
            }

        wait_copies<1>();
        __syncthreads(); // v of all threads arrived; the next k may be on its way
#pragma unroll
        for (unsigned j = 0; j < KEYS / 16; ++j) {
            // Accumulators of two neighbouring 16x8 tiles are the fragments of one 16x16 operand.
            const b32 p[4] = {pack_bf16x2(s[2 * j][0], s[2 * j][1]), pack_bf16x2(s[2 * j][2], s[2 * j][3]),
                              pack_bf16x2(s[2 * j + 1][0], s[2 * j + 1][1]),
                              pack_bf16x2(s[2 * j + 1][2], s[2 * j + 1][3])};
#pragma unroll
            for (unsigned d = 0; d < D / 16; ++d) {
                b32 fv[4]; // keys 0-7 and 8-15 of chunk 2d, then of chunk 2d+1
                ldmatrix4_trans(fv, base + S_V + at(j * 16 + lane % 16, 2 * d + lane / 16));
                mma(acc[2 * d], p, fv[0], fv[1]);
                mma(acc[2 * d + 1], p, fv[2], fv[3]);
            }
        }
        __syncthreads(); // v read by all above, overwritten by the next copy
        if (m0 + KEYS < M) load_tile(base + S_V, v, m0 + KEYS, M);
        commit_copies();
    }
    wait_copies<0>(); // only empty groups are left

#pragma unroll
    for (unsigned half = 0; half < 2; ++half) {
        float total = sum[half];
        total += __shfl_xor_sync(ALL, total, 1);
        total += __shfl_xor_sync(ALL, total, 2);
        const unsigned n = n0 + warp * 16 + half * 8 + g;
        if (n >= N) continue;
#pragma unroll
        for (unsigned d = 0; d < D / 8; ++d)
            *(float2*)(o + (size_t)n * D + d * 8 + t * 2) =
                make_float2(acc[d][2 * half] / total, acc[d][2 * half + 1] / total);
    }
}

// ---- attention_f32

constexpr unsigned F32_QUERIES = 4; // per block, one per warp
constexpr unsigned F32_KEYS = WARP; // per step, one per lane

// args: q, k, v, o, N, M, scale
extern "C" __global__ void __launch_bounds__(WARP* F32_QUERIES)
    attention_f32(const float* __restrict__ q, const float* __restrict__ k, const float* __restrict__ v,
                  float* __restrict__ o, unsigned N, unsigned M, float scale) {
    __shared__ float s_k[F32_KEYS][D + 1]; // padding: lanes read one column of 32 rows
    __shared__ float s_v[F32_KEYS][D];
    __shared__ float s_q[F32_QUERIES][D];
    const unsigned lane = threadIdx.x;
    const unsigned warp = threadIdx.y;
    const unsigned tid = warp * WARP + lane;
    const unsigned n = blockIdx.x * F32_QUERIES + warp;
    const size_t b = blockIdx.y;
    const float* k_b = k + b * M * D;
    const float* v_b = v + b * M * D;

    for (unsigned d = lane; d < D; d += WARP) s_q[warp][d] = n < N ? q[(b * N + n) * D + d] * (scale * LOG2E) : 0.0f;

    float max = NONE, sum = 0.0f;
    float acc[D / WARP] = {}; // channels lane, lane + 32
    for (unsigned m0 = 0; m0 < M; m0 += F32_KEYS) {
        __syncthreads(); // tiles read by all in the step before; s_q written before the first step
        for (unsigned i = tid; i < F32_KEYS * D; i += WARP * F32_QUERIES) {
            const unsigned m = i / D, d = i % D;
            const bool in = m0 + m < M;
            s_k[m][d] = in ? k_b[(size_t)(m0 + m) * D + d] : 0.0f;
            s_v[m][d] = in ? v_b[(size_t)(m0 + m) * D + d] : 0.0f;
        }
        __syncthreads(); // tiles written above, read below

        float score = 0.0f;
#pragma unroll 16
        for (unsigned d = 0; d < D; ++d) score += s_q[warp][d] * s_k[lane][d];
        if (m0 + lane >= M) score = NONE;
        float top = score;
#pragma unroll
        for (unsigned lanes = WARP / 2; lanes > 0; lanes /= 2) top = fmaxf(top, __shfl_xor_sync(ALL, top, lanes));
        top = fmaxf(top, max);
        const float shrink = exp2f(max - top);
        const float p = exp2f(score - top);
        max = top;
        sum = sum * shrink + p;
        acc[0] *= shrink;
        acc[1] *= shrink;
#pragma unroll 8
        for (unsigned m = 0; m < F32_KEYS; ++m) {
            const float weight = __shfl_sync(ALL, p, m);
            acc[0] += weight * s_v[m][lane];
            acc[1] += weight * s_v[m][lane + WARP];
        }
    }
#pragma unroll
    for (unsigned lanes = WARP / 2; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(ALL, sum, lanes);
    if (n < N) {
        o[(b * N + n) * D + lane] = acc[0] / sum;
        o[(b * N + n) * D + lane + WARP] = acc[1] / sum;
    }
}
