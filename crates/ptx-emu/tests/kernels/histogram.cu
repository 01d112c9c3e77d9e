// histogram_shared, histogram_global: bins[v] += number of i < N with x[i] == v     v < 256
//   x [N] u8 in | bins [256] u32 in and out
//   grid any (the stride covers N), block 256
//   shared: static 256*4 = 1024 bytes for histogram_shared, none for histogram_global
//   needs bins 4-byte aligned
//   tails: any N, also 0
//   exact: integer atomics, the order does not matter
//   source: Podlozhnyuk 2007, "Histogram calculation in CUDA"

constexpr unsigned BINS = 256;
constexpr unsigned THREADS = 256;

static_assert(BINS == THREADS, "one bin per thread is cleared and added");

// args: x, bins, N
extern "C" __global__ void __launch_bounds__(THREADS)
    histogram_shared(const unsigned char* __restrict__ x, unsigned* __restrict__ bins, unsigned N) {
    __shared__ unsigned s_bins[BINS];
    const unsigned tid = threadIdx.x;
    s_bins[tid] = 0;
    __syncthreads(); // cleared above, counted below
    for (unsigned i = blockIdx.x * THREADS + tid; i < N; i += gridDim.x * THREADS) atomicAdd(&s_bins[x[i]], 1u);
    __syncthreads(); // counted above, read below
    if (s_bins[tid] != 0) atomicAdd(&bins[tid], s_bins[tid]);
}

// args: x, bins, N
extern "C" __global__ void __launch_bounds__(THREADS)
    histogram_global(const unsigned char* __restrict__ x, unsigned* __restrict__ bins, unsigned N) {
    for (unsigned i = blockIdx.x * THREADS + threadIdx.x; i < N; i += gridDim.x * THREADS) atomicAdd(&bins[x[i]], 1u);
}
