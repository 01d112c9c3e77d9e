// Small kernels that use what the others do not: dynamic shared memory, the last-block pattern,
// ballots and scans, function pointers, local and constant arrays, wide integers, f64, libm.

constexpr unsigned WARP = 32;
constexpr unsigned THREADS = 256;
constexpr unsigned WARPS = THREADS / WARP;
constexpr unsigned ALL = 0xffffffffu;

// saxpy: y[i] = a * x[i] + y[i]     i < N
//   x [N] f32 in | y [N] f32 in and out | grid any (the stride covers N), block 256 | shared none
//   one rounding per element: exact
// args: x, y, a, N
extern "C" __global__ void __launch_bounds__(THREADS)
    saxpy(const float* __restrict__ x, float* __restrict__ y, float a, unsigned N) {
    for (unsigned i = blockIdx.x * THREADS + threadIdx.x; i < N; i += gridDim.x * THREADS) y[i] = fmaf(a, x[i], y[i]);
}

// reverse: y[i] = x[N - 1 - i]     i < N
//   x [N] f32 in | y [N] f32 out | grid 1, block min(N, 1024) | shared dynamic 4*N bytes
// args: x, y, N
extern "C" __global__ void reverse(const float* __restrict__ x, float* __restrict__ y, unsigned N) {
    extern __shared__ float s_x[];
    for (unsigned i = threadIdx.x; i < N; i += blockDim.x) s_x[i] = x[i];
    __syncthreads(); // s_x written above, read below
    for (unsigned i = threadIdx.x; i < N; i += blockDim.x) y[i] = s_x[N - 1 - i];
}

// total: sum[0] = sum_i x[i]     i < N, in one launch: the last block to finish adds the partial sums
//   x [N] u32 in | partial [grid] u32 scratch | done [1] u32, 0 before and after | sum [1] u32 out
//   grid any, block 256 | shared static 8*4 + 4 = 36 bytes
//   exact modulo 2^32
//   source: CUDA C++ Programming Guide, "Memory Fence Functions" (threadFenceReduction)
// args: x, partial, done, sum, N
extern "C" __global__ void __launch_bounds__(THREADS)
    total(const unsigned* __restrict__ x, unsigned* partial, unsigned* done, unsigned* sum, unsigned N) {
    __shared__ unsigned s_warp[WARPS];
    __shared__ bool s_last;
    const unsigned lane = threadIdx.x % WARP;
    const unsigned warp = threadIdx.x / WARP;
    unsigned v = 0;
    for (unsigned i = blockIdx.x * THREADS + threadIdx.x; i < N; i += gridDim.x * THREADS) v += x[i];
    v = __reduce_add_sync(ALL, v);
    if (lane == 0) s_warp[warp] = v;
    __syncthreads(); // s_warp written above, read below
    if (threadIdx.x == 0) {
        unsigned block = 0;
        for (unsigned w = 0; w < WARPS; ++w) block += s_warp[w];
        partial[blockIdx.x] = block;
        __threadfence(); // the partial sum is visible before the ticket is drawn
        s_last = atomicAdd(done, 1u) == gridDim.x - 1;
    }
    __syncthreads(); // s_last written above, read below
    if (s_last && threadIdx.x == 0) {
        __threadfence(); // the tickets are drawn before the partial sums are read
        unsigned all = 0;
        for (unsigned b = 0; b < gridDim.x; ++b) all += ((volatile unsigned*)partial)[b];
        sum[0] = all;
        done[0] = 0;
    }
}

// compact: out = the values of x that are odd, in order; count[0] = how many
//   x [N] u32 in | out [N] u32 out, count values written | count [1] u32 out
//   grid 1, block 256 | shared static 9*4 = 36 bytes | any N
// args: x, out, count, N
extern "C" __global__ void __launch_bounds__(THREADS)
    compact(const unsigned* __restrict__ x, unsigned* __restrict__ out, unsigned* __restrict__ count, unsigned N) {
    __shared__ unsigned s_start[WARPS + 1]; // values before each warp in this round; the last: all
    const unsigned lane = threadIdx.x % WARP;
    const unsigned warp = threadIdx.x / WARP;
    unsigned start = 0;
    for (unsigned i0 = 0; i0 < N; i0 += THREADS) {
        const unsigned i = i0 + threadIdx.x;
        const unsigned v = i < N ? x[i] : 0;
        const bool keep = v % 2 == 1;
        const unsigned ballot = __ballot_sync(ALL, keep);
        if (lane == 0) s_start[warp] = __popc(ballot);
        __syncthreads(); // counts of the warps written above, read by the first warp below
        if (warp == 0) {
            const unsigned own = lane < WARPS ? s_start[lane] : 0;
            unsigned scan = own;
#pragma unroll
            for (unsigned d = 1; d < WARPS; d *= 2) {
                const unsigned up = __shfl_up_sync(ALL, scan, d);
                if (lane >= d) scan += up;
            }
            __syncwarp(); // counts read by all lanes above, overwritten below
            if (lane < WARPS) s_start[lane] = scan - own;
            if (lane == WARPS - 1) s_start[WARPS] = scan;
        }
        __syncthreads(); // starts written above, read below
        const unsigned below = ballot & ((1u << lane) - 1u);
        if (keep) out[start + s_start[warp] + __popc(below)] = v;
        start += s_start[WARPS];
        __syncthreads(); // starts read above, overwritten by the next round
    }
    if (threadIdx.x == 0) count[0] = start;
}

