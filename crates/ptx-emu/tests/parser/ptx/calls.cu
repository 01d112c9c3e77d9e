// nvrtcCompileProgram: -arch=compute_80 -std=c++17
struct Item { double a; float* p[4]; int n; char c; };
typedef float (*Function)(float);
__device__ float table[7] = {1.f, 2.f, -3.f};
__constant__ int constants[3] = {1, -2, 3};
__device__ float* pointer = &table[2];
__device__ double number = 1.5;
__managed__ int managed = 4;
__device__ float first(float x) { return x * 2; }
__device__ float second(float x) { return x + 3; }
__device__ Function functions[2] = {first, second};
extern __shared__ float dynamic[];

__device__ __noinline__ int fibonacci(int n) { return n < 2 ? 1 : fibonacci(n - 1) + fibonacci(n - 2); }
__device__ __noinline__ float2 both(float a, float b) { return make_float2(a / b, a - b); }

extern "C" __global__ void __launch_bounds__(128, 2)
calls(Item item, float* out, const float* __restrict__ in, bool flag, char small, unsigned n) {
  __shared__ float shared[33];
  __shared__ unsigned long long one;
  int t = threadIdx.x + blockIdx.x * blockDim.x, local[20];
  for (int i = 0; i < 20; i++) local[i] = i * n;
  if (t == 0) one = n;
  shared[t & 31] = in[t];
  dynamic[t] = shared[(t + 1) & 31];
  __syncthreads();
  float r = functions[n & 1](in[t]) + fibonacci(n);
  float2 q = both(r, in[n]);
  r += q.x * q.y + local[n % 20] + (flag ? small : 0);
  for (int i = 0; i < 4; i++) r += item.p[(i + n) % 4][t];
  r += __shfl_xor_sync(~0u, r, 3) + constants[n % 3] + table[n % 7] + number + *pointer + managed + one;
  atomicAdd(out, r);
  printf("%d %f\n", t, r);
  out[t] = dynamic[n];
}

template <int N> __global__ void loops(float4* a, ushort4* b) {
#pragma unroll 1
  for (int i = 0; i < N; i++) {
    float4 v = a[i];
    v.x += b[i].y;
    a[threadIdx.x] = v;
  }
  if (a[0].x < 0) return;
  switch ((int)a[1].y) {
    case 0: a[1].z = 3; break;
    case 1: a[2].x = 1; break;
    case 3: a[7].x = 9; break;
    default: __trap();
  }
}
template __global__ void loops<5>(float4*, ushort4*);

__global__ void __maxnreg__(64) assembly(unsigned* o, float* f) {
  unsigned at = (unsigned)__cvta_generic_to_shared(dynamic), a, b, c, d;
  float x = 0, y = 0, z = 0, w = 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, 16;\ncp.async.commit_group;\ncp.async.wait_group 0;" ::"r"(at), "l"(f) : "memory");
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(a), "=r"(b), "=r"(c), "=r"(d) : "r"(at));
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%4,%5}, {%0,%1,%2,%3};"
               : "+f"(x), "+f"(y), "+f"(z), "+f"(w) : "r"(a), "r"(b), "r"(c), "r"(d));
  asm volatile("{.reg.pred p, q;.reg .b16 lo,hi; mov.b32 {lo,hi},%1; setp.lt.and.s32 p|q, %1, -5, !p; @!p bra DONE; mov.b32 %0, {hi,lo};DONE:}" : "=r"(a) : "r"(b));
  o[0] = a + b + c + d;
  f[1] = x + y + z + w;
  o[1] = __ballot_sync(~0u, a > 3) + __activemask() + atomicCAS(o, 3, 4);
}