__device__ __noinline__ unsigned twice(unsigned v) { return v * 2u; }
__device__ __noinline__ unsigned square(unsigned v) { return v * v; }
__device__ __noinline__ unsigned swap_bytes(unsigned v) { return __byte_perm(v, 0, 0x0123); }
__device__ __noinline__ unsigned factorial(unsigned v) { return v < 2 ? 1u : v * factorial(v - 1); }
__device__ unsigned (*const table[4])(unsigned) = {twice, square, swap_bytes, factorial};

// call_table: y[i] = f(x[i]), f = table[i % 4]: 2x, x^2, bytes reversed, x! modulo 2^32
//   x [N] u32 in | y [N] u32 out | grid ceil(N/256), block 256 | shared none | indirect calls, recursion
// args: x, y, N
extern "C" __global__ void __launch_bounds__(THREADS)
    call_table(const unsigned* __restrict__ x, unsigned* __restrict__ y, unsigned N) {
    const unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i < N) y[i] = table[i % 4](x[i]);
}

__constant__ float weights[8] = {0.5f, -1.0f, 2.0f, 0.25f, 3.0f, -0.125f, 1.5f, 7.0f};

// local_sort: sorts eight values per thread in an array that is indexed at run time, then
//   y[i] = sum_j sorted[i,j] * weights[j]
//   x [N,8] f32 in, finite | y [N] f32 out | grid ceil(N/256), block 256 | shared none, local 32 bytes
// args: x, y, N
extern "C" __global__ void __launch_bounds__(THREADS)
    local_sort(const float* __restrict__ x, float* __restrict__ y, unsigned N) {
    const unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= N) return; // no barrier below
    float v[8];
#pragma unroll 1
    for (unsigned j = 0; j < 8; ++j) { // insertion sort, ascending
        const float next = x[(size_t)i * 8 + j];
        unsigned p = j;
#pragma unroll 1
        while (p > 0 && v[p - 1] > next) {
            v[p] = v[p - 1];
            --p;
        }
        v[p] = next;
    }
    float sum = 0.0f;
#pragma unroll 1
    for (unsigned j = 0; j < 8; ++j) sum += v[j] * weights[j];
    y[i] = sum;
}

// gelu: y[i] = x[i] * (1 + erf(x[i] / sqrt(2))) / 2     i < N
//   x [N] f32 in | y [N] f32 out | grid ceil(N/256), block 256 | shared none
// args: x, y, N
extern "C" __global__ void __launch_bounds__(THREADS)
    gelu(const float* __restrict__ x, float* __restrict__ y, unsigned N) {
    const unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i < N) y[i] = x[i] * 0.5f * (1.0f + erff(x[i] * 0.70710678f));
}

// moments: out[0] += sum_i x[i], out[1] += sum_i x[i]^2 in f64 by atomics; the order is free
//   x [N] f32 in | out [2] f64 in and out | grid any, block 256 | shared none
// args: x, out, N
extern "C" __global__ void __launch_bounds__(THREADS)
    moments(const float* __restrict__ x, double* __restrict__ out, unsigned N) {
    double sum = 0.0, squares = 0.0;
    for (unsigned i = blockIdx.x * THREADS + threadIdx.x; i < N; i += gridDim.x * THREADS) {
        const double v = x[i];
        sum += v;
        squares = fma(v, v, squares);
    }
#pragma unroll
    for (unsigned d = WARP / 2; d > 0; d /= 2) {
        sum += __shfl_down_sync(ALL, sum, d);
        squares += __shfl_down_sync(ALL, squares, d);
    }
    if (threadIdx.x % WARP == 0) {
        atomicAdd(&out[0], sum);
        atomicAdd(&out[1], squares);
    }
}

// integers: y[i] = mixture of wide products, divisions, shifts, bit counts of x[i] and i
//   x [N] u64 in, not 0 | y [N] u64 out | grid ceil(N/256), block 256 | shared none
// args: x, y, N
extern "C" __global__ void __launch_bounds__(THREADS)
    integers(const unsigned long long* __restrict__ x, unsigned long long* __restrict__ y, unsigned N) {
    const unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= N) return; // no barrier below
    const unsigned long long v = x[i];
    const unsigned low = (unsigned)v, high = (unsigned)(v >> 32);
    unsigned long long z = __umul64hi(v, 0x9e3779b97f4a7c15ull);
    z += (unsigned long long)__umulhi(low, high) << 16;
    z ^= ~0ull / v + (~0ull - i) % v;
    z += (unsigned long long)((int)low / (int)(high | 1u)) + (unsigned long long)((int)low % 7);
    z ^= (unsigned long long)__funnelshift_l(low, high, i % 32) << 8;
    z += __popcll(v) + 64u * __clzll((long long)v) + 4096u * __ffs((int)low) + __brev(high);
    z ^= (unsigned long long)(long long)(short)low + (unsigned long long)(signed char)high;
    z += (v >> (i % 64)) ^ (unsigned long long)((long long)v >> (i % 64));
    y[i] = z;
}
